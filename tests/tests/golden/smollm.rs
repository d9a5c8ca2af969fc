//! SmolLM2-135M-Instruct (Q4_1) against transformers on the same GGUF (scripts in `fixtures/smollm`).
//!
//! The file is fetched, not committed: without it these tests fail and say what to run.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Tensor};
use post_core::checkpoint::Checkpoint;
use post_core::model::{Lm, TokenBatch};

use super::tokenizer::assert_ids;

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// Largest difference from the reference, as a share of the reference's largest value: 30 blocks of f32 sums
/// in another order.
const TOLERANCE: f64 = 1e-4;

#[derive(serde::Deserialize)]
struct Expected {
    text: String,
    ids: Vec<u32>,
    top: Vec<(u32, f64)>,
    every_997th: Vec<f64>,
    sum_of_squares: f64,
    hidden_every_31st: Vec<f64>,
}

fn checkpoint() -> &'static Checkpoint {
    static LOADED: OnceLock<Checkpoint> = OnceLock::new();
    LOADED.get_or_init(|| {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../.cache/models")
            .join(FILE);
        let bytes = std::fs::read(&path).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; run `cargo xtask setup` first, it fetches the model",
                path.display()
            )
        });
        Checkpoint::from_gguf(Arc::new(bytes)).unwrap()
    })
}

fn host(tensor: Tensor<2>) -> Vec<f64> {
    let data = pollster::block_on(tensor.into_data_async()).unwrap();
    data.iter::<f64>().collect()
}

fn assert_close(what: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let scale = want
        .iter()
        .fold(0.0, |largest: f64, x| largest.max(x.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            (g - w).abs() <= TOLERANCE * scale,
            "{what}[{i}]: {g} instead of {w}"
        );
    }
}

#[test]
fn configuration_is_the_published_one() {
    let Checkpoint { config, about, .. } = checkpoint();
    assert_eq!(
        (
            config.vocab_size,
            config.hidden_size,
            config.num_hidden_layers()
        ),
        (49152, 576, 30)
    );
    assert_eq!(
        (
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim
        ),
        (9, 3, 64)
    );
    assert!(config.tie_word_embeddings);
    assert_eq!(config.norm_eps, 1e-5);
    assert_eq!(about.license.as_deref(), Some("apache-2.0"));
}

#[test]
fn tokens_are_those_of_the_reference() {
    let expected: Vec<Vec<u32>> =
        serde_json::from_str(include_str!("../../fixtures/smollm/tokens.json")).unwrap();
    assert_ids("SmolLM2", checkpoint().tokenizer().unwrap(), &expected);
}

#[test]
fn hidden_states_and_logits_are_those_of_the_reference() {
    let expected: Vec<Expected> =
        serde_json::from_str(include_str!("../../fixtures/smollm/logits.json")).unwrap();
    let checkpoint = checkpoint();
    let lm = Lm::load(&checkpoint.config, &*checkpoint.tensors, &Device::default()).unwrap();
    for sentence in &expected {
        let ids = checkpoint
            .tokenizer()
            .unwrap()
            .encode(sentence.text.as_str(), true)
            .unwrap();
        assert_eq!(ids.get_ids(), sentence.ids, "{}", sentence.text);
        let input = lm.embed(&TokenBatch::padded(&[&sentence.ids], sentence.ids.len()));
        let hidden = lm.hidden_at(&input, &[sentence.ids.len() - 1]);
        let logits = host(lm.logits(hidden.clone()));
        let sampled: Vec<f64> = host(hidden).into_iter().step_by(31).collect();
        assert_close(&sentence.text, &sampled, &sentence.hidden_every_31st);
        let sampled: Vec<f64> = logits.iter().copied().step_by(997).collect();
        assert_close(&sentence.text, &sampled, &sentence.every_997th);
        let (ids, values): (Vec<u32>, Vec<f64>) = sentence.top.iter().copied().unzip();
        let got: Vec<f64> = ids.iter().map(|&id| logits[id as usize]).collect();
        assert_close(&sentence.text, &got, &values);
        let largest = (0..logits.len())
            .max_by(|&a, &b| logits[a].total_cmp(&logits[b]))
            .unwrap();
        assert_eq!(largest as u32, ids[0], "{}", sentence.text);
        let squares: f64 = logits.iter().map(|x| x * x).sum();
        assert_close(&sentence.text, &[squares], &[sentence.sum_of_squares]);
    }
}
