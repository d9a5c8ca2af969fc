//! Tiny random models for tests.

use std::collections::BTreeMap;

use burn::tensor::Device;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::json;

use super::config::{NormKind, NormPlacement};
use super::{Config, Lm};
use crate::checkpoint::{CheckpointError, HostTensor, Tensors};

/// Named tensors in memory.
#[derive(Default)]
pub(crate) struct Memory(pub(crate) BTreeMap<String, HostTensor>);

impl Tensors for Memory {
    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn tensor(&self, name: &str) -> Result<HostTensor, CheckpointError> {
        self.0
            .get(name)
            .cloned()
            .ok_or_else(|| CheckpointError::MissingTensor {
                name: name.to_owned(),
            })
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.0.get(name).map(|tensor| tensor.shape.clone())
    }
}

/// A small Llama with odd numbers: 3 groups of 2 heads, head width unlike d/H.
pub(crate) fn llama() -> Config {
    read(json!({
        "model_type": "llama", "vocab_size": 23, "hidden_size": 20, "num_hidden_layers": 3,
        "num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 10,
        "intermediate_size": 28, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
        "rope_theta": 500.0,
    }))
}

/// A small GPT-2.
pub(crate) fn gpt2() -> Config {
    read(json!({
        "model_type": "gpt2", "vocab_size": 23, "n_embd": 20, "n_layer": 3, "n_head": 4,
        "n_inner": 28, "n_positions": 64,
    }))
}

/// A small RoBERTa.
pub(crate) fn roberta() -> Config {
    read(json!({
        "model_type": "roberta", "vocab_size": 23, "hidden_size": 20, "num_hidden_layers": 3,
        "num_attention_heads": 4, "intermediate_size": 28, "max_position_embeddings": 64,
        "layer_norm_eps": 1e-5,
    }))
}

/// A small Gemma 3: what the others don't have, windows, soft caps and norms everywhere.
pub(crate) fn gemma3() -> Config {
    read(json!({
        "model_type": "gemma3_text", "vocab_size": 23, "hidden_size": 20, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6, "intermediate_size": 28,
        "max_position_embeddings": 64, "sliding_window": 4, "sliding_window_pattern": 2,
        "query_pre_attn_scalar": 7, "attn_logit_softcapping": 3.0, "final_logit_softcapping": 2.0,
    }))
}

/// A small GPT-NeoX: attention and MLP side by side, half of a head turned.
pub(crate) fn gpt_neox() -> Config {
    read(json!({
        "model_type": "gpt_neox", "vocab_size": 23, "hidden_size": 24, "num_hidden_layers": 3,
        "num_attention_heads": 3, "intermediate_size": 28, "max_position_embeddings": 64,
        "rotary_pct": 0.5,
    }))
}

fn read(json: serde_json::Value) -> Config {
    Config::from_hf(&json).unwrap()
}

/// A model with random weights; the same for the same seed.
pub(crate) fn random(config: &Config, seed: u64) -> Lm {
    let memory = Memory(random_tensors(config, seed));
    Lm::load(config, &memory, &Device::default()).unwrap()
}

/// Random tensors of a checkpoint.
pub(crate) fn random_tensors(config: &Config, seed: u64) -> BTreeMap<String, HostTensor> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let shapes = shapes(config);
    shapes
        .into_iter()
        .map(|(name, shape)| {
            (
                name,
                HostTensor::f32(shape.clone(), uniform(&mut rng, shape.iter().product())),
            )
        })
        .collect()
}

/// Values between −0.5 and 0.5.
pub(crate) fn uniform(rng: &mut ChaCha20Rng, length: usize) -> Vec<f32> {
    (0..length)
        .map(|_| rng.next_u32() as f32 / u32::MAX as f32 - 0.5)
        .collect()
}

fn shapes(config: &Config) -> Vec<(String, Vec<usize>)> {
    let names = config.family.names();
    let (d, f, v) = (
        config.hidden_size,
        config.intermediate_size,
        config.vocab_size,
    );
    let (q, k) = (config.query_width(), config.key_width());
    let mut out = vec![(format!("{}.weight", names.embedding), vec![v, d])];
    let linear = |out: &mut Vec<(String, Vec<usize>)>,
                  name: String,
                  input: usize,
                  output: usize,
                  bias: bool| {
        out.push((
            format!("{name}.weight"),
            names.layout.shape(input, output).to_vec(),
        ));
        if bias {
            out.push((format!("{name}.bias"), vec![output]));
        }
    };
    let norm = |out: &mut Vec<(String, Vec<usize>)>, name: String| {
        out.push((format!("{name}.weight"), vec![d]));
        if config.norm == NormKind::LayerNorm {
            out.push((format!("{name}.bias"), vec![d]));
        }
    };
    if !config.tie_word_embeddings {
        linear(&mut out, names.head.to_owned(), d, v, false);
    }
    if let Some(name) = names.positions {
        out.push((
            format!("{name}.weight"),
            vec![config.max_position_embeddings, d],
        ));
    }
    if let Some(name) = names.token_types {
        out.push((format!("{name}.weight"), vec![2, d]));
    }
    let final_norm = names.final_norm.filter(|_| config.has_final_norm());
    for name in names.embedding_norm.iter().chain(&final_norm) {
        norm(&mut out, (*name).to_owned());
    }
    if let Some([dense, layer_norm, bias]) = names.masked_lm {
        linear(&mut out, dense.to_owned(), d, d, true);
        norm(&mut out, layer_norm.to_owned());
        out.push((bias.to_owned(), vec![v]));
    }
    for layer in 0..config.num_hidden_layers() {
        let full = |part: &str| names.in_block(layer, part);
        norm(&mut out, full(names.attention_norm));
        norm(&mut out, full(names.mlp_norm));
        if config.norm_placement == NormPlacement::Both {
            for part in names.branch_norms.into_iter().flatten() {
                norm(&mut out, full(part));
            }
        }
        if config.query_key_norm {
            for part in names.query_key_norms.into_iter().flatten() {
                out.push((format!("{}.weight", full(part)), vec![config.head_dim]));
            }
        }
        let qkv: &[usize] = if names.qkv.len() == 1 {
            &[q + 2 * k]
        } else {
            &[q, k, k]
        };
        for (part, &width) in names.qkv.iter().zip(qkv) {
            linear(&mut out, full(part), d, width, config.qkv_bias);
        }
        linear(
            &mut out,
            full(names.attention_output),
            q,
            d,
            config.attention_output_bias,
        );
        for part in names.mlp_input {
            linear(&mut out, full(part), d, f, config.mlp_bias);
        }
        linear(&mut out, full(names.mlp_output), f, d, config.mlp_bias);
    }
    out
}
