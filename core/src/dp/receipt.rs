//! `privacy.json`: what is guaranteed, in plain words, and all that is needed to check it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Completed, Plan, PlanConfig, PlanError, PrivacyUnit, account::Event, slack};

/// Raised whenever the accountant gives other numbers.
const ACCOUNTANT: &str = "PLD 1";

/// What no mechanism of this kind can promise.
const NOT_COVERED: [&str; 5] = [
    "what other rows, or public text, tell about a row: the guarantee is about adding or removing it",
    "people with several rows, unless the unit is a person",
    "settings, or the run to publish, if they were chosen by looking at private results",
    "the public values in this file, and that a prompt was tuned on this kind of data at all",
    "the machine that tuned it: its memory, screen, timing and files",
];

/// Beside those, where a run started from a prompt instead of public text.
const INITIAL_NOT_COVERED: &str =
    "what the prompt that it started from (`hashes.initial`) tells: its own receipt speaks for it";

/// What the statement adds then.
const STARTED: &str =
    " It started from another prompt: what that one tells about the same rows adds to this.";

/// The hash of the prompt that a run started from, if it was one.
pub const INITIAL: &str = "initial";

/// The receipt does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// Two values that should be one.
    #[error("{field} is {stated} in the receipt, but should be {expected}; do not trust it")]
    Differs {
        /// Where, as `hashes.prompt`.
        field: String,
        /// What it says.
        stated: Value,
        /// What was found or recomputed.
        expected: Value,
    },
    /// A plan that cannot be.
    #[error("the receipt's plan is impossible: {0}")]
    Plan(#[from] PlanError),
    /// Not a receipt.
    #[error("this is not a receipt: {0}")]
    Json(#[from] serde_json::Error),
}

/// SHA-256 by name: those [`of_students`], `task`, `prompt`, `plan`, and [`INITIAL`].
pub type Hashes = BTreeMap<String, String>;

/// Hashes of the models that a prompt was tuned on: `student`, and `student-2` and so on where there were several.
#[must_use]
pub fn of_students(hashes: &[String]) -> Hashes {
    let name = |at| match at {
        0 => "student".to_owned(),
        _ => format!("student-{}", at + 1),
    };
    let named = hashes.iter().enumerate();
    named.map(|(at, hash)| (name(at), hash.clone())).collect()
}

/// The receipt of one finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The guarantee in words and odds.
    pub statement: String,
    /// False when the randomness was seeded: then nothing is guaranteed.
    pub private: bool,
    /// ε, the finite sampler included.
    pub epsilon: f64,
    /// δ.
    pub delta: f64,
    /// σ, T and q, as accounted.
    pub mechanism: Event,
    /// Everything that was asked for: C, N, batch, length, unit, adjacency.
    pub plan: PlanConfig,
    /// Which accountant, and the version of its numbers.
    pub accountant: String,
    /// Of everything that the prompt belongs to.
    pub hashes: Hashes,
    /// Runs before this one on data that shares rows with it.
    pub earlier_runs: Vec<Event>,
    /// ε of all of them and this one, at `delta`; `null` when it is infinite.
    pub total_epsilon: Option<f64>,
    /// In words.
    pub not_covered: Vec<String>,
}

impl Receipt {
    /// For a finished run and the hashes of `student`, `task` and `prompt`.
    ///
    /// # Errors
    /// When the accountant refuses the earlier runs.
    pub fn new(run: Completed, hashes: Hashes) -> Result<Self, ReceiptError> {
        Self::write(&run.plan, run.private, run.earlier, hashes)
    }

    /// Reads `privacy.json`; it proves nothing before [`verify`](Self::verify).
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ReceiptError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// Recomputes every figure and sentence from the plan, and compares the hashes of what was
    /// `found` (any of `student`, `task`, `prompt`).
    ///
    /// That the run really followed the plan only its owner knows: a receipt is not signed.
    ///
    /// # Errors
    /// The first field that differs.
    pub fn verify(&self, found: &Hashes) -> Result<(), ReceiptError> {
        let mut hashes = self.hashes.clone();
        hashes.extend(found.clone());
        let plan = Plan::new(self.plan)?;
        let again = Self::write(&plan, self.private, self.earlier_runs.clone(), hashes)?;
        compare(
            "",
            &serde_json::to_value(self)?,
            &serde_json::to_value(again)?,
        )
    }

