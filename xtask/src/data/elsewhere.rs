//! Public text of other domains, to see what a transfer has from text unlike the private one.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::public::LENGTHS;
use super::{place, words};

/// Sentences of speeches at party conventions.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn speeches(path: &Path) -> Result<Vec<String>> {
    let text = read(path)?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let mut sentences = Vec::new();
    for row in reader.records() {
        let row = row.with_context(|| format!("cannot read {}", path.display()))?;
        let speech = row.get(2).context("a row without a speech")?;
        let lines = speech
            .lines()
            .flat_map(|line| line.split_inclusive(['.', '!', '?']));
        sentences.extend(lines.map(|sentence| sentence.trim().to_owned()));
    }
    Ok(chosen(sentences))
}

/// What nouns mean, out of a dictionary.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn definitions(path: &Path) -> Result<Vec<String>> {
    let text = read(path)?;
    let glosses = text.lines().filter_map(|line| line.split_once(" | "));
    // Uses of the word stand behind it, in quotes.
    let meaning = |(_, gloss): (&str, &str)| {
        let meaning = gloss.split("; \"").next().unwrap_or(gloss);
        meaning.trim().to_owned()
    };
    Ok(chosen(glosses.map(meaning).collect()))
}

fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Those as long as the public reviews' passages, shuffled, none twice.
fn chosen(mut texts: Vec<String>) -> Vec<String> {
    texts.retain(|text| LENGTHS.contains(&words(text).count()));
    texts.sort_by_cached_key(|text| place(text));
    texts.dedup();
    texts
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn speeches_are_cut_at_their_sentences() {
        let table = file(
            "party,speaker,text\nd,A,\"Thank you. We will be back here again in four years!\n\
             Nobody else in this country can say as much. Thanks.\"\n",
        );
        let mut found = speeches(table.path()).unwrap();
        found.sort();
        assert_eq!(
            found,
            [
                "Nobody else in this country can say as much.",
                "We will be back here again in four years!"
            ]
        );
    }

    #[test]
    fn definitions_are_without_their_examples() {
        let gloss =
            "living things taken together as one great whole; \"the oceans teem with life\"";
        let table = file(&format!(
            "  1 licence of the dictionary\n00006269 03 n 01 life 0 | {gloss}\n"
        ));
        assert_eq!(
            definitions(table.path()).unwrap(),
            ["living things taken together as one great whole"]
        );
    }
}
