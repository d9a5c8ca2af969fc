//! Chernoff's bound on the composed privacy loss S: where its mass lies, before it is computed.
//!
//! With K(λ) = ln E[e^(λS)], the sum of the steps' [`log_moment`](super::pair::SampledGaussian::log_moment)s,
//! P(S > s) ≤ e^(K(λ) − λs) for every λ > 0, and so is δ(s) = E[(1 − e^(s − S))₊], with a factor that
//! matters where losses are small ([`log_share`]). The λ that is best for a target is also the
//! exponential tilt under which the target lies in the middle of the distribution.

use libm::{exp, log, log1p};

use super::event::Part;

/// Which of the two neighbouring data sets the output comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Direction {
    /// The example is there and its removal is what must not be noticed: the loss is L under P.
    Remove,
    /// The example is not there: the loss is −L under Q.
    Add,
}

impl Direction {
    /// The `order` with E[e^(λ·loss)] = E_Q[e^(order·L)].
    pub(super) fn order(self, lambda: f64) -> f64 {
        match self {
            Self::Remove => 1.0 + lambda,
            Self::Add => -lambda,
        }
    }

    /// +1 or −1: the privacy loss in units of L.
    pub(super) fn sign(self) -> i64 {
        match self {
            Self::Remove => 1,
            Self::Add => -1,
        }
    }
}

/// K(λ) of a composition.
///
/// Within a finite `reach` it is that of steps whose noise is at most so many deviations, and only
/// says where to look. It matters where losses are rare and large: e^(λL) then has nearly all of its
/// mean from noise that never occurs, and bounds say nothing about what does.
pub(super) struct LogMgf<'a> {
    pub(super) parts: &'a [Part],
    pub(super) direction: Direction,
    pub(super) reach: f64,
}

/// ln of a probability that is as good as none.
pub(super) const LOG_NOTHING: f64 = -700.0;

/// ln of what truncation may add to δ, relative to δ: 1e-7.
pub(super) const LOG_SLACK: f64 = -16.0;

/// ln of how much smaller than Chernoff's bound δ may be without the answer getting less tight.
pub(super) const LOG_RATIO: f64 = 5.0;

/// The bound ln P(S > `loss`) ≤ `log_mass`, or ln δ(`loss`) ≤ `log_mass`, which `lambda` achieves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    pub(super) lambda: f64,
    pub(super) loss: f64,
    pub(super) log_mass: f64,
}

impl Tail {
    /// With a smaller λ: where losses are rare and large, the best λ for a bound is so large that
    /// the tilt moves mass from the bulk to the far end of the tail, and the grid would have to
    /// reach there. The rounding of the transform weighs a few times more in return.
    pub(super) fn milder(self) -> Self {
        let less = (1.5 / (-self.log_mass).max(1.0).sqrt()).min(0.3);
        Self {
            lambda: self.lambda * (1.0 - less),
            ..self
        }
    }
}

impl<'a> LogMgf<'a> {
    /// Of all noise, so that its bounds hold.
    pub(super) fn proven(parts: &'a [Part], direction: Direction) -> Self {
        let reach = f64::INFINITY;
        Self {
            parts,
            direction,
            reach,
        }
    }

    /// Within the reach beyond which there is nothing that matters to a δ of about e^`log_delta`.
    pub(super) fn within(parts: &'a [Part], direction: Direction, log_delta: f64) -> Self {
        let steps: f64 = parts.iter().map(|p| p.steps as f64).sum();
        let reach = (2.0 * (log(steps) - log_delta - LOG_SLACK + LOG_RATIO)).sqrt();
        Self {
            parts,
            direction,
            reach,
        }
    }

    pub(super) fn steps(&self) -> f64 {
        self.parts.iter().map(|p| p.steps as f64).sum()
    }

    pub(super) fn at(&self, lambda: f64) -> f64 {
        let order = self.direction.order(lambda);
        self.parts
            .iter()
            .map(|p| p.steps as f64 * p.pair.log_moment_within(order, self.reach))
            .sum()
    }

    /// The smallest loss that is exceeded with probability at most e^`log_mass`.
    pub(super) fn quantile(&self, log_mass: f64) -> Tail {
        let bound = |lambda: f64| (self.at(lambda) - log_mass) / lambda;
        let lambda = minimize(bound, self.largest());
        Tail {
            lambda,
            loss: bound(lambda),
            log_mass,
        }
    }

