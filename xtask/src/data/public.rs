//! The public set: whole reviews cut into passages about as long as the private sentences.

use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::overlap::Runs;
use super::{place, words};

/// Words of a passage. Shorter pieces are joined with what follows them, longer sentences left out: the
/// private ones have 19 words on average and never more than 53.
pub(super) const LENGTHS: RangeInclusive<usize> = 8..=45;
/// The label of a review that liked its film.
const LIKED: &str = "1";

/// A piece of a review. The transfer has no use for more than its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passage {
    pub(super) text: String,
    /// Whether the review that it comes from liked the film; a passage may say nothing of that.
    pub(super) liked: bool,
    /// The review's number.
    pub(super) review: usize,
}

/// Reads the reviews and cuts them.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read(path: &Path) -> Result<Vec<Passage>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("cannot read {}", path.display()))
}

fn parse(text: &str) -> Result<Vec<Passage>> {
    // The file starts with a byte-order mark, which would end up inside the first quoted field.
    let table = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(table.as_bytes());
    let mut passages = Vec::new();
    for (review, row) in reader.records().enumerate() {
        let row = row?;
        let liked = row.get(0) == Some(LIKED);
        let texts = cut(row.get(1).context("a row without a review")?);
        passages.extend(texts.into_iter().map(|text| Passage {
            text,
            liked,
            review,
        }));
    }
    passages.sort_by_cached_key(|passage| place(&passage.text));
    passages.dedup_by(|a, b| a.text == b.text);
    Ok(passages)
}

/// Leaves out the passages that quote the private set.
pub(super) fn without_overlap(mut passages: Vec<Passage>, known: &Runs) -> Vec<Passage> {
    passages.retain(|passage| !known.quoted_in(&passage.text));
    passages
}

/// Cuts a review at its sentences, one per line.
fn cut(review: &str) -> Vec<String> {
    let mut passages = Vec::new();
    let mut open = String::new();
    for sentence in review.lines().map(natural) {
        if !open.is_empty() {
            open.push(' ');
        }
        open.push_str(&sentence);
        let count = words(&open).count();
        if count >= *LENGTHS.start() {
            let passage = std::mem::take(&mut open);
            if count <= *LENGTHS.end() {
                passages.push(passage);
            }
        }
    }
    passages
}

/// Undoes the corpus's tokenisation (`a good film , isn't it ?`), so that public text looks to the
/// model like text that people write.
fn natural(sentence: &str) -> String {
    let mut text = String::new();
    let mut inside_quotes = false;
    let mut glue = true;
    for token in sentence.split_whitespace() {
        let closes = matches!(token, "." | "," | ";" | ":" | "!" | "?" | ")" | "]")
            || (token == "\"" && inside_quotes);
        if !(glue || closes) {
            text.push(' ');
        }
        text.push_str(token);
        inside_quotes ^= token == "\"";
        glue = matches!(token, "(" | "[") || (token == "\"" && inside_quotes);
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_returns_to_its_word() {
        let text = "\" jaws \" is a film ( by spielberg ) that , once seen , stays . really ?";
        let expected = "\"jaws\" is a film (by spielberg) that, once seen, stays. really?";
        assert_eq!(natural(text), expected);
    }

    #[test]
    fn short_sentences_are_joined_and_long_ones_left_out() {
        let long = "word ".repeat(LENGTHS.end() + 1);
        let review = format!(
            "then it comes .\n{}\nyes it does , and how it does .\n",
            long
        );
        assert_eq!(
            cut(&review),
            Vec::<String>::new(),
            "a long sentence takes its opening with it"
        );
        let review = "then it comes .\nthe first bars of a now infamous score .\nthe end .\n";
        assert_eq!(
            cut(review),
            ["then it comes. the first bars of a now infamous score."]
        );
    }

    #[test]
    fn the_byte_order_mark_and_the_labels_are_not_text() {
        let table = "\u{feff}\"1\",\"one two three four five six seven eight .\n\"\n\
                     \"-1\",\"eight seven six five four three two one .\n\"\n";
        let mut passages = parse(table).unwrap();
        passages.sort_by_key(|passage| passage.review);
        let expected = [
            ("one two three four five six seven eight.", true, 0),
            ("eight seven six five four three two one.", false, 1),
        ];
        let passage = |(text, liked, review): (&str, bool, usize)| Passage {
            text: text.to_owned(),
            liked,
            review,
        };
        assert_eq!(passages, expected.map(passage));
    }

    #[test]
    fn a_passage_that_quotes_the_private_set_is_left_out() {
        let known = Runs::of(["it is one of the best movies of the year"].into_iter());
        let passage = |text: &str| Passage {
            text: text.to_owned(),
            liked: true,
            review: 0,
        };
        let passages = ["he said it is one of the best movies of the year.", "no."].map(passage);
        assert_eq!(without_overlap(passages.to_vec(), &known), passages[1..]);
    }
}
