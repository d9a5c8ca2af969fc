//! Canaries in the data, and what can be told about them afterwards.

use serde::{Deserialize, Serialize};

use super::one_run::{Guesses, guess};
use crate::optim::{DeviceError, SplitMix64};
use crate::task::{Example, Label};
use crate::tune::Classifier;

/// Canaries and their coins.
pub struct Planted {
    canaries: Vec<Example>,
    included: Vec<bool>,
}

/// What is audited.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// ε; `None` for a run without a guarantee.
    pub epsilon: Option<f64>,
    /// δ.
    pub delta: f64,
}

/// What the audit found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The guesses that the bound comes from.
    pub guesses: Guesses,
    /// The run is not (ε, δ)-DP for any smaller ε, with this confidence.
    pub epsilon_lower_bound: f64,
    /// 1 − the probability that the bound is wrong.
    pub confidence: f64,
    /// What was claimed.
    pub claim: Claim,
    /// Whether the bound is above the claim: the claim is then false.
    pub refuted: bool,
}

impl Planted {
    /// Throws a fair coin for each canary. The audit's confidence rests on these coins being
    /// independent of everything else, so `seed` must serve nothing else.
    #[must_use]
    pub fn new(mut canaries: Vec<Example>, seed: u64) -> Self {
        // The order that tuning's kernel keeps, so that everything about canary i stands at i.
        canaries.sort_by_key(|canary| canary.ids.len());
        let mut generator = SplitMix64::new(seed);
        let included = canaries
            .iter()
            .map(|_| generator.next_u64() >> 63 == 1)
            .collect();
        Self { canaries, included }
    }

    /// All canaries, whatever their coins.
    pub(super) fn canaries(&self) -> &[Example] {
        &self.canaries
    }

    /// `rows` and the canaries whose coin says so: what to tune on.
    #[must_use]
    pub fn with(&self, mut rows: Vec<Example>) -> Vec<Example> {
        let coins = self.canaries.iter().zip(&self.included);
        rows.extend(
            coins
                .filter(|(_, included)| **included)
                .map(|(canary, _)| canary.clone()),
        );
        rows
    }

    /// How much each canary's loss fell from `before` (the initial prompt) to `after` (the tuned
    /// one): a large fall speaks for inclusion. `rows` at a time.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub async fn scores(
        &self,
        before: &Classifier,
        after: &Classifier,
        rows: usize,
    ) -> Result<Vec<f64>, DeviceError> {
        let before = before.evaluate(&self.canaries, rows, |_| {}).await?;
        let after = after.evaluate(&self.canaries, rows, |_| {}).await?;
        let pairs = before.iter().zip(&after).zip(&self.canaries);
        let fall = |((before, after), canary): ((&Vec<f32>, &Vec<f32>), &Example)| {
            let class = canary.label.as_ref().and_then(Label::class);
            loss(before, class) - loss(after, class)
        };
        Ok(pairs.map(fall).collect())
    }

    /// Guesses from the scores and bounds ε.
    ///
    /// Guesses are tried on all canaries, on half and on a quarter of them; as the best of the three
    /// bounds is taken, each must hold with a third of the chance of error.
    #[must_use]
    pub fn judge(&self, scores: &[f64], claim: Claim, confidence: f64) -> Verdict {
        let half = self.canaries.len() / 2;
        let tries =
            [half, half / 2, half / 4].map(|each_side| guess(scores, &self.included, each_side));
        let level = (1.0 - confidence) / tries.len() as f64;
        let bound = |guesses: Guesses| (guesses, guesses.epsilon_lower_bound(claim.delta, level));
        let best = |a: (Guesses, f64), b: (Guesses, f64)| if b.1 > a.1 { b } else { a };
        let (guesses, epsilon_lower_bound) = tries[1..]
            .iter()
            .map(|&guesses| bound(guesses))
            .fold(bound(tries[0]), best);
        Verdict {
            guesses,
            epsilon_lower_bound,
            confidence,
            claim,
            refuted: claim
                .epsilon
                .is_some_and(|epsilon| epsilon_lower_bound > epsilon),
        }
    }
}

/// Cross-entropy of class logits; 0 for an example without label, which tells nothing.
fn loss(logits: &[f32], label: Option<usize>) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&x| f64::from(x - largest).exp()).sum();
    let own = label.and_then(|label| logits.get(label));
    own.map_or(0.0, |&own| sum.ln() - f64::from(own - largest))
}
