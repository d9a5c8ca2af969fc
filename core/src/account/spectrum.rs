//! Composition itself: a product of characteristic functions, and the rounding it costs.

use libm::{exp, log};

use super::chernoff::Direction;
use super::discretize::Step;
use super::fft::{Complex, Fft};

/// The product of the steps' characteristic functions on the Fourier grid, in bit-reversed order.
pub(super) struct Spectrum {
    fft: Fft,
    product: Vec<Complex>,
    steps: u64,
    fewest: u64,
}

/// A factor smaller than this is dropped.
const NEGLIGIBLE: f64 = 1e-43;

impl Spectrum {
    pub(super) fn new(length: usize) -> Self {
        Self {
            fft: Fft::new(length),
            product: vec![Complex::ONE; length],
            steps: 0,
            fewest: u64::MAX,
        }
    }

    /// Composes `repeats` times with a step, whose losses wrap around at the grid's ends: the end
    /// result is the composed distribution, wrapped around.
    pub(super) fn multiply(&mut self, step: &Step, direction: Direction, repeats: u64) {
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
    pub(super) fn masses(mut self, first: i64) -> Vec<f64> {
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
