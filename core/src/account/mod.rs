//! What a run, or several runs on the same data, cost in (ε, δ).
//!
//! A step of DP-SGD is a Poisson-subsampled Gaussian mechanism, described by an [`Event`]. The
//! guarantee is for *add or remove one example*: the neighbouring data sets differ in the presence
//! of one unit of privacy, and ε is the larger of the two directions.
//!
//! | module | answers | used for |
//! |---|---|---|
//! | [`pld`] | numerical composition of privacy loss distributions, an upper bound within about 1e-4 | the numbers that are reported |
//! | [`gaussian`] | closed form for `sample_rate` = 1 | full-batch runs, and as a check of `pld` |
//! | [`rdp`] | Rényi bounds, looser | cross-check |
//!
//! `docs/accounting.md` derives it all and lists every numerical error with the place where it is
//! charged.
//!
//! # Determinism
//! A tab and a terminal must state the same ε to the last bit, or a receipt could not be verified
//! by recomputing it. `f64::exp` and its like call the platform's library, which differs. So the
//! transcendental functions here are [`libm`]'s, the Fourier transform is our own
//! ([`fft`](self::pld)), nothing is fused (`mul_add`) and nothing runs in parallel.

mod calibrate;
mod chernoff;
mod composition;
mod discretize;
mod event;
mod fft;
pub mod gaussian;
mod pair;
pub mod pld;
pub mod rdp;
mod spectrum;

pub use calibrate::calibrate_noise;
pub use event::{AccountError, Event, MAX_STEPS};

use event::Mechanism;

/// The ε at which the composition of `events` is (ε, δ)-DP. An upper bound, 0 for no events and
/// infinite where an event samples but adds no noise.
///
/// # Errors
/// When an event or `delta` (0 < δ < 1) makes no sense.
pub fn epsilon(events: &[Event], delta: f64) -> Result<f64, AccountError> {
    let delta = event::checked_delta(delta)?;
    Ok(match Mechanism::compose(events)? {
        Mechanism::Nothing => 0.0,
        Mechanism::Exposed => f64::INFINITY,
        Mechanism::Gaussian { mu } => gaussian::epsilon(mu, delta),
        Mechanism::Sampled(parts) => pld::epsilon(&parts, delta, pld::Accuracy::FINE),
    })
}

/// The δ at which the composition of `events` is (ε, δ)-DP. An upper bound.
///
/// # Errors
/// When an event or `epsilon` (finite, not negative) makes no sense.
pub fn delta(events: &[Event], epsilon: f64) -> Result<f64, AccountError> {
    Ok(curve(events, &[epsilon])?[0])
}

/// δ for each of `epsilons`: the privacy curve.
///
/// # Errors
/// Those of [`delta`].
pub fn curve(events: &[Event], epsilons: &[f64]) -> Result<Vec<f64>, AccountError> {
    for &epsilon in epsilons {
        event::checked_epsilon(epsilon)?;
    }
    let mechanism = Mechanism::compose(events)?;
    Ok(epsilons
        .iter()
        .map(|&epsilon| match &mechanism {
            Mechanism::Nothing => 0.0,
            Mechanism::Exposed => 1.0,
            Mechanism::Gaussian { mu } => gaussian::delta(*mu, epsilon),
            Mechanism::Sampled(parts) => pld::delta(parts, epsilon, pld::Accuracy::FINE),
        })
        .collect())
}

#[cfg(test)]
mod tests;
