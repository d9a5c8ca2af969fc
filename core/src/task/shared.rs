//! What two tokenizers have in common.

use std::collections::{BTreeMap, HashSet};

use tokenizers::Tokenizer;

use super::words::{CONTEXT, ids, unknown_tokens, whole_texts};

/// Marks of a space before a word, in byte-level vocabularies and in SentencePiece's.
const SPACES: [char; 2] = ['Ġ', '▁'];

/// The first id by which two tokenizers mean different tokens, and these. `None`: what both know
/// they know by the same ids, so that their models can be compared over the whole vocabulary.
pub fn unlike_token(a: &Tokenizer, b: &Tokenizer) -> Option<(u32, [String; 2])> {
    let by_id = |tokenizer: &Tokenizer| {
        let tokens = tokenizer.get_vocab(true).into_iter();
        tokens
            .map(|(token, id)| (id, token))
            .collect::<BTreeMap<_, _>>()
    };
    let other = by_id(b);
    by_id(a).into_iter().find_map(|(id, token)| {
        let theirs = other.get(&id).filter(|theirs| **theirs != token)?.clone();
        Some((id, [token, theirs]))
    })
}

/// Words that are one token of either tokenizer when they follow a space: its ids in `a` and in `b`,
/// by rising id in `b`. Byte-level BPE, SentencePiece and WordPiece mark a word's start in ways of
/// their own, so words are looked up within a sentence instead of by their spelling in the vocabulary
/// (Wu, Wu and Mou, 2024, do the same).
pub fn shared_words(a: &Tokenizer, b: &Tokenizer) -> Vec<[u32; 2]> {
    let known = plain_words(a);
    let (a, b) = (Behind::new(a), Behind::new(b));
    let mut pairs: Vec<[u32; 2]> = plain_words(&b.tokenizer)
        .intersection(&known)
        .filter_map(|word| Some([a.look_up(word)?, b.look_up(word)?]))
        .collect();
    pairs.sort_unstable_by_key(|&[a, b]| (b, a));
    pairs.dedup();
    pairs
}

/// The vocabulary's words without their marks, special tokens left out.
fn plain_words(tokenizer: &Tokenizer) -> HashSet<String> {
    let added = tokenizer.get_added_vocabulary();
    let words = tokenizer.get_vocab(false).into_keys();
    words
        .filter(|token| !added.is_special_token(token))
        .map(|token| token.trim_start_matches(SPACES).to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// A tokenizer behind a few words.
struct Behind<'a> {
    tokenizer: std::borrow::Cow<'a, Tokenizer>,
    before: Vec<u32>,
    unknown: Vec<u32>,
}

impl<'a> Behind<'a> {
    fn new(tokenizer: &'a Tokenizer) -> Self {
        let tokenizer = whole_texts(tokenizer);
        Self {
            before: ids(&tokenizer, CONTEXT).unwrap_or_default(),
            unknown: unknown_tokens(&tokenizer),
            tokenizer,
        }
    }

    /// The word's token, if it is one and a known one.
    fn look_up(&self, word: &str) -> Option<u32> {
        let all = ids(&self.tokenizer, &format!("{CONTEXT} {word}")).ok()?;
        match all.strip_prefix(self.before.as_slice())? {
            &[id] if !self.unknown.contains(&id) => Some(id),
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::encode::tests::tokenizer;
    use super::*;
    use serde_json::json;

    /// Words as WordPiece has them: no mark at the start of a word, `##` within.
    fn pieces() -> Tokenizer {
        let vocab = json!({"[UNK]": 0, "film": 1, "##s": 2, "bad": 3, "it": 4, "was": 5, "play": 6, "good": 7, "I": 8, "##t": 9});
        let description = json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "added_tokens": [],
            "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null, "decoder": null,
            "model": {"type": "WordPiece", "vocab": vocab, "unk_token": "[UNK]",
                "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
        });
        Tokenizer::from_bytes(description.to_string()).unwrap()
    }

    #[test]
    fn words_are_shared_however_their_start_is_marked() {
        let (bytes, pieces) = (tokenizer(), pieces());
        let spelled: Vec<_> = shared_words(&bytes, &pieces)
            .into_iter()
            .map(|[a, b]| {
                [
                    bytes.id_to_token(a).unwrap(),
                    pieces.id_to_token(b).unwrap(),
                ]
            })
            .collect();
        let expected = [
            ["Ġfilm", "film"],
            ["Ġbad", "bad"],
            ["Ġwas", "was"],
            ["Ġgood", "good"],
        ];
        assert_eq!(spelled, expected);
        let back: Vec<_> = shared_words(&pieces, &bytes);
        assert_eq!(back.len(), expected.len());
        assert!(
            back.iter()
                .all(|&[a, b]| shared_words(&bytes, &pieces).contains(&[b, a]))
        );
    }

    #[test]
    fn a_tokenizer_is_like_itself_and_like_one_that_knows_less() {
        let (bytes, pieces) = (tokenizer(), pieces());
        assert_eq!(unlike_token(&bytes, &bytes), None);
        let (id, names) = unlike_token(&bytes, &pieces).unwrap();
        assert_eq!((id, names), (0, ["<s>".to_owned(), "[UNK]".to_owned()]));
        let mut more = tokenizer();
        more.add_tokens([tokenizers::AddedToken::from("<extra>", false)])
            .unwrap();
        assert_eq!(unlike_token(&bytes, &more), None);
    }
}
