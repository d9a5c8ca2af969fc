//! The composed privacy loss distribution in one direction, by Fourier transform.

use libm::{exp, expm1, log, log1p};

use super::chernoff::{Direction, LogMgf, Tail};
use super::discretize::{Grid, Step, loss_error};
use super::fft::{Complex, Fft};
use super::pld::Accuracy;

/// ln of what truncation may add to δ, relative to δ: 1e-7.
const LOG_SLACK: f64 = -16.0;

/// ln of how much smaller than Chernoff's bound δ may be without the answer getting less tight.
const LOG_RATIO: f64 = 5.0;

/// The shortest grid, for losses that are distributed too abruptly for the estimate of its error.
const SHORTEST: f64 = 2048.0;

/// The loss S of a whole composition on the grid `(first + j)·spacing`, tilted: `masses[j]` bounds
/// P(S = s)·e^(λs − K) from above, with the rounding of the transform included.
pub(super) struct Composition {
    first: i64,
    spacing: f64,
    masses: Vec<f64>,
    lambda: f64,
    /// The loss at which `log_scale` is taken.
    anchor: f64,
    /// ln of the factor that undoes the tilt at `anchor`, inflated by all relative errors.
    log_scale: f64,
    /// Mass that is not on the grid, in units of e^`log_scale`: it may be anywhere, so it counts in full.
    beyond: f64,
    /// How far the loss may be too low.
    shift: f64,
}

/// The part of the line that is computed.
struct Frame {
    top: Tail,
    bottom: f64,
    spacing: f64,
    length: usize,
}

impl Frame {
    /// From `lowest`, or somewhat less, to where δ is negligible against e^`tail.log_mass`.
    fn new(mgf: &LogMgf, tail: Tail, lowest: f64, accuracy: Accuracy) -> Self {
        let top = mgf.quantile(tail.log_mass + LOG_SLACK);
        // Mass from outside wraps around by the grid's width W, which must not show between `lowest`
        // and the top. From below it arrives with its tilt undone e^(−λW) times too much, which is
        // enough if W is large, unless the tilt has left nothing below to begin with.
        let log_harmless = LOG_SLACK - LOG_RATIO;
        let shrunk = (tail.log_mass + log_harmless) / -tail.lambda;
        let emptied = top.loss - mgf.lower_quantile(tail.lambda, log_harmless);
        // From above it arrives e^(λW) times too heavy.
        let above = mgf.gap(tail.lambda, lowest, tail.log_mass + log_harmless);
        let width = shrunk.min(emptied).max(above).max(top.loss - lowest);
        let bottom = top.loss - width;
        // Connecting the dots adds spacing²/6 on average to the variance of each step, and half of
        // (λ + 1) times the added variance to ε. At the top, where λ is larger, it must not spoil
        // Chernoff's bound.
        let variance = 12.0 / mgf.steps();
        let tolerance = accuracy.tolerance * (0.25 * width).min(1.0);
        let wanted = (variance * tolerance / (tail.lambda + 1.0)).sqrt();
        let wanted = wanted.min(variance.min(1.0).sqrt() / (top.lambda + 1.0));
        let length = (width / wanted).clamp(SHORTEST, accuracy.longest as f64) as usize;
        let length = length.next_power_of_two();
        Self {
            top,
            bottom,
            spacing: width / (length - 4) as f64,
            length,
        }
    }
}

