//! A discrete Fourier transform of our own: `rustfft` takes its twiddles from the platform's `sin`,
//! so a tab and a terminal would differ in the last bits.

use std::f64::consts::TAU;
use std::ops::{Add, Mul, Sub};

/// A complex number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Complex {
    pub(super) re: f64,
    pub(super) im: f64,
}

impl Complex {
    pub(super) const ONE: Self = Self { re: 1.0, im: 0.0 };

    pub(super) fn norm_sqr(self) -> f64 {
        self.re * self.re + self.im * self.im
    }

    /// By squaring; relative error below 2√5·u·exponent.
    pub(super) fn power(self, mut exponent: u64) -> Self {
        let (mut result, mut square) = (Self::ONE, self);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = result * square;
            }
            square = square * square;
            exponent >>= 1;
        }
        result
    }

    fn conj(self) -> Self {
        Self {
            im: -self.im,
            ..self
        }
    }
}

impl Add for Complex {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            re: self.re + other.re,
            im: self.im + other.im,
        }
    }
}

impl Sub for Complex {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self {
            re: self.re - other.re,
            im: self.im - other.im,
        }
    }
}

impl Mul for Complex {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }
}

/// Radix-2 transforms of one length. The forward one leaves its result in bit-reversed order and
/// the inverse one takes it so: what happens in between is pointwise, so nothing is ever reordered.
pub(super) struct Fft {
    /// e^(−2πik/N) for k < N/2.
    twiddles: Vec<Complex>,
}

impl Fft {
    /// For `length` = 2^k ≥ 2.
    pub(super) fn new(length: usize) -> Self {
        debug_assert!(length.is_power_of_two() && length >= 2);
        let half = length / 2;
        let fine = 1 << (half.ilog2() / 2);
        let unit = |k: usize| {
            let (sin, cos) = libm::sincos(-TAU * (k as f64 / length as f64));
            Complex { re: cos, im: sin }
        };
        // Two short tables and one product each, instead of N/2 calls of `sincos`.
        let low: Vec<_> = (0..fine).map(unit).collect();
        let high = (0..half / fine).map(|k| unit(k * fine));
        Self {
            twiddles: high
                .flat_map(|h| low.iter().map(move |&l| h * l).collect::<Vec<_>>())
                .collect(),
        }
    }

    /// Σ_j x_j·e^(−2πijk/N), in bit-reversed order.
    pub(super) fn forward(&self, data: &mut [Complex]) {
        let mut size = data.len();
        while size >= 2 {
            let stride = data.len() / size;
            for block in data.chunks_exact_mut(size) {
                let (left, right) = block.split_at_mut(size / 2);
                let twiddles = self.twiddles.iter().step_by(stride);
                for ((a, b), &w) in left.iter_mut().zip(right).zip(twiddles) {
                    (*a, *b) = (*a + *b, (*a - *b) * w);
                }
            }
            size /= 2;
        }
    }

    /// (1/N)·Σ_k X_k·e^(2πijk/N), from bit-reversed order.
    pub(super) fn inverse(&self, data: &mut [Complex]) {
        let mut size = 2;
        while size <= data.len() {
            let stride = data.len() / size;
            for block in data.chunks_exact_mut(size) {
                let (left, right) = block.split_at_mut(size / 2);
                let twiddles = self.twiddles.iter().step_by(stride);
                for ((a, b), &w) in left.iter_mut().zip(right).zip(twiddles) {
                    let turned = *b * w.conj();
                    (*a, *b) = (*a + turned, *a - turned);
                }
            }
            size *= 2;
        }
        let scale = 1.0 / data.len() as f64;
        for value in data {
            *value = Complex {
                re: value.re * scale,
                im: value.im * scale,
            };
        }
    }

    /// Largest error of any output of either transform, relative to the sum of the inputs' sizes
    /// (for the inverse: their mean). An output is a sum over the inputs, each passing log₂N
    /// butterflies; a butterfly is an addition (u), a product (√5·u) and a twiddle (below 10u: two
    /// `sincos` of arguments up to π that are rounded once, and their product), 14u in all.
    pub(super) fn relative_error(&self) -> f64 {
        let levels = f64::from((2 * self.twiddles.len()).ilog2());
        14.0 * (0.5 * f64::EPSILON) * levels * 1.001
    }
}
