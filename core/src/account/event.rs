//! What is composed, and what is refused.

use serde::{Deserialize, Serialize};

use super::pair::SampledGaussian;

/// Steps in all that the error bounds of the accountant are stated for.
pub const MAX_STEPS: u64 = 1 << 30;

/// Below this, sampling is left out of the account (which can only raise ε): ε is in the hundreds.
pub(super) const MIN_SAMPLED_NOISE: f64 = 0.05;
/// More noise than this is accounted as this much (which can only raise ε).
pub(super) const MAX_NOISE: f64 = 1e6;
/// A smaller sample rate is accounted as this one (which can only raise ε).
const MIN_SAMPLE_RATE: f64 = 1e-9;

/// `steps` times the Poisson-subsampled Gaussian mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Probability q with which an example takes part in a step, independently of all others.
    pub sample_rate: f64,
    /// Standard deviation σ of the noise in units of the sensitivity (`max_grad_norm`).
    pub noise_multiplier: f64,
    /// Number of steps T.
    pub steps: u64,
}

/// A question that has no answer.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum AccountError {
    /// q is not a probability.
    #[error("the sample rate is {0}: give a probability between 0 and 1")]
    SampleRate(f64),
    /// σ is negative or not a number.
    #[error("the noise multiplier is {0}: give a finite number that is not negative")]
    NoiseMultiplier(f64),
    /// Too many steps for the error bounds to hold.
    #[error("{0} steps are more than the {MAX_STEPS} that can be accounted for")]
    TooManySteps(u64),
    /// δ is not strictly between 0 and 1.
    #[error("delta is {0}: give a number strictly between 0 and 1, well below 1 / examples")]
    Delta(f64),
    /// ε is negative, infinite or not a number.
    #[error("epsilon is {0}: give a finite number that is not negative")]
    Epsilon(f64),
    /// A target of 0 would need infinite noise.
    #[error("no finite noise reaches epsilon {0} here: raise it or delta, or take fewer steps")]
    Unreachable(f64),
}

pub(super) fn checked_delta(delta: f64) -> Result<f64, AccountError> {
    let valid = delta > 0.0 && delta < 1.0;
    valid.then_some(delta).ok_or(AccountError::Delta(delta))
}

pub(super) fn checked_epsilon(epsilon: f64) -> Result<f64, AccountError> {
    let valid = epsilon >= 0.0 && epsilon.is_finite();
    valid
        .then_some(epsilon)
        .ok_or(AccountError::Epsilon(epsilon))
}

impl Event {
    fn checked(self) -> Result<Self, AccountError> {
        let Self {
            sample_rate,
            noise_multiplier,
            steps,
        } = self;
        if !(0.0..=1.0).contains(&sample_rate) {
            return Err(AccountError::SampleRate(sample_rate));
        }
        if !(noise_multiplier >= 0.0 && noise_multiplier.is_finite()) {
            return Err(AccountError::NoiseMultiplier(noise_multiplier));
        }
        if steps > MAX_STEPS {
            return Err(AccountError::TooManySteps(steps));
        }
        Ok(self)
    }
}

/// A subsampled Gaussian and how often it runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) pair: SampledGaussian,
    pub(super) steps: u64,
}

/// A validated composition in the form that is cheapest to account for exactly.
pub(super) enum Mechanism {
    /// Nothing about any example is released.
    Nothing,
    /// Something is released without noise.
    Exposed,
    /// No sampling: the composition is one Gaussian of sensitivity / deviation `mu`.
    Gaussian { mu: f64 },
    /// Distinct subsampled Gaussians, in a fixed order: composition commutes, rounding does not.
    Sampled(Vec<Part>),
}

impl Mechanism {
    pub(super) fn compose(events: &[Event]) -> Result<Self, AccountError> {
        let events = merged(events)?;
        if events.is_empty() {
            return Ok(Self::Nothing);
        }
        let noise = || events.iter().map(|e| e.noise_multiplier);
        if noise().any(|sigma| sigma == 0.0) {
            return Ok(Self::Exposed);
        }
        let sampled = events.iter().any(|e| e.sample_rate < 1.0);
        if !sampled || noise().any(|sigma| sigma < MIN_SAMPLED_NOISE) {
            let square = |e: &Event| e.steps as f64 / e.noise_multiplier / e.noise_multiplier;
            return Ok(Self::Gaussian {
                mu: events.iter().map(square).sum::<f64>().sqrt(),
            });
        }
        Ok(Self::Sampled(events.iter().map(Part::of).collect()))
    }
}

impl Part {
    fn of(event: &Event) -> Self {
        let q = event.sample_rate.max(MIN_SAMPLE_RATE);
        let pair = SampledGaussian::new(q, event.noise_multiplier.min(MAX_NOISE));
        Self {
            pair,
            steps: event.steps,
        }
    }
}

/// Sorted, with equal mechanisms added up and those that release nothing left out.
fn merged(events: &[Event]) -> Result<Vec<Event>, AccountError> {
    let mut sorted: Vec<Event> = Vec::with_capacity(events.len());
    for event in events {
        let event = event.checked()?;
        if event.sample_rate > 0.0 && event.steps > 0 {
            sorted.push(event);
        }
    }
    let key = |e: &Event| (e.sample_rate.to_bits(), e.noise_multiplier.to_bits());
    sorted.sort_by_key(key);
    let total = sorted
        .iter()
        .fold(0_u64, |sum, e| sum.saturating_add(e.steps));
    if total > MAX_STEPS {
        return Err(AccountError::TooManySteps(total));
    }
    sorted.dedup_by(|next, kept| {
        let same = key(next) == key(kept);
        kept.steps += if same { next.steps } else { 0 };
        same
    });
    Ok(sorted)
}
