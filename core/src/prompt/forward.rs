//! What a model says of a text with a prompt: the logits of its whole vocabulary at one place.

use burn::tensor::{Tensor, TensorData};

use super::{PromptError, SoftPrompt};
use crate::model::{Lm, TokenBatch};

/// Why a text cannot be passed through a model.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// A text without tokens.
    #[error("the text has no tokens; give at least one id")]
    NoTokens,
    /// An id beyond the vocabulary.
    #[error(
        "token {id} is not in the vocabulary, which ends at {last}; were the ids made by another tokenizer?"
    )]
    Id {
        /// The id.
        id: u32,
        /// The vocabulary's last id.
        last: usize,
    },
    /// A place beyond the text.
    #[error("position {position} is beyond the text, whose last token stands at {last}")]
    Position {
        /// The place asked for, counted from the text's first token.
        position: usize,
        /// The last token's place.
        last: usize,
    },
    /// More places than a model with learned positions has.
    #[error(
        "the text has {tokens} tokens, and beside the prompt the model has room for {room}; shorten the text or the prompt"
    )]
    TooLong {
        /// Tokens of the text.
        tokens: usize,
        /// Places beside the prompt.
        room: usize,
    },
    /// A prompt for another model.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The device failed.
    #[error("the device gave no result: {0}")]
    Device(String),
}

/// Logits `[V]` at `position`, which counts from the first token of the text, with a prompt and without.
///
/// # Errors
/// [`ForwardError`]: text and prompt are checked before the model sees them.
pub async fn logits_at(
    lm: &Lm,
    ids: &[u32],
    position: usize,
    prompt: Option<&SoftPrompt>,
) -> Result<Vec<f32>, ForwardError> {
    check(lm, ids, position, prompt)?;
    let tokens = TokenBatch::padded(&[ids], ids.len());
    let input = match prompt {
        None => lm.embed(&tokens),
        Some(prompt) => {
            let shape = [1, prompt.num_virtual_tokens(), prompt.token_dim()];
            let data = TensorData::new(prompt.embeddings().to_vec(), shape);
            let prompts = Tensor::from_data(data, lm.device());
            lm.embed_with_prompts(prompts, prompt.place(), &tokens)
        }
    };
    let logits = lm.logits(lm.hidden_at(&input, &[position]));
    let data = logits.into_data_async().await;
    let data = data.map_err(|reason| ForwardError::Device(format!("{reason:?}")))?;
    Ok(data.iter::<f32>().collect())
}

fn check(
    lm: &Lm,
    ids: &[u32],
    position: usize,
    prompt: Option<&SoftPrompt>,
) -> Result<(), ForwardError> {
    let config = lm.config();
    let last = config.vocab_size - 1;
    if let Some(&id) = ids.iter().find(|&&id| id as usize > last) {
        return Err(ForwardError::Id { id, last });
    }
    let end = ids.len().checked_sub(1).ok_or(ForwardError::NoTokens)?;
    if position > end {
        let last = end;
        return Err(ForwardError::Position { position, last });
    }
    if let Some(prompt) = prompt {
        prompt.fits(config.family.name(), config.embedding_size)?;
    }
    let before = prompt.map_or(0, SoftPrompt::num_virtual_tokens);
    match lm.room(before).filter(|&room| room < ids.len()) {
        Some(room) => Err(ForwardError::TooLong {
            tokens: ids.len(),
            room,
        }),
        None => Ok(()),
    }
}
