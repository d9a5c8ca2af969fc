//! SentencePiece's BPE out of a GGUF's metadata (`tokenizer.ggml.model = "llama"`: Llama 2, Mistral, TinyLlama).
//!
//! The file has a score for each token instead of a list of merges. A pair is merged when the two make a
//! token, that of the best score first, so the list is written down here, as `tokenizers` wants it.

use std::cmp::Reverse;

use tokenizers::Tokenizer;
use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::normalizers::{NormalizerWrapper, Prepend, Replace, Sequence};

use super::super::gguf::Value;
use super::super::{CheckpointError, Gguf};
use super::bpe::{self, TOKENS};

const SCORES: &str = "tokenizer.ggml.scores";
const SPACE_PREFIX: &str = "tokenizer.ggml.add_space_prefix";
/// What a blank is written as.
const BLANK: &str = "\u{2581}";
/// `tokenizer.ggml.token_type` of the token that stands for what no other can, and of bytes (`<0x0A>`).
const UNKNOWN: u64 = 2;
const BYTE: u64 = 6;

/// Builds the tokenizer.
pub(super) fn build(gguf: &Gguf) -> Result<Tokenizer, CheckpointError> {
    let tokens = gguf.strings(TOKENS)?;
    let types = bpe::types(gguf, &tokens)?;
    let vocab = bpe::vocabulary(&tokens)?;
    let merges = merges(&tokens, &scores(gguf, &tokens)?, &vocab);
    let mut bpe = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .fuse_unk(true)
        .byte_fallback(types.contains(&BYTE));
    if let Some(at) = types.iter().position(|&kind| kind == UNKNOWN) {
        bpe = bpe.unk_token(tokens[at].to_owned());
    }
    let bpe = bpe
        .build()
        .map_err(|reason| CheckpointError::metadata(TOKENS, reason.to_string()))?;
    let mut tokenizer = Tokenizer::new(bpe);
    blanks(&mut tokenizer, gguf.flag(SPACE_PREFIX)?.unwrap_or(true))
        .map_err(|reason| CheckpointError::Tokenizer(reason.to_string()))?;
    bpe::add_tokens(&mut tokenizer, &tokens, &types)?;
    bpe::surround(&mut tokenizer, gguf, &tokens, true)?;
    Ok(tokenizer)
}

fn scores(gguf: &Gguf, tokens: &[&str]) -> Result<Vec<f64>, CheckpointError> {
    let scores = gguf.numbers(SCORES)?;
    if scores.len() != tokens.len() {
        let reason = format!("has {} entries for {} tokens", scores.len(), tokens.len());
        return Err(CheckpointError::metadata(SCORES, reason));
    }
    let finite = |(id, value): (usize, &Value)| {
        let score = value.as_f64().filter(|score| score.is_finite());
        score.ok_or_else(|| CheckpointError::metadata(SCORES, format!("score {id} is no number")))
    };
    scores.iter().enumerate().map(finite).collect()
}

/// Every way to put a token together from two others, that of the best token first; a token's own ways
/// by the scores of its parts, as Hugging Face's converter orders them.
fn merges(tokens: &[&str], scores: &[f64], vocab: &Vocab) -> Merges {
    let bits = |id: u32| ordered(scores[id as usize]);
    let mut ways = Vec::new();
    for (token, &score) in tokens.iter().zip(scores) {
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(&l), Some(&r)) = (vocab.get(left), vocab.get(right)) {
                ways.push((Reverse((ordered(score), bits(l), bits(r))), left, right));
            }
        }
    }
    ways.sort_by_key(|&(rank, ..)| rank);
    let pair = |(_, left, right): (_, &str, &str)| (left.to_owned(), right.to_owned());
    ways.into_iter().map(pair).collect()
}

/// A finite number's bits, in the order of the numbers.
fn ordered(x: f64) -> i64 {
    let bits = x.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// A blank is a character of its own, one is put before every text, and decoding takes both back.
fn blanks(tokenizer: &mut Tokenizer, prefix: bool) -> tokenizers::Result<()> {
    let mut normal: Vec<NormalizerWrapper> = vec![Replace::new(" ", BLANK)?.into()];
    let mut decode: Vec<DecoderWrapper> = vec![
        Replace::new(BLANK, " ")?.into(),
        ByteFallback::default().into(),
        Fuse::default().into(),
    ];
    if prefix {
        normal.insert(0, Prepend::new(BLANK.to_owned()).into());
        decode.push(Strip::new(' ', 1, 0).into());
    }
    tokenizer.with_normalizer(Some(Sequence::new(normal)))?;
    tokenizer.with_decoder(Some(Decoders::new(decode)));
    Ok(())
}
