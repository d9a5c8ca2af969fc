//! The likelihood-ratio attack's statistics, on numbers alone.
//!
//! Carlini et al., "Membership Inference Attacks From First Principles" (2022), online form: prompts
//! are tuned on random halves of the rows; what each says of a row, [`confidence`], is about Gaussian
//! over those that saw the row and over those that did not, and the score of a row is the logarithm of
//! how much likelier its confidence under the attacked prompt is with the former. Every shadow is
//! attacked once, by the others.

use super::roc::Scored;
use crate::optim::SplitMix64;

/// A row's own variances are estimated from at least so many prompts on either side; below, all rows
/// share one (their §VI-B).
const OWN_VARIANCE: usize = 32;

/// Which rows each of `shadows` prompts is tuned on.
///
/// A fair coin for each row says which of the shadows 2j and 2j + 1 sees it, so each row is in exactly
/// half of the shadows, and knowing the other rows of a shadow tells nothing of it: what (ε, δ) allows
/// an attack ([`allowed`]) holds as it stands. An odd number of shadows is rounded up.
#[must_use]
pub fn halves(rows: usize, shadows: usize, seed: u64) -> Vec<Vec<bool>> {
    let mut generator = SplitMix64::new(seed);
    let mut halves = Vec::new();
    for _ in 0..shadows.div_ceil(2) {
        let half: Vec<bool> = (0..rows).map(|_| generator.next_u64() >> 63 == 1).collect();
        let other = half.iter().map(|seen| !seen).collect();
        halves.extend([half, other]);
    }
    halves
}

/// The AUC, and the true positive rates at 1 % and 0.1 % false ones, that no attack on an (ε, δ)-private
/// mechanism passes: TPR ≤ e^ε·FPR + δ, and under the region's other side 1 − e^−ε·(1 − FPR) + δ.
#[must_use]
pub fn allowed(epsilon: f64, delta: f64) -> [f64; 3] {
    let (up, down) = (libm::exp(epsilon), libm::exp(-epsilon));
    let rate = |share: f64| (up * share + delta).min(1.0 - down * (1.0 - share) + delta);
    // The area under the two lines, which meet at 1/(1 + e^ε), is e^ε/(1 + e^ε).
    let area = 1.0 / (1.0 + down) + delta;
    [area, rate(1e-2), rate(1e-3)].map(|x| x.min(1.0))
}

/// Logit-scaled confidence in the true class, ln(p/(1 − p)), from class logits: the true one's less
/// ln Σ e^z over the others. NaN where there is no other.
#[must_use]
pub fn confidence(logits: &[f32], label: usize) -> f64 {
    let others = || {
        let all = logits.iter().enumerate();
        all.filter(move |(class, _)| *class != label)
            .map(|(_, &z)| f64::from(z))
    };
    let largest = others().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = others().map(|z| libm::exp(z - largest)).sum();
    let own = logits.get(label).map_or(f64::NAN, |&z| f64::from(z));
    own - largest - libm::log(sum)
}

/// Log-likelihood ratios of every row under every shadow as the attacked prompt, with the truth.
/// `confidences[s][i]` is what shadow s says of row i, `seen[s][i]` whether it saw it, by [`halves`].
///
/// The fits leave out the attacked shadow **and its complement**. The attacked one alone would leave a
/// member's row with one prompt fewer that saw it, and the mean of fewer is further away on average: an
/// attack on nothing would then show an AUC below one half.
#[must_use]
pub fn scores(confidences: &[Vec<f64>], seen: &[Vec<bool>]) -> Vec<Scored> {
    let rows = confidences.first().map_or(0, Vec::len);
    let mut scores = Vec::new();
    for target in 0..confidences.len() {
        let fits: Vec<[Fit; 2]> = (0..rows)
            .map(|row| {
                [false, true].map(|side| {
                    let others = (0..confidences.len()).filter(|shadow| shadow / 2 != target / 2);
                    let of_side = others.filter(|&shadow| seen[shadow][row] == side);
                    Fit::of(of_side.map(|shadow| confidences[shadow][row]))
                })
            })
            .collect();
        let shared = [0, 1].map(|side| shared(fits.iter().map(|fits| &fits[side])));
        for (row, fits) in fits.iter().enumerate() {
            let x = confidences[target][row];
            let [out, r#in] = [0, 1].map(|side| fits[side].log_density(x, shared[side]));
            scores.push(Scored {
                score: r#in - out,
                member: seen[target][row],
                row,
                run: target / 2,
            });
        }
    }
    scores
}

/// Confidences of one row on one side.
struct Fit {
    count: usize,
    mean: f64,
    /// Σ (x − mean)²
    spread: f64,
}

impl Fit {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.collect();
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let spread = values.iter().map(|x| (x - mean).powi(2)).sum();
        Self {
            count,
            mean,
            spread,
        }
    }

    /// ln N(x; mean, variance), less the constant.
    fn log_density(&self, x: f64, shared: f64) -> f64 {
        let own = self.spread / (self.count.max(2) - 1) as f64;
        let variance = if self.count < OWN_VARIANCE {
            shared
        } else {
            own
        };
        // Prompts that all say the same leave no room: the floor keeps the ratio a number.
        let variance = variance.max(1e-12);
        -0.5 * ((x - self.mean).powi(2) / variance + libm::log(variance))
    }
}

