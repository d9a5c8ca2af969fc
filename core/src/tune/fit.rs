//! A task on a model: how its rows are read, and where the prompt starts.

use tokenizers::Tokenizer;

use super::TuneError;
use crate::model::Lm;
use crate::prompt::SoftPrompt;
use crate::task::{EncodeError, Encoder, Head, Task};

/// Rows of a task as this model reads them, with room left for a prompt of `virtual_tokens`.
///
/// # Errors
/// When template or label words don't fit the tokenizer.
pub fn encoder<'a>(
    lm: &Lm,
    tokenizer: &'a Tokenizer,
    task: &'a Task,
    virtual_tokens: usize,
) -> Result<Encoder<'a>, EncodeError> {
    let head = if lm.config().causal {
        Head::Causal
    } else {
        Head::Masked
    };
    Encoder::new(task, tokenizer, lm.text_room(virtual_tokens), head)
}

/// The prompt of `length` virtual tokens that repeats the task's sentence.
///
/// # Errors
/// When the sentence has no tokens.
pub fn text_init(lm: &Lm, encoder: &Encoder<'_>, length: usize) -> Result<SoftPrompt, TuneError> {
    let row = |id| lm.embedding().rows(&[id]);
    Ok(SoftPrompt::from_text(&encoder.init_ids()?, length, row)?)
}
