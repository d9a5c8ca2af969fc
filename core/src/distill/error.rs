//! Why distillation does not start or go on.

use crate::model::ModelError;
use crate::optim::{DeviceError, StateError};

/// Why distillation does not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum DistillError {
    /// A setting out of range.
    #[error("{field} is {value}, but must be {must}")]
    Range {
        /// Its name in [`super::DistillConfig`].
        field: &'static str,
        /// What was asked for.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
    /// No text.
    #[error("the corpus is empty; give some text to distil on")]
    NoText,
    /// A sequence that can't be read.
    #[error(
        "sequence {0} (counted from 0) is empty, or its answer position lies outside; remove it"
    )]
    BadSequence(usize),
    /// A sequence longer than the model.
    #[error(
        "the longest sequence has {length} tokens, but the model has {room} places; cut the texts"
    )]
    TooLong {
        /// Tokens of the longest sequence.
        length: usize,
        /// Places of the model.
        room: usize,
    },
    /// Nothing to sample from.
    #[error("text can only be sampled from a causal model, behind at least one token")]
    Beginning,
    /// The cache isn't this corpus's.
    #[error(
        "the teacher's cached states have {found} bytes where this corpus needs {expected}; delete the cache and compute it again"
    )]
    States {
        /// 2·d bytes for every token.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// A state too large for half precision.
    #[error(
        "a hidden state of the teacher in sequence {0} does not fit half precision; remove the sequence"
    )]
    Overflow(usize),
    /// Gradients became infinite or NaN.
    #[error("step {0} gave a gradient that is not finite; lower the learning rate")]
    Diverged(u64),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A checkpoint that does not fit.
    #[error(transparent)]
    State(#[from] StateError),
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
}
