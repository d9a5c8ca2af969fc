//! GPT-NeoX and Pythia: attention and MLP side by side, a part of each head turned.

use serde_json::{Value, json};

use super::decoder::{self, Shape};
use super::{Family, Fields, Layout, Names, rope};
use crate::model::ModelError;
use crate::model::config::{Activation, Config, NormKind, NormPlacement};

pub(super) const NAMES: Names = Names {
    base: "gpt_neox.",
    other_bases: &[],
    embedding: "gpt_neox.embed_in",
    positions: None,
    token_types: None,
    embedding_norm: None,
    projections: None,
    block: ["gpt_neox.layers.", "."],
    attention_norm: "input_layernorm",
    qkv: &["attention.query_key_value"],
    qkv_by_head: true,
    query_key_norms: None,
    attention_output: "attention.dense",
    mlp_norm: "post_attention_layernorm",
    mlp_input: &["mlp.dense_h_to_4h"],
    mlp_output: "mlp.dense_4h_to_h",
    branch_norms: None,
    final_norm: Some("gpt_neox.final_layer_norm"),
    head: "embed_out",
    masked_lm: None,
    layout: Layout::OutIn,
};

/// `GPTNeoXConfig`, with its defaults.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    let mut config = Shape::read(fields, None)?.plain(Family::GptNeoX);
    let defaults = rope::Defaults {
        theta_field: "rotary_emb_base",
        theta: 10_000.0,
        part: Some(("rotary_pct", 0.25)),
    };
    rope::read(&mut config, fields, &defaults)?;
    let parallel = fields.flag_or("use_parallel_residual", true)?;
    let bias = fields.flag_or("attention_bias", true)?;
    Ok(Config {
        norm: NormKind::LayerNorm,
        norm_eps: fields.number_or("layer_norm_eps", 1e-5)?,
        norm_placement: match parallel {
            true => NormPlacement::Parallel,
            false => NormPlacement::Pre,
        },
        hidden_act: Activation::from_name("hidden_act", fields.text_or("hidden_act", "gelu")?)?,
        gated_mlp: false,
        qkv_bias: bias,
        attention_output_bias: bias,
        mlp_bias: true,
        tie_word_embeddings: fields.flag_or("tie_word_embeddings", false)?,
        ..config
    })
}

pub(super) fn write(config: &Config) -> Value {
    let mut json = decoder::write_usual(config, "gpt_neox", "GPTNeoXForCausalLM");
    json["layer_norm_eps"] = json!(config.norm_eps);
    json["use_parallel_residual"] = json!(config.norm_placement == NormPlacement::Parallel);
    json["attention_bias"] = json!(config.qkv_bias);
    rope::write(config, "rotary_emb_base", &mut json);
    let turned = config.layers.iter().find_map(|layer| layer.rope);
    json["rotary_pct"] = json!(turned.map(|rope| rope::part(&rope, config.head_dim)));
    json
}
