//! The composed privacy loss distribution in one direction, by Fourier transform.

use libm::{exp, expm1, log, log1p};

use super::chernoff::{LOG_RATIO, LOG_SLACK, LogMgf, Tail};
use super::discretize::{Grid, loss_error};
use super::pld::Accuracy;
use super::spectrum::Spectrum;

/// The shortest grid.
const SHORTEST: f64 = 2048.0;

/// Smaller losses make no difference worth a grid.
const LOSS_SCALE: f64 = 1e-4;

/// Cells over which the density of losses is averaged.
const WINDOW: usize = 4;

/// The loss S of a whole composition on the grid `(first + j)·spacing`, tilted: `masses[j]` bounds
/// P(S = s)·e^(λs − K) from above, with the rounding of the transform included.
pub(super) struct Composition {
    first: i64,
    /// Below this, mass that has wrapped around is in the way.
    lowest: f64,
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
    /// The steepness up to which the grid is fine enough.
    resolves: f64,
}

/// What was asked for, ε or δ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) value: f64,
    /// −d ln(−δ')/dε there, at least 1: by half of this times the added variance, the grid raises ε.
    steepness: f64,
}

/// The part of the line that is computed.
struct Frame {
    top: Tail,
    bottom: f64,
    spacing: f64,
    length: usize,
    /// What is wide enough for the cell of one loss, even if the answer hangs on it alone.
    widest: f64,
    resolves: f64,
}

impl Frame {
    /// From `lowest`, or somewhat less, to where δ is negligible against e^`tail.log_mass`.
    fn new(mgf: &LogMgf, tail: Tail, lowest: f64, accuracy: Accuracy) -> Self {
        let mut top = mgf.quantile(tail.log_mass + LOG_SLACK);
        // For a question about losses that next to never occur.
        top.loss = top.loss.max(1.02 * lowest + 1.0 / top.lambda);
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
        // the steepness times the added variance to ε. At the top, where λ is larger, it must not
        // spoil Chernoff's bound.
        let variance = 12.0 / mgf.steps();
        let tolerance = accuracy.tolerance * (0.25 * width).min(1.0);
        let steepness = accuracy.steepness.max(1.5 * (tail.lambda + 1.0));
        let wanted = (variance * tolerance / steepness).sqrt();
        let wanted = wanted.min(variance.min(1.0).sqrt() / (top.lambda + 1.0));
        let length = (width / wanted).clamp(SHORTEST, accuracy.longest as f64) as usize;
        let length = length.next_power_of_two();
        let spacing = width / (length - 4) as f64;
        // As much as the spacing is good for, but not more cells than make sense.
        let resolves =
            (variance * tolerance / (spacing * spacing)).clamp(steepness, 4.0 * steepness);
        Self {
            top,
            bottom,
            spacing,
            length,
            widest: (4.0 * tolerance / resolves).sqrt(),
            resolves: if length < accuracy.longest {
                resolves
            } else {
                f64::INFINITY
            },
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
        let reach = mgf.reach;
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
            let log_moment = part.pair.log_moment_within(order, reach);
            let step = Grid {
                spacing,
                widest: frame.widest,
                reach,
                order,
                log_moment,
            }
            .discretize(&part.pair);
            let repeats = part.steps as f64;
            log_scale += repeats * (step.log_moment + step.mass_error);
            let retilted = step.log_mgf(mgf.direction, spacing, frame.top.lambda - lambda);
            log_above += repeats * (step.log_moment + step.mass_error + retilted);
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
            lowest,
            spacing,
            masses,
            lambda,
            anchor: tail.loss,
            log_scale,
            beyond: truncated + above,
            shift,
            resolves: frame.resolves,
        }
    }

    /// Asks on ever finer grids, until one is fine enough for the steepness that it finds. What λ says
    /// about it beforehand is wrong where the answer is at the edge of the bulk of the losses and λ
    /// belongs to a tail of rare ones.
    pub(super) fn resolved(
        mgf: &LogMgf,
        tail: Tail,
        lowest: f64,
        mut accuracy: Accuracy,
        ask: impl Fn(&Self) -> Option<Answer>,
    ) -> Option<f64> {
        loop {
            let composition = Self::new(mgf, tail, lowest, accuracy);
            let answer = ask(&composition)?;
            if answer.steepness <= composition.resolves {
                return Some(answer.value);
            }
            accuracy.steepness = 2.0 * answer.steepness; // Which the grid has blurred.
        }
    }

    /// The smallest ε ≥ 0 with δ(ε) ≤ `delta`; none if it is below `lowest`.
    pub(super) fn epsilon(&self, delta: f64) -> Option<Answer> {
        let target = delta * exp(-self.log_scale) - self.beyond;
        let mut scan = Scan::new(self);
        while scan.next_delta() <= target {
            if scan.loss() <= 0.0 {
                return Some(Answer {
                    value: 0.0,
                    steepness: 1.0,
                });
            }
            if scan.loss() < self.lowest || !scan.descend() {
                return None;
            }
        }
        let epsilon = scan.solve(target);
        Some(scan.answer((epsilon + self.shift).max(0.0), epsilon))
    }

    /// δ(ε) for an ε ≥ 0 that is not below the grid.
    pub(super) fn delta(&self, epsilon: f64) -> Answer {
        let epsilon = epsilon - self.shift;
        let mut scan = Scan::new(self);
        while scan.loss() - self.spacing > epsilon && scan.descend() {}
        let delta = (scan.delta_at(epsilon) + self.beyond) * exp(self.log_scale);
        scan.answer(delta.min(1.0), epsilon)
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

    /// The mass at grid point `j` in units of e^`log_scale`.
    fn mass(&self, j: usize) -> f64 {
        self.masses[j] * exp(-self.lambda * (self.loss(j) - self.anchor))
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
        self.c += self.of.mass(self.j) - self.c * self.drop;
        true
    }

    /// δ(ε) in the cell below the current point.
    fn delta_at(&self, epsilon: f64) -> f64 {
        self.delta - self.c * expm1((epsilon - self.loss()).min(0.0))
    }

    /// `value`, and the density of losses just above relative to c = −δ', which cannot be expected to
    /// be less than 4/ε where a grid is too coarse to see it.
    fn answer(&self, value: f64, epsilon: f64) -> Answer {
        let window = self.j..(self.j + WINDOW).min(self.of.masses.len());
        let mass: f64 = window.map(|j| self.of.mass(j)).sum();
        let density = mass / (WINDOW as f64 * self.of.spacing);
        let least = 4.0 / (epsilon.abs() + LOSS_SCALE);
        Answer {
            value,
            steepness: (density / self.c).max(least),
        }
    }

    /// The ε in the cell below the current point with δ(ε) = `target`, or its end.
    fn solve(&self, target: f64) -> f64 {
        if self.c == 0.0 {
            return self.loss();
        }
        self.loss() + log1p(-((target - self.delta) / self.c).clamp(0.0, self.drop))
    }
}
