//! What GGUF files call and keep differently: metadata keys, tensor names, the order of Q/K rows.
//!
//! Known for Llama's architecture and Qwen's. [`Metadata`] is all that this room wants to know of the format.

use super::Family;
use super::decoder::Shape;
use super::fields::few_blocks;
use crate::model::ModelError;
use crate::model::config::Config;
use crate::model::rotary::{Rope, RopeScaling};

/// A metadata value; arrays are none of the model's business.
#[derive(Clone, Debug, PartialEq)]
pub enum MetaValue {
    /// Any integer type.
    Int(i64),
    /// Any floating-point type.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(String),
}

/// Key → value, as a GGUF header has them.
pub trait Metadata {
    /// The value of a key, if there is one and it is a single value.
    fn get(&self, key: &str) -> Option<MetaValue>;
}

/// An architecture that is read, by its name in the file.
struct Architecture {
    name: &'static str,
    family: Family,
    /// Whether llama.cpp has permuted the rows of queries and keys.
    permuted: bool,
}

const ARCHITECTURES: [Architecture; 3] = [
    Architecture {
        name: "llama",
        family: Family::Llama,
        permuted: true,
    },
    Architecture {
        name: "qwen2",
        family: Family::Qwen2,
        permuted: false,
    },
    Architecture {
        name: "qwen3",
        family: Family::Qwen3,
        permuted: false,
    },
];

/// Reads the configuration out of a GGUF header.
///
/// `vocab_size` is the number of rows of `token_embd.weight`; the head is `tied` when the file has no
/// `output.weight`; `factors` are those of `rope_freqs.weight`, if it is there.
///
/// # Errors
/// [`ModelError::Family`] for an architecture that isn't read, else the key that is missing or wrong.
pub fn read_config(
    meta: &dyn Metadata,
    vocab_size: usize,
    tied: bool,
    factors: Option<&[f32]>,
) -> Result<Config, ModelError> {
    let name = match meta.get("general.architecture") {
        Some(MetaValue::Text(name)) => name,
        _ => return Err(ModelError::missing("general.architecture", "a text")),
    };
    let found = ARCHITECTURES.iter().find(|found| found.name == name);
    let architecture = found.ok_or_else(|| ModelError::Family {
        found: name,
        known: format!("{} (as GGUF)", ARCHITECTURES.map(|one| one.name).join(", ")),
    })?;
    let keys = Keys {
        meta,
        architecture: architecture.name,
    };
    let mut config = keys.shape(vocab_size)?.plain(architecture.family);
    let epsilon = keys.number("attention.layer_norm_rms_epsilon");
    config.norm_eps = epsilon.ok_or_else(|| keys.missing("attention.layer_norm_rms_epsilon"))?;
    config.tie_word_embeddings = tied;
    config.qkv_bias = architecture.family == Family::Qwen2;
    config.query_key_norm = architecture.family == Family::Qwen3;
    let rope = keys.rope(config.head_dim, factors)?;
    for layer in &mut config.layers {
        layer.rope = Some(rope);
    }
    config.validated()
}

/// The keys of one architecture.
struct Keys<'a> {
    meta: &'a dyn Metadata,
    architecture: &'static str,
}

impl Keys<'_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    fn missing(&self, key: &str) -> ModelError {
        ModelError::missing(&self.key(key), "a number")
    }

    fn size(&self, key: &str, default: Option<usize>) -> Result<usize, ModelError> {
        let found = match self.meta.get(&self.key(key)) {
            Some(MetaValue::Int(n)) => usize::try_from(n).ok(),
            Some(_) => None,
            None => default,
        };
        found.ok_or_else(|| ModelError::missing(&self.key(key), "a whole number"))
    }

    fn number(&self, key: &str) -> Option<f64> {
        number(self.meta, &self.key(key))
    }

    fn shape(&self, vocab_size: usize) -> Result<Shape, ModelError> {
        let hidden_size = self.size("embedding_length", None)?;
        let heads = self.size("attention.head_count", None)?;
        let quotient = hidden_size.checked_div(heads);
        let blocks = few_blocks(&self.key("block_count"), self.size("block_count", None)?)?;
        Ok(Shape {
            vocab_size,
            hidden_size,
            blocks,
            heads,
            kv_heads: self.size("attention.head_count_kv", Some(heads))?,
            head_dim: self.size("attention.key_length", quotient)?,
            intermediate_size: self.size("feed_forward_length", None)?,
            max_positions: self.size("context_length", None)?,
        })
    }

    fn rope(&self, head_dim: usize, factors: Option<&[f32]>) -> Result<Rope, ModelError> {
        let kind = self.meta.get(&self.key("rope.scaling.type"));
        if let Some(MetaValue::Text(kind)) = kind.filter(|k| *k != MetaValue::Text("none".into())) {
            return Err(ModelError::unsupported(
                &self.key("rope.scaling.type"),
                kind,
            ));
        }
        if self.size("rope.dimension_count", Some(head_dim))? != head_dim {
            let key = self.key("rope.dimension_count");
            return Err(ModelError::unsupported(&key, "a part of the head"));
        }
        let rope = Rope {
            theta: self.number("rope.freq_base").unwrap_or(10_000.0),
            dims: head_dim,
            scaling: RopeScaling::Default,
        };
        factors.map_or(Ok(rope), |factors| like_llama3(rope, factors))
    }
}

