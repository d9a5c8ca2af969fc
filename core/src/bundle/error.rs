//! What can be wrong with a bundle.

use crate::checkpoint::CheckpointError;
use crate::model::ModelError;

/// A bundle that can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Weights without what makes them a bundle.
    #[error(
        "this is a plain safetensors file, not a bundle; load it as a model, or bundle it first"
    )]
    Plain,
    /// A metadata key that every bundle has.
    #[error("the bundle's metadata have no `{0}`; fetch it again")]
    Missing(&'static str),
    /// A newer or foreign format.
    #[error(
        "the bundle's format is `{found}` and `{known}` is read; use the release that wrote it"
    )]
    Format {
        /// What the file says.
        found: String,
        /// What is read.
        known: &'static str,
    },
    /// The content is not what was published.
    #[error(
        "the bundle's content hash is {found} instead of {expected}: it was damaged or changed, fetch it again"
    )]
    Hash {
        /// What the file says.
        expected: String,
        /// What its content gives.
        found: String,
    },
    /// A metadata value that can't be read.
    #[error("the bundle's `{key}` can't be read: {reason}; fetch it again")]
    Field {
        /// The metadata key.
        key: &'static str,
        /// The parser's reason.
        reason: String,
    },
    /// A value that the chosen type can't hold.
    #[error(
        "tensor `{name}` holds {value}, which {dtype} can't store; write the bundle as f32, or look why training diverged"
    )]
    NotFinite {
        /// The tensor.
        name: String,
        /// The first such value.
        value: f32,
        /// The type asked for.
        dtype: &'static str,
    },
    /// A tensor outside the blocks where only blocks belong.
    #[error(
        "tensor `{0}` lies outside the blocks and would be taken from the teacher; write a whole bundle instead"
    )]
    Outside(String),
    /// Embeddings and head are not in the file.
    #[error("the bundle holds blocks only; load its teacher `{teacher}` and complete it")]
    NeedsTeacher {
        /// The teacher's name.
        teacher: String,
    },
    /// The bundle has embeddings of its own.
    #[error("the bundle is complete; load it without a teacher")]
    Complete,
    /// Another model than the one that the student was distilled from.
    #[error(
        "this is not the teacher `{teacher}` that the bundle's student was distilled from (its embeddings hash to {found} instead of {expected}); load the same file that was distilled"
    )]
    WrongTeacher {
        /// The teacher's name.
        teacher: String,
        /// The hash in the bundle.
        expected: String,
        /// The hash of what was given.
        found: String,
    },
    /// A server's list that can't be used.
    #[error(
        "the server's list of students is broken at `{place}`: {reason}; tell whoever runs the server"
    )]
    Catalog {
        /// The entry and its field.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The weights.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The configuration.
    #[error(transparent)]
    Model(#[from] ModelError),
}
