//! OPT; the embeddings of its 350m have a width of their own.

use serde_json::{Value, json};

use super::decoder::Shape;
use super::{Family, Fields, Names, names};
use crate::model::ModelError;
use crate::model::config::{Activation, Config, NormKind, NormPlacement};

/// The table of positions has two rows in front of position 0.
const FIRST_POSITION: usize = 2;

pub(super) const NAMES: Names = Names {
    embedding: "model.decoder.embed_tokens",
    positions: Some("model.decoder.embed_positions"),
    projections: Some(["model.decoder.project_in", "model.decoder.project_out"]),
    block: ["model.decoder.layers.", "."],
    attention_norm: "self_attn_layer_norm",
    attention_output: "self_attn.out_proj",
    mlp_norm: "final_layer_norm",
    mlp_input: &["fc1"],
    mlp_output: "fc2",
    final_norm: Some("model.decoder.final_layer_norm"),
    ..names::DECODER
};

/// `OPTConfig`, with its defaults.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    let names = ["hidden_size", "num_hidden_layers", "num_attention_heads"];
    let positions = fields.size_opt("max_position_embeddings")?.unwrap_or(2048);
    let positions = positions.saturating_add(FIRST_POSITION);
    let intermediate_size = fields.size("ffn_dim")?;
    let shape = Shape::even(fields, names, intermediate_size, positions)?;
    let embedding_size = fields.size_opt("word_embed_proj_dim")?;
    fields.only("_remove_final_layer_norm", &json!(false))?;
    fields.only("layer_norm_elementwise_affine", &json!(true))?;
    // The 13b's file has it from where it was trained; transformers reads nothing of it.
    fields.only("output_projection", &json!(true))?;
    let before = fields.flag_or("do_layer_norm_before", true)?;
    let activation = fields.text_or("activation_function", "relu")?;
    let bias = fields.flag_or("enable_bias", true)?;
    Ok(Config {
        embedding_size: embedding_size.unwrap_or(shape.hidden_size),
        learned_positions: Some(FIRST_POSITION),
        norm: NormKind::LayerNorm,
        norm_eps: 1e-5,
        norm_placement: match before {
            true => NormPlacement::Pre,
            false => NormPlacement::Post,
        },
        hidden_act: Activation::from_name("activation_function", activation)?,
        gated_mlp: false,
        qkv_bias: bias,
        attention_output_bias: bias,
        mlp_bias: bias,
        tie_word_embeddings: fields.flag_or("tie_word_embeddings", true)?,
        ..shape.plain(Family::Opt)
    })
}

pub(super) fn write(config: &Config) -> Value {
    json!({
        "model_type": "opt",
        "architectures": ["OPTForCausalLM"],
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "word_embed_proj_dim": config.embedding_size,
        "num_hidden_layers": config.num_hidden_layers(),
        "num_attention_heads": config.num_attention_heads,
        "ffn_dim": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings - FIRST_POSITION,
        "do_layer_norm_before": config.norm_placement == NormPlacement::Pre,
        "activation_function": config.hidden_act.name(),
        "enable_bias": config.qkv_bias,
        "tie_word_embeddings": config.tie_word_embeddings,
    })
}
