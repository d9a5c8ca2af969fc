//! The plan: the one place where the privacy of a run is decided.

use serde::{Deserialize, Serialize};

use super::{
    Budget, Clip, Entropy, MAX_DIMENSION, Mechanism, PlanConfig, Reserved, Untested,
    account::{AccountError, Event},
    config, receipt, slack,
};

/// A plan that cannot be kept.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A field out of range.
    #[error("{field} is {value}, but must be {must}")]
    Range {
        /// Its name in [`PlanConfig`].
        field: &'static str,
        /// What was asked for.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
    /// What the accountant refuses.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// No meaningful ε.
    #[error("a noise multiplier of {0} is too small to guarantee anything here; raise it")]
    Vacuous(f64),
    /// Too long a gradient.
    #[error("{0} numbers to tune are outside 1..={MAX_DIMENSION}; use fewer virtual tokens")]
    Dimension(usize),
    /// Another plan's reservation.
    #[error("the ledger's reservation is for another plan; reserve this one")]
    Reserved,
    /// A resumed run that is already over.
    #[error("{done} steps are done, but the plan has only {planned}")]
    Over {
        /// Steps in the checkpoint.
        done: u64,
        /// Steps planned.
        planned: u64,
    },
}

/// A validated plan; the only source of samplers, clippers and noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PlanConfig", into = "PlanConfig")]
pub struct Plan {
    config: PlanConfig,
    event: Event,
    epsilon: f64,
}

impl Plan {
    /// Checks `config`, finds σ for a target ε (never overshooting it) and ε for what will run.
    ///
    /// # Errors
    /// A field out of range, or a budget that no noise keeps.
    pub fn new(config: PlanConfig) -> Result<Self, PlanError> {
        config::check(&config)?;
        let sample_rate = config.expected_batch / config.public_size as f64;
        let steps = config::steps(&config)?;
        let noise_multiplier = match config.budget {
            Budget::NoiseMultiplier(sigma) => sigma,
            Budget::Epsilon(target) => {
                slack::calibrate(target, config.target_delta, sample_rate, steps)?
            }
        };
        let event = Event {
            sample_rate,
            noise_multiplier,
            steps,
        };
        let epsilon = slack::epsilon(&[event], config.target_delta)?;
        if !epsilon.is_finite() {
            return Err(PlanError::Vacuous(noise_multiplier));
        }
        Ok(Self {
            config,
            event,
            epsilon,
        })
    }

    /// Sampler, clipper and noise for gradients of `dimension` numbers (n·d, or those of the factors
    /// where the prompt is tuned at low rank), to be used once the
    /// self-test has passed; the run is in the ledger already.
    ///
    /// `steps_done` > 0 resumes a run. It gets fresh entropy: what was drawn before is inside the
    /// checkpoint, and what was drawn after it was never released, so no stream must be replayed
    /// (`docs/guarantee.md`, "Resuming").
    ///
    /// # Errors
    /// A dimension out of range, another plan's reservation, or more steps done than planned.
    pub fn mechanism(
        &self,
        entropy: Entropy,
        reserved: Reserved,
        dimension: usize,
        steps_done: u64,
    ) -> Result<Untested, PlanError> {
        if !(1..=MAX_DIMENSION).contains(&dimension) {
            return Err(PlanError::Dimension(dimension));
        }
        let (done, planned) = (steps_done, self.steps());
        if done > planned {
            return Err(PlanError::Over { done, planned });
        }
        if reserved.plan != self.hash() {
            return Err(PlanError::Reserved);
        }
        let earlier = reserved.earlier;
        Ok(Untested(Mechanism::new(
            self.clone(),
            entropy,
            earlier,
            dimension,
            steps_done,
        )))
    }

    /// What was asked for.
    pub fn config(&self) -> &PlanConfig {
        &self.config
    }

    /// What the accountant sees.
    pub fn event(&self) -> Event {
        self.event
    }

    /// q, the probability of each row in each step.
    pub fn sample_rate(&self) -> f64 {
        self.event.sample_rate
    }

    /// T.
    pub fn steps(&self) -> u64 {
        self.event.steps
    }

    /// σ.
    pub fn noise_multiplier(&self) -> f64 {
        self.event.noise_multiplier
    }

    /// ε of the whole run at [`delta`](Self::delta), finite sampler included.
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// ε of the first `steps` steps at [`delta`](Self::delta): what is spent while the run goes on.
    ///
    /// # Errors
    /// Only where [`new`](Self::new) would have failed too.
    pub fn epsilon_after(&self, steps: u64) -> Result<f64, PlanError> {
        let steps = steps.min(self.steps());
        if steps == 0 {
            return Ok(0.0);
        }
        let begun = Event {
            steps,
            ..self.event
        };
        Ok(slack::epsilon(&[begun], self.delta())?)
    }

    /// δ.
    pub fn delta(&self) -> f64 {
        self.config.target_delta
    }

    /// C.
    pub fn max_grad_norm(&self) -> f64 {
        self.config.max_grad_norm
    }

    /// What is done to each gradient.
    pub fn clip(&self) -> Clip {
        Clip {
            max_grad_norm: self.config.max_grad_norm,
            clipping: self.config.clipping,
        }
    }

    /// The divisor of the noised sum.
    pub fn expected_batch(&self) -> f64 {
        self.config.expected_batch
    }

    /// SHA-256, in hex, of the plan's canonical JSON: field order fixed, shortest exact floats.
    pub fn hash(&self) -> String {
        let text = serde_json::to_vec(&self.config).unwrap_or_default();
        receipt::sha256(&text)
    }
}

impl TryFrom<PlanConfig> for Plan {
    type Error = PlanError;

    fn try_from(config: PlanConfig) -> Result<Self, PlanError> {
        Self::new(config)
    }
}

impl From<Plan> for PlanConfig {
    fn from(plan: Plan) -> Self {
        plan.config
    }
}
