//! The quickstart's text: who plays the private set, who the public one, and what is removed.

mod adjectives;
mod csv_file;
mod elsewhere;
mod overlap;
mod private;
mod public;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use crate::fetch;
use crate::shell::say;

/// Fewer rows would make the accuracies' intervals too wide to tell the methods apart.
const TEST_ROWS: usize = 1000;
/// Of which so many are left at least once each category is as frequent.
const BALANCED_ROWS: usize = 700;
/// Settings are chosen on so many rows of further films, never on the test rows.
const DEV_ROWS: usize = 2000;
/// The prompt is carried over with so many public passages; more than about a hundred are enough.
const TRANSFER_ROWS: usize = 256;
/// The student is distilled on so many others; the teacher reads each once, a sixth of a second on
/// two cores.
const DISTIL_ROWS: usize = 2000;
/// As many public passages as there are private sentences play those.
const PROXY_ROWS: usize = 11_000;
/// A third of the adjectives' senses; what is left is enough to tune on without privacy.
const ADJECTIVE_TEST_ROWS: usize = 500;

/// Where the prepared sets lie.
#[derive(Debug)]
pub(crate) struct Sets {
    pub(crate) private_train: PathBuf,
    pub(crate) private_test: PathBuf,
    /// The rows to tune on once more, without those of some films; and those, to choose settings on.
    pub(crate) dev_train: PathBuf,
    pub(crate) dev_test: PathBuf,
    /// Public passages with their reviews' labels in the place of the private sets: what is chosen on
    /// them costs no privacy.
    pub(crate) proxy_train: PathBuf,
    pub(crate) proxy_test: PathBuf,
    /// The same of an easier task, adjectives that praise or blame.
    pub(crate) adjectives_train: PathBuf,
    pub(crate) adjectives_test: PathBuf,
    /// For the transfer.
    pub(crate) public: PathBuf,
    /// As much public text of other domains, to compare with.
    pub(crate) speeches: PathBuf,
    pub(crate) definitions: PathBuf,
    /// For the distillation: other passages, and public too.
    pub(crate) distil: PathBuf,
}

impl Sets {
    /// Their places in a folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self {
            private_train: folder.join("private-train.csv"),
            private_test: folder.join("private-test.csv"),
            dev_train: folder.join("dev-train.csv"),
            dev_test: folder.join("dev-test.csv"),
            proxy_train: folder.join("proxy-train.csv"),
            proxy_test: folder.join("proxy-test.csv"),
            adjectives_train: folder.join("adjectives-train.csv"),
            adjectives_test: folder.join("adjectives-test.csv"),
            public: folder.join("public.csv"),
            speeches: folder.join("public-speeches.csv"),
            definitions: folder.join("public-definitions.csv"),
            distil: folder.join("distil.csv"),
        }
    }
}

/// Fetches both corpora and writes the sets.
///
/// # Errors
/// When something cannot be fetched, read or written.
pub(crate) fn prepare(folder: &Path) -> Result<Sets> {
    let sets = Sets::in_folder(folder);
    let reviews = private::read(&fetch::fetch(&fetch::PRIVATE)?)?;
    let passages = public::read(&fetch::fetch(&fetch::PUBLIC)?)?;
    let total = reviews.len();
    let reviews = private::without_duplicates(reviews);
    let copies = total - reviews.len();
    say(&format!(
        "{} private sentences, {copies} duplicates left out",
        reviews.len()
    ));
    let known = overlap::Runs::of(reviews.iter().map(|review| review.text.as_str()));
    let total = passages.len();
    let passages = public::without_overlap(passages, &known);
    let quotes = total - passages.len();
    say(&format!(
        "{} public passages, {quotes} that quote the private ones left out",
        passages.len()
    ));
    let (train, test) = private::split_by_movie(reviews, TEST_ROWS);
    let (train, test) = (private::balanced(train), private::balanced(test));
    let (dev_train, dev_test) = private::split_by_movie(train.clone(), DEV_ROWS);
    let (dev_train, dev_test) = (private::balanced(dev_train), private::balanced(dev_test));
    say(&format!(
        "{} to tune on, {} of other films to test on, half of them fresh",
        train.len(),
        test.len()
    ));
    let needed = TRANSFER_ROWS + DISTIL_ROWS;
    ensure!(
        test.len() >= BALANCED_ROWS && !train.is_empty(),
        "the private corpus is too small"
    );
    ensure!(
        passages.len() >= needed,
        "the public corpus has fewer than {needed} passages"
    );
    let (transfer, others) = passages.split_at(TRANSFER_ROWS);
    let (distil, others) = others.split_at(DISTIL_ROWS);
    let proxy = others[..PROXY_ROWS.min(others.len())].iter();
    let (proxy_train, proxy_test) =
        private::split_by_movie(proxy.map(private::Review::of).collect(), TEST_ROWS);

    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    write_private(&sets.private_train, &train)?;
    write_private(&sets.private_test, &test)?;
    write_private(&sets.dev_train, &dev_train)?;
    write_private(&sets.dev_test, &dev_test)?;
    write_public(&sets.public, transfer.iter().map(text))?;
    write_public(&sets.distil, distil.iter().map(text))?;
    let speeches = elsewhere::speeches(&fetch::fetch(&fetch::SPEECHES)?)?;
    let definitions = elsewhere::definitions(&fetch::fetch(&fetch::DEFINITIONS)?)?;
    for (path, texts) in [(&sets.speeches, speeches), (&sets.definitions, definitions)] {
        write_public(path, texts.iter().map(String::as_str).take(TRANSFER_ROWS))?;
    }
    write_private(&sets.proxy_train, &private::balanced(proxy_train))?;
    write_private(&sets.proxy_test, &private::balanced(proxy_test))?;
    let adjectives = adjectives::read(&fetch::fetch(&fetch::ADJECTIVES)?)?;
    let (train, test) =
        private::split_by_movie(private::without_duplicates(adjectives), ADJECTIVE_TEST_ROWS);
    write_private(&sets.adjectives_train, &private::balanced(train))?;
    write_private(&sets.adjectives_test, &private::balanced(test))?;
    Ok(sets)
}

fn write_private(path: &Path, reviews: &[private::Review]) -> Result<()> {
    csv_file::write(
        path,
        private::HEADER,
        reviews.iter().map(private::Review::fields),
    )
}

fn write_public<'a>(path: &Path, texts: impl Iterator<Item = &'a str>) -> Result<()> {
    csv_file::write(path, ["text"], texts.map(|text| [text]))
}

fn text(passage: &public::Passage) -> &str {
    &passage.text
}

/// A text's place in a shuffled order that is the same on every machine.
fn place(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Lower-case words without punctuation: what two copies of a sentence share.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}
