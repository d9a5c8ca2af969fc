//! What a server offers a tab: the content of `bundles.json`, written by `post-native serve` and read
//! by the page.

use serde::{Deserialize, Serialize};

use super::{Bundle, BundleError};

/// More bytes than any file has, and than a tab can count.
const MOST: u64 = 1 << 53;

/// Everything on offer. A server without bundles says so by an empty list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// The students to choose from.
    pub bundles: Vec<Listed>,
    /// A table to try them on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
}

/// A bundle before it is fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The bare name of the file, which lies beside the page. In an address it is percent-encoded.
    pub file: String,
    /// What there is to fetch.
    pub bytes: u64,
    /// The content hash, which [`Bundle::open`] checks and [`Bundle::hash`] gives: 64 hexadecimal
    /// digits.
    pub hash: String,
    /// The student's name.
    pub name: String,
    /// The teacher's name.
    pub teacher: String,
    /// The licence of the weights.
    pub license: String,
    /// How many blocks the student has.
    pub layers: usize,
    /// Their width.
    pub hidden_size: usize,
}

impl Catalog {
    /// Reads a server's list. What stands in it becomes addresses beside the page, names in a browser's
    /// storage and a number of bytes to wait for, so each is looked at.
    ///
    /// # Errors
    /// [`BundleError::Catalog`] naming the entry and its field.
    pub fn from_json(json: &[u8]) -> Result<Self, BundleError> {
        let catalog: Self =
            serde_json::from_slice(json).map_err(|reason| BundleError::Catalog {
                place: "bundles.json".to_owned(),
                reason: reason.to_string(),
            })?;
        for (at, listed) in catalog.bundles.iter().enumerate() {
            let entry = format!("bundles[{at}]");
            file(&entry, &listed.file, listed.bytes)?;
            let digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            let hash = listed.hash.len() == 64 && listed.hash.bytes().all(digit);
            require(hash, &entry, "hash", "it is not 64 hexadecimal digits")?;
        }
        if let Some(sample) = &catalog.sample {
            file("sample", &sample.file, sample.bytes)?;
        }
        Ok(catalog)
    }
}

/// A file beside the page.
fn file(entry: &str, name: &str, bytes: u64) -> Result<(), BundleError> {
    let leads_away = |c: char| matches!(c, '/' | '\\') || c.is_control();
    let bare = !matches!(name, "" | "." | "..") && !name.contains(leads_away);
    require(bare, entry, "file", "it is not the bare name of a file")?;
    require(bytes < MOST, entry, "bytes", "no file is as large")
}

fn require(holds: bool, entry: &str, field: &str, reason: &str) -> Result<(), BundleError> {
    if holds {
        return Ok(());
    }
    Err(BundleError::Catalog {
        place: format!("{entry}.{field}"),
        reason: reason.to_owned(),
    })
}

/// A table that anybody may read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The bare name of the file, which lies beside the page. In an address it is percent-encoded.
    pub file: String,
    /// What there is to fetch.
    pub bytes: u64,
    /// The name of the task that the table is of, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
}

impl Listed {
    /// A bundle as it is offered: under the name `file`, `bytes` long.
    #[must_use]
    pub fn of(bundle: &Bundle, file: impl Into<String>, bytes: u64) -> Self {
        let (card, config) = (bundle.card(), bundle.config());
        Self {
            file: file.into(),
            bytes,
            hash: bundle.hash().to_owned(),
            name: card.name.clone(),
            teacher: card.teacher.clone(),
            license: card.license.clone(),
            layers: config.num_hidden_layers(),
            hidden_size: config.hidden_size,
        }
    }
}
