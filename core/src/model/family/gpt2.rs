//! GPT-2, small to XL.

use serde_json::{Value, json};

use super::decoder::Shape;
use super::{Family, Fields, Layout, Names};
use crate::model::ModelError;
use crate::model::config::{Activation, Config, NormKind};

pub(super) const NAMES: Names = Names {
    base: "transformer.",
    other_bases: &[],
    embedding: "transformer.wte",
    positions: Some("transformer.wpe"),
    token_types: None,
    embedding_norm: None,
    projections: None,
    block: ["transformer.h.", "."],
    attention_norm: "ln_1",
    qkv: &["attn.c_attn"],
    qkv_by_head: false,
    query_key_norms: None,
    attention_output: "attn.c_proj",
    mlp_norm: "ln_2",
    mlp_input: &["mlp.c_fc"],
    mlp_output: "mlp.c_proj",
    branch_norms: None,
    final_norm: Some("transformer.ln_f"),
    head: "lm_head",
    masked_lm: None,
    layout: Layout::InOut,
};

/// `GPT2Config`, with its defaults.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    let width = fields.size("n_embd")?;
    let inner = fields
        .size_opt("n_inner")?
        .unwrap_or(width.saturating_mul(4));
    let positions = fields.size("n_positions")?;
    let shape = Shape::even(fields, ["n_embd", "n_layer", "n_head"], inner, positions)?;
    fields.only("n_ctx", &json!(positions))?;
    // Rows of GPT's table behind the vocabulary.
    fields.only("n_special", &json!(0))?;
    let activation = fields.text_or("activation_function", "gelu_new")?;
    Ok(Config {
        learned_positions: Some(0),
        norm: NormKind::LayerNorm,
        norm_eps: fields.number_or("layer_norm_epsilon", 1e-5)?,
        query_pre_attn_scalar: match fields.flag_or("scale_attn_weights", true)? {
            true => shape.head_dim,
            false => 1,
        },
        scale_attn_by_inverse_layer_idx: fields
            .flag_or("scale_attn_by_inverse_layer_idx", false)?,
        hidden_act: Activation::from_name("activation_function", activation)?,
        gated_mlp: false,
        qkv_bias: true,
        attention_output_bias: true,
        mlp_bias: true,
        tie_word_embeddings: fields.flag_or("tie_word_embeddings", true)?,
        ..shape.plain(Family::Gpt2)
    })
}

pub(super) fn write(config: &Config) -> Value {
    json!({
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": config.vocab_size,
        "n_embd": config.hidden_size,
        "n_layer": config.num_hidden_layers(),
        "n_head": config.num_attention_heads,
        "n_inner": config.intermediate_size,
        "n_positions": config.max_position_embeddings,
        "layer_norm_epsilon": config.norm_eps,
        "activation_function": config.hidden_act.name(),
        "scale_attn_weights": config.query_pre_attn_scalar == config.head_dim,
        "scale_attn_by_inverse_layer_idx": config.scale_attn_by_inverse_layer_idx,
        "tie_word_embeddings": config.tie_word_embeddings,
    })
}
