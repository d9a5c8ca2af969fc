//! Llama 2 and 3, SmolLM, SmolLM2.

use serde_json::{Value, json};

use super::{Family, Fields, Layout, Names};
use crate::model::ModelError;
use crate::model::config::{Activation, Config, HeadKind, NormKind, NormPlacement, Position};

pub(super) const NAMES: Names = Names {
    base: "model.",
    embedding: "model.embed_tokens",
    positions: None,
    token_types: None,
    embedding_norm: None,
    block: ["model.layers.", "."],
    attention_norm: "input_layernorm",
    qkv: &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    attention_output: "self_attn.o_proj",
    mlp_norm: "post_attention_layernorm",
    mlp_input: &["mlp.gate_proj", "mlp.up_proj"],
    mlp_output: "mlp.down_proj",
    final_norm: Some("model.norm"),
    head: "lm_head",
    masked_lm: None,
    layout: Layout::OutIn,
};

/// `LlamaConfig`, with its defaults.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    let hidden_size = fields.size("hidden_size")?;
    let heads = fields.size("num_attention_heads")?;
    let head_dim = fields
        .size_opt("head_dim")?
        .or_else(|| hidden_size.checked_div(heads));
    let attention_bias = fields.flag_or("attention_bias", false)?;
    Ok(Config {
        family: Family::Llama,
        vocab_size: fields.size("vocab_size")?,
        hidden_size,
        num_hidden_layers: fields.size("num_hidden_layers")?,
        num_attention_heads: heads,
        num_key_value_heads: fields.size_opt("num_key_value_heads")?.unwrap_or(heads),
        head_dim: head_dim.ok_or_else(|| ModelError::invalid("num_attention_heads", "0 heads"))?,
        intermediate_size: fields.size("intermediate_size")?,
        max_position_embeddings: fields.size_opt("max_position_embeddings")?.unwrap_or(2048),
        norm: NormKind::RmsNorm,
        norm_eps: fields.number_or("rms_norm_eps", 1e-6)?,
        norm_placement: NormPlacement::Pre,
        position: Position::Rotary {
            theta: rope_theta(fields)?,
        },
        hidden_act: Activation::from_name("hidden_act", fields.text_or("hidden_act", "silu")?)?,
        gated_mlp: true,
        qkv_bias: attention_bias,
        attention_output_bias: attention_bias,
        mlp_bias: fields.flag_or("mlp_bias", false)?,
        causal: true,
        head: HeadKind::Linear,
        tie_word_embeddings: fields.flag_or("tie_word_embeddings", false)?,
    })
}

/// The base of the rotary angles: a field of its own up to transformers 4, inside
/// `rope_parameters` since 5. Scaled kinds change the angles and are refused.
fn rope_theta(fields: &mut Fields<'_>) -> Result<f64, ModelError> {
    let theta = fields.number_or("rope_theta", 10_000.0)?;
    let nested = [
        ("rope_scaling", fields.get("rope_scaling")),
        ("rope_parameters", fields.get("rope_parameters")),
    ];
    let mut found = theta;
    for (field, value) in nested {
        let Some(value) = value else { continue };
        let kind = value.get("rope_type").or_else(|| value.get("type"));
        if kind.is_some_and(|kind| kind != "default") {
            return Err(ModelError::unsupported(field, value));
        }
        if let Some(partial) = value
            .get("partial_rotary_factor")
            .filter(|factor| factor.as_f64() != Some(1.0))
        {
            return Err(ModelError::unsupported("partial_rotary_factor", partial));
        }
        found = value
            .get("rope_theta")
            .and_then(Value::as_f64)
            .unwrap_or(found);
    }
    Ok(found)
}

pub(super) fn write(config: &Config) -> Value {
    let Position::Rotary { theta } = config.position else {
        unreachable!("Llama's positions are rotary")
    };
    json!({
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": theta,
        "hidden_act": config.hidden_act.name(),
        "attention_bias": config.qkv_bias,
        "mlp_bias": config.mlp_bias,
        "tie_word_embeddings": config.tie_word_embeddings,
    })
}
