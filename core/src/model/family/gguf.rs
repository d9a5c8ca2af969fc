//! What GGUF files call and keep differently: metadata keys, tensor names, the order of Q/K rows.
//!
//! Known for the Llama architecture. [`Metadata`] is all that this room wants to know of the format.

use super::Family;
use super::decoder::Shape;
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

/// Reads the configuration out of a GGUF header.
///
/// `vocab_size` is the number of rows of `token_embd.weight`; the head is `tied` when the file has no
/// `output.weight`.
///
/// # Errors
/// [`ModelError::Family`] for another architecture than `llama`, else the key that is missing or wrong.
pub fn read_config(
    meta: &dyn Metadata,
    vocab_size: usize,
    tied: bool,
) -> Result<Config, ModelError> {
    match meta.get("general.architecture") {
        Some(MetaValue::Text(name)) if name == "llama" => {}
        Some(MetaValue::Text(found)) => {
            return Err(ModelError::Family {
                found,
                known: "llama (as GGUF)".to_owned(),
            });
        }
        _ => return Err(ModelError::missing("general.architecture", "a text")),
    }
    if let Some(MetaValue::Text(kind)) = meta
        .get("llama.rope.scaling.type")
        .filter(|k| *k != MetaValue::Text("none".into()))
    {
        return Err(ModelError::unsupported("llama.rope.scaling.type", kind));
    }
    let hidden_size = size(meta, "llama.embedding_length")?;
    let heads = size(meta, "llama.attention.head_count")?;
    let head_dim = size_or(
        meta,
        "llama.attention.key_length",
        hidden_size.checked_div(heads),
    )?;
    if size_or(meta, "llama.rope.dimension_count", Some(head_dim))? != head_dim {
        return Err(ModelError::unsupported(
            "llama.rope.dimension_count",
            "a part of the head",
        ));
    }
    let shape = Shape {
        vocab_size,
        hidden_size,
        blocks: size(meta, "llama.block_count")?.min(1 << 12),
        heads,
        kv_heads: size_or(meta, "llama.attention.head_count_kv", Some(heads))?,
        head_dim,
        intermediate_size: size(meta, "llama.feed_forward_length")?,
        max_positions: size(meta, "llama.context_length")?,
    };
    let mut config = shape.plain(Family::Llama);
    config.norm_eps = number(meta, "llama.attention.layer_norm_rms_epsilon")
        .ok_or_else(|| ModelError::missing("llama.attention.layer_norm_rms_epsilon", "a number"))?;
    config.tie_word_embeddings = tied;
    let rope = Rope {
        theta: number(meta, "llama.rope.freq_base").unwrap_or(10_000.0),
        dims: head_dim,
        scaling: RopeScaling::Default,
    };
    for layer in &mut config.layers {
        layer.rope = Some(rope);
    }
    config.validated()
}

fn size(meta: &dyn Metadata, key: &str) -> Result<usize, ModelError> {
    size_or(meta, key, None)
}

fn size_or(meta: &dyn Metadata, key: &str, default: Option<usize>) -> Result<usize, ModelError> {
    let found = match meta.get(key) {
        Some(MetaValue::Int(n)) => usize::try_from(n).ok(),
        Some(_) => None,
        None => default,
    };
    found.ok_or_else(|| ModelError::missing(key, "a whole number"))
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
    if hf_name.ends_with("self_attn.q_proj.weight") {
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
