//! Byte-level BPE out of a GGUF's metadata.

use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer};

use super::super::{CheckpointError, Gguf};
use super::{guard, pre};

pub(super) const TOKENS: &str = "tokenizer.ggml.tokens";
const MERGES: &str = "tokenizer.ggml.merges";
const TYPES: &str = "tokenizer.ggml.token_type";
const ADD_BOS: &str = "tokenizer.ggml.add_bos_token";
const ADD_EOS: &str = "tokenizer.ggml.add_eos_token";

/// `tokenizer.ggml.token_type` of a token that controls (`<|im_start|>`) and of one that a user added.
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// Builds the tokenizer.
pub(super) fn build(gguf: &Gguf) -> Result<Tokenizer, CheckpointError> {
    let pre = pre::find(gguf)?;
    let tokens = gguf.strings(TOKENS)?;
    let (vocab, merges) = (vocabulary(&tokens)?, merges(gguf)?);
    let pairs = merges.iter().map(|(left, right)| (&**left, &**right));
    guard::merges(tokens.iter().copied(), pairs, "")
        .map_err(|reason| CheckpointError::metadata(MERGES, reason))?;
    let bpe = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .ignore_merges(pre.ignore_merges)
        .build()
        .map_err(|reason| CheckpointError::metadata(MERGES, reason.to_string()))?;
    let mut tokenizer = Tokenizer::new(bpe);
    pre.install(&mut tokenizer)?;
    add_tokens(&mut tokenizer, &tokens, &types(gguf, &tokens)?)?;
    surround(&mut tokenizer, gguf, &tokens, pre.add_bos)?;
    Ok(tokenizer)
}

pub(super) fn vocabulary(tokens: &[&str]) -> Result<Vocab, CheckpointError> {
    let mut vocab = Vocab::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate() {
        let id = u32::try_from(id)
            .map_err(|_| CheckpointError::metadata(TOKENS, "has more than 2^32 tokens"))?;
        if let Some(first) = vocab.insert((*token).to_owned(), id) {
            let reason = format!(
                "tokens {first} and {id} are both `{}`",
                token.escape_debug()
            );
            return Err(CheckpointError::metadata(TOKENS, reason));
        }
    }
    Ok(vocab)
}

fn merges(gguf: &Gguf) -> Result<Merges, CheckpointError> {
    let pair = |(index, merge): (usize, &str)| {
        let (left, right) = merge.split_once(' ').ok_or_else(|| {
            CheckpointError::metadata(
                MERGES,
                format!("merge {index} (`{}`) is not a pair", merge.escape_debug()),
            )
        })?;
        Ok((left.to_owned(), right.to_owned()))
    };
    gguf.strings(MERGES)?
        .into_iter()
        .enumerate()
        .map(pair)
        .collect()
}

/// The type of each token; none where the file doesn't say.
pub(super) fn types(gguf: &Gguf, tokens: &[&str]) -> Result<Vec<u64>, CheckpointError> {
    if !gguf.metadata().contains_key(TYPES) {
        return Ok(Vec::new());
    }
    let types = gguf.numbers(TYPES)?;
    if types.len() != tokens.len() {
        let reason = format!("has {} entries for {} tokens", types.len(), tokens.len());
        return Err(CheckpointError::metadata(TYPES, reason));
    }
    let kinds = types.iter().map(|kind| kind.as_u64().unwrap_or_default());
    Ok(kinds.collect())
}

/// Tokens that are cut out of the text before anything else is done with it.
pub(super) fn add_tokens(
    tokenizer: &mut Tokenizer,
    tokens: &[&str],
    types: &[u64],
) -> Result<(), CheckpointError> {
    let with = |kind: u64| {
        let chosen = tokens.iter().zip(types).filter(move |(_, t)| **t == kind);
        chosen.map(move |(token, _)| {
            AddedToken::from((*token).to_owned(), kind == CONTROL).normalized(false)
        })
    };
    let failed = |reason: tokenizers::Error| CheckpointError::metadata(TYPES, reason.to_string());
    tokenizer
        .add_special_tokens(with(CONTROL))
        .map_err(failed)?;
    tokenizer.add_tokens(with(USER_DEFINED)).map_err(failed)?;
    Ok(())
}

/// Puts the tokens before and behind every text that the file asks for.
pub(super) fn surround(
    tokenizer: &mut Tokenizer,
    gguf: &Gguf,
    tokens: &[&str],
    bos_unless_told: bool,
) -> Result<(), CheckpointError> {
    let add = |flag: &str, default, key: &str| {
        let wanted = gguf.flag(flag)?.unwrap_or(default);
        wanted.then(|| token(gguf, tokens, key)).transpose()
    };
    let before = add(ADD_BOS, bos_unless_told, "tokenizer.ggml.bos_token_id")?;
    let behind = add(ADD_EOS, false, "tokenizer.ggml.eos_token_id")?;
    let mut special: Vec<(String, u32)> =
        [&before, &behind].into_iter().flatten().cloned().collect();
    if special.is_empty() {
        return Ok(());
    }
    special.dedup();
    let name = |token: Option<(String, u32)>| token.map(|(name, _)| name);
    let text = [name(before), Some("$A".to_owned()), name(behind)];
    let template = TemplateProcessing::builder()
        .try_single(text.into_iter().flatten().collect::<Vec<_>>())
        .and_then(|builder| {
            builder
                .special_tokens(special)
                .build()
                .map_err(|e| e.to_string())
        })
        .map_err(|reason| CheckpointError::metadata(ADD_BOS, reason))?;
    tokenizer.with_post_processor(Some(template));
    Ok(())
}

/// The token whose id stands under a key.
fn token(gguf: &Gguf, tokens: &[&str], key: &str) -> Result<(String, u32), CheckpointError> {
    let id = gguf
        .unsigned(key)?
        .ok_or_else(|| CheckpointError::metadata(key, "is absent though it shall be added"))?;
    let token = usize::try_from(id).ok().and_then(|id| tokens.get(id));
    let token = *token
        .ok_or_else(|| CheckpointError::metadata(key, format!("{id} is beyond the last token")))?;
    Ok((token.to_owned(), id as u32))
}
