//! The folder that is written for transformers.
//!
//! The test leaves it under `target/tmp/hf-folder` with our numbers beside it; `fixtures/hf/check.py` loads
//! it with transformers and compares. What was checked that way is held here by its headers.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use post_core::checkpoint::hf::{Folder, folder};
use post_core::checkpoint::{Checkpoint, Gguf, HostTensor, SharedBytes, tokenizer};
use post_core::model::{Config, Lm, NamedTensors, TokenBatch};

const TEXT: &str = "It was 12 wonderful <|im_end|>";

fn config() -> Config {
    Config::from_hf(&serde_json::json!({
        "model_type": "llama", "vocab_size": 512, "hidden_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 20,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-4, "rope_theta": 777.0, "hidden_act": "silu",
        "tie_word_embeddings": false,
    }))
    .unwrap()
}

/// Values that any language can make again: a multiplicative hash of name and place.
fn tensors() -> NamedTensors {
    let mut out: Vec<(String, Vec<usize>)> = vec![
        ("model.embed_tokens.weight".to_owned(), vec![512, 24]),
        ("lm_head.weight".to_owned(), vec![512, 24]),
        ("model.norm.weight".to_owned(), vec![24]),
    ];
    for layer in 0..2 {
        for (part, shape) in [
            ("input_layernorm", vec![24]),
            ("post_attention_layernorm", vec![24]),
            ("self_attn.q_proj", vec![24, 24]),
            ("self_attn.k_proj", vec![8, 24]),
            ("self_attn.v_proj", vec![8, 24]),
            ("self_attn.o_proj", vec![24, 24]),
            ("mlp.gate_proj", vec![20, 24]),
            ("mlp.up_proj", vec![20, 24]),
            ("mlp.down_proj", vec![24, 20]),
        ] {
            out.push((format!("model.layers.{layer}.{part}.weight"), shape));
        }
    }
    let value = |seed: u32, i: usize| {
        (seed.wrapping_add(i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0 - 0.5
    };
    let fill = |(at, (name, shape)): (usize, (String, Vec<usize>))| {
        let values = (0..shape.iter().product())
            .map(|i| value(at as u32 * 100_003, i))
            .collect();
        (name, HostTensor::f32(shape, values))
    };
    out.into_iter().enumerate().map(fill).collect()
}

fn tokens() -> tokenizers::Tokenizer {
    let bytes: &[u8] = include_bytes!("../../fixtures/tokenizer/smollm.gguf");
    tokenizer::from_gguf(&Gguf::parse(Arc::new(bytes)).unwrap()).unwrap()
}

fn written() -> Vec<(String, Vec<u8>)> {
    folder(&tensors(), &config(), Some(&tokens())).unwrap()
}

fn read(files: &[(String, Vec<u8>)]) -> Checkpoint {
    let file = |name: &str| files.iter().find(|(n, _)| n == name).unwrap().1.clone();
    let weights: SharedBytes = Arc::new(file("model.safetensors"));
    let folder = Folder {
        config: file("config.json"),
        weights: vec![("model.safetensors".to_owned(), weights)],
        tokenizer: Some(file("tokenizer.json")),
        ..Folder::default()
    };
    folder.read().unwrap()
}

#[test]
fn what_is_written_reads_back_the_same() {
    let checkpoint = read(&written());
    assert_eq!(checkpoint.config, config());
    for (name, tensor) in tensors() {
        assert_eq!(checkpoint.tensors.tensor(&name).unwrap(), tensor, "{name}");
    }
    let ids = |tokenizer: &tokenizers::Tokenizer| {
        tokenizer.encode(TEXT, true).unwrap().get_ids().to_vec()
    };
    assert_eq!(ids(checkpoint.tokenizer().unwrap()), ids(&tokens()));
}

#[test]
fn files_and_headers_are_those_that_transformers_has_loaded() {
    let files = written();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json"
        ]
    );
    let expected: serde_json::Value =
        serde_json::from_str(include_str!("../../fixtures/hf/checked.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&files[0].1).unwrap();
    assert_eq!(config, expected["config.json"]);
    let length = u64::from_le_bytes(files[1].1[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&files[1].1[8..8 + length]).unwrap();
    assert_eq!(header, expected["model.safetensors"]);
}

/// Our logits on that folder, held to what transformers gave for it (`checked.json`).
#[test]
fn logits_of_the_folder_are_those_of_transformers() {
    let files = written();
    let checkpoint = read(&files);
    let ids = checkpoint
        .tokenizer()
        .unwrap()
        .encode(TEXT, true)
        .unwrap()
        .get_ids()
        .to_vec();
    let lm = Lm::load(&checkpoint.config, &*checkpoint.tensors, &Device::default()).unwrap();
    let input = lm.embed(&TokenBatch::padded(&[&ids], ids.len()));
    let logits = lm.logits(lm.hidden_at(&input, &[ids.len() - 1]));
    let logits: Vec<f64> = pollster::block_on(logits.into_data_async())
        .unwrap()
        .iter::<f64>()
        .collect();

    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hf-folder");
    std::fs::create_dir_all(&target).unwrap();
    files
        .iter()
        .for_each(|(name, bytes)| std::fs::write(target.join(name), bytes).unwrap());

    let expected: serde_json::Value =
        serde_json::from_str(include_str!("../../fixtures/hf/checked.json")).unwrap();
    assert_eq!(serde_json::json!(ids), expected["ids"]);
    let want: Vec<f64> = serde_json::from_value(expected["logits"].clone()).unwrap();
    let scale = want.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    assert_eq!(logits.len(), want.len());
    for (i, (g, w)) in logits.iter().zip(&want).enumerate() {
        assert!(
            (g - w).abs() <= 1e-4 * scale,
            "logit {i}: {g} instead of {w}"
        );
    }
}
