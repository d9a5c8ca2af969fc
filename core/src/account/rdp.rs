//! Rényi differential privacy: looser than [`pld`](super::pld), and independent of its grid.

use libm::{log, log1p};

use super::event::{AccountError, Event, Mechanism, checked_delta};

/// An ε and the order at which it is the smallest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Renyi {
    /// The ε of (ε, δ)-DP.
    pub epsilon: f64,
    /// The Rényi order α.
    pub order: f64,
}

/// The orders that are tried: those of Opacus and of dp-accounting.
pub fn orders() -> impl Iterator<Item = f64> {
    let fractional = (11..110).map(|tenths| f64::from(tenths) / 10.0);
    let integer = (11..64).map(f64::from);
    fractional
        .chain(integer)
        .chain([128.0, 256.0, 512.0, 1024.0])
}

/// The Rényi divergence of `order` α > 1 between the outputs with and without an example:
/// Σ T/(α − 1)·ln E_Q[(P/Q)^α], which is the larger direction (Mironov, Talwar and Zhang 2019).
///
/// # Errors
/// When an event makes no sense.
pub fn divergence(events: &[Event], order: f64) -> Result<f64, AccountError> {
    Ok(match Mechanism::compose(events)? {
        Mechanism::Nothing => 0.0,
        Mechanism::Exposed => f64::INFINITY,
        Mechanism::Gaussian { mu } => 0.5 * order * mu * mu,
        Mechanism::Sampled(parts) => {
            let log_moments = parts
                .iter()
                .map(|p| p.steps as f64 * p.pair.log_moment(order));
            log_moments.sum::<f64>() / (order - 1.0)
        }
    })
}

/// The smallest ε over all [`orders`], by Proposition 12 of Canonne, Kamath and Steinke 2020:
/// ε = R + ln(1 − 1/α) − (ln δ + ln α)/(α − 1).
///
/// # Errors
/// When an event or `delta` (0 < δ < 1) makes no sense.
pub fn epsilon(events: &[Event], delta: f64) -> Result<Renyi, AccountError> {
    let log_delta = log(checked_delta(delta)?);
    if matches!(Mechanism::compose(events)?, Mechanism::Nothing) {
        return Ok(Renyi {
            epsilon: 0.0,
            order: f64::INFINITY,
        });
    }
    let mut best = Renyi {
        epsilon: f64::INFINITY,
        order: f64::INFINITY,
    };
    for order in orders() {
        let conversion = log1p(-1.0 / order) - (log_delta + log(order)) / (order - 1.0);
        let epsilon = (divergence(events, order)? + conversion).max(0.0);
        if epsilon < best.epsilon {
            best = Renyi { epsilon, order };
        }
    }
    Ok(best)
}
