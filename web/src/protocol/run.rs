//! Runs: what they are told, what they cost, how far they are, what comes out.

use serde::{Deserialize, Serialize};

/// Who is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// One row.
    Row,
    /// One person; nobody may have more than one row.
    Person,
}

/// A run as the form has it. All of it becomes public in the receipt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Spend at most this ε; the noise follows.
    pub epsilon: f64,
    /// δ.
    pub delta: f64,
    /// N as the world may know it.
    pub public_size: u64,
    /// Who is protected.
    pub unit: Unit,
    /// Mean size of a batch.
    pub expected_batch: f64,
    /// Steps.
    pub steps: u64,
    /// C, what each example's gradient is clipped to.
    pub max_grad_norm: f64,
    /// Length of the prompt.
    pub num_virtual_tokens: usize,
    /// Step size of Adam.
    pub learning_rate: f64,
    /// Whether it falls to 0 over the run.
    pub decay: bool,
}

/// What a run would cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// ε of the run.
    pub epsilon: f64,
    /// δ.
    pub delta: f64,
    /// The guarantee in words and odds.
    pub statement: String,
    /// At most so many times better odds.
    pub odds: f64,
    /// A guess at even odds is right at most so often, of 1.
    pub right: f64,
    /// σ over C.
    pub noise_multiplier: f64,
    /// q.
    pub sample_rate: f64,
    /// Steps.
    pub steps: u64,
    /// Mean batch.
    pub expected_batch: f64,
    /// Seconds that it will take on the chosen device, once that was measured.
    pub seconds: Option<f64>,
    /// Runs on this data before, the first one first.
    pub earlier: Vec<Past>,
    /// ε of all of them.
    pub spent: f64,
    /// ε of all of them and this one.
    pub total: f64,
    /// What the person allows in all; none where it is not limited.
    pub cap: Option<f64>,
    /// Whether that stands: it is set with the first run.
    pub cap_fixed: bool,
}

/// An earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// Its steps.
    pub steps: u64,
    /// Its ε, alone.
    pub epsilon: f64,
}

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Engine and page come up.
    Boot,
    /// Looking for a device.
    Device,
    /// Getting a student ready.
    Load,
    /// Reading a table.
    Data,
    /// Encoding rows.
    Encode,
    /// Proving that this device computes right and that no example can weigh too much.
    SelfTest,
    /// Tuning.
    Run,
    /// Trying a text.
    Try,
    /// Testing held-out rows.
    Test,
    /// Packing.
    Export,
    /// Unpacking.
    Import,
    /// Keeping something in this browser.
    Store,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps made.
    pub step: u64,
    /// Steps planned.
    pub steps: u64,
    /// Share of the running step that is done, roughly.
    pub within: f64,
    /// Examples a second.
    pub speed: f64,
    /// Seconds to go.
    pub seconds_left: f64,
}

/// How much of the budget the steps so far have spent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Meter {
    /// Steps made.
    pub step: u64,
    /// ε that they cost.
    pub spent: f64,
    /// ε of the whole run.
    pub epsilon: f64,
}

/// An interrupted run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Steps made.
    pub step: u64,
    /// Steps planned.
    pub steps: u64,
    /// ε of the whole run.
    pub epsilon: f64,
    /// The student's content hash.
    pub bundle: String,
    /// The student's name.
    pub student: String,
    /// How the rows were read.
    pub mapping: super::Mapping,
    /// The run.
    pub settings: Settings,
}

/// What may be said about a finished prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// The guarantee in words.
    pub statement: String,
    /// ε.
    pub epsilon: f64,
    /// δ.
    pub delta: f64,
    /// ε of all runs on this data.
    pub total: Option<f64>,
    /// What it does not cover, in words.
    pub not_covered: Vec<String>,
    /// The receipt, as it will be handed over.
    pub receipt: String,
}

/// Answers to a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Class names.
    pub classes: Vec<String>,
    /// Their probabilities without the prompt.
    pub before: Vec<f64>,
    /// With it; none before there is one.
    pub with: Option<Vec<f64>>,
    /// Tokens that had to be cut off at the start.
    pub removed: usize,
}

/// An accuracy with its table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Share of right answers.
    pub accuracy: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// `counts[actual][predicted]`.
    pub counts: Vec<Vec<u64>>,
}

/// How good the model is on the rows held out. **Private**.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Class names.
    pub classes: Vec<String>,
    /// Rows.
    pub rows: u64,
    /// Without the prompt.
    pub before: Score,
    /// With it; none before there is one.
    pub with: Option<Score>,
}
