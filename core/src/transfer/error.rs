//! Why a transfer does not start or go on.

use crate::optim::{DeviceError, StateError};
use crate::prompt::PromptError;

/// Why a transfer does not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// A setting out of range.
    #[error("{field} is {value}, but must be {must}")]
    Range {
        /// Its name in [`super::TransferConfig`].
        field: &'static str,
        /// What was asked for.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
    /// Nothing to transfer with.
    #[error("there is no public example; give at least about a hundred")]
    NoExamples,
    /// Student and teacher speak of different words.
    #[error(
        "the student has {student} words and the teacher {teacher}; a prompt can only be transferred between models of one vocabulary"
    )]
    Vocabulary {
        /// V of the student.
        student: usize,
        /// V of the teacher.
        teacher: usize,
    },
    /// Public text and prompt do not fit.
    #[error(
        "prompt and text together take {needed} places, but the model has {room}; shorten the public texts"
    )]
    TooLong {
        /// Places of the longest example, prompt included.
        needed: usize,
        /// Places of the model.
        room: usize,
    },
    /// Steps before their constants.
    #[error("{missing} public examples have no constants yet; finish computing them first")]
    Incomplete {
        /// Examples left.
        missing: usize,
    },
    /// Gradients became infinite or NaN.
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
    /// A checkpoint that does not fit.
    #[error(transparent)]
    State(#[from] StateError),
    /// A prompt that does not fit.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
}
