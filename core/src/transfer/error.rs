//! Why a transfer does not start or go on.

use crate::optim::{DeviceError, StateError};
use crate::prompt::PromptError;
use crate::task::NoClasses;

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
    /// One model has more examples than the other.
    #[error(
        "the student has {student} public examples and the teacher {teacher}; encode the same rows for both"
    )]
    Pairs {
        /// Examples of the student.
        student: usize,
        /// Examples of the teacher.
        teacher: usize,
    },
    /// An answer takes unlike numbers of tokens.
    #[error(
        "a public row's answer takes {student} tokens of the student and {teacher} of the teacher; answers of text can only be compared between models of one tokenizer"
    )]
    Places {
        /// Tokens of the student.
        student: usize,
        /// Tokens of the teacher.
        teacher: usize,
    },
    /// Student and teacher have vocabularies of two sizes.
    #[error(
        "the student has {student} tokens and the teacher {teacher}; the whole vocabulary can only be compared where both have the same"
    )]
    Vocabulary {
        /// V of the student.
        student: usize,
        /// V of the teacher.
        teacher: usize,
    },
    /// Student and teacher have two tokenizers.
    #[error(
        "token {id} is `{student}` to the student and `{teacher}` to the teacher; the whole vocabulary can only be compared where both have the same"
    )]
    Tokenizer {
        /// The first id that they read in two ways.
        id: u32,
        /// What the student reads.
        student: String,
        /// What the teacher reads.
        teacher: String,
    },
    /// Too few label words are told apart by both models.
    #[error(
        "only {found} label words begin with a token of their own in both models; at least 2 are needed: give the task's classes other words"
    )]
    LabelWords {
        /// How many do.
        found: usize,
    },
    /// Label words of a task that has none.
    #[error(
        "{0}; or compare the whole vocabulary (--words all), which needs student and teacher to have the same"
    )]
    NoClasses(#[from] NoClasses),
    /// No words in common.
    #[error(
        "the two vocabularies share {found} words, which says nothing of where a prompt stands; start from the task's sentence (--init text)"
    )]
    Anchors {
        /// Words that are one token of both.
        found: usize,
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
