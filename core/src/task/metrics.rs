//! Accuracy with its interval, confusion table, figures for each class: counts in, numbers out.

use serde::{Deserialize, Serialize};

/// The normal quantile of a two-sided 95 % interval.
const Z95: f64 = 1.959_963_984_540_054;

/// An accuracy and its 95 % interval; as JSON the shape of one entry of `results.json`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Share of right answers; of answers of text it is called exact match.
    #[serde(alias = "exact_match")]
    pub accuracy: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Rows tested.
    pub n: u64,
}

impl Accuracy {
    /// `right` of `n` answers, with the Wilson score interval (Wilson 1927), which stays within
    /// [0, 1] and holds its level near the ends too. Nothing tested: no accuracy.
    pub fn of(right: u64, n: u64) -> Option<Self> {
        if n == 0 || right > n {
            return None;
        }
        let (share, total) = (right as f64 / n as f64, n as f64);
        let z2 = Z95 * Z95 / total;
        let center = (share + z2 / 2.0) / (1.0 + z2);
        let half = Z95 * (share * (1.0 - share) / total + z2 / (4.0 * total)).sqrt() / (1.0 + z2);
        let (low, high) = ((center - half).max(0.0), (center + half).min(1.0));
        Some(Self {
            accuracy: share,
            low,
            high,
            n,
        })
    }

    /// Half the interval's width: the ± of a table.
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

/// One class's figures; a ratio with nothing to divide by is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFigures {
    /// The class's name.
    pub class: String,
    /// Rows that are of this class.
    pub rows: u64,
    /// Right answers among the rows that were given this class.
    pub precision: Option<f64>,
    /// Right answers among the rows that are of this class.
    pub recall: Option<f64>,
    /// Harmonic mean of the two.
    pub f1: Option<f64>,
}

/// Counts of (actual class, predicted class).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// Class names.
    pub classes: Vec<String>,
    /// `counts[actual][predicted]`.
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// An empty table.
    pub fn new(classes: Vec<String>) -> Self {
        let counts = vec![vec![0; classes.len()]; classes.len()];
        Self { classes, counts }
    }

    /// Counts one answer.
    ///
    /// # Panics
    /// Where either is not a class index.
    pub fn add(&mut self, actual: usize, predicted: usize) {
        self.counts[actual][predicted] += 1;
    }

    /// Share of right answers; none while nothing was counted.
    pub fn accuracy(&self) -> Option<Accuracy> {
        let right = (0..self.classes.len())
            .map(|class| self.counts[class][class])
            .sum();
        Accuracy::of(right, self.counts.iter().flatten().sum())
    }

    /// Precision, recall and F1 of every class.
    pub fn per_class(&self) -> Vec<ClassFigures> {
        (0..self.classes.len())
            .map(|class| self.figures(class))
            .collect()
    }

    fn figures(&self, class: usize) -> ClassFigures {
        let right = self.counts[class][class];
        let rows: u64 = self.counts[class].iter().sum();
        let given: u64 = self.counts.iter().map(|row| row[class]).sum();
        let ratio = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        ClassFigures {
            class: self.classes[class].clone(),
            rows,
            precision: ratio(right, given),
            recall: ratio(right, rows),
            f1: ratio(2 * right, rows + given),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-5
    }

    /// Newcombe (1998), Statistics in Medicine 17, table I: the Wilson method without correction.
    #[test]
    fn intervals_agree_with_newcombes_table() {
        let cases = [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ];
        for (right, n, low, high) in cases {
            let found = Accuracy::of(right, n).unwrap();
            assert!(
                close(found.low, low) && close(found.high, high),
                "{found:?}"
            );
        }
        let all = Accuracy::of(20, 20).unwrap();
        assert!(close(all.low, 1.0 - 0.1611) && all.high == 1.0);
    }

    #[test]
    fn nothing_tested_has_no_accuracy() {
        assert_eq!(Accuracy::of(0, 0), None);
        assert_eq!(Accuracy::of(2, 1), None);
        assert_eq!(Confusion::new(vec!["a".into()]).accuracy(), None);
    }

    #[test]
    fn figures_come_from_rows_and_columns() {
        let mut confusion = Confusion::new(vec!["a".into(), "b".into(), "c".into()]);
        for (actual, predicted, times) in [(0, 0, 3), (0, 1, 1), (1, 1, 4), (1, 0, 2)] {
            (0..times).for_each(|_| confusion.add(actual, predicted));
        }
        let accuracy = confusion.accuracy().unwrap();
        assert_eq!((accuracy.accuracy, accuracy.n), (0.7, 10));
        assert!(accuracy.half_width() > 0.2);
        let figures = confusion.per_class();
        assert_eq!(figures[0].precision, Some(0.6));
        assert_eq!(figures[0].recall, Some(0.75));
        assert!(close(figures[0].f1.unwrap(), 2.0 * 0.6 * 0.75 / 1.35));
        assert_eq!(
            (figures[2].precision, figures[2].recall, figures[2].f1),
            (None, None, None)
        );
    }

    #[test]
    fn json_has_the_shape_of_results_json() {
        let json = serde_json::to_value(Accuracy::of(1, 2).unwrap()).unwrap();
        let keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["accuracy", "high", "low", "n"]);
    }
}
