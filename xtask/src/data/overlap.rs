//! Public text must not quote the private set: a quote would carry private words past the noise.

use std::collections::HashSet;

use super::words;

/// As many equal words in a row count as a quote. Shorter runs ("one of the best films") are
/// everybody's.
const QUOTE: usize = 8;

/// All runs of [`QUOTE`] words of a set of texts.
pub(super) struct Runs(HashSet<Vec<String>>);

impl Runs {
    pub(super) fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        Self(texts.flat_map(runs).collect())
    }

    /// Whether the text shares a run with the set.
    pub(super) fn quoted_in(&self, text: &str) -> bool {
        runs(text).any(|run| self.0.contains(&run))
    }
}

fn runs(text: &str) -> impl Iterator<Item = Vec<String>> {
    let words: Vec<String> = words(text).collect();
    let count = (words.len() + 1).saturating_sub(QUOTE);
    (0..count).map(move |start| words[start..start + QUOTE].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_found_whatever_its_punctuation() {
        let known = Runs::of(["It is one of the best movies of the year."].into_iter());
        assert!(known.quoted_in("i say , it is One of the Best movies of the year !"));
        assert!(!known.quoted_in("it is one of the best movies"));
        assert!(!known.quoted_in(""));
    }
}
