//! The tokenizer that belongs to a model: out of a `tokenizer.json` or out of a GGUF's metadata.

mod bpe;
mod guard;
mod pre;
mod spm;

use tokenizers::{Encoding, Token, Tokenizer};

use super::{CheckpointError, Gguf};

/// Reads a `tokenizer.json`.
///
/// Truncation and padding that the file asks for are dropped: [`crate::task`] cuts on the left so that the
/// template survives, and pads batches itself.
///
/// # Errors
/// [`CheckpointError::Tokenizer`] with the parser's reason.
pub fn from_json(json: &[u8]) -> Result<Tokenizer, CheckpointError> {
    let error = |reason: String| {
        CheckpointError::Tokenizer(format!("tokenizer.json can't be read: {reason}"))
    };
    // The tokenizers crate panics at broken JSON inside a decoder, so that is kept from it, too.
    let parsed: serde_json::Value =
        serde_json::from_slice(json).map_err(|reason| error(reason.to_string()))?;
    guard::check(&parsed).map_err(error)?;
    let mut tokenizer = Tokenizer::from_bytes(json).map_err(|reason| error(reason.to_string()))?;
    tokenizer
        .with_truncation(None)
        .map_err(|reason| error(reason.to_string()))?;
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

/// Writes a `tokenizer.json` that Hugging Face's `tokenizers` reads.
///
/// # Errors
/// [`CheckpointError::Tokenizer`] when a part of it can't be written down.
pub fn to_json(tokenizer: &Tokenizer) -> Result<String, CheckpointError> {
    tokenizer.to_string(false).map_err(|reason| {
        CheckpointError::Tokenizer(format!("tokenizer.json can't be written: {reason}"))
    })
}

/// Builds the tokenizer that a GGUF's metadata describe.
///
/// # Errors
/// [`CheckpointError::Metadata`] for a key that is absent or wrong, [`CheckpointError::Tokenizer`] for a
/// kind of tokenizer that isn't known or a vocabulary that contradicts itself.
pub fn from_gguf(gguf: &Gguf) -> Result<Tokenizer, CheckpointError> {
    match gguf.text("tokenizer.ggml.model") {
        Some("gpt2") => bpe::build(gguf),
        Some("llama") => spm::build(gguf),
        Some(other) => Err(CheckpointError::Tokenizer(format!(
            "the GGUF's tokenizer model `{other}` is not known (known: gpt2, which is byte-level BPE, and llama, \
             which is SentencePiece's); \
             give the model as a Hugging Face folder with its tokenizer.json instead"
        ))),
        None => Err(CheckpointError::metadata(
            "tokenizer.ggml.model",
            "is absent, so the GGUF has no tokenizer",
        )),
    }
}

/// Whether every text begins with a token of the tokenizer's own, as `<s>` or `[CLS]`: whatever the words, so
/// that is asked of what it makes of tokens.
#[must_use]
pub fn begins_texts(tokenizer: &Tokenizer) -> bool {
    let text = Encoding::from_tokens(vec![Token::new(0, "a".to_owned(), (0, 1))], 0);
    let made = tokenizer.post_process(text, None, true);
    made.is_ok_and(|made| made.get_special_tokens_mask().first() == Some(&1))
}

/// Checks that every token has a row in an embedding table of `vocab_size` rows.
///
/// # Errors
/// [`CheckpointError::Tokenizer`] naming the first token beyond the table.
pub fn check_fits(tokenizer: &Tokenizer, vocab_size: usize) -> Result<(), CheckpointError> {
    let beyond = tokenizer
        .get_vocab(true)
        .into_iter()
        .filter(|&(_, id)| id as usize >= vocab_size);
    match beyond.min_by_key(|&(_, id)| id) {
        None => Ok(()),
        Some((token, id)) => Err(CheckpointError::Tokenizer(format!(
            "token `{}` has id {id} and the model's embedding table {vocab_size} rows; \
             tokenizer and weights don't belong together",
            token.escape_debug()
        ))),
    }
}
