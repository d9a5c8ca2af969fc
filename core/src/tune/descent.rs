//! From a mean gradient to the next prompt.

use super::config::{Optimizer, TuneConfig};
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

/// The prompt, its optimiser's moments and the average of its last iterates.
pub(super) struct Descent {
    config: TuneConfig,
    total: u64,
    steps: u64,
    prompt: Vec<f32>,
    rule: Rule,
    /// Mean of the iterates from step `total − averaged` on.
    average: Vec<f32>,
}

enum Rule {
    Adam(Adam),
    Sgd { momentum: f32, velocity: Vec<f32> },
}

impl Descent {
    pub(super) fn new(config: TuneConfig, prompt: Vec<f32>, total: u64) -> Self {
        let len = prompt.len();
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
            prompt,
            rule,
            average: vec![0.0; len],
        }
    }

    /// The current iterate.
    pub(super) fn prompt(&self) -> &[f32] {
        &self.prompt
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
        self.rule.apply(&mut self.prompt, &gradient, rate);
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
            .with_tensor("prompt", self.prompt.clone())
            .with_tensor("average", self.average.clone());
        match &self.rule {
            Rule::Adam(adam) => adam.save(state),
            Rule::Sgd { velocity, .. } => state.with_tensor("velocity", velocity.clone()),
        }
    }

    pub(super) fn restore(&mut self, state: &mut State) -> Result<(), StateError> {
        let len = self.prompt.len();
        self.steps = state.field("steps")?;
        self.prompt = state.take("prompt", len)?;
        self.average = state.take("average", len)?;
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
