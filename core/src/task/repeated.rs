//! The accuracy of a method, from runs that differ in their seeds alone.

use serde::Serialize;

use super::metrics::Accuracy;

/// t with P(|T| ≤ t) = 0.95 for 1, 2, … degrees of freedom (Student 1908).
const T95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];
/// The same for more than 30: slightly wide.
const T95_MANY: f64 = 2.042;

/// Mean accuracy of several runs on the same test rows, with a 95 % interval.
///
/// Two things move it: which rows are tested, which more runs do not cure, and the runs' own chance
/// (noise, batches, order). The interval adds both in squares: the Wilson interval of the mean on n
/// rows, and t·s/√k for k runs with standard deviation s. One run shows nothing of its chance; its
/// interval is Wilson's alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Repeated {
    /// Mean over the runs.
    pub accuracy: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Test rows of each run.
    pub n: u64,
    /// k.
    pub runs: usize,
    /// s, 0 for one run.
    pub deviation: f64,
}

impl Repeated {
    /// Of runs on the same rows; none without a run, or when their numbers of rows differ.
    #[must_use]
    pub fn of(runs: &[Accuracy]) -> Option<Self> {
        let n = runs.first()?.n;
        if runs.iter().any(|run| run.n != n) {
            return None;
        }
        let k = runs.len() as f64;
        let accuracy = runs.iter().map(|run| run.accuracy).sum::<f64>() / k;
        let wilson = Accuracy::of((accuracy * n as f64).round() as u64, n)?;
        let squares: f64 = runs
            .iter()
            .map(|run| (run.accuracy - accuracy).powi(2))
            .sum();
        let deviation = (squares / (k - 1.0).max(1.0)).sqrt();
        let chance = match runs.len() - 1 {
            0 => 0.0,
            freedom => T95.get(freedom - 1).unwrap_or(&T95_MANY) * deviation / k.sqrt(),
        };
        Some(Self {
            accuracy,
            low: (accuracy - (accuracy - wilson.low).hypot(chance)).max(0.0),
            high: (accuracy + (wilson.high - accuracy).hypot(chance)).min(1.0),
            n,
            runs: runs.len(),
            deviation,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn runs(right: &[u64]) -> Vec<Accuracy> {
        right
            .iter()
            .map(|&right| Accuracy::of(right, 100).unwrap())
            .collect()
    }

    #[test]
    fn one_run_has_wilsons_interval() {
        let (one, run) = (Repeated::of(&runs(&[70])).unwrap(), runs(&[70])[0]);
        assert_eq!(
            (one.accuracy, one.low, one.high),
            (run.accuracy, run.low, run.high)
        );
    }

    #[test]
    fn runs_that_differ_widen_the_interval_and_runs_that_agree_do_not() {
        let same = Repeated::of(&runs(&[70, 70, 70])).unwrap();
        assert_eq!(
            (same.low, same.high),
            (runs(&[70])[0].low, runs(&[70])[0].high)
        );
        // Mean 0.7, s = 0.02: t·s/√3 = 4.303 · 0.02 / √3 = 0.04969; below the mean Wilson has 0.7 − 0.60415.
        let differ = Repeated::of(&runs(&[68, 70, 72])).unwrap();
        assert!((differ.deviation - 0.02).abs() < 1e-12);
        let wilson = 0.7 - Accuracy::of(70, 100).unwrap().low;
        let low = 0.7 - (wilson * wilson + 0.049_687 * 0.049_687).sqrt();
        assert!((differ.low - low).abs() < 1e-5, "{} {low}", differ.low);
    }

    #[test]
    fn runs_on_other_rows_do_not_mix() {
        let mut mixed = runs(&[70]);
        mixed.push(Accuracy::of(7, 10).unwrap());
        assert_eq!(Repeated::of(&mixed), None);
        assert_eq!(Repeated::of(&[]), None);
    }
}
