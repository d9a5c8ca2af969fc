//! The noise that a privacy target needs.

use libm::{exp, log};

use super::event::{self, AccountError, Event, MAX_NOISE, MIN_SAMPLED_NOISE, Mechanism};
use super::pld::{self, Accuracy};
use super::{epsilon, gaussian};

/// ε of the result is within this of the target, relatively, and never above it.
const TOLERANCE: f64 = 1e-4;

/// The noise multiplier with which `steps` steps are (`target_epsilon`, `target_delta`)-DP.
///
/// [`epsilon`] of the result is at most `target_epsilon`, and within a ten thousandth of it.
///
/// # Errors
/// When an argument makes no sense, or when no finite noise is enough.
pub fn calibrate_noise(
    target_epsilon: f64,
    target_delta: f64,
    sample_rate: f64,
    steps: u64,
) -> Result<f64, AccountError> {
    let target = event::checked_epsilon(target_epsilon)?;
    let delta = event::checked_delta(target_delta)?;
    let at = |noise_multiplier| {
        [Event {
            sample_rate,
            noise_multiplier,
            steps,
        }]
    };
    if epsilon(&at(0.0), delta)? <= target {
        return Ok(0.0);
    }
    if target == 0.0 {
        return Err(AccountError::Unreachable(target));
    }
    if sample_rate == 1.0 {
        return Ok(unsampled(target, delta, steps));
    }
    let compute = |noise: f64, accuracy| match Mechanism::compose(&at(noise)) {
        Ok(Mechanism::Sampled(parts)) => pld::epsilon(&parts, delta, accuracy),
        _ => f64::INFINITY, // Not within the search: it stays above `MIN_SAMPLED_NOISE`.
    };
    let mut search = Search::new(target);
    search.run(|noise| compute(noise, Accuracy::COARSE), 10.0 * TOLERANCE);
    search.widen();
    search.run(|noise| compute(noise, Accuracy::FINE), TOLERANCE);
    if search.enough == log(MAX_NOISE) {
        return Err(AccountError::Unreachable(target));
    }
    if search.little == log(MIN_SAMPLED_NOISE) {
        return Ok(unsampled(target, delta, steps).min(exp(search.enough)));
    }
    Ok(exp(search.enough))
}

/// The noise for full batches. Rounding must not take it below what is needed.
fn unsampled(target: f64, delta: f64, steps: u64) -> f64 {
    let root = (steps as f64).sqrt();
    let mut noise = root / gaussian::largest_mu(target, delta);
    while gaussian::epsilon(root / noise, delta) > target {
        noise *= 1.0 + 4.0 * f64::EPSILON;
    }
    noise
}

/// Looks for the ln σ at which ln ε passes through a target, on a curve that falls.
struct Search {
    target: f64,
    /// ln σ that is too little.
    little: f64,
    /// ln σ that is enough.
    enough: f64,
    next: f64,
    /// d ln ε / d ln σ.
    slope: f64,
}

impl Search {
    fn new(target: f64) -> Self {
        let (little, enough) = (log(MIN_SAMPLED_NOISE), log(MAX_NOISE));
        Self {
            target,
            little,
            enough,
            next: 0.0,
            slope: -1.5,
        }
    }

    /// Narrows the bracket until ε at `enough` is within `tolerance` of the target, by secants kept
    /// inside the bracket.
    fn run(&mut self, epsilon: impl Fn(f64) -> f64, tolerance: f64) {
        let mut last: Option<(f64, f64)> = None;
        while self.enough - self.little > 1e-12 {
            let here = self.next;
            let found = epsilon(exp(here));
            // A little below the target, so that the secant lands on the right side of it.
            let excess = log(found / self.target) + 0.5 * tolerance;
            *(if found <= self.target {
                &mut self.enough
            } else {
                &mut self.little
            }) = here;
            if let Some((there, excess_there)) = last
                && excess.is_finite()
            {
                self.slope = ((excess - excess_there) / (here - there)).min(-0.1);
            }
            last = excess.is_finite().then_some((here, excess));
            if found <= self.target && found >= self.target * (1.0 - tolerance) {
                break;
            }
            let secant = here - excess / self.slope;
            let inside = secant > self.little && secant < self.enough;
            self.next = if inside { secant } else { self.middle() };
        }
    }

    /// The middle of the bracket, or a factor of two from its only end that has been looked at.
    fn middle(&self) -> f64 {
        0.5 * (self.little + self.enough)
    }

    /// Forgets the bracket but not where it was: another function passes close by.
    fn widen(&mut self) {
        (self.little, self.enough) = (log(MIN_SAMPLED_NOISE), log(MAX_NOISE));
    }
}
