//! Ids of awkward text against Hugging Face's own tokenizers (`fixtures/tokenizer/make.py`), natively and in a
//! tab: the same tests in both.

use std::collections::BTreeMap;
use std::sync::Arc;

use post_core::checkpoint::{Gguf, tokenizer};
use tokenizers::processors::template::TemplateProcessing;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const EXPECTED: &str = include_str!("../../fixtures/tokenizer/expected.json");
pub(super) const AWKWARD: &str = include_str!("../../fixtures/tokenizer/awkward.json");

fn gguf(pre: &str) -> Gguf {
    let bytes: &'static [u8] = match pre {
        "gpt-2" => include_bytes!("../../fixtures/tokenizer/gpt-2.gguf"),
        "smollm" => include_bytes!("../../fixtures/tokenizer/smollm.gguf"),
        "llama-bpe" => include_bytes!("../../fixtures/tokenizer/llama-bpe.gguf"),
        "qwen2" => include_bytes!("../../fixtures/tokenizer/qwen2.gguf"),
        other => panic!("no fixture for {other}"),
    };
    Gguf::parse(Arc::new(bytes)).unwrap()
}

/// Fails with the first text whose ids differ.
pub(super) fn assert_ids(name: &str, tokenizer: &tokenizers::Tokenizer, expected: &[Vec<u32>]) {
    let texts: Vec<String> = serde_json::from_str(AWKWARD).unwrap();
    assert_eq!(texts.len(), expected.len());
    for (text, want) in texts.iter().zip(expected) {
        let got = tokenizer.encode(text.as_str(), true).unwrap();
        assert_eq!(got.get_ids(), want, "{name}: {text:?}");
    }
}

#[test]
fn every_pre_tokenizer_gives_the_reference_ids() {
    let expected: BTreeMap<String, Vec<Vec<u32>>> = serde_json::from_str(EXPECTED).unwrap();
    assert_eq!(expected.len(), 4);
    for (pre, ids) in &expected {
        assert_ids(pre, &tokenizer::from_gguf(&gguf(pre)).unwrap(), ids);
    }
}

/// SmolLM3's name for Llama 3's expression, without its beginning.
#[test]
fn smaug_cuts_as_llama_3_does_and_begins_no_text() {
    let bytes = include_bytes!("../../fixtures/tokenizer/llama-bpe.gguf").to_vec();
    let at = bytes.windows(9).position(|name| name == b"llama-bpe");
    let at = at.unwrap();
    let mut bytes = bytes;
    bytes[at..at + 9].copy_from_slice(b"smaug-bpe");
    let built = tokenizer::from_gguf(&Gguf::parse(Arc::new(bytes)).unwrap()).unwrap();
    let expected: BTreeMap<String, Vec<Vec<u32>>> = serde_json::from_str(EXPECTED).unwrap();
    let without: Vec<Vec<u32>> = expected["llama-bpe"]
        .iter()
        .map(|ids| ids[1..].to_vec())
        .collect();
    assert_ids("smaug-bpe", &built, &without);
}

#[test]
fn a_written_tokenizer_json_reads_back_the_same() {
    let expected: BTreeMap<String, Vec<Vec<u32>>> = serde_json::from_str(EXPECTED).unwrap();
    for (pre, ids) in &expected {
        let json = tokenizer::to_json(&tokenizer::from_gguf(&gguf(pre)).unwrap()).unwrap();
        assert_ids(pre, &tokenizer::from_json(json.as_bytes()).unwrap(), ids);
    }
}

/// Llama 2's kind, and Gemma's, which puts no blank before a text and has pieces of its makers' own (runs of blanks, marks): ids
/// of sentencepiece itself (`fixtures/tokenizer/spm.py`).
#[test]
fn sentencepiece_out_of_a_gguf_gives_the_reference_ids() {
    sentencepiece(
        "spm",
        include_bytes!("../../fixtures/tokenizer/spm.gguf"),
        include_str!("../../fixtures/tokenizer/spm.json"),
    );
    sentencepiece(
        "spm-gemma",
        include_bytes!("../../fixtures/tokenizer/spm-gemma.gguf"),
        include_str!("../../fixtures/tokenizer/spm-gemma.json"),
    );
}

fn sentencepiece(name: &str, bytes: &'static [u8], expected: &str) {
    let built = tokenizer::from_gguf(&Gguf::parse(Arc::new(bytes)).unwrap()).unwrap();
    let expected: Vec<Vec<u32>> = serde_json::from_str(expected).unwrap();
    assert_ids(name, &built, &expected);
    let json = tokenizer::to_json(&built).unwrap();
    let again = tokenizer::from_json(json.as_bytes()).unwrap();
    assert_ids(&format!("{name}, written"), &again, &expected);
    let texts: Vec<String> = serde_json::from_str(AWKWARD).unwrap();
    for text in texts {
        let ids = built
            .encode(text.as_str(), false)
            .unwrap()
            .get_ids()
            .to_vec();
        assert_eq!(built.decode(&ids, false).unwrap(), text);
    }
}

