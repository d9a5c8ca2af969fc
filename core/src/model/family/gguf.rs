//! What GGUF files call and keep differently: metadata keys, tensor names, the order of Q/K rows, Gemma's norms.
//!
//! Known for the architectures of Llama, SmolLM3, Qwen and Gemma. [`Metadata`] is all that this room wants to know of the format.

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod by_hand;
mod gemma;
mod keys;

use std::fmt;

use super::{Family, smollm3};
use crate::model::ModelError;
use crate::model::config::{Config, NormKind};
use keys::{EPSILON, Keys};

/// A metadata value.
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
    /// A list, or an integer beyond the others: there, and nothing that a model is read from.
    Other,
}

impl MetaValue {
    fn is(&self, number: f64) -> bool {
        match self {
            Self::Int(n) => *n as f64 == number,
            Self::Float(x) => *x == number,
            _ => false,
        }
    }

    /// Equal but for how f32 rounds it.
    fn near(&self, number: f64) -> bool {
        matches!(self, Self::Float(x) if (x - number).abs() <= 1e-6 * number)
    }

    fn size(&self) -> Option<usize> {
        match self {
            Self::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        }
    }

    /// As llama.cpp has it: what isn't in a file counts as 0, false and empty.
    fn is_off(&self) -> bool {
        match self {
            Self::Bool(on) => !on,
            Self::Text(text) => text.is_empty(),
            number => number.is(0.0),
        }
    }
}

impl fmt::Display for MetaValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(n) => write!(f, "{n}"),
            Self::Float(x) => write!(f, "{}", shortest(*x)),
            Self::Bool(on) => write!(f, "{on}"),
            Self::Text(text) => write!(f, "`{}`", text.escape_debug()),
            Self::Other => f.write_str("a list or too large a number"),
        }
    }
}

/// Key → value, as a GGUF header has them.
pub trait Metadata {
    /// The value of a key, if there is one.
    fn get(&self, key: &str) -> Option<MetaValue>;

    /// All keys.
    fn keys(&self) -> Vec<&str>;
}

/// The architectures that are read, by their names in the file.
const ARCHITECTURES: [(&str, Family); 6] = [
    ("llama", Family::Llama),
    ("smollm3", Family::SmolLm3),
    ("qwen2", Family::Qwen2),
    ("qwen3", Family::Qwen3),
    ("gemma2", Family::Gemma2),
    ("gemma3", Family::Gemma3),
];

/// Whether llama.cpp has permuted the rows of queries and keys.
fn permuted(family: Family) -> bool {
    matches!(family, Family::Llama | Family::SmolLm3)
}

/// Reads the configuration out of a GGUF header.
///
/// `vocab_size` is the number of rows of `token_embd.weight`; the head is `tied` when the file has no
/// `output.weight`; `factors` are those of `rope_freqs.weight`, if it is there.
///
/// # Errors
/// [`ModelError::Family`] for an architecture that isn't read, [`ModelError::Metadata`] for a key that would
/// change a number and isn't computed, else the key that is missing or wrong.
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
    let found = ARCHITECTURES.into_iter().find(|(known, _)| *known == name);
    let (architecture, family) = found.ok_or_else(|| ModelError::Family {
        found: name,
        known: format!(
            "{} (as GGUF)",
            ARCHITECTURES.map(|(name, _)| name).join(", ")
        ),
    })?;
    let mut keys = Keys::new(meta, architecture, family);
    let mut config = keys.shape(vocab_size)?.plain(family);
    let epsilon = keys.number(EPSILON)?;
    config.norm_eps = epsilon.ok_or_else(|| keys.missing(EPSILON))?;
    config.tie_word_embeddings = tied;
    config.qkv_bias = family == Family::Qwen2;
    config.query_key_norm = family == Family::Qwen3;
    let rope = keys.rope(&config, factors)?;
    for (block, layer) in config.layers.iter_mut().enumerate() {
        let turns = family != Family::SmolLm3 || smollm3::turns(block, smollm3::EVERY);
        layer.rope = Some(rope).filter(|_| turns);
    }
    match family {
        Family::Gemma2 => gemma::read_gemma2(&mut config, &mut keys)?,
        Family::Gemma3 => gemma::read_gemma3(&mut config, &mut keys)?,
        _ => {}
    }
    keys.check(&config)?;
    keys.finish()?;
    config.validated()
}

/// GGUF stores these as f32: the shortest decimal that reads back as the same f32 is what was meant
/// (1e-5, not 9.999999747e-6), and what `config.json` says.
fn shortest(x: f64) -> f64 {
    (x as f32).to_string().parse().unwrap_or(x)
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
    ("self_attn.o_proj.weight", "attn_output.weight"),
    ("mlp.gate_proj.weight", "ffn_gate.weight"),
    ("mlp.up_proj.weight", "ffn_up.weight"),
    ("mlp.down_proj.weight", "ffn_down.weight"),
];

