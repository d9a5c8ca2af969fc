//! Numbers as they may be typed: a value outside its range is a usage error that names the range.

use post_core::optim::Schedule;

/// What `--decay` means.
pub(super) fn schedule(decay: bool) -> Schedule {
    if decay {
        Schedule::DECAY
    } else {
        Schedule::Constant
    }
}

/// A number above zero.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    within(text, |x| x > 0.0 && x.is_finite(), "a number above 0")
}

/// A number of at least zero.
pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    within(
        text,
        |x| x >= 0.0 && x.is_finite(),
        "a number of at least 0",
    )
}

/// A number from 0 to 1, both included.
pub(super) fn fraction(text: &str) -> Result<f64, String> {
    within(text, |x| (0.0..=1.0).contains(&x), "a number from 0 to 1")
}

/// A number between 0 and 1, neither included: a δ.
pub(super) fn probability(text: &str) -> Result<f64, String> {
    within(
        text,
        |x| x > 0.0 && x < 1.0,
        "a number between 0 and 1, such as 1e-5",
    )
}

fn within(text: &str, good: impl Fn(f64) -> bool, what: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(x) if good(x) => Ok(x),
        _ => Err(format!("expected {what}")),
    }
}
