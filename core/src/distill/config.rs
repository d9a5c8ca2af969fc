//! What distillation can be told.

use serde::{Deserialize, Serialize};

use super::{DistillError, PlateauConfig};
use crate::optim::{AdamConfig, Schedule};

/// What each loss counts (method §1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// T²·KL(teacher ‖ student) at temperature T, mean over the chosen rows.
    pub ce: f64,
    /// Cross-entropy with the text itself, mean over the chosen rows that have a target.
    pub lm: f64,
    /// 1 − cosine between the last hidden states, mean over all tokens.
    pub cos: f64,
    /// Squared difference of the last hidden states, mean over all tokens and their d numbers.
    pub mse: f64,
}

/// At which tokens the losses over the vocabulary are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rows {
    /// At every token.
    All,
    /// At each sequence's answer position, if it has one, and at so many random tokens of a batch.
    /// The head costs V·d a row, as much as several blocks, and neighbouring tokens teach alike.
    Sampled(usize),
}

/// What distillation can be told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillConfig {
    /// What each loss counts.
    pub weights: Weights,
    /// T.
    pub temperature: f64,
    /// Where the losses over the vocabulary are taken.
    pub rows: Rows,
    /// AdamW's constants.
    pub adam: AdamConfig,
    /// Step size at the schedule's factor 1.
    pub learning_rate: f64,
    /// The step size's course.
    pub schedule: Schedule,
    /// The L2 norm that the whole gradient is scaled down to.
    pub max_grad_norm: f64,
    /// Sequences in a step.
    pub batch: usize,
    /// Sequences in one forward and backward pass; their gradients accumulate to the step's.
    pub micro_batch: usize,
    /// Steps.
    pub steps: u64,
    /// Decides the order of the sequences and the random rows.
    pub seed: u64,
    /// When to say that the loss falls no more; never, if none.
    pub plateau: Option<PlateauConfig>,
}

impl Default for DistillConfig {
    /// The paper's, for a student of a causal LM.
    fn default() -> Self {
        Self {
            weights: Weights {
                ce: 5.0,
                lm: 2.0,
                cos: 1.0,
                mse: 0.0,
            },
            temperature: 2.0,
            rows: Rows::All,
            adam: AdamConfig {
                beta_1: 0.9,
                beta_2: 0.98,
                epsilon: 1e-6,
                weight_decay: 0.0,
            },
            learning_rate: 2.5e-4,
            schedule: Schedule::Linear { warmup: 0.05 },
            max_grad_norm: 5.0,
            batch: 16,
            micro_batch: 16,
            steps: 1000,
            seed: 0,
            plateau: None,
        }
    }
}

impl DistillConfig {
    pub(super) fn check(&self) -> Result<(), DistillError> {
        let range = |field, value: f64, ok, must| {
            if ok {
                Ok(())
            } else {
                Err(DistillError::Range { field, value, must })
            }
        };
        let Weights { ce, lm, cos, mse } = self.weights;
        for (field, weight) in [("ce", ce), ("lm", lm), ("cos", cos), ("mse", mse)] {
            range(
                field,
                weight,
                weight >= 0.0 && weight.is_finite(),
                "0 or more",
            )?;
        }
        range(
            "weights",
            0.0,
            ce + lm + cos + mse > 0.0,
            "above 0 for one loss at least",
        )?;
        let positive = [
            ("temperature", self.temperature),
            ("learning_rate", self.learning_rate),
            ("max_grad_norm", self.max_grad_norm),
        ];
        for (field, value) in positive {
            range(field, value, value > 0.0 && value.is_finite(), "above 0")?;
        }
        range("batch", self.batch as f64, self.batch > 0, "at least 1")?;
        range(
            "micro_batch",
            self.micro_batch as f64,
            self.micro_batch > 0,
            "at least 1",
        )?;
        range("steps", self.steps as f64, self.steps > 0, "at least 1")
    }
}
