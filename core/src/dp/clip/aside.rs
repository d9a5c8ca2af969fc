//! A number that travels with the sum, so that a step waits for its card once.
//!
//! The sum is integers, so a number of at least 0 goes as two, whole part and fraction.

use burn::tensor::{Int, IntDType, Tensor};

/// The fraction is counted in 2⁻²⁴, below which an f32 of 1 or more has no digits.
const FRACTION: f64 = (1 << 24) as f64;

/// `[1]` → `[1, 2]`; all digits of an f32 from 1 up to 2³⁰, where it is cut.
pub(in crate::dp) fn integers(number: Tensor<1>) -> Tensor<2, Int> {
    let lost = number.clone().lower_equal_elem(f32::MAX).bool_not();
    let kept = number.clamp(0.0, (1 << 30) as f64);
    let whole = kept.clone().floor();
    let fraction = (kept - whole.clone()) * FRACTION;
    let both = Tensor::cat(vec![whole.mask_fill(lost, -1.0), fraction], 0);
    both.int().cast(IntDType::I32).unsqueeze()
}

/// The number in them; not a number if it was none.
pub(in crate::dp) fn number(integers: &[i64]) -> Option<f32> {
    let &[whole, fraction] = integers else {
        return None;
    };
    let number = whole as f64 + fraction as f64 / FRACTION;
    Some(if whole < 0 { f32::NAN } else { number as f32 })
}