/// The variance within rows, over all of them.
fn shared<'a>(fits: impl Iterator<Item = &'a Fit>) -> f64 {
    let (spread, freedom) = fits.fold((0.0, 0), |(spread, freedom), fit| {
        (spread + fit.spread, freedom + fit.count.saturating_sub(1))
    });
    spread / freedom.max(1) as f64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::roc::{reached, tests::gaussian};
    use super::*;

    #[test]
    fn every_row_is_in_exactly_half_and_every_half_is_about_one() {
        let rows = 10_000;
        let halves = halves(rows, 5, 3);
        assert_eq!(halves.len(), 6);
        for row in 0..rows {
            assert_eq!(halves.iter().filter(|half| half[row]).count(), 3);
        }
        for half in &halves {
            // Six standard deviations.
            assert!(half.iter().filter(|seen| **seen).count().abs_diff(5000) < 300);
        }
        // Pairs know nothing of each other.
        let both = halves[0].iter().zip(&halves[2]).filter(|(a, b)| a == b);
        assert!(both.count().abs_diff(5000) < 300);
    }

    #[test]
    fn what_is_allowed_is_the_area_of_the_region() {
        for (epsilon, delta) in [
            (0.0, 0.0),
            (0.1, 0.0),
            (1.0, 1e-5),
            (3.0, 1e-3),
            (8.0, 1e-5),
        ] {
            let [auc, one, tenth] = allowed(epsilon, delta);
            let (e, steps) = (f64::exp(epsilon), 1_000_000);
            let region = |f: f64| (e * f).min(1.0 - (1.0 - f) / e);
            let area = (0..steps).map(|i| region((f64::from(i) + 0.5) / f64::from(steps)));
            let area = area.sum::<f64>() / f64::from(steps) + delta;
            assert!((auc - area).abs() < 1e-6, "{epsilon}: {auc} {area}");
            assert!((one - region(1e-2) - delta).abs() < 1e-12);
            assert!((tenth - region(1e-3) - delta).abs() < 1e-12);
        }
        assert_eq!(allowed(0.0, 0.0), [0.5, 0.01, 0.001]);
    }

    #[test]
    fn confidence_is_the_logit_of_the_probability() {
        // softmax(1, 2, 0) gives class 1 p = e²/(e + e² + 1).
        let e = std::f64::consts::E;
        let p = e * e / (e + e * e + 1.0);
        let expected = (p / (1.0 - p)).ln();
        assert!((confidence(&[1.0, 2.0, 0.0], 1) - expected).abs() < 1e-12);
        // Far beyond where p is 1 in floats.
        assert!((confidence(&[-300.0, 500.0], 1) - 800.0).abs() < 1e-9);
        assert!(confidence(&[1.0], 0).is_nan() || confidence(&[1.0], 0).is_infinite());
    }

    #[test]
    fn scores_by_hand() {
        // One row, three pairs; attacked: shadow 0, which saw it. The others saw it at 3 and 5 (mean 4,
        // variance 2) and not at 0 and 2 (mean 1, variance 2).
        let confidences = [3.5, 9.0, 3.0, 0.0, 5.0, 2.0].map(|x| vec![x]);
        let seen = [true, false, true, false, true, false].map(|x| vec![x]);
        let first = scores(&confidences, &seen)[0];
        let expected = -0.5 * (0.5f64.powi(2) - 2.5f64.powi(2)) / 2.0;
        assert!((first.score - expected).abs() < 1e-12, "{first:?}");
        assert!(first.member && first.row == 0 && first.run == 0);
    }

    /// Shadows of 3000 rows of unlike difficulty; what was seen is `gap` deviations surer.
    fn shadows(count: usize, gap: f64, seed: u64) -> (Vec<Vec<f64>>, Vec<Vec<bool>>) {
        let rows = 3000;
        let seen = halves(rows, count, seed);
        let mut generator = SplitMix64::new(seed + 100);
        let hard: Vec<f64> = (0..rows).map(|_| 3.0 * gaussian(&mut generator)).collect();
        let confidences = seen.iter().map(|seen| {
            let rows = seen.iter().zip(&hard);
            rows.map(|(&seen, hard)| {
                hard + gap * f64::from(u8::from(seen)) + gaussian(&mut generator)
            })
            .collect()
        });
        (confidences.collect(), seen)
    }

    /// Nothing leaks, so nothing may be found, above one half or below. The mean of four has a standard
    /// deviation of 0.002; fits that leave out the target alone give 0.476.
    #[test]
    fn nothing_is_found_where_nothing_is() {
        let aucs = [1, 2, 3, 4].map(|seed| {
            let (confidences, seen) = shadows(8, 0.0, seed);
            reached(&scores(&confidences, &seen), 1).unwrap().auc
        });
        let mean = aucs.map(|auc| auc.value).iter().sum::<f64>() / 4.0;
        assert!((mean - 0.5).abs() < 0.009, "{aucs:?}");
        let held = aucs.iter().filter(|auc| (auc.low..auc.high).contains(&0.5));
        assert!(held.count() >= 3, "{aucs:?}");
    }

    /// With many shadows the fits are exact and the AUC is that of two Gaussians one deviation apart:
    /// Φ(1/√2) = 0.760, although rows differ by three. Few shadows fit less well.
    #[test]
    fn what_leaks_is_found() {
        let auc = |count| {
            let (confidences, seen) = shadows(count, 1.0, 1);
            reached(&scores(&confidences, &seen), 1).unwrap().auc.value
        };
        let (few, many) = (auc(4), auc(64));
        assert!((many - 0.757).abs() < 0.008, "{many}");
        assert!(few > 0.6 && few < many - 0.03, "{few}");
    }
}
