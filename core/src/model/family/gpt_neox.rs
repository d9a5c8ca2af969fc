//! GPT-NeoX and Pythia: attention and MLP side by side, a part of each head turned.

use serde_json::{Value, json};

use super::decoder::Shape;
use super::{Family, Fields, Layout, Names, rope};
use crate::model::ModelError;
use crate::model::config::{Activation, Config, NormKind, NormPlacement};

pub(super) const NAMES: Names = Names {
    base: "gpt_neox.",
    embedding: "gpt_neox.embed_in",
    positions: None,
    token_types: None,
    embedding_norm: None,
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
    let mut json = json!({
        "model_type": "gpt_neox",
        "architectures": ["GPTNeoXForCausalLM"],
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers(),
        "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "layer_norm_eps": config.norm_eps,
        "hidden_act": config.hidden_act.name(),
        "use_parallel_residual": config.norm_placement == NormPlacement::Parallel,
        "attention_bias": config.qkv_bias,
        "tie_word_embeddings": config.tie_word_embeddings,
    });
    rope::write(config, "rotary_emb_base", &mut json);
    let turned = config.layers.iter().find_map(|layer| layer.rope);
    let turned = turned.map(|rope| rope.dims as f64 / config.head_dim as f64);
    json["rotary_pct"] = json!(turned);
    json
}