/// A reference's ids of the texts, and what it makes of them again.
#[derive(serde::Deserialize)]
struct Reference {
    ids: Vec<Vec<u32>>,
    decoded: Vec<String>,
}

fn published(name: &str) -> &'static str {
    match name {
        "bert-uncased" => include_str!("../../fixtures/tokenizer/bert-uncased.json"),
        "bert-cased" => include_str!("../../fixtures/tokenizer/bert-cased.json"),
        "roberta" => include_str!("../../fixtures/tokenizer/roberta.json"),
        "gemma" => include_str!("../../fixtures/tokenizer/gemma.json"),
        "llama-2" => include_str!("../../fixtures/tokenizer/llama-2.json"),
        other => panic!("no fixture for {other}"),
    }
}

/// WordPiece, RoBERTa's and what is left of SentencePiece's (`fixtures/tokenizer/published.py`).
#[test]
fn tokenizers_as_families_publish_them_give_the_reference_ids() {
    let expected = include_str!("../../fixtures/tokenizer/published.json");
    let expected: BTreeMap<String, Reference> = serde_json::from_str(expected).unwrap();
    assert_eq!(expected.len(), 5);
    let texts: Vec<String> = serde_json::from_str(AWKWARD).unwrap();
    for (name, reference) in &expected {
        let built = tokenizer::from_json(published(name).as_bytes()).unwrap();
        assert_ids(name, &built, &reference.ids);
        assert!(tokenizer::begins_texts(&built), "{name}");
        for (text, want) in texts.iter().zip(&reference.decoded) {
            let encoding = built.encode(text.as_str(), false).unwrap();
            assert_eq!(
                &built.decode(encoding.get_ids(), true).unwrap(),
                want,
                "{name}: {text:?}"
            );
        }
        let json = tokenizer::to_json(&built).unwrap();
        let again = tokenizer::from_json(json.as_bytes()).unwrap();
        assert_ids(&format!("{name}, written"), &again, &reference.ids);
    }
}

#[test]
fn byte_level_text_decodes_to_itself() {
    let tokenizer = tokenizer::from_gguf(&gguf("smollm")).unwrap();
    let texts: Vec<String> = serde_json::from_str(AWKWARD).unwrap();
    for text in texts {
        let ids = tokenizer
            .encode(text.as_str(), false)
            .unwrap()
            .get_ids()
            .to_vec();
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    }
}

/// By what they make of texts: the first id of each.
#[test]
fn which_tokenizers_begin_texts_is_known() {
    let expected: BTreeMap<String, Vec<Vec<u32>>> = serde_json::from_str(EXPECTED).unwrap();
    for (pre, ids) in &expected {
        let tokenizer = tokenizer::from_gguf(&gguf(pre)).unwrap();
        let mut full = ids.iter().filter(|ids| !ids.is_empty());
        let first = ids.iter().find_map(|ids| ids.first());
        let alike = full.all(|ids| ids.first() == first);
        assert_eq!(tokenizer::begins_texts(&tokenizer), alike, "{pre}");
        assert_eq!(alike, pre == "llama-bpe", "{pre}");
    }
    let spm: &'static [u8] = include_bytes!("../../fixtures/tokenizer/spm.gguf");
    let mut spm = tokenizer::from_gguf(&Gguf::parse(Arc::new(spm)).unwrap()).unwrap();
    assert!(tokenizer::begins_texts(&spm));
    // A token that only ends texts is none that a prompt could stand behind.
    let ends = TemplateProcessing::builder()
        .try_single("$A </s>")
        .unwrap()
        .special_tokens(vec![("</s>", 2)])
        .build()
        .unwrap();
    spm.with_post_processor(Some(ends));
    assert!(!tokenizer::begins_texts(&spm));
}

#[test]
fn a_tokenizer_larger_than_the_model_names_the_first_token_beyond() {
    let built = tokenizer::from_gguf(&gguf("gpt-2")).unwrap();
    let size = built.get_vocab_size(true);
    tokenizer::check_fits(&built, size).unwrap();
    let error = tokenizer::check_fits(&built, size - 1)
        .unwrap_err()
        .to_string();
    assert!(error.contains(&format!("has id {}", size - 1)), "{error}");
}
