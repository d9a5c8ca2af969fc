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

/// Embeddings narrower than the blocks.
pub(crate) fn opt() -> Config {
    read(json!({
        "model_type": "opt", "vocab_size": 23, "hidden_size": 20, "word_embed_proj_dim": 12,
        "num_hidden_layers": 3, "num_attention_heads": 4, "ffn_dim": 26, "max_position_embeddings": 40,
    }))
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

/// How far numbers are from those in the same places, at most.
pub(crate) fn furthest(found: &[f32], expected: &[f32]) -> f32 {
    let gaps = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    gaps.fold(0.0, f32::max)
}

/// Values between −0.5 and 0.5.
pub(crate) fn uniform(rng: &mut ChaCha20Rng, length: usize) -> Vec<f32> {
    (0..length)
        .map(|_| rng.next_u32() as f32 / u32::MAX as f32 - 0.5)
        .collect()
}

fn shapes(config: &Config) -> Vec<(String, Vec<usize>)> {
    let names = config.family.names();
    let (d, v, e) = (config.hidden_size, config.vocab_size, config.embedding_size);
    let mut list = Listing {
        config,
        tensors: Vec::new(),
    };
    list.put(names.embedding, "weight", &[v, e]);
    if !config.tie_word_embeddings {
        list.linear(names.head, [e, v], false);
    }
    if let Some([there, back]) = names.projections.filter(|_| config.has_projections()) {
        list.linear(there, [e, d], false);
        list.linear(back, [d, e], false);
    }
    if let Some(name) = names.positions {
        list.put(name, "weight", &[config.max_position_embeddings, d]);
    }
    if let Some(name) = names.token_types {
        list.put(name, "weight", &[2, d]);
    }
    let final_norm = names.final_norm.filter(|_| config.has_final_norm());
    for name in names.embedding_norm.iter().chain(&final_norm) {
        list.norm(name);
    }
    if let Some([dense, layer_norm, bias]) = names.masked_lm {
        list.linear(dense, [d, d], true);
        list.norm(layer_norm);
        list.tensors.push((bias.to_owned(), vec![v]));
    }
    for layer in 0..config.num_hidden_layers() {
        list.block(layer);
    }
    list.tensors
}

struct Listing<'a> {
    config: &'a Config,
    tensors: Vec<(String, Vec<usize>)>,
}

impl Listing<'_> {
    fn put(&mut self, name: &str, part: &str, shape: &[usize]) {
        self.tensors
            .push((format!("{name}.{part}"), shape.to_vec()));
    }

    fn norm(&mut self, name: &str) {
        let d = self.config.hidden_size;
        self.put(name, "weight", &[d]);
        if self.config.norm == NormKind::LayerNorm {
            self.put(name, "bias", &[d]);
        }
    }

    fn linear(&mut self, name: &str, [input, output]: [usize; 2], bias: bool) {
        let layout = self.config.family.names().layout;
        self.put(name, "weight", &layout.shape(input, output));
        if bias {
            self.put(name, "bias", &[output]);
        }
    }

    fn block(&mut self, layer: usize) {
        let (config, names) = (self.config, self.config.family.names());
        let (d, f) = (config.hidden_size, config.intermediate_size);
        let (q, k) = (config.query_width(), config.key_width());
        let full = |part: &str| names.in_block(layer, part);
        self.norm(&full(names.attention_norm));
        self.norm(&full(names.mlp_norm));
        if config.norm_placement == NormPlacement::Both {
            for part in names.branch_norms.into_iter().flatten() {
                self.norm(&full(part));
            }
        }
        if config.query_key_norm {
            for part in names.query_key_norms.into_iter().flatten() {
                self.put(&full(part), "weight", &[config.head_dim]);
            }
        }
        let qkv: &[usize] = match names.qkv.len() {
            1 => &[q + 2 * k],
            _ => &[q, k, k],
        };
        for (part, &width) in names.qkv.iter().zip(qkv) {
            self.linear(&full(part), [d, width], config.qkv_bias);
        }
        let output = full(names.attention_output);
        self.linear(&output, [q, d], config.attention_output_bias);
        for part in names.mlp_input {
            self.linear(&full(part), [d, f], config.mlp_bias);
        }
        self.linear(&full(names.mlp_output), [f, d], config.mlp_bias);
    }
}
