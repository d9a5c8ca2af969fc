//! Tiny random models for tests.

use std::collections::BTreeMap;

use burn::tensor::Device;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::config::{Activation, HeadKind, NormKind, NormPlacement, Position};
use super::family::Family;
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
    Config {
        family: Family::Llama,
        vocab_size: 23,
        hidden_size: 20,
        num_hidden_layers: 3,
        num_attention_heads: 6,
        num_key_value_heads: 3,
        head_dim: 10,
        intermediate_size: 28,
        max_position_embeddings: 64,
        norm: NormKind::RmsNorm,
        norm_eps: 1e-5,
        norm_placement: NormPlacement::Pre,
        position: Position::Rotary { theta: 500.0 },
        hidden_act: Activation::Silu,
        gated_mlp: true,
        qkv_bias: false,
        attention_output_bias: false,
        mlp_bias: false,
        causal: true,
        head: HeadKind::Linear,
        tie_word_embeddings: false,
    }
}

/// A small GPT-2.
pub(crate) fn gpt2() -> Config {
    Config {
        family: Family::Gpt2,
        num_key_value_heads: 4,
        num_attention_heads: 4,
        head_dim: 5,
        norm: NormKind::LayerNorm,
        position: Position::Learned { offset: 0 },
        hidden_act: Activation::GeluNew,
        gated_mlp: false,
        qkv_bias: true,
        attention_output_bias: true,
        mlp_bias: true,
        tie_word_embeddings: true,
        ..llama()
    }
}

/// A small RoBERTa.
pub(crate) fn roberta() -> Config {
    Config {
        family: Family::Roberta,
        norm_placement: NormPlacement::Post,
        position: Position::Learned { offset: 2 },
        hidden_act: Activation::Gelu,
        causal: false,
        head: HeadKind::MaskedLm,
        ..gpt2()
    }
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
    for name in names.embedding_norm.iter().chain(&names.final_norm) {
        norm(&mut out, (*name).to_owned());
    }
    if let Some([dense, layer_norm, bias]) = names.masked_lm {
        linear(&mut out, dense.to_owned(), d, d, true);
        norm(&mut out, layer_norm.to_owned());
        out.push((bias.to_owned(), vec![v]));
    }
    for layer in 0..config.num_hidden_layers {
        let full = |part: &str| names.in_block(layer, part);
        norm(&mut out, full(names.attention_norm));
        norm(&mut out, full(names.mlp_norm));
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
