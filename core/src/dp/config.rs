//! What a plan is asked for.

use serde::{Deserialize, Serialize};

use super::{PlanError, account::MAX_STEPS, slack};

/// What fixes the noise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// At most this ε; the noise multiplier follows.
    Epsilon(f64),
    /// Standard deviation of the noise over `max_grad_norm`; ε follows.
    NoiseMultiplier(f64),
}

/// How long to train.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// Optimiser steps.
    Steps(u64),
    /// Expected passes over N rows, rounded up to whole steps.
    Epochs(f64),
}

/// Who is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrivacyUnit {
    /// One row of the table.
    Row,
    /// One person: the owner made sure that nobody has more than one row.
    Person,
}

/// What two neighbouring data sets differ by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adjacency {
    /// One unit added or removed.
    #[default]
    AddRemove,
}

/// How a per-example gradient g is brought to an L2 norm of at most C. The sensitivity is C either
/// way, and the integers that leave the clipper are checked against it either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clipping {
    /// g·min(1, C/‖g‖): what is shorter than C keeps its length (Abadi et al. 2016).
    #[default]
    Threshold,
    /// C·g/(‖g‖ + γ): every gradient gets nearly the same length, and C only scales the step (Bu et
    /// al. 2023, AUTO-S).
    Automatic {
        /// Above 0: it keeps gradients that are nearly 0 from being blown up.
        gamma: f64,
    },
}

impl Clipping {
    /// γ of Bu et al.
    pub const GAMMA: f64 = 0.01;

    /// 0 for the threshold, which has none.
    pub(super) fn gamma(self) -> f64 {
        match self {
            Self::Threshold => 0.0,
            Self::Automatic { gamma } => gamma,
        }
    }

    /// Receipts and plan hashes from before there was a choice stay what they were.
    fn is_threshold(&self) -> bool {
        *self == Self::Threshold
    }
}

/// Everything that the guarantee rests on, as asked for. All of it becomes public.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanConfig {
    /// ε or σ.
    pub budget: Budget,
    /// N, public: rounded ([`round_public`]) unless the exact number is no secret. The data may
    /// have another number of rows; each is sampled with `expected_batch`/N all the same.
    pub public_size: u64,
    /// Mean size of a Poisson batch, and the constant that the noised sum is divided by.
    pub expected_batch: f64,
    /// Steps or epochs.
    pub length: Length,
    /// C: the L2 norm that per-example gradients are clipped to.
    pub max_grad_norm: f64,
    /// How they are.
    #[serde(default, skip_serializing_if = "Clipping::is_threshold")]
    pub clipping: Clipping,
    /// δ, about 1/N at most.
    pub target_delta: f64,
    /// A row or a person.
    pub unit: PrivacyUnit,
    /// Add/remove.
    #[serde(default)]
    pub adjacency: Adjacency,
}

/// `rows` to two significant digits: a public stand-in for a private number of rows.
pub fn round_public(rows: u64) -> u64 {
    let unit = 10u64.pow(rows.max(1).ilog10().saturating_sub(1));
    rows.saturating_add(unit / 2) / unit * unit
}

/// A tenth of 1/N, rounded down to one digit: a δ that a person can say.
pub fn suggest_delta(public_size: u64) -> f64 {
    let exact = 0.1 / public_size.max(1) as f64;
    let scale = libm::pow(10.0, -libm::floor(libm::log10(exact)));
    // The small surplus keeps 1e-5 from becoming 9e-6; dividing gives the nearest float to the digit.
    libm::floor(exact * scale + 1e-9) / scale
}

/// Every field in its range; NaN is in none.
pub(super) fn check(config: &PlanConfig) -> Result<(), PlanError> {
    let range = |field, value, ok, must| {
        if ok {
            Ok(())
        } else {
            Err(PlanError::Range { field, value, must })
        }
    };
    let (n, b) = (config.public_size as f64, config.expected_batch);
    let (c, delta) = (config.max_grad_norm, config.target_delta);
    range("public_size", n, n >= 1.0, "at least 1")?;
    range(
        "expected_batch",
        b,
        b > 0.0 && b <= n,
        "above 0 and at most public_size",
    )?;
    range(
        "max_grad_norm",
        c,
        (1e-6..=1e6).contains(&c),
        "between 1e-6 and 1e6",
    )?;
    if let Clipping::Automatic { gamma } = config.clipping {
        let must = "between 1e-6 and 1e6";
        range("clipping.gamma", gamma, (1e-6..=1e6).contains(&gamma), must)?;
    }
    // N is rounded to two digits, so 1/N is known within a tenth.
    range(
        "target_delta",
        delta,
        delta > 0.0 && delta * n <= 1.1,
        "above 0 and at most 1/public_size",
    )?;
    match config.budget {
        Budget::Epsilon(e) => range(
            "epsilon",
            e,
            e > 0.0 && e <= 1e3,
            "above 0 and at most 1000",
        ),
        Budget::NoiseMultiplier(s) => {
            let must = "between 1/16 and 4096";
            range("noise_multiplier", s, slack::NOISE.contains(&s), must)
        }
    }
}

/// T.
pub(super) fn steps(config: &PlanConfig) -> Result<u64, PlanError> {
    let (field, value) = match config.length {
        Length::Steps(steps) => ("steps", steps as f64),
        Length::Epochs(epochs) => (
            "epochs",
            (epochs * config.public_size as f64 / config.expected_batch).ceil(),
        ),
    };
    let must = "a length of 1 to 2^30 steps";
    if (1.0..=MAX_STEPS as f64).contains(&value) {
        Ok(value as u64)
    } else {
        Err(PlanError::Range { field, value, must })
    }
}