impl Composition {
    /// For questions about losses from `lowest` on, tilted for `tail`.
    pub(super) fn new(mgf: &LogMgf, tail: Tail, lowest: f64, accuracy: Accuracy) -> Self {
        let tail = tail.milder();
        let steps = mgf.steps();
        let lambda = tail.lambda;
        let order = mgf.direction.order(lambda);
        let reach = (2.0 * (log(steps) - tail.log_mass - LOG_SLACK + LOG_RATIO)).sqrt();
        let shift: f64 = mgf
            .parts
            .iter()
            .map(|p| p.steps as f64 * loss_error(&p.pair, reach))
            .sum();
        let frame = Frame::new(mgf, tail, lowest - shift, accuracy);
        let spacing = frame.spacing;

        let mut spectrum = Spectrum::new(frame.length);
        let untilt = lambda * tail.loss;
        let mut log_scale = 4.0 * f64::EPSILON * untilt.abs() - untilt;
        let mut log_above = -frame.top.lambda * frame.top.loss;
        for part in mgf.parts {
            let log_moment = part.pair.log_moment(order);
            let step = Grid {
                spacing,
                reach,
                order,
                log_moment,
            }
            .discretize(&part.pair);
            let repeats = part.steps as f64;
            log_scale += repeats * (log_moment + step.mass_error);
            let retilted = step.log_mgf(mgf.direction, spacing, frame.top.lambda - lambda);
            log_above += repeats * (log_moment + step.mass_error + retilted);
            spectrum.multiply(&step, mgf.direction, part.steps);
        }
        let truncated = exp(log(steps) - 0.5 * reach * reach - log_scale);
        let above = 1.01 * exp(log_above - log_scale);
        // Undoing the tilt and summing: (1 + u) per operation, all on positive numbers.
        log_scale += 4.0 * f64::EPSILON * (frame.length as f64 + lambda * frame.top.loss.abs());
        let first = (frame.bottom / spacing).floor() as i64;
        let masses = spectrum.masses(first);
        Self {
            first,
            spacing,
            masses,
            lambda,
            anchor: tail.loss,
            log_scale,
            beyond: truncated + above,
            shift,
        }
    }

    /// The smallest ε ≥ 0 with δ(ε) ≤ `delta`; none if it is below the grid.
    pub(super) fn epsilon(&self, delta: f64) -> Option<f64> {
        let target = delta * exp(-self.log_scale) - self.beyond;
        let mut scan = Scan::new(self);
        while scan.next_delta() <= target {
            if scan.loss() <= 0.0 {
                return Some(0.0);
            }
            if !scan.descend() {
                return None;
            }
        }
        Some((scan.solve(target) + self.shift).max(0.0))
    }

    /// δ(ε) for an ε ≥ 0 that is not below the grid.
    pub(super) fn delta(&self, epsilon: f64) -> f64 {
        let epsilon = epsilon - self.shift;
        let mut scan = Scan::new(self);
        while scan.loss() - self.spacing > epsilon && scan.descend() {}
        ((scan.delta_at(epsilon) + self.beyond) * exp(self.log_scale)).min(1.0)
    }

    /// The loss up to which masses are on the grid, and δ's share for all that is not.
    #[cfg(test)]
    pub(super) fn outside(&self) -> (f64, f64) {
        (
            self.loss(self.masses.len()),
            self.beyond * exp(self.log_scale),
        )
    }

    fn loss(&self, j: usize) -> f64 {
        (self.first + j as i64) as f64 * self.spacing
    }
}

/// Walks down the grid with δ(s) = Σ_{S > s} P(S)·(1 − e^(s − S)), in units of e^`log_scale`, by
/// δ(s − h) = δ(s) + (1 − e^(−h))·c and c = Σ_{S ≥ s} P(S)·e^(s − S): nothing is ever subtracted.
struct Scan<'a> {
    of: &'a Composition,
    j: usize,
    delta: f64,
    c: f64,
    /// 1 − e^(−spacing).
    drop: f64,
}

impl<'a> Scan<'a> {
    fn new(of: &'a Composition) -> Self {
        Self {
            of,
            j: of.masses.len(),
            delta: 0.0,
            c: 0.0,
            drop: -expm1(-of.spacing),
        }
    }

    fn loss(&self) -> f64 {
        self.of.loss(self.j)
    }

    fn next_delta(&self) -> f64 {
        self.delta + self.c * self.drop
    }