    fn write(
        plan: &Plan,
        private: bool,
        earlier_runs: Vec<Event>,
        mut hashes: Hashes,
    ) -> Result<Self, ReceiptError> {
        hashes.insert("plan".into(), plan.hash());
        let all = [earlier_runs.as_slice(), &[plan.event()]].concat();
        let total = slack::epsilon(&all, plan.delta()).map_err(PlanError::from)?;
        let mut not_covered: Vec<String> = NOT_COVERED.map(String::from).into();
        let mut began = "";
        if hashes.contains_key(INITIAL) {
            not_covered.push(INITIAL_NOT_COVERED.into());
            began = if private { STARTED } else { "" };
        }
        Ok(Self {
            statement: statement(plan, private, earlier_runs.len(), total) + began,
            private,
            epsilon: plan.epsilon(),
            delta: plan.delta(),
            mechanism: plan.event(),
            plan: *plan.config(),
            accountant: ACCOUNTANT.into(),
            hashes,
            earlier_runs,
            total_epsilon: total.is_finite().then_some(total),
            not_covered,
        })
    }
}

/// The SHA-256 of a file, in hex.
pub fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// What (ε, δ) means to somebody who guesses whether a given unit was used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Odds {
    /// e^ε: at most so many times better odds.
    pub factor: f64,
    /// A guess at even odds is right with at most this probability.
    pub right: f64,
}

impl Odds {
    /// The meaning of (ε, δ), in figures that are not rounded.
    #[must_use]
    pub fn of(epsilon: f64, delta: f64) -> Self {
        let factor = libm::exp(epsilon);
        let right = ((factor + delta) / (1.0 + factor)).min(1.0);
        Self { factor, right }
    }
}

/// The guarantee in words.
pub(super) fn statement(plan: &Plan, private: bool, earlier: usize, total: f64) -> String {
    if !private {
        return "NOT PRIVATE: the noise came from a seeded generator and can be taken off again."
            .into();
    }
    let (epsilon, delta) = (plan.epsilon(), plan.delta());
    let unit = match plan.config().unit {
        PrivacyUnit::Row => "row",
        PrivacyUnit::Person => "person (nobody has more than one row, says the owner)",
    };
    let Odds { factor, right } = Odds::of(epsilon, delta);
    let composed = match earlier {
        0 => String::new(),
        runs => format!(
            " With {runs} earlier runs on the same data, ε is {}.",
            up(total)
        ),
    };
    format!(
        "This prompt is ({}, {delta:e})-differentially private for each {unit}. Whoever sees it, \
         whatever else they know, gets at most {} times better odds on whether a given one was \
         used, except with probability {delta:e}; a guess at even odds is right at most {} % of \
         the time.{composed}",
        up(epsilon),
        up(factor),
        up(100.0 * right).min(100.0),
    )
}

/// Rounded up to four digits, so that no sentence claims more than the figures.
fn up(x: f64) -> f64 {
    let unit = libm::pow(10.0, 3.0 - libm::floor(libm::log10(x)));
    if unit.is_finite() {
        libm::ceil(x * unit) / unit
    } else {
        x
    }
}

/// Numbers may differ by 1e-9, which is more than two builds ever do.
fn compare(field: &str, stated: &Value, expected: &Value) -> Result<(), ReceiptError> {
    if let (Value::Object(a), Value::Object(b)) = (stated, expected) {
        for name in a.keys().chain(b.keys()) {
            let at = |map: &serde_json::Map<_, _>| map.get(name).cloned().unwrap_or_default();
            compare(
                format!("{field}.{name}").trim_start_matches('.'),
                &at(a),
                &at(b),
            )?;
        }
        return Ok(());
    }
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs();
    let same = match (stated.as_f64(), expected.as_f64()) {
        (Some(a), Some(b)) => close(a, b),
        _ => stated == expected,
    };
    if same {
        return Ok(());
    }
    let (field, stated, expected) = (field.into(), stated.clone(), expected.clone());
    Err(ReceiptError::Differs {
        field,
        stated,
        expected,
    })
}