/// The file has what each frequency is divided by, not the parameters that this follows from. Llama 3.1
/// and its successors differ in the largest divisor alone; any others are refused.
fn like_llama3(rope: Rope, factors: &[f32]) -> Result<Rope, ModelError> {
    let largest = factors.iter().copied().fold(0.0, f32::max);
    let stretched = Rope {
        scaling: RopeScaling::Llama3 {
            factor: f64::from(largest),
            low: 1.0,
            high: 4.0,
            original: 8192,
        },
        ..rope
    };
    let (plain, slower) = (rope.frequencies(), stretched.frequencies());
    let divisors = plain
        .iter()
        .zip(&slower)
        .map(|(plain, slower)| plain / slower);
    let close = |(found, divisor): (&f32, f32)| (found - divisor).abs() <= 1e-3 * divisor;
    if factors.len() != plain.len() || !factors.iter().zip(divisors).all(close) {
        return Err(ModelError::unsupported(
            "rope_freqs.weight",
            "not Llama 3's",
        ));
    }
    Ok(stretched)
}

/// GGUF stores these as f32: the shortest decimal that reads back as the same f32 is what was meant
/// (1e-5, not 9.999999747e-6), and what `config.json` says.
fn number(meta: &dyn Metadata, key: &str) -> Option<f64> {
    match meta.get(key)? {
        MetaValue::Float(x) => (x as f32).to_string().parse().ok(),
        MetaValue::Int(n) => Some(n as f64),
        _ => None,
    }
}

/// Parts of a block: Hugging Face's name, GGUF's name.
const BLOCK: &[(&str, &str)] = &[
    ("input_layernorm.weight", "attn_norm.weight"),
    ("self_attn.q_proj.weight", "attn_q.weight"),
    ("self_attn.k_proj.weight", "attn_k.weight"),
    ("self_attn.v_proj.weight", "attn_v.weight"),
    ("self_attn.q_proj.bias", "attn_q.bias"),
    ("self_attn.k_proj.bias", "attn_k.bias"),
    ("self_attn.v_proj.bias", "attn_v.bias"),
    ("self_attn.q_norm.weight", "attn_q_norm.weight"),
    ("self_attn.k_norm.weight", "attn_k_norm.weight"),
    ("self_attn.o_proj.weight", "attn_output.weight"),
    ("post_attention_layernorm.weight", "ffn_norm.weight"),
    ("mlp.gate_proj.weight", "ffn_gate.weight"),
    ("mlp.up_proj.weight", "ffn_up.weight"),
    ("mlp.down_proj.weight", "ffn_down.weight"),
];

/// Tensors outside the blocks: Hugging Face's name, GGUF's name.
const OUTSIDE: &[(&str, &str)] = &[
    ("model.embed_tokens.weight", "token_embd.weight"),
    ("model.norm.weight", "output_norm.weight"),
    ("lm_head.weight", "output.weight"),
];

/// Hugging Face's name of a GGUF tensor; `None` for what the model doesn't use.
#[must_use]
pub fn hf_name(gguf: &str) -> Option<String> {
    let Some((layer, part)) = gguf
        .strip_prefix("blk.")
        .and_then(|rest| rest.split_once('.'))
    else {
        return OUTSIDE
            .iter()
            .find(|(_, name)| *name == gguf)
            .map(|(hf, _)| (*hf).to_owned());
    };
    let layer: usize = layer.parse().ok()?;
    BLOCK
        .iter()
        .find(|(_, name)| *name == part)
        .map(|(hf, _)| format!("model.layers.{layer}.{hf}"))
}

