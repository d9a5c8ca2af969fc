//! GPT-2, small to XL.

use serde_json::{Value, json};

use super::{Family, Fields, Layout, Names};
use crate::model::ModelError;
use crate::model::config::{Activation, Config, HeadKind, NormKind, NormPlacement, Position};

pub(super) const NAMES: Names = Names {
    base: "transformer.",
    embedding: "transformer.wte",
    positions: Some("transformer.wpe"),
    token_types: None,
    embedding_norm: None,
    block: ["transformer.h.", "."],
    attention_norm: "ln_1",
    qkv: &["attn.c_attn"],
    attention_output: "attn.c_proj",
    mlp_norm: "ln_2",
    mlp_input: &["mlp.c_fc"],
    mlp_output: "mlp.c_proj",
    final_norm: Some("transformer.ln_f"),
    head: "lm_head",
    masked_lm: None,
    layout: Layout::InOut,
};

/// `GPT2Config`, with its defaults.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    let hidden_size = fields.size("n_embd")?;
    let heads = fields.size("n_head")?;
    let head_dim = hidden_size
        .checked_div(heads)
        .filter(|width| width * heads == hidden_size);
    let max_positions = fields.size("n_positions")?;
    fields.only("n_ctx", &json!(max_positions))?;
    fields.only("scale_attn_weights", &json!(true))?;
    fields.only("scale_attn_by_inverse_layer_idx", &json!(false))?;
    let activation = fields.text_or("activation_function", "gelu_new")?;
    Ok(Config {
        family: Family::Gpt2,
        vocab_size: fields.size("vocab_size")?,
        hidden_size,
        num_hidden_layers: fields.size("n_layer")?,
        num_attention_heads: heads,
        num_key_value_heads: heads,
        head_dim: head_dim
            .ok_or_else(|| ModelError::invalid("n_head", "n_embd is no multiple of it"))?,
        intermediate_size: fields
            .size_opt("n_inner")?
            .unwrap_or(hidden_size.saturating_mul(4)),
        max_position_embeddings: max_positions,
        norm: NormKind::LayerNorm,
        norm_eps: fields.number_or("layer_norm_epsilon", 1e-5)?,
        norm_placement: NormPlacement::Pre,
        position: Position::Learned { offset: 0 },
        hidden_act: Activation::from_name("activation_function", activation)?,
        gated_mlp: false,
        qkv_bias: true,
        attention_output_bias: true,
        mlp_bias: true,
        causal: true,
        head: HeadKind::Linear,
        tie_word_embeddings: fields.flag_or("tie_word_embeddings", true)?,
    })
}

pub(super) fn write(config: &Config) -> Value {
    json!({
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": config.vocab_size,
        "n_embd": config.hidden_size,
        "n_layer": config.num_hidden_layers,
        "n_head": config.num_attention_heads,
        "n_inner": config.intermediate_size,
        "n_positions": config.max_position_embeddings,
        "layer_norm_epsilon": config.norm_eps,
        "activation_function": config.hidden_act.name(),
        "tie_word_embeddings": config.tie_word_embeddings,
    })
}
