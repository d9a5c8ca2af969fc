//! The private set: one critic's sentence per row, split so that no film is on both sides.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::public::Passage;
use super::{place, words};

/// The columns that the task file `rotten-tomatoes` names.
pub(super) const HEADER: [&str; 3] = ["text", "category", "movie_name"];

/// Summaries of the plot, which nobody has judged.
const PLOT: &str = "plot";

/// One sentence about one film.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Review {
    pub(super) text: String,
    pub(super) category: String,
    pub(super) movie: String,
}

impl Review {
    /// A public passage in the place of a private sentence.
    pub(super) fn of(passage: &Passage) -> Self {
        Self {
            text: passage.text.clone(),
            category: Self::category(passage.liked).to_owned(),
            movie: format!("review {}", passage.review),
        }
    }

    /// The word of the corpus for a verdict.
    pub(super) fn category(liked: bool) -> &'static str {
        if liked { "fresh" } else { "rotten" }
    }

    /// In the order of [`HEADER`].
    pub(super) fn fields(&self) -> [&str; 3] {
        [&self.text, &self.category, &self.movie]
    }
}

/// Reads the judged sentences of the compressed corpus.
///
/// # Errors
/// When the file cannot be read or lacks a column.
pub(super) fn read(path: &Path) -> Result<Vec<Review>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    parse(bzip2::read::BzDecoder::new(file))
        .with_context(|| format!("cannot read {}", path.display()))
}

fn parse(table: impl Read) -> Result<Vec<Review>> {
    let mut reader = csv::Reader::from_reader(table);
    let header = reader.headers()?.clone();
    let column = |name: &str| {
        header
            .iter()
            .position(|found| found == name)
            .with_context(|| format!("no column {name}"))
    };
    let [text, category, movie] = [column(HEADER[0])?, column(HEADER[1])?, column(HEADER[2])?];
    let mut reviews = Vec::new();
    for row in reader.records() {
        let row = row?;
        if row[category] != *PLOT {
            reviews.push(Review {
                text: row[text].trim().to_owned(),
                category: row[category].to_owned(),
                movie: row[movie].to_owned(),
            });
        }
    }
    Ok(reviews)
}

/// Keeps the first of several sentences with the same words: a copy would be tested on what was
/// tuned on, and would count one critic twice.
pub(super) fn without_duplicates(mut reviews: Vec<Review>) -> Vec<Review> {
    let mut seen = HashSet::new();
    reviews.retain(|review| {
        let key: Vec<String> = words(&review.text).collect();
        !key.is_empty() && seen.insert(key)
    });
    reviews
}

/// Takes whole films, in the order of their names' hashes, until the test set has `test_rows`;
/// returns `(train, test)`, each shuffled, so that any beginning of a file is a fair sample.
pub(super) fn split_by_movie(reviews: Vec<Review>, test_rows: usize) -> (Vec<Review>, Vec<Review>) {
    let mut movies: BTreeMap<[u8; 32], Vec<Review>> = BTreeMap::new();
    for review in reviews {
        movies.entry(place(&review.movie)).or_default().push(review);
    }
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for movie in movies.into_values() {
        let side = if test.len() < test_rows {
            &mut test
        } else {
            &mut train
        };
        side.extend(movie);
    }
    for side in [&mut train, &mut test] {
        side.sort_by_cached_key(|review| place(&review.text));
    }
    (train, test)
}

/// As many of each category: drops the last of those that there are too many of. A model that says
/// `fresh` to everything is then right half of the time, not by the luck of the corpus.
pub(super) fn balanced(reviews: Vec<Review>) -> Vec<Review> {
    let mut counts = BTreeMap::<String, usize>::new();
    for review in &reviews {
        *counts.entry(review.category.clone()).or_default() += 1;
    }
    let fewest = counts.values().copied().min().unwrap_or(0);
    let mut kept = BTreeMap::<String, usize>::new();
    let mut keep = |review: &Review| {
        let count = kept.entry(review.category.clone()).or_default();
        *count += 1;
        *count <= fewest
    };
    reviews.into_iter().filter(|review| keep(review)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn review(text: &str, movie: &str) -> Review {
        Review {
            text: text.into(),
            category: "fresh".into(),
            movie: movie.into(),
        }
    }

    #[test]
    fn plots_are_left_out_and_columns_found_by_name() {
        let table = "category,text,movie_name,has_plot_and_reviews\n\
                     plot,A man walks.,walk,True\nrotten,\"Dull, alas.\",walk,True\n";
        let expected = Review {
            text: "Dull, alas.".into(),
            category: "rotten".into(),
            movie: "walk".into(),
        };
        assert_eq!(parse(table.as_bytes()).unwrap(), [expected]);
    }

    #[test]
    fn a_missing_column_is_named() {
        let error = parse("text,category\na,b\n".as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "no column movie_name");
    }

    #[test]
    fn copies_differ_in_case_and_punctuation_at_most() {
        let reviews = vec![
            review("A fun ride.", "a"),
            review("a fun ride", "b"),
            review("...", "c"),
        ];
        assert_eq!(without_duplicates(reviews), [review("A fun ride.", "a")]);
    }

    #[test]
    fn each_category_is_as_frequent_and_the_order_is_kept() {
        let mut reviews: Vec<Review> = (0..5).map(|i| review(&format!("{i}"), "m")).collect();
        for at in [1, 4] {
            reviews[at].category = "rotten".into();
        }
        let texts: Vec<String> = balanced(reviews).into_iter().map(|r| r.text).collect();
        assert_eq!(texts, ["0", "1", "2", "4"]);
        assert_eq!(balanced(Vec::new()), Vec::new());
    }

    #[test]
    fn no_movie_is_on_both_sides_and_no_row_is_lost() {
        let reviews: Vec<Review> = (0..200)
            .map(|i| review(&format!("text {i}"), &format!("movie {}", i % 23)))
            .collect();
        let (train, test) = split_by_movie(reviews.clone(), 40);
        assert!(test.len() >= 40 && train.len() + test.len() == 200);
        let tested: HashSet<&str> = test.iter().map(|review| review.movie.as_str()).collect();
        assert!(
            train
                .iter()
                .all(|review| !tested.contains(review.movie.as_str()))
        );
        let mut reversed = reviews;
        reversed.reverse();
        assert_eq!(split_by_movie(reversed, 40), (train, test));
    }
}
