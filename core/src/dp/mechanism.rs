//! One run of a plan: draws, clips and noises exactly as many steps as were accounted.

use super::{
    ClippedSum, Clipper, Entropy, Plan, PoissonBatch,
    account::Event,
    clip::GRID,
    noise::Noise,
    sample::{Sampler, Step},
};

/// A step was dropped, repeated or swapped.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StepError {
    /// Sampled twice without noising.
    #[error("step {0} was drawn but never noised; a drawn batch may not be thrown away")]
    Open(u64),
    /// Noised what this mechanism does not wait for.
    #[error("this sum is not of the step that waits for its noise")]
    Foreign,
    /// Finished early.
    #[error(
        "the run stopped after {done} of {planned} steps; the guarantee is that of the whole plan, so finish it"
    )]
    Unfinished {
        /// Steps noised.
        done: u64,
        /// Steps planned.
        planned: u64,
    },
}

/// Sampler, clipper and noise of one run, in the order of the steps.
pub struct Mechanism {
    plan: Plan,
    pub(super) dimension: usize,
    sampler: Sampler,
    noise: Noise,
    run: u64,
    drawn: u64,
    open: bool,
    private: bool,
    earlier: Vec<Event>,
}

/// A step's noised sum: the only thing that may reach the optimiser.
#[must_use = "the step is spent; use it"]
pub struct NoisedSum {
    sum: Vec<i64>,
    unit: f64,
}

/// Proof that every planned step was made; what a receipt is written for.
#[derive(Debug)]
pub struct Completed {
    pub(super) plan: Plan,
    pub(super) private: bool,
    pub(super) earlier: Vec<Event>,
}

impl Mechanism {
    /// `steps_done` are already in the prompt that the run goes on from.
    pub(super) fn new(
        plan: Plan,
        entropy: Entropy,
        earlier: Vec<Event>,
        dimension: usize,
        steps_done: u64,
    ) -> Self {
        let private = entropy.is_private();
        let (sampling, noise) = entropy.streams();
        let mut sampler = Sampler::new(sampling, plan.sample_rate());
        Self {
            run: sampler.run(),
            dimension,
            sampler,
            noise: Noise::new(noise),
            drawn: steps_done,
            open: false,
            private,
            earlier,
            plan,
        }
    }

    /// Draws the next batch from `rows` rows, however many the public N says; `None` once the
    /// plan's steps were drawn.
    ///
    /// # Errors
    /// When the last batch was not noised.
    pub fn sample(&mut self, rows: usize) -> Result<Option<PoissonBatch>, StepError> {
        if self.open {
            return Err(StepError::Open(self.drawn));
        }
        if self.drawn >= self.plan.steps() {
            return Ok(None);
        }
        self.open = true;
        self.drawn += 1;
        let rows = self.sampler.draw(rows);
        Ok(Some(PoissonBatch {
            rows,
            step: self.step(),
        }))
    }

    /// Takes a batch apart into micro-batches and their gradients together into a sum.
    pub fn clip(&self, batch: PoissonBatch) -> Clipper {
        Clipper::new(batch, self.plan.clip(), self.dimension)
    }

    /// Adds round(N(0, (σ·2¹⁴)²)) to every entry.
    ///
    /// # Errors
    /// When the sum is not of the step drawn last.
    pub fn privatize(&mut self, sum: ClippedSum) -> Result<NoisedSum, StepError> {
        if !self.open || sum.step != self.step() {
            return Err(StepError::Foreign);
        }
        self.open = false;
        let mut sum = sum.sum;
        let scale = self.plan.noise_multiplier() * GRID as f64;
        sum.iter_mut().for_each(|x| *x += self.noise.draw(scale));
        let unit = self.plan.max_grad_norm() / GRID as f64 / self.plan.expected_batch();
        Ok(NoisedSum { sum, unit })
    }

    /// Steps noised so far, those of before a resume included.
    pub fn steps_done(&self) -> u64 {
        self.drawn - u64::from(self.open)
    }

    /// The plan this runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether the randomness is secret; false only with a seeded generator.
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// Closes the run.
    ///
    /// # Errors
    /// When steps are left. Stopping early for a reason found in the data is not covered, and from
    /// here no other reason can be told apart.
    pub fn finish(self) -> Result<Completed, StepError> {
        let (done, planned) = (self.steps_done(), self.plan.steps());
        if done != planned {
            return Err(StepError::Unfinished { done, planned });
        }
        Ok(Completed {
            plan: self.plan,
            private: self.private,
            earlier: self.earlier,
        })
    }

    fn step(&self) -> Step {
        Step {
            run: self.run,
            number: self.drawn,
        }
    }
}

impl NoisedSum {
    /// The noised gradient, divided by the *expected* batch, which is public: `[n·d]`.
    pub fn mean(&self) -> Vec<f32> {
        self.sum
            .iter()
            .map(|&x| (x as f64 * self.unit) as f32)
            .collect()
    }
}
