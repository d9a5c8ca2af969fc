//! One step's privacy loss, moved pessimistically onto a grid.
//!
//! "Connect the dots" (Doroshenko, Ghazi, Kamath, Kumar and Manurangsi 2022): the mass between two
//! grid points is split among them so that its total under P *and* under Q stays what it was. The
//! grid's distribution then dominates the true one, exactly, in both directions, and what is lost
//! is of second order in the spacing.

use libm::{exp, expm1, log};

use super::chernoff::Direction;
use super::pair::{SampledGaussian, log_sum_exp};

/// Nodes and weights of Gauss–Legendre quadrature on [−1, 1], five points.
const NODES: [(f64, f64); 5] = [
    (-0.906_179_845_938_664, 0.236_926_885_056_189_1),
    (-0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
    (0.0, 0.568_888_888_888_888_9),
    (0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
    (0.906_179_845_938_664, 0.236_926_885_056_189_1),
];

/// Unit roundoff u.
const UNIT: f64 = 0.5 * f64::EPSILON;

/// What to discretise, and how finely.
pub(super) struct Grid {
    /// Distance of two grid points.
    pub(super) spacing: f64,
    /// The widest cell where losses are not irrelevant.
    pub(super) widest: f64,
    /// The outermost nodes, in deviations of the noise from the modes of Q and P. What lies beyond
    /// is left out here and charged to δ by the caller: at most e^(−reach²/2) a step.
    pub(super) reach: f64,
    /// The tilt: masses are Q's times e^(order·L − log_moment), see [`Direction::order`](super::chernoff::Direction::order).
    pub(super) order: f64,
    /// Any number near ln E_Q[e^(order·L)].
    pub(super) log_moment: f64,
}

/// The tilted masses of L at multiples of the spacing.
pub(super) struct Step {
    /// (index of the grid point, mass), the index ascending in each half of the grid.
    pub(super) atoms: Vec<(i64, f64)>,
    /// ln of what the masses were divided by to sum to 1; the caller undoes it.
    pub(super) log_moment: f64,
    /// Bound on the relative error of every mass.
    pub(super) mass_error: f64,
}

impl Grid {
    pub(super) fn discretize(&self, pair: &SampledGaussian) -> Step {
        let margin = self.reach * pair.sigma();
        let (x_min, x_max) = (-margin, 1.0 + margin);
        let scale = 4.0 * pair.loss_scale(self.order, self.reach);
        let mut atoms = Vec::new();
        for upwards in [true, false] {
            let (mut index, mut x) = (0_i64, pair.inverse(0.0));
            while if upwards { x < x_max } else { x > x_min } {
                let cells = self.width(index, scale);
                let next = if upwards {
                    index + cells
                } else {
                    index - cells
                };
                let x_next = pair.inverse(next as f64 * self.spacing).clamp(x_min, x_max);
                let (low, high) = (index.min(next), index.max(next));
                let (mass_low, mass_high) =
                    self.split(pair, (low, high), (x.min(x_next), x.max(x_next)));
                atoms.extend([(low, mass_low), (high, mass_high)]);
                (index, x) = (next, x_next);
            }
        }
        self.with_errors(pair, atoms)
    }

    /// Width of the cell that starts at `index`, in spacings. Losses that are rare get wider cells,
    /// in proportion to their size: the mean square width grows by less than a sixteenth, and a
    /// long tail costs a logarithm of its length.
    fn width(&self, index: i64, scale: f64) -> i64 {
        const LOG_IRRELEVANT: f64 = -50.0;
        let proportional = index.unsigned_abs() as f64 * self.spacing / scale;
        let irrelevant = self.order * index as f64 * self.spacing < LOG_IRRELEVANT;
        let width = if irrelevant {
            proportional
        } else {
            proportional.min(self.widest / self.spacing)
        };
        width.max(1.0) as i64
    }

    /// Splits the mass between `x.0` and `x.1` among the two grid points. Under Q the share of the
    /// upper one is (e^(L − low) − 1) / (e^(high − low) − 1); P's masses are e^L times Q's.
    fn split(&self, pair: &SampledGaussian, (low, high): (i64, i64), x: (f64, f64)) -> (f64, f64) {
        let low = low as f64 * self.spacing;
        let width = high as f64 * self.spacing - low;
        let whole = expm1(width);
        let panels = panels(pair, x);
        let half = 0.5 * (x.1 - x.0) / panels as f64;
        let (mut at_low, mut at_high) = (0.0, 0.0);
        for panel in 0..panels {
            let centre = x.0 + (2 * panel + 1) as f64 * half;
            for (node, weight) in NODES {
                let x = centre + node * half;
                let share = (expm1(pair.loss(x) - low) / whole).clamp(0.0, 1.0);
                let mass =
                    weight * half * exp(pair.log_density(x) + self.order * low - self.log_moment);
                at_low += mass * (1.0 - share);
                at_high += mass * share;
            }
        }
        (at_low, at_high * exp(self.order * width))
    }

    fn with_errors(&self, pair: &SampledGaussian, mut atoms: Vec<(i64, f64)>) -> Step {
        let total: f64 = atoms.iter().map(|atom| atom.1).sum();
        atoms.iter_mut().for_each(|atom| atom.1 /= total);
        let largest =
            atoms.iter().map(|a| a.0.unsigned_abs()).max().unwrap_or(0) as f64 * self.spacing;
        let exponent = 0.5 * self.reach * (self.reach + 2.0 / pair.sigma())
            + self.order.abs() * largest
            + self.log_moment.abs();
        Step {
            atoms,
            log_moment: self.log_moment + log(total),
            mass_error: 8.0 * UNIT * (9.0 + exponent),
        }
    }
}

/// Bound on the absolute error of a step's loss, which moves mass between neighbours.
pub(super) fn loss_error(pair: &SampledGaussian, reach: f64) -> f64 {
    8.0 * UNIT * (1.0 + pair.exponent(1.0 + reach * pair.sigma()))
}

impl Step {
    /// Σ mass·e^(tilt·loss), with the loss of `direction`, in logarithms.
    pub(super) fn log_mgf(&self, direction: Direction, spacing: f64, tilt: f64) -> f64 {
        let tilt = tilt * spacing * direction.sign() as f64;
        let atoms = self.atoms.iter().filter(|atom| atom.1 > 0.0);
        let exponents: Vec<_> = atoms
            .map(|&(i, mass)| log(mass) + tilt * i as f64)
            .collect();
        log_sum_exp(&exponents)
    }
}

/// Panels for the quadrature. Density and share are Gaussians times exponentials in x with a
/// logarithmic slope of at most (|x| + 1)/σ² + 2/σ. Five nodes leave a relative error of
/// 4e-13·θ¹⁰ on a panel of width θ / slope: below 1e-15 at θ = 1/2.
fn panels(pair: &SampledGaussian, x: (f64, f64)) -> usize {
    let sigma = pair.sigma();
    let furthest = x.0.abs().max(x.1.abs());
    let slope = (furthest + 1.0) / (sigma * sigma) + 2.0 / sigma;
    (2.0 * slope * (x.1 - x.0)).ceil().max(1.0) as usize
}