    /// The smallest loss at which δ is at most e^`log_delta`.
    pub(super) fn epsilon(&self, log_delta: f64) -> Tail {
        let bound = |lambda: f64| (self.at(lambda) + log_share(lambda) - log_delta) / lambda;
        let lambda = minimize(bound, self.largest());
        Tail {
            lambda,
            loss: bound(lambda),
            log_mass: log_delta,
        }
    }

    /// The smallest bound on δ at `loss`.
    pub(super) fn delta(&self, loss: f64) -> Tail {
        let exponent = |lambda: f64| self.at(lambda) + log_share(lambda) - lambda * loss;
        let bound = |lambda: f64| exponent(lambda).max(LOG_NOTHING);
        let mut lambda = minimize(bound, self.largest());
        while bound(0.8 * lambda) == LOG_NOTHING {
            lambda *= 0.8; // No steeper than it takes.
        }
        Tail {
            lambda,
            loss,
            log_mass: bound(lambda).min(0.0),
        }
    }

    /// The largest loss below which the distribution tilted by `lambda` has at most e^`log_mass`.
    pub(super) fn lower_quantile(&self, lambda: f64, log_mass: f64) -> f64 {
        let at_lambda = self.at(lambda);
        let bound = |d: f64| (self.at(lambda - d) - at_lambda - log_mass) / d;
        -bound(minimize(bound, lambda + self.largest()))
    }

    /// The smallest w with P(S > `loss` + w)·e^(λw) at most e^`log_mass`.
    pub(super) fn gap(&self, lambda: f64, loss: f64, log_mass: f64) -> f64 {
        let bound = |d: f64| (self.at(lambda + d) - (lambda + d) * loss - log_mass) / d;
        bound(minimize(bound, self.largest()))
    }

    /// The largest λ that is tried: so that a moment takes at most some 10⁴ nodes, and within a reach
    /// so that no tilt is steeper than any noise.
    fn largest(&self) -> f64 {
        let limit = |p: &Part| match self.direction {
            _ if self.reach.is_infinite() => 4e3 * p.pair.sigma() * p.pair.sigma().min(1.0),
            Direction::Remove => 2e3 / p.pair.loss(1.0 + self.reach * p.pair.sigma()),
            Direction::Add => -2e3 / p.pair.loss(-self.reach * p.pair.sigma()),
        };
        self.parts.iter().map(limit).fold(f64::INFINITY, f64::min)
    }
}

/// ln of the largest (1 − e^(−x))·e^(−λx): the share of P(S > s)'s bound that δ(s) has. Where losses are
/// far below 1, λ is large and the share is 1/(e·λ) (Canonne, Kamath and Steinke 2020).
fn log_share(lambda: f64) -> f64 {
    -lambda * log1p(1.0 / lambda) - log1p(lambda)
}

/// The positive argument that minimises a unimodal function, to about a percent: near a minimum,
/// that is the square of a percent in the value, and every argument gives a valid bound.
fn minimize(f: impl Fn(f64) -> f64, largest: f64) -> f64 {
    const SMALLEST: f64 = 1e-9;
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let start = largest.min(1.0);
    let (mut best, mut value) = (start, f(start));
    for factor in [4.0, 0.25] {
        while (SMALLEST..=largest).contains(&(best * factor)) {
            let next = f(best * factor);
            // Not worth it where the bound levels off: a loss that has a maximum.
            if next >= value - 1e-3 * value.abs() {
                break;
            }
            (best, value) = (best * factor, next);
        }
    }
    // Golden section on ln λ, between the neighbours of the best power of four.
    let (mut left, mut right) = (-log(4.0), log(4.0));
    let at = |x: f64| f(best * exp(x));
    let inner = |l: f64, r: f64| (r - GOLDEN * (r - l), l + GOLDEN * (r - l));
    let (mut a, mut b) = inner(left, right);
    let (mut at_a, mut at_b) = (at(a), at(b));
    for _ in 0..10 {
        if at_a < at_b {
            (right, b, at_b) = (b, a, at_a);
            a = inner(left, right).0;
            at_a = at(a);
        } else {
            (left, a, at_a) = (a, b, at_b);
            b = inner(left, right).1;
            at_b = at(b);
        }
    }
    let refined = if at_a < at_b { (a, at_a) } else { (b, at_b) };
    if refined.1 < value {
        best *= exp(refined.0);
    }
    best
}
