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

use super::chernoff::{Direction, LOG_RATIO, LOG_SLACK, LogMgf};
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
    larger(0.0, accuracy, |direction, accuracy, least| {
        let bound = LogMgf::proven(parts, direction).epsilon(log_delta).loss;
        if bound <= least {
            return least;
        }
        let mgf = LogMgf::within(parts, direction, log_delta);
        let tail = mgf.epsilon(log_delta);
        // Chernoff's bound is rarely a quarter too high. Where steps are few and losses rare it can
        // be far off, and the grid has to reach down to 0.
        let ask = |composition: &Composition| composition.epsilon(delta);
        let found = [0.75 * tail.loss.max(0.0), 0.0]
            .into_iter()
            .find_map(|lowest| Composition::resolved(&mgf, tail, lowest, accuracy, ask));
        found.map_or(bound, |found| found.min(bound)).max(least)
    })
}

/// δ(ε), the larger one of both directions.
pub(super) fn delta(parts: &[Part], epsilon: f64, accuracy: Accuracy) -> f64 {
    larger(exp(LEAST), accuracy, |direction, accuracy, least| {
        let bound = LogMgf::proven(parts, direction).delta(epsilon).log_mass;
        if bound <= log(least) {
            return least;
        }
        // The smaller δ is known to be, the further the noise that has to be looked at.
        let mut known = bound;
        loop {
            let mgf = LogMgf::within(parts, direction, known);
            let mut tail = mgf.delta(epsilon);
            if tail.log_mass < known - 1.0 {
                known = tail.log_mass.max(known + LOG_SLACK);
                continue;
            }
            tail.log_mass = tail.log_mass.min(known);
            let ask = |composition: &Composition| Some(composition.delta(epsilon));
            let found = Composition::resolved(&mgf, tail, epsilon, accuracy, ask);
            let log_found = found.map_or(bound, log);
            if log_found >= tail.log_mass - LOG_RATIO || log_found < LEAST {
                return exp(log_found.min(bound)).max(least);
            }
            known = log_found;
        }
    })
}

/// The larger answer of both directions, `least` if they are less. `ask` gives an upper bound that is
/// at least its last argument. That of removing is the larger one in every case that is known: so a
/// coarse bound for adding is mostly all that is needed.
pub(super) fn larger(
    least: f64,
    accuracy: Accuracy,
    ask: impl Fn(Direction, Accuracy, f64) -> f64,
) -> f64 {
    let removing = ask(Direction::Remove, accuracy, least);
    if ask(Direction::Add, Accuracy::COARSE, removing) <= removing {
        return removing;
    }
    ask(Direction::Add, accuracy, removing)
}
