//! A public task that is easy to learn: whether an adjective praises or blames. What is chosen on it costs no privacy.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::private::Review;

/// From here on a polarity, which goes from -1 to 1, is a verdict; most adjectives have none.
const VERDICT: f64 = 0.2;

/// Reads the lexicon: one row for each sense of each adjective that judges, in the place of a critic's sentence; the
/// adjective is its film, so that no adjective is on both sides of a split.
///
/// # Errors
/// When the file cannot be read, or a word lacks an attribute.
pub(super) fn read(path: &Path) -> Result<Vec<Review>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("cannot read {}", path.display()))
}

fn parse(lexicon: &str) -> Result<Vec<Review>> {
    let mut rows = Vec::new();
    for word in lexicon.lines().filter(|line| line.starts_with("<word ")) {
        let needed = |name| attribute(word, name).with_context(|| format!("no {name} in {word}"));
        let polarity: f64 = needed("polarity")?.parse()?;
        // Exclamations have no sense, and some entries an empty one.
        let sense = attribute(word, "sense").unwrap_or_default();
        if polarity.abs() < VERDICT || sense.is_empty() {
            continue;
        }
        let form = needed("form")?;
        rows.push(Review {
            text: format!("{form}: {sense}"),
            category: Review::category(polarity > 0.0).to_owned(),
            movie: form.to_owned(),
        });
    }
    Ok(rows)
}

/// An attribute's value; the lexicon has no escaped characters.
fn attribute<'a>(word: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = word.split_once(&format!(" {name}=\""))?;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn word(form: &str, sense: &str, polarity: &str) -> String {
        format!(
            "<word form=\"{form}\" wordnet_id=\"a-1\" pos=\"JJ\" sense=\"{sense}\" polarity=\"{polarity}\" \
             subjectivity=\"1.0\" />\n"
        )
    }

    #[test]
    fn senses_that_judge_are_rows_with_their_adjective_as_the_film() {
        let lexicon = [
            "<sentiment language=\"en\">\n".to_owned(),
            word("tough", "violent and lawless", "-1.0"),
            word("tough", "resistant to cutting or chewing", "0.1"),
            word("able", "having a strong healthy body", "0.5"),
            word("awww", "", "0.4"),
            "<word form=\"alas\" pos=\"UH\" polarity=\"-0.4\" />\n".to_owned(),
        ];
        let found = parse(&lexicon.concat()).unwrap();
        let found: Vec<[&str; 3]> = found.iter().map(Review::fields).collect();
        let expected = [
            ["tough: violent and lawless", "rotten", "tough"],
            ["able: having a strong healthy body", "fresh", "able"],
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_word_without_its_polarity_is_named() {
        let error = parse("<word form=\"able\" sense=\"strong\" />").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("no polarity in <word form=\"able\"")
        );
    }
}
