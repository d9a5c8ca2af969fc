//! Privacy loss distributions: the accountant whose numbers are reported.
//!
//! 1. Chernoff's bound says where the answer lies ([`chernoff`](super::chernoff)).
//! 2. The losses are tilted there, e^(λL), and moved to a grid, pessimistically
//!    ([`discretize`](super::discretize)).
//! 3. One Fourier transform per distinct event, a power, a product, one inverse
//!    ([`composition`](super::composition)).
//! 4. The tilt is undone while δ(ε) is summed up.
//!
//! The tilt is what makes this exact at every δ: without it, the rounding of the transform is
//! absolute, about 1e-12, and drowns a small δ; with it, it is relative to δ. It also shortens the
//! grid, which needs to hold the neighbourhood of the answer only.

use libm::{exp, log};

use super::chernoff::{Direction, LOG_NOTHING, LogMgf};
use super::composition::Composition;
use super::event::Part;

/// How much ε may be above the exact value on account of the grid, before other charges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accuracy {
    /// Wanted excess of ε; smaller in proportion where losses are below 1.
    pub(super) tolerance: f64,
    /// The longest grid. Reaching it makes the answer less tight, never too small.
    pub(super) longest: usize,
}

impl Accuracy {
    /// For the numbers that are reported.
    pub(super) const FINE: Self = Self {
        tolerance: 1e-4,
        longest: 1 << 20,
    };
    /// For finding one's way.
    pub(super) const COARSE: Self = Self {
        tolerance: 1e-3,
        longest: 1 << 16,
    };
}

/// ε(δ), the larger one of both directions.
pub(super) fn epsilon(parts: &[Part], delta: f64, accuracy: Accuracy) -> f64 {
    Direction::BOTH.into_iter().fold(0.0, |epsilon, direction| {
        let mgf = LogMgf { parts, direction };
        let tail = mgf.quantile(log(delta));
        if tail.loss <= epsilon {
            return epsilon; // Already Chernoff's bound is no larger.
        }
        // Chernoff's bound is rarely a quarter too high. Where steps are few and losses rare it can
        // be far off, and the grid has to reach down to 0.
        let found = [0.75 * tail.loss, 0.0]
            .into_iter()
            .find_map(|lowest| Composition::new(&mgf, tail, lowest, accuracy).epsilon(delta));
        found.unwrap_or(tail.loss).max(epsilon)
    })
}

/// δ(ε), the larger one of both directions.
pub(super) fn delta(parts: &[Part], epsilon: f64, accuracy: Accuracy) -> f64 {
    Direction::BOTH
        .into_iter()
        .fold(exp(LOG_NOTHING), |delta, direction| {
            let mgf = LogMgf { parts, direction };
            let tail = mgf.tail(epsilon);
            if tail.log_mass <= LOG_NOTHING || tail.log_mass <= log(delta) {
                return delta;
            }
            Composition::new(&mgf, tail, epsilon, accuracy)
                .delta(epsilon)
                .max(delta)
        })
}
