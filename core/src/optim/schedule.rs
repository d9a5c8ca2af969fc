//! Learning-rate schedules that depend on nothing but the step's number.

use serde::{Deserialize, Serialize};

/// Factor on the learning rate, a function of the step's number alone.
///
/// A schedule that looked at a private loss would have to be paid for (method §2, way 4), so there
/// is none that could.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Schedule {
    /// Factor 1 throughout.
    Constant,
    /// Up in a line over the first `warmup` share of the steps, then down in a line towards 0.
    Linear {
        /// Share of all steps, in `[0, 1]`.
        warmup: f64,
    },
}

impl Schedule {
    /// From the full step size straight down to 0.
    pub const DECAY: Self = Self::Linear { warmup: 0.0 };

    /// Factor for step `step` (counted from 0) of `total`; positive for every `step < total`.
    pub fn factor(&self, step: u64, total: u64) -> f64 {
        match *self {
            Schedule::Constant => 1.0,
            Schedule::Linear { warmup } => linear(step as f64, total as f64, warmup),
        }
    }
}

fn linear(step: f64, total: f64, warmup: f64) -> f64 {
    let rising = (warmup * total).floor();
    if step < rising {
        // Half-way offsets would do as well; `+ 1` keeps the very first step from being lost.
        (step + 1.0) / (rising + 1.0)
    } else {
        ((total - step) / (total - rising)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_rises_peaks_and_falls() {
        let s = Schedule::Linear { warmup: 0.1 };
        let at = |t| s.factor(t, 100);
        assert!((at(0) - 1.0 / 11.0).abs() < 1e-12);
        assert!(at(9) < 1.0);
        assert_eq!(at(10), 1.0);
        assert!((at(55) - 0.5).abs() < 1e-12);
        assert!(at(99) > 0.0);
        assert_eq!(at(100), 0.0);
    }

    #[test]
    fn no_step_is_lost() {
        for warmup in [0.0, 0.05, 0.5, 0.99] {
            for total in [1, 2, 7, 100] {
                for step in 0..total {
                    let f = Schedule::Linear { warmup }.factor(step, total);
                    assert!(f > 0.0 && f <= 1.0, "{warmup} {step}/{total}: {f}");
                }
            }
        }
    }
}
