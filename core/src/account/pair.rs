//! The pair of distributions that a step's output has with and without one example.

use std::f64::consts::TAU;

use libm::{exp, expm1, log, log1p};

/// Q = N(0, σ²) without the example, P = (1 − q)·N(0, σ²) + q·N(1, σ²) with it, sensitivity 1.
///
/// This pair dominates every pair of neighbouring inputs of the Poisson-subsampled Gaussian
/// (Zhu, Dong and Wang 2022, Theorem 11), P‖Q for removing and Q‖P for adding the example.
#[derive(Clone, Copy, Debug)]
pub(super) struct SampledGaussian {
    q: f64,
    sigma: f64,
    variance: f64,
}

/// Distance from a mode, in deviations, at which the quadrature of a moment stops: e^(−45).
const REACH: f64 = 9.5;

impl SampledGaussian {
    pub(super) fn new(q: f64, sigma: f64) -> Self {
        Self {
            q,
            sigma,
            variance: sigma * sigma,
        }
    }

    pub(super) fn sigma(&self) -> f64 {
        self.sigma
    }

    /// ln of Q's density at `x`.
    pub(super) fn log_density(&self, x: f64) -> f64 {
        -0.5 * x * x / self.variance - 0.5 * log(TAU * self.variance)
    }

    /// ln dN(1, σ²)/dN(0, σ²) at `x`: the loss without sampling.
    pub(super) fn exponent(&self, x: f64) -> f64 {
        (x - 0.5) / self.variance
    }

    /// The privacy loss L(x) = ln dP/dQ = ln(1 − q + q·e^t), t the [`exponent`](Self::exponent).
    /// Its absolute error is below 4u·(1 + |t|), u = 2⁻⁵³.
    pub(super) fn loss(&self, x: f64) -> f64 {
        let t = self.exponent(x);
        if t.abs() < 1.0 {
            let excess = self.q * expm1(t);
            if excess.abs() < 0.5 {
                return log1p(excess);
            }
        }
        // The larger of the two terms in front, so that nothing overflows or cancels.
        let (kept, sampled) = (1.0 - self.q, self.q);
        if t > 0.0 {
            t + log(sampled + kept * exp(-t))
        } else {
            log(kept + sampled * exp(t))
        }
    }

    /// The `x` with [`loss`](Self::loss) `loss`; −∞ where no x has so small a loss.
    pub(super) fn inverse(&self, loss: f64) -> f64 {
        let t = if self.q == 1.0 {
            loss
        } else if loss < 1.0 {
            let ratio = expm1(loss) / self.q;
            if ratio <= -1.0 {
                return f64::NEG_INFINITY;
            }
            log1p(ratio)
        } else {
            loss + log((1.0 - (1.0 - self.q) * exp(-loss)) / self.q)
        };
        0.5 + t * self.variance
    }

    /// ln E_Q[e^(order·L)], the one integral behind Rényi divergences, moment generating functions
    /// and tilts. For q < 1 by the trapezoid rule, which converges exponentially here: the
    /// integrand is analytic in the strip |Im x| < πσ², where its size is at most e^(y²/2σ²) times
    /// the one on the real line, so a spacing h leaves a relative error 2·e^(y²/2σ² − 2πy/h).
    ///
    /// What is summed is e^(order·L) − 1 − order·(e^L − 1), whose mean is the moment less one:
    /// it keeps its digits when the loss is tiny.
    pub(super) fn log_moment(&self, order: f64) -> f64 {
        self.log_moment_within(order, f64::INFINITY)
    }

    /// The same over noise of at most `reach` deviations, approximately: the rule is exact only where
    /// the integrand has vanished at its ends.
    pub(super) fn log_moment_within(&self, order: f64, reach: f64) -> f64 {
        if self.q == 1.0 {
            return 0.5 * order * (order - 1.0) / self.variance;
        }
        let nodes: Vec<_> = self.nodes(order, reach).collect();
        let exponents: Vec<_> = nodes
            .iter()
            .map(|n| n.log_weight + order * n.loss)
            .collect();
        let log_moment = log_sum_exp(&exponents);
        if log_moment > 1.0 {
            return log_moment;
        }
        log1p(nodes.iter().map(|n| n.excess(order)).sum())
    }

    /// Root mean square of the loss where e^(order·L)·Q puts its mass, within `reach`.
    pub(super) fn loss_scale(&self, order: f64, reach: f64) -> f64 {
        let log_moment = self.log_moment_within(order, reach);
        let square = |n: Node| n.loss * n.loss * exp(n.log_weight + order * n.loss - log_moment);
        self.nodes(order, reach).map(square).sum::<f64>().sqrt()
    }

    /// Nodes of the trapezoid rule. The modes of e^(order·L)·Q lie between 0 and `order`, and outside
    /// of them it falls off at least like a Gaussian of deviation σ.
    fn nodes(&self, order: f64, reach: f64) -> impl Iterator<Item = Node> + '_ {
        let spacing = self.sigma.min(self.variance) / 3.0;
        let lowest = if order < 0.0 {
            self.negative_mode(order)
        } else {
            0.0
        };
        let first = (lowest - REACH * self.sigma).max(-reach * self.sigma);
        let last = (order.max(1.0) + REACH * self.sigma).min(1.0 + reach * self.sigma);
        let (first, last) = ((first / spacing).floor(), (last / spacing).ceil());
        let log_spacing = log(spacing);
        (first as i64..=last as i64).map(move |i| {
            let x = i as f64 * spacing;
            Node {
                log_weight: self.log_density(x) + log_spacing,
                loss: self.loss(x),
            }
        })
    }

    /// The only mode of e^(order·L)·Q for a negative order, where x = order·σ²·L'(x): the function is
    /// log-concave. By bisection.
    fn negative_mode(&self, order: f64) -> f64 {
        let slope = |x: f64| self.q / (self.q + (1.0 - self.q) * exp(-self.exponent(x)));
        let (mut left, mut right) = (order, 0.0);
        for _ in 0..40 {
            let middle = 0.5 * (left + right);
            if middle < order * slope(middle) {
                left = middle
            } else {
                right = middle
            }
        }
        left
    }
}

/// A node of the quadrature under Q.
struct Node {
    log_weight: f64,
    loss: f64,
}

impl Node {
    fn excess(&self, order: f64) -> f64 {
        let (exponent, weight) = (order * self.loss, self.log_weight);
        if exponent.abs() < 1.0 && self.loss.abs() < 1.0 {
            return exp(weight) * (expm1(exponent) - order * expm1(self.loss));
        }
        exp(weight + exponent) - order * exp(weight + self.loss) - (1.0 - order) * exp(weight)
    }
}

/// ln Σ e^x.
pub(super) fn log_sum_exp(exponents: &[f64]) -> f64 {
    let top = exponents.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + log(exponents.iter().map(|x| exp(x - top)).sum())
}
