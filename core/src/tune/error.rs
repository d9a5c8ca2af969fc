//! Why tuning does not start or go on.

use crate::dp::{ClipError, PlanError, SelfTestError, StepError};
use crate::model::ModelError;
use crate::optim::{DeviceError, StateError};
use crate::prompt::PromptError;

/// Why tuning does not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// A setting out of range.
    #[error("{field} is {value}, but must be {must}")]
    Range {
        /// Its name in [`super::TuneConfig`] or [`super::PlainTraining`].
        field: &'static str,
        /// What was asked for.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
    /// Nothing to learn from.
    #[error("there is no example to tune on; check the table and its bad rows")]
    NoExamples,
    /// An example without its class.
    #[error("example {0} (counted from 0) has no label of this task; every example needs one")]
    Unlabelled(usize),
    /// More places than the model has.
    #[error(
        "prompt and text together take {needed} places, but the model has {room}; use fewer virtual tokens or a smaller max_length"
    )]
    TooLong {
        /// Places of the longest example, prompt included.
        needed: usize,
        /// Places of the model.
        room: usize,
    },
    /// Helpers hold one student each.
    #[error(
        "helpers compute with one student, and this run has several; leave one or the other out"
    )]
    Helpers,
    /// The prompt became infinite or NaN, which only happens without noise and clipping.
    #[error("step {0} gave a gradient that is not finite; lower the learning rate")]
    Diverged(u64),
    /// Unfinished business.
    #[error("{done} of {planned} steps are done; finish them first")]
    Unfinished {
        /// Steps made.
        done: u64,
        /// Steps planned.
        planned: u64,
    },
    /// The plan and this prompt do not go together.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The self-test failed.
    #[error(transparent)]
    SelfTest(#[from] SelfTestError<DeviceError>),
    /// The built-in model does not give its known answer.
    #[error(
        "this device's gradient is off by {0:.1e} of its reference (allowed: 1e-3), so its results cannot be trusted; choose another device"
    )]
    KnownAnswer(f64),
    /// The built-in model does not load.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Gradients do not fit their batch.
    #[error(transparent)]
    Clip(#[from] ClipError),
    /// A step out of order.
    #[error(transparent)]
    Step(#[from] StepError),
    /// A checkpoint that does not fit.
    #[error(transparent)]
    State(#[from] StateError),
    /// A prompt that does not fit.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A text that the tokenizer refuses.
    #[error(transparent)]
    Encode(#[from] crate::task::EncodeError),
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
}
