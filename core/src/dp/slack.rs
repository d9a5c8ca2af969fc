//! What the finite sampler adds to ε and δ (proof: `docs/guarantee.md`, "The finite sampler").
//!
//! On bins within [`TAIL`] standard deviations the probability of each drawn integer is within a
//! factor 1 ± ζ of the ideal's, E ζ² ≤ (`RIPPLE`·σ)². Over all draws the log-likelihood ratio of
//! real and ideal then passes `log_ratio` with probability at most `miss`, in both directions, so
//! (ε, δ) of the ideal makes (ε + 2t, eᵗδ + (1 + e^{ε+t})·miss) of the real.

use std::ops::RangeInclusive;

use super::{
    MAX_DIMENSION,
    account::{self, AccountError, Event},
    clip::GRID,
};

/// Root mean square of ζ per grid unit of σ: 2.2 × the relative error 2⁻⁴⁹ of one draw.
const RIPPLE: f64 = 2.2 / (1u64 << 49) as f64;

/// P(|G| > 12), both laws.
const TAIL: f64 = 4e-33;

/// ln(1/δ′) of the Chernoff bound: δ′ = 1e-30.
const LOG_CHANCE: f64 = 69.1;

/// Part of δ that is set aside for `miss`.
const RESERVE: f64 = 1.0 / (1 << 20) as f64;

struct Slack {
    log_ratio: f64,
    miss: f64,
}

impl Slack {
    /// Over all draws of all `events`, each as if a gradient had [`MAX_DIMENSION`] numbers.
    fn of(events: &[Event]) -> Self {
        let draws = |event: &Event| MAX_DIMENSION as f64 * event.steps as f64;
        let ripple = |event: &Event| RIPPLE * event.noise_multiplier * GRID as f64;
        let variance: f64 = events
            .iter()
            .map(|event| draws(event) * ripple(event).powi(2))
            .sum();
        let tail = TAIL * events.iter().map(draws).sum::<f64>();
        Self {
            log_ratio: 2.0 * (variance * LOG_CHANCE).sqrt() + 2.0 * variance + tail,
            miss: libm::exp(-LOG_CHANCE) + tail,
        }
    }

    /// The largest ideal ε at which `miss`, times e^ε, is negligible beside `delta`; `None` when it
    /// never is. About 32 for 40 steps at δ = 1e-5.
    fn claimable(&self, delta: f64) -> Option<f64> {
        let factor = delta * RESERVE / self.miss - 1.0;
        (factor > 1.0).then(|| libm::log(factor) - self.log_ratio)
    }

    /// The δ at which the ideal is asked, so that the real one has `delta`.
    fn ideal_delta(&self, delta: f64) -> f64 {
        delta * (1.0 - RESERVE) * libm::exp(-self.log_ratio)
    }
}

/// Noise multipliers for which the proof holds: its bins need σ·2¹⁴ ≥ 2¹⁰, its f64 σ·2¹⁴ ≤ 2²⁶.
pub(super) const NOISE: RangeInclusive<f64> = 0.0625..=4096.0;

/// ε at `delta` of everything that `events` release, the finite sampler included.
///
/// Infinite when the noise is so small that `miss`, times e^ε, is no longer negligible beside
/// `delta`: there is nothing to claim then.
pub(super) fn epsilon(events: &[Event], delta: f64) -> Result<f64, AccountError> {
    let slack = Slack::of(events);
    let ideal = account::epsilon(events, slack.ideal_delta(delta))?;
    Ok(match slack.claimable(delta) {
        Some(most) if ideal <= most => ideal + 2.0 * slack.log_ratio,
        _ => f64::INFINITY,
    })
}

/// The noise multiplier at which [`epsilon`] is `target` or barely less, never more; it is the most that
/// can be claimed where `target` is above that.
pub(super) fn calibrate(
    target: f64,
    delta: f64,
    sample_rate: f64,
    steps: u64,
) -> Result<f64, AccountError> {
    let event = |noise_multiplier| {
        [Event {
            sample_rate,
            noise_multiplier,
            steps,
        }]
    };
    let calibrate = |epsilon, delta| account::calibrate_noise(epsilon, delta, sample_rate, steps);
    let mut guess = calibrate(target, delta)?;
    while guess <= *NOISE.end() {
        // A hundredth more noise than needed, so that its slack covers that of the answer.
        guess = guess.max(*NOISE.start()) * 1.01;
        let slack = Slack::of(&event(guess));
        let most = slack.claimable(delta);
        let most = most.ok_or(AccountError::Unreachable(target))?;
        let room = (target - 2.0 * slack.log_ratio).min(most);
        let sigma = calibrate(room, slack.ideal_delta(delta))?.max(*NOISE.start());
        if epsilon(&event(sigma), delta)? <= target {
            return Ok(sigma);
        }
        guess = guess.max(sigma);
    }
    Err(AccountError::Unreachable(target))
}
