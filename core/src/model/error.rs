//! What can be wrong with a model's description or its weights.

use crate::checkpoint::CheckpointError;

/// A model that can't be built.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The architecture isn't one of the families.
    #[error("the model's architecture `{found}` is not known; known are: {known}")]
    Family {
        /// What `config.json` says (`model_type`), or a GGUF (`general.architecture`).
        found: String,
        /// The families that can be read.
        known: String,
    },
    /// A field that must be there.
    #[error("the model's config has no usable `{field}` ({expected} expected)")]
    Missing {
        /// Name in `config.json`.
        field: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// A field whose value can't be.
    #[error("the model's config field `{field}` is wrong: {reason}")]
    Invalid {
        /// Name in `config.json`.
        field: String,
        /// Why.
        reason: String,
    },
    /// An option that would change numbers and isn't implemented: ignoring it would be silently wrong.
    #[error(
        "the model's config asks for `{field}` = {value}, which is not supported and would change its output"
    )]
    Unsupported {
        /// Name in `config.json`.
        field: String,
        /// The value found.
        value: String,
    },
    /// A GGUF's key that would change numbers and isn't computed.
    #[error(
        "the GGUF says `{key}` = {value}, which is not computed and would change the model's output; \
         give the model as its Hugging Face folder, or convert it again with a current llama.cpp if the key is wrong"
    )]
    Metadata {
        /// The key.
        key: String,
        /// The value found.
        value: String,
    },
    /// Blocks asked for that the model doesn't have.
    #[error("block {block} was asked for, but the model has blocks 0 to {last}")]
    NoSuchBlock {
        /// The block asked for.
        block: usize,
        /// The last one there is.
        last: usize,
    },
    /// A device that didn't hand a result back.
    #[error("the device failed: {0}")]
    Device(String),
    /// Something about the weights.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl ModelError {
    pub(crate) fn missing(field: &str, expected: &'static str) -> Self {
        Self::Missing {
            field: field.to_owned(),
            expected,
        }
    }

    pub(crate) fn invalid(field: &str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn unsupported(field: &str, value: impl ToString) -> Self {
        Self::Unsupported {
            field: field.to_owned(),
            value: value.to_string(),
        }
    }
}
