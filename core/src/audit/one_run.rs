//! The statistics of the one-run audit, on numbers alone.
//!
//! Steinke, Nasr and Jagielski, "Privacy Auditing with One (1) Training Run" (2023): each of m
//! canaries is put into the data by a fair coin of its own; after the run the auditor guesses the
//! coins of r of them and abstains on the others. An (ε, δ)-DP mechanism makes many right guesses
//! improbable, so many right guesses refute ε.

use libm::lgamma;

/// How the guessing went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Guesses {
    /// m: canaries, each put in with probability one half.
    pub canaries: usize,
    /// r: coins guessed; the auditor abstained on the others.
    pub guessed: usize,
    /// v: coins guessed right.
    pub right: usize,
}

impl Guesses {
    /// Probability, at most, that an (`epsilon`, `delta`)-DP mechanism allows `right` or more right
    /// guesses: their theorem 5.2, by the pseudo-code of appendix D.
    ///
    /// `P[B ≥ v] + 2mδ · max_i P[v − i ≤ B < v]/i` with `B ~ Binomial(r, e^ε/(1 + e^ε))`.
    pub fn p_value(&self, epsilon: f64, delta: f64) -> f64 {
        let Guesses { guessed, right, .. } = *self;
        let rate = 1.0 / (1.0 + (-epsilon).exp());
        let below: Vec<f64> = (0..right).map(|k| binomial(guessed, k, rate)).collect();
        let tail: f64 = (right..=guessed).map(|k| binomial(guessed, k, rate)).sum();
        let (mut sum, mut worst) = (0.0, 0.0f64);
        for (i, mass) in below.iter().rev().enumerate() {
            sum += mass;
            worst = worst.max(sum / (i + 1) as f64);
        }
        (tail + worst * delta * 2.0 * self.canaries as f64).min(1.0)
    }

    /// The largest ε refuted at confidence `1 − level`: the mechanism is not (ε, δ)-DP for any
    /// smaller one. 0 when nothing is refuted.
    pub fn epsilon_lower_bound(&self, delta: f64, level: f64) -> f64 {
        let refuted = |epsilon| self.p_value(epsilon, delta) < level;
        if !refuted(0.0) {
            return 0.0;
        }
        let (mut low, mut high) = (0.0, 1.0);
        while refuted(high) {
            (low, high) = (high, 2.0 * high);
        }
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if refuted(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// `C(n, k)·pᵏ·(1 − p)ⁿ⁻ᵏ`, through logarithms, so that n may be large.
fn binomial(n: usize, k: usize, p: f64) -> f64 {
    let log_power = |log: f64, times: f64| if times == 0.0 { 0.0 } else { log * times };
    let (n, k) = (n as f64, k as f64);
    let ways = lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0);
    (ways + log_power(p.ln(), k) + log_power((-p).ln_1p(), n - k)).exp()
}

/// Guesses "in" for the `each_side` highest scores and "out" for as many of the lowest, and counts
/// the right ones.
///
/// `scores` and `included` belong to the canaries in the same order; a higher score must speak for
/// inclusion. At most half of the canaries can be guessed on each side.
pub fn guess(scores: &[f64], included: &[bool], each_side: usize) -> Guesses {
    assert_eq!(scores.len(), included.len(), "one coin for each score");
    let each_side = each_side.min(scores.len() / 2);
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let out = order.iter().take(each_side).filter(|&&i| !included[i]);
    let r#in = order.iter().rev().take(each_side).filter(|&&i| included[i]);
    Guesses {
        canaries: scores.len(),
        guessed: 2 * each_side,
        right: out.count() + r#in.count(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(serde::Deserialize)]
    struct Golden {
        m: usize,
        r: usize,
        v: usize,
        delta: f64,
        p: f64,
        p_values: Vec<(f64, f64)>,
        epsilon: f64,
    }

    /// Against the paper's pseudo-code run by scipy (`golden/one_run.py`).
    #[test]
    fn agrees_with_the_papers_pseudo_code() {
        let rows: Vec<Golden> = serde_json::from_str(include_str!("golden/one_run.json")).unwrap();
        assert!(rows.len() >= 9);
        for row in rows {
            let guesses = Guesses {
                canaries: row.m,
                guessed: row.r,
                right: row.v,
            };
            for (epsilon, expected) in row.p_values {
                let p = guesses.p_value(epsilon, row.delta);
                assert!(
                    (p - expected).abs() <= 1e-9 * expected,
                    "{guesses:?} {epsilon}: {p}"
                );
            }
            let bound = guesses.epsilon_lower_bound(row.delta, row.p);
            assert!(
                (bound - row.epsilon).abs() < 1e-8,
                "{guesses:?}: {bound} {}",
                row.epsilon
            );
        }
    }

    #[test]
    fn guesses_are_counted_from_both_ends() {
        let scores = [0.9, 0.1, 0.8, 0.2, 0.5, 0.4];
        let included = [true, false, false, true, true, false];
        let guesses = guess(&scores, &included, 2);
        // In: 0.9 (right), 0.8 (wrong). Out: 0.1 (right), 0.2 (wrong).
        let expected = Guesses {
            canaries: 6,
            guessed: 4,
            right: 2,
        };
        assert_eq!(guesses, expected);
        assert_eq!(guess(&scores, &included, 99).guessed, 6);
    }

    /// Randomised response with a known ε, audited: the bound must hold at its confidence and must
    /// not be far below.
    #[test]
    fn brackets_randomised_response() {
        let (epsilon, canaries) = (2.0f64, 2000);
        let mut generator = crate::optim::SplitMix64::new(11);
        let keep = 1.0 / (1.0 + (-epsilon).exp());
        let included: Vec<bool> = (0..canaries).map(|_| generator.unit() < 0.5).collect();
        let scores: Vec<f64> = included
            .iter()
            .map(|&bit| f64::from(bit == (generator.unit() < keep)) + 1e-3 * generator.unit())
            .collect();
        let bound = guess(&scores, &included, canaries / 2).epsilon_lower_bound(0.0, 0.01);
        assert!(bound <= epsilon && bound > 0.8 * epsilon, "{bound}");
    }
}
