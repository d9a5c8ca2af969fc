//! What tuning can be told.

use serde::{Deserialize, Serialize};

use super::TuneError;
use crate::dp::{Entropy, Plan, Reserved};
use crate::optim::{AdamConfig, Schedule};

/// How the (noised) mean gradient moves the prompt. All of it is post-processing of the noised
/// sums, and none of it may be chosen by a private loss or accuracy (method §2, way 4).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TuneConfig {
    /// The update rule.
    pub optimizer: Optimizer,
    /// Step size at the schedule's factor 1.
    pub learning_rate: f64,
    /// The step size's course.
    pub schedule: Schedule,
    /// Share of the steps, at the end, whose prompts are averaged into the released one; 0 releases
    /// the last prompt itself.
    pub tail_average: f64,
    /// Examples in one forward and backward pass. Memory and speed depend on it, results do not.
    pub micro_batch: usize,
    /// Tunes two thin factors instead of every number of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_rank: Option<LowRank>,
}

/// P = P₀ + U·V with U `[n, r]` and V `[r, d]`: r·(n + d) numbers are tuned instead of n·d, so less
/// noise reaches the prompt.
///
/// V starts at 0, U with ±1/√r by coin toss. At the start dV = Uᵀ·G is then a random projection of
/// the prompt's gradient G that keeps its norm on average (Johnson and Lindenstrauss), so
/// `max_grad_norm` keeps its meaning; and a step that moves every number of V by about η moves those
/// of P by about η, so the learning rate keeps it too. The other way about, V random and U = 0, as
/// LoRA would have it, dU = G·Vᵀ would be all the signal there is at first, n·r numbers of it, beside
/// noise on r·d ≫ n·r others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LowRank {
    /// r.
    pub rank: usize,
    /// Of U's coins; public, and chosen before anything private is known.
    pub seed: u64,
}

impl Default for TuneConfig {
    fn default() -> Self {
        Self {
            optimizer: Optimizer::Adam(AdamConfig::default()),
            learning_rate: 1e-2,
            schedule: Schedule::Constant,
            tail_average: 0.0,
            micro_batch: 16,
            low_rank: None,
        }
    }
}

/// Update rules.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Optimizer {
    /// Adam on the mean gradient.
    Adam(AdamConfig),
    /// x ← x − lr·u with u ← momentum·u + g.
    Sgd {
        /// In `[0, 1)`.
        momentum: f32,
    },
}

/// Whether the examples are protected.
pub enum Privacy {
    /// By this plan, with randomness that nobody else has.
    Private {
        /// Sampler, clipper, noise and accountant.
        plan: Plan,
        /// The seed of this run, or of what is left of it.
        entropy: Entropy,
        /// The run's entry in the owner's ledger.
        reserved: Reserved,
    },
    /// **Not at all.** The prompt may reveal its examples; whoever shows the result must say so.
    None(PlainTraining),
}

/// Training without any guarantee: shuffled batches, plain mean gradient, no clipping.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainTraining {
    /// Examples in a step.
    pub batch: usize,
    /// Steps.
    pub steps: u64,
    /// Decides the order of the examples.
    pub seed: u64,
}

impl TuneConfig {
    pub(super) fn check(&self, num_virtual_tokens: usize) -> Result<(), TuneError> {
        let range = |field, value: f64, ok, must| {
            if ok {
                Ok(())
            } else {
                Err(TuneError::Range { field, value, must })
            }
        };
        let (rate, tail) = (self.learning_rate, self.tail_average);
        range(
            "learning_rate",
            rate,
            rate > 0.0 && rate.is_finite(),
            "above 0",
        )?;
        range(
            "tail_average",
            tail,
            (0.0..=1.0).contains(&tail),
            "between 0 and 1",
        )?;
        let micro = self.micro_batch as f64;
        range("micro_batch", micro, self.micro_batch > 0, "at least 1")?;
        if let Some(LowRank { rank, .. }) = self.low_rank {
            let must = "at least 1 and below the number of virtual tokens";
            let fits = (1..num_virtual_tokens).contains(&rank);
            range("rank", rank as f64, fits, must)?;
        }
        if let Schedule::Linear { warmup } = self.schedule {
            range(
                "warmup",
                warmup,
                (0.0..1.0).contains(&warmup),
                "at least 0 and below 1",
            )?;
        }
        match self.optimizer {
            Optimizer::Adam(adam) => {
                let decay = |x: f32| (0.0..1.0).contains(&x);
                let (one, two) = (f64::from(adam.beta_1), f64::from(adam.beta_2));
                range("beta_1", one, decay(adam.beta_1), "at least 0 and below 1")?;
                range("beta_2", two, decay(adam.beta_2), "at least 0 and below 1")?;
                range(
                    "epsilon",
                    adam.epsilon.into(),
                    adam.epsilon > 0.0,
                    "above 0",
                )
            }
            Optimizer::Sgd { momentum } => {
                let ok = (0.0..1.0).contains(&momentum);
                range("momentum", momentum.into(), ok, "at least 0 and below 1")
            }
        }
    }
}