/// Norms of queries and keys, head by head.
const HEAD_NORMS: &[(&str, &str)] = &[
    ("self_attn.q_norm.weight", "attn_q_norm.weight"),
    ("self_attn.k_norm.weight", "attn_k_norm.weight"),
];

/// The norm before the MLP.
const NORMS: &[(&str, &str)] = &[("post_attention_layernorm.weight", "ffn_norm.weight")];

/// Gemma's, which has norms behind both parts of a block, too.
const GEMMA_NORMS: &[(&str, &str)] = &[
    (
        "post_attention_layernorm.weight",
        "post_attention_norm.weight",
    ),
    ("pre_feedforward_layernorm.weight", "ffn_norm.weight"),
    ("post_feedforward_layernorm.weight", "post_ffw_norm.weight"),
];

/// Tensors outside the blocks: Hugging Face's name, GGUF's name.
const OUTSIDE: &[(&str, &str)] = &[
    ("model.embed_tokens.weight", "token_embd.weight"),
    ("model.norm.weight", "output_norm.weight"),
    ("lm_head.weight", "output.weight"),
];

/// Hugging Face's name of a GGUF tensor; `None` for what the model doesn't use.
#[must_use]
pub fn hf_name(config: &Config, gguf: &str) -> Option<String> {
    let hf = |names: &[(&'static str, &str)], name: &str| {
        let found = names.iter().find(|(_, gguf)| *gguf == name);
        found.map(|(hf, _)| *hf)
    };
    let Some(block) = gguf.strip_prefix("blk.") else {
        return hf(OUTSIDE, gguf).map(str::to_owned);
    };
    let (layer, part) = block.split_once('.')?;
    let layer: usize = layer.parse().ok()?;
    if layer >= config.layers.len() {
        return None;
    }
    let norms = match config.family {
        Family::Gemma2 | Family::Gemma3 => GEMMA_NORMS,
        _ => NORMS,
    };
    let of_heads = if config.query_key_norm {
        HEAD_NORMS
    } else {
        &[]
    };
    let mut names = [BLOCK, norms, of_heads].into_iter();
    let name = names.find_map(|names| hf(names, part))?;
    Some(format!("model.layers.{layer}.{name}"))
}

/// Whether a tensor is of the vision tower that some write into the file of a Gemma 3, whose text alone is read.
#[must_use]
pub fn is_of_images(config: &Config, gguf: &str) -> bool {
    config.family == Family::Gemma3 && (gguf.starts_with("v.") || gguf.starts_with("mm."))
}

/// Whether llama.cpp has added 1 to a tensor, by Hugging Face's name: to the weights of norms that add it themselves.
#[must_use]
pub fn raised(config: &Config, hf_name: &str) -> bool {
    config.norm == NormKind::OffsetRmsNorm && hf_name.ends_with("norm.weight")
}

/// How many heads the rows of a tensor are split into, if llama.cpp has permuted them
/// (queries and keys), by Hugging Face's name.
#[must_use]
pub fn permuted_heads(config: &Config, hf_name: &str) -> Option<usize> {
    if !permuted(config.family) {
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

    #[test]
    fn names_lead_to_hugging_face() {
        let llama = by_hand::read("llama", &[]).unwrap();
        let llama = |name| hf_name(&llama, name);
        let third = by_hand::read("gemma3", &[]).unwrap();
        let gemma = |name| hf_name(&third, name);
        for (found, expected) in [
            (
                llama("blk.1.attn_k.weight"),
                "model.layers.1.self_attn.k_proj.weight",
            ),
            (llama("token_embd.weight"), "model.embed_tokens.weight"),
            (
                llama("blk.0.ffn_norm.weight"),
                "model.layers.0.post_attention_layernorm.weight",
            ),
            (
                gemma("blk.0.ffn_norm.weight"),
                "model.layers.0.pre_feedforward_layernorm.weight",
            ),
        ] {
            assert_eq!(found.as_deref(), Some(expected));
        }
        assert_eq!(llama("rope_freqs.weight"), None);
        assert_eq!(llama("blk.x.attn_k.weight"), None);
        assert_eq!(llama("blk.0.post_ffw_norm.weight"), None);
        // What would be left out silently: norms that a Llama hasn't, blocks beyond its last.
        assert_eq!(llama("blk.0.attn_q_norm.weight"), None);
        assert!(gemma("blk.0.attn_q_norm.weight").is_some());
        assert_eq!(llama("blk.2.attn_k.weight"), None);
        assert!(is_of_images(&third, "v.blk.0.attn_k.weight"));
        assert!(!is_of_images(&third, "blk.0.attn_k.weight"));
    }
}
