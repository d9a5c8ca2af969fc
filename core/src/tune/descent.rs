//! From a mean gradient to the next prompt.

use burn::tensor::Tensor;

use super::config::{Optimizer, TuneConfig};
use super::form::Form;
use super::plain::PlainMean;
use crate::dp::NoisedSum;
use crate::optim::{Adam, State, StateError};

/// The only two things that can move a prompt.
pub(super) enum Direction {
    /// With a guarantee.
    Noised(NoisedSum),
    /// Without one.
    Plain(PlainMean),
}

/// The prompt, what of it is tuned, the optimiser's moments and the average of the last prompts.
pub(super) struct Descent {
    config: TuneConfig,
    total: u64,
    steps: u64,
    form: Form,
    /// What the optimiser moves; the prompt itself, or its factors.
    tuned: Vec<f32>,
    prompt: Vec<f32>,
    rule: Rule,
    /// Mean of the prompts from step `total − averaged` on.
    average: Vec<f32>,
}

enum Rule {
    Adam(Adam),
    Sgd { momentum: f32, velocity: Vec<f32> },
}

impl Descent {
    /// Of a prompt `[n, d]` that starts at `initial`.
    pub(super) fn new(
        config: TuneConfig,
        initial: Vec<f32>,
        shape: [usize; 2],
        total: u64,
    ) -> Self {
        let average = vec![0.0; initial.len()];
        let prompt = initial.clone();
        let (form, tuned) = Form::new(initial, shape, config.low_rank);
        let len = form.dimension();
        let rule = match config.optimizer {
            Optimizer::Adam(adam) => Rule::Adam(Adam::new(adam, len)),
            Optimizer::Sgd { momentum } => Rule::Sgd {
                momentum,
                velocity: vec![0.0; len],
            },
        };
        Self {
            config,
            total,
            steps: 0,
            form,
            tuned,
            prompt,
            rule,
            average,
        }
    }

    /// The current iterate.
    pub(super) fn prompt(&self) -> &[f32] {
        &self.prompt
    }

    /// How many numbers are tuned: what is clipped and noised.
    pub(super) fn dimension(&self) -> usize {
        self.form.dimension()
    }

    /// Per-example gradients in what is tuned, out of those in the current prompt, `[b, n, d]`.
    pub(super) fn gradients(&self, of_prompt: Tensor<3>) -> Tensor<3> {
        self.form.gradients(of_prompt, &self.tuned)
    }

    /// Steps made.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Steps planned.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The size of the next step.
    pub(super) fn learning_rate(&self) -> f64 {
        let factor = self.config.schedule.factor(self.steps, self.total);
        self.config.learning_rate * factor
    }

    /// Moves the prompt.
    pub(super) fn step(&mut self, direction: Direction) {
        let gradient = match direction {
            Direction::Noised(sum) => sum.mean(),
            Direction::Plain(mean) => mean.into_inner(),
        };
        let rate = self.learning_rate();
        self.rule.apply(&mut self.tuned, &gradient, rate);
        self.prompt = self.form.prompt(&self.tuned);
        self.steps += 1;
        let averaged = self.averaged();
        if averaged > 0 {
            let share = 1.0 / averaged as f32;
            let pairs = self.average.iter_mut().zip(&self.prompt);
            pairs.for_each(|(mean, x)| *mean += (x - *mean) * share);
        }
    }

    /// What is released: the average of the last iterates, or the last one.
    pub(super) fn released(&self) -> Vec<f32> {
        if self.averaged() > 0 {
            self.average.clone()
        } else {
            self.prompt.clone()
        }
    }

    /// Iterates in the average so far.
    fn averaged(&self) -> u64 {
        let tail = (self.config.tail_average * self.total as f64).ceil() as u64;
        (self.steps + tail).saturating_sub(self.total)
    }

    pub(super) fn save(&self, state: State) -> State {
        let state = state
            .with_field("steps", self.steps)
            .with_tensor("prompt", self.tuned.clone())
            .with_tensor("average", self.average.clone());
        let state = self.form.save(state);
        match &self.rule {
            Rule::Adam(adam) => adam.save(state),
            Rule::Sgd { velocity, .. } => state.with_tensor("velocity", velocity.clone()),
        }
    }

    pub(super) fn restore(&mut self, state: &mut State) -> Result<(), StateError> {
        let len = self.tuned.len();
        self.steps = state.field("steps")?;
        self.form.restore(state)?;
        self.tuned = state.take("prompt", len)?;
        self.prompt = self.form.prompt(&self.tuned);
        self.average = state.take("average", self.prompt.len())?;
        match &mut self.rule {
            Rule::Adam(adam) => adam.restore(state)?,
            Rule::Sgd { velocity, .. } => *velocity = state.take("velocity", len)?,
        }
        Ok(())
    }
}

impl Rule {
    fn apply(&mut self, x: &mut [f32], gradient: &[f32], rate: f64) {
        match self {
            Self::Adam(adam) => adam.step(x, gradient, rate),
            Self::Sgd { momentum, velocity } => {
                for ((x, u), g) in x.iter_mut().zip(velocity).zip(gradient) {
                    *u = *momentum * *u + g;
                    *x -= rate as f32 * *u;
                }
            }
        }
    }
}