    fn descend(&mut self) -> bool {
        if self.j == 0 {
            return false;
        }
        self.delta = self.next_delta();
        self.j -= 1;
        let untilt = exp(-self.of.lambda * (self.loss() - self.of.anchor));
        self.c += self.of.masses[self.j] * untilt - self.c * self.drop;
        true
    }

    /// δ(ε) in the cell below the current point.
    fn delta_at(&self, epsilon: f64) -> f64 {
        self.delta - self.c * expm1((epsilon - self.loss()).min(0.0))
    }

    /// The ε in the cell below the current point with δ(ε) = `target`, or its end.
    fn solve(&self, target: f64) -> f64 {
        if self.c == 0.0 {
            return self.loss();
        }
        self.loss() + log1p(-((target - self.delta) / self.c).clamp(0.0, self.drop))
    }
}

/// The product of the steps' characteristic functions on the Fourier grid, in bit-reversed order.
struct Spectrum {
    fft: Fft,
    product: Vec<Complex>,
    steps: u64,
    fewest: u64,
}

/// A factor smaller than this is dropped.
const NEGLIGIBLE: f64 = 1e-43;

impl Spectrum {
    fn new(length: usize) -> Self {
        Self {
            fft: Fft::new(length),
            product: vec![Complex::ONE; length],
            steps: 0,
            fewest: u64::MAX,
        }
    }

    /// Composes `repeats` times with a step, whose losses wrap around at the grid's ends: the end
    /// result is the composed distribution, wrapped around.
    fn multiply(&mut self, step: &Step, direction: Direction, repeats: u64) {
        let length = self.product.len();
        let mut factor = vec![Complex::default(); length];
        for &(index, mass) in &step.atoms {
            let wrapped = (direction.sign() * index).rem_euclid(length as i64) as usize;
            factor[wrapped].re += mass;
        }
        self.fft.forward(&mut factor);
        // |z|^T ≤ e^(T·(|z|² − 1)/2): most frequencies of a long composition need no power.
        let threshold = 1.0 + 2.0 * log(NEGLIGIBLE) / repeats as f64;
        for (product, &z) in self.product.iter_mut().zip(&factor) {
            let power = if z.norm_sqr() < threshold {
                Complex::default()
            } else {
                z.power(repeats)
            };
            *product = *product * power;
        }
        self.steps += repeats;
        self.fewest = self.fewest.min(repeats);
    }

    /// The masses on the grid that starts at index `first`, each with the largest error that
    /// rounding can have made added.
    ///
    /// With γ the transform's relative error, a frequency z of one step is off by γ (its masses sum
    /// to 1), its T-th power by ((|z| + γ)^T − |z|^T) ≤ Tγ·e^(2Tγ)·max(|z|, ½)^(T−1), that is
    /// 2Tγ·e^(2Tγ)·(|z|^T + 2^(−T)), plus 2√5·u·T·|z|^T for the powering. The inverse is off by γ
    /// times the mean size of what it is given, and takes the mean of the errors that are in it.
    fn masses(mut self, first: i64) -> Vec<f64> {
        let length = self.product.len();
        let mean = self
            .product
            .iter()
            .map(|z| z.norm_sqr().sqrt())
            .sum::<f64>()
            / length as f64;
        let gamma = self.fft.relative_error();
        let steps = self.steps as f64;
        let input = 2.0 * steps * gamma * exp(2.0 * steps * gamma);
        let shortest = exp(-std::f64::consts::LN_2 * self.fewest as f64);
        let powering = 5.0 * f64::EPSILON * steps * mean;
        let error = input * (mean + shortest) + powering + gamma * mean + NEGLIGIBLE;
        self.fft.inverse(&mut self.product);
        let wrapped = |j: usize| (first + j as i64).rem_euclid(length as i64) as usize;
        (0..length)
            .map(|j| self.product[wrapped(j)].re.max(0.0) + error)
            .collect()
    }
}
