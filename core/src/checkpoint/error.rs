//! What can be wrong with a checkpoint, where, and the way out.

use crate::model::ModelError;

/// A checkpoint that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The bytes break the rules of their format.
    #[error("{place}: {reason} (byte {offset}); fetch or convert the file again")]
    Malformed {
        /// File, key or tensor.
        place: String,
        /// Where in the file the offending item begins.
        offset: u64,
        /// The rule that is broken.
        reason: String,
    },
    /// The model wants a tensor that the checkpoint doesn't have.
    #[error(
        "the checkpoint has no tensor `{name}`; is it complete, and of the architecture that its config names?"
    )]
    MissingTensor {
        /// The tensor's name as Hugging Face has it.
        name: String,
    },
    /// A tensor of another shape than the config says.
    #[error(
        "tensor `{name}` has shape {found:?} instead of {expected:?}; config and weights don't belong together"
    )]
    Shape {
        /// The tensor's name.
        name: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape that the config asks for.
        expected: Vec<usize>,
    },
    /// A tensor stored in a type that isn't read.
    #[error("tensor `{name}` is stored as {dtype}; convert it to one of: {known}")]
    Dtype {
        /// The tensor's name.
        name: String,
        /// The type as the file names it.
        dtype: String,
        /// The types that are read.
        known: &'static str,
    },
    /// A number that is none, in a file whose writer refuses such.
    #[error(
        "tensor `{name}` holds a number that is not finite; fetch the file again, or ask who made it for another"
    )]
    NotFinite {
        /// The tensor's name.
        name: String,
    },
    /// A number that the type which the weights shall be kept in can't hold.
    #[error(
        "tensor `{name}` holds a number beyond 65504, the largest that f16 has; keep the weights in bf16"
    )]
    Range {
        /// The tensor's name.
        name: String,
    },
    /// An architecture that isn't known, or a configuration that can't be.
    #[error(transparent)]
    Model(Box<ModelError>),
    /// A metadata key or configuration field that is absent or unusable.
    #[error("`{key}`: {reason}")]
    Metadata {
        /// The metadata key or the field of `config.json`.
        key: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A tokenizer that can't be built or doesn't fit the model.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
}

impl CheckpointError {
    pub(crate) fn malformed(
        place: impl Into<String>,
        offset: u64,
        reason: impl Into<String>,
    ) -> Self {
        Self::Malformed {
            place: place.into(),
            offset,
            reason: reason.into(),
        }
    }

    pub(crate) fn metadata(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Metadata {
            key: key.into(),
            reason: reason.into(),
        }
    }

    /// What the model says, without wrapping what a checkpoint said first.
    pub(crate) fn model(error: ModelError) -> Self {
        match error {
            ModelError::Checkpoint(error) => error,
            error => Self::Model(Box::new(error)),
        }
    }

    pub(crate) fn missing(name: &str) -> Self {
        Self::MissingTensor {
            name: name.to_owned(),
        }
    }
}
