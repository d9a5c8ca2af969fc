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

use super::chernoff::{Direction, LOG_SLACK, LogMgf};
use super::composition::Composition;
use super::event::Part;

/// ln of the smallest δ that is told from none, clear of where bounds are given up.
const LEAST: f64 = -650.0;

/// How much ε may be above the exact value on account of the grid, before other charges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accuracy {
    /// Wanted excess of ε; smaller in proportion where losses are below 1.
    pub(super) tolerance: f64,
    /// The longest grid. Reaching it makes the answer less tight, never too small.
    pub(super) longest: usize,
    /// The least steepness to make the grid for, see [`Composition::resolved`].
    pub(super) steepness: f64,
}

impl Accuracy {
    /// For the numbers that are reported.
    pub(super) const FINE: Self = Self {
        tolerance: 1e-4,
        longest: 1 << 20,
        steepness: 0.0,
    };
    /// For finding one's way.
    pub(super) const COARSE: Self = Self {
        tolerance: 1e-3,
        longest: 1 << 16,
        steepness: 0.0,
    };
}

/// ε(δ), the larger one of both directions.
pub(super) fn epsilon(parts: &[Part], delta: f64, accuracy: Accuracy) -> f64 {
    let log_delta = log(delta);
    Direction::BOTH.into_iter().fold(0.0, |epsilon, direction| {
        let bound = LogMgf::proven(parts, direction).epsilon(log_delta).loss;
        if bound <= epsilon {
            return epsilon;
        }
        let mgf = LogMgf::within(parts, direction, log_delta);
        let tail = mgf.epsilon(log_delta);
        // Chernoff's bound is rarely a quarter too high. Where steps are few and losses rare it can
        // be far off, and the grid has to reach down to 0.
        let ask = |composition: &Composition| composition.epsilon(delta);
        let found = [0.75 * tail.loss.max(0.0), 0.0]
            .into_iter()
            .find_map(|lowest| Composition::resolved(&mgf, tail, lowest, accuracy, ask));
        found.map_or(bound, |found| found.min(bound)).max(epsilon)
    })
}

/// δ(ε), the larger one of both directions.
pub(super) fn delta(parts: &[Part], epsilon: f64, accuracy: Accuracy) -> f64 {
    let least = exp(LEAST);
    Direction::BOTH.into_iter().fold(least, |delta, direction| {
        let mut tail = LogMgf::proven(parts, direction).delta(epsilon);
        let bound = exp(tail.log_mass);
        if bound <= delta {
            return delta;
        }
        // The smaller δ is known to be, the further the noise that has to be looked at.
        let (mgf, tail) = loop {
            let mgf = LogMgf::within(parts, direction, tail.log_mass);
            let closer = mgf.delta(epsilon);
            if closer.log_mass > tail.log_mass - 1.0 {
                break (mgf, closer);
            }
            tail.log_mass = closer.log_mass.max(tail.log_mass + LOG_SLACK);
        };
        let ask = |composition: &Composition| Some(composition.delta(epsilon));
        let found = Composition::resolved(&mgf, tail, epsilon, accuracy, ask);
        found.map_or(bound, |found| found.min(bound)).max(delta)
    })
}
