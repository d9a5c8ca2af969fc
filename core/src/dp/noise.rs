//! Rounded Gaussian noise on the integer grid.

use std::f64::consts::FRAC_PI_4;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

/// 2⁻¹²⁸ and 2⁻⁶², exact.
const TWO_POW_M128: f64 = 1.0 / (u128::MAX as f64);
const TWO_POW_M62: f64 = 1.0 / (1u64 << 62) as f64;

/// Draws round(σ·G), G a standard Gaussian, in f64 with `libm`, so that native and wasm agree to
/// the bit.
pub(super) struct Noise(pub(super) ChaCha20Rng);

impl Noise {
    pub(super) fn new(rng: ChaCha20Rng) -> Self {
        Self(rng)
    }

    /// One draw of standard deviation `scale` (in grid units): always five words and the same
    /// calls, whatever comes out.
    pub(super) fn draw(&mut self, scale: f64) -> i64 {
        let mut word = || self.0.next_u64();
        let mut wide = || u128::from(word()) << 64 | u128::from(word());
        let (high, low) = (wide(), wide());
        libm::round(gaussian(high, low, word()) * scale) as i64
    }
}

/// Box and Muller's cosine: √(−2 ln u)·cos θ, where `high` and `low` are the 256 bits of u, and
/// `angle` holds θ.
///
/// Relative error at most 2⁻⁴⁹ of the value that the same bits give in exact arithmetic
/// (`docs/guarantee.md` counts it; `tests/golden/gaussian.json` holds it). For that u is taken from
/// whichever end is nearer, and θ from the first eighth of the circle.
pub(super) fn gaussian(high: u128, low: u128, angle: u64) -> f64 {
    let upper = high >> 127 == 1;
    let flip = if upper { u128::MAX } else { 0 };
    let (high, low) = (high ^ flip, low ^ flip);
    let p = (high as f64 + (low as f64 + 0.5) * TWO_POW_M128) * TWO_POW_M128;
    let (near_zero, near_one) = (libm::log(p), libm::log1p(-p));
    let radius = libm::sqrt(-2.0 * if upper { near_one } else { near_zero });

    let theta = ((angle >> 2) as f64 + 0.5) * (FRAC_PI_4 * TWO_POW_M62);
    let (sin, cos) = (libm::sin(theta), libm::cos(theta));
    let sign = if angle & 1 == 0 { 1.0 } else { -1.0 };
    radius * sign * if angle & 2 == 0 { cos } else { sin }
}
