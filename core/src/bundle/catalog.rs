//! What a server offers a tab: the content of `bundles.json`, written by `post-native serve` and read
//! by the page.

use serde::{Deserialize, Serialize};

use super::Bundle;

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
            layers: config.num_hidden_layers,
            hidden_size: config.hidden_size,
        }
    }
}