/// How many heads the rows of a tensor are split into, if llama.cpp has permuted them
/// (queries and keys), by Hugging Face's name.
#[must_use]
pub fn permuted_heads(config: &Config, hf_name: &str) -> Option<usize> {
    let permuted = |one: &Architecture| one.permuted && one.family == config.family;
    if !ARCHITECTURES.iter().any(permuted) {
        None
    } else if hf_name.ends_with("self_attn.q_proj.weight") {
        Some(config.num_attention_heads)
    } else if hf_name.ends_with("self_attn.k_proj.weight") {
        Some(config.num_key_value_heads)
    } else {
        None
    }
}

/// Undoes llama.cpp's permutation of Q/K rows, `[heads·c, columns]` in and out.
///
/// llama.cpp rotates neighbours (2j, 2j+1), Hugging Face rotates halves (j, j + c/2): row `2j + half`
/// of a head goes back to `half·c/2 + j`. Data that doesn't divide into heads is returned as it is.
#[must_use]
pub fn unpermute<T: Copy>(data: Vec<T>, heads: usize, columns: usize) -> Vec<T> {
    let per_head = data.len().checked_div(heads).unwrap_or(0);
    let width = per_head.checked_div(columns).unwrap_or(0);
    if !width.is_multiple_of(2) || heads * width * columns != data.len() {
        return data;
    }
    let mut out = Vec::with_capacity(data.len());
    for head in data.chunks_exact(per_head) {
        for row in 0..width {
            let (half, j) = (row / (width / 2), row % (width / 2));
            let from = (2 * j + half) * columns;
            out.extend_from_slice(&head[from..from + columns]);
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What `convert_hf_to_gguf.py` does: `reshape(h, 2, c/2, cols).swapaxes(1, 2)`.
    fn permute(data: &[u32], heads: usize, columns: usize) -> Vec<u32> {
        let width = data.len() / heads / columns;
        let mut out = vec![0; data.len()];
        for head in 0..heads {
            for half in 0..2 {
                for j in 0..width / 2 {
                    let from = (head * width + half * width / 2 + j) * columns;
                    let to = (head * width + 2 * j + half) * columns;
                    out[to..to + columns].copy_from_slice(&data[from..from + columns]);
                }
            }
        }
        out
    }

    #[test]
    fn unpermute_undoes_the_conversion() {
        let rows: Vec<u32> = (0..3 * 8 * 5).collect();
        let stored = permute(&rows, 3, 5);
        assert_ne!(stored, rows);
        assert_eq!(unpermute(stored, 3, 5), rows);
    }

    /// The divisors by llama.cpp's formula (`convert_hf_to_gguf.py`), for Llama 3.2.
    #[test]
    fn llama_3_is_known_by_what_its_frequencies_are_divided_by() {
        let rope = Rope {
            theta: 500_000.0,
            dims: 64,
            scaling: RopeScaling::Default,
        };
        let divisor = |i: usize| {
            let frequency = 500_000_f64.powf(-(2.0 * i as f64) / 64.0);
            let wavelength = std::f64::consts::TAU / frequency;
            if wavelength < 8192.0 / 4.0 {
                1.0
            } else if wavelength > 8192.0 {
                32.0
            } else {
                let smooth = (8192.0 / wavelength - 1.0) / (4.0 - 1.0);
                (1.0 / ((1.0 - smooth) / 32.0 + smooth)) as f32
            }
        };
        let mut factors: Vec<f32> = (0..32).map(divisor).collect();
        let scaling = like_llama3(rope, &factors).unwrap().scaling;
        assert!(matches!(scaling, RopeScaling::Llama3 { factor: 32.0, .. }));
        assert!(like_llama3(rope, &factors[1..]).is_err());
        factors[17] *= 1.01;
        assert!(like_llama3(rope, &factors).is_err());
    }

    #[test]
    fn names_lead_to_hugging_face() {
        assert_eq!(
            hf_name("blk.12.attn_k.weight").unwrap(),
            "model.layers.12.self_attn.k_proj.weight"
        );
        assert_eq!(
            hf_name("token_embd.weight").unwrap(),
            "model.embed_tokens.weight"
        );
        assert_eq!(hf_name("rope_freqs.weight"), None);
        assert_eq!(hf_name("blk.x.attn_k.weight"), None);
    }
}
