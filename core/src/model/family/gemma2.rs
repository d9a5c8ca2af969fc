//! Gemma 2: scaled embeddings, norms before and after, soft caps, a window in every other block.

use serde_json::{Value, json};

use super::decoder::{self, Defaults};
use super::{Family, Fields, Names, names};
use crate::model::ModelError;
use crate::model::config::{Activation, Config, NormKind, NormPlacement};

pub(super) const NAMES: Names = Names {
    mlp_norm: "pre_feedforward_layernorm",
    branch_norms: Some(["post_attention_layernorm", "post_feedforward_layernorm"]),
    ..names::DECODER
};

/// `Gemma2Config`, with its defaults.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    let mut config = decoder::read(Family::Gemma2, fields, DEFAULTS)?;
    read_gemma(&mut config, fields, CAPS)?;
    decoder::read_windows(&mut config, fields, WINDOW, |block| block.is_multiple_of(2))?;
    // Google's files say it twice.
    let window = fields.size_or_null("sliding_window", WINDOW)?;
    fields.only("sliding_window_size", &json!(window))?;
    Ok(config)
}

/// The window of a Gemma whose file doesn't say.
pub(super) const WINDOW: Option<usize> = Some(4096);
/// And its soft caps of scores and logits.
pub(super) const CAPS: [Option<f64>; 2] = [Some(50.0), Some(30.0)];
/// And its activation.
pub(super) const ACTIVATION: &str = "gelu_pytorch_tanh";

pub(super) const DEFAULTS: Defaults = Defaults {
    head_dim: Some(256),
    theta: 10_000.0,
    tied: true,
};

/// What makes a Gemma of a plain Llama, whatever its file says.
pub(super) fn make(config: &mut Config) {
    config.norm = NormKind::OffsetRmsNorm;
    config.norm_placement = NormPlacement::Both;
    config.embedding_scale = (config.hidden_size as f64).sqrt();
}

/// What Gemma 2 and 3 have in common; the soft caps of scores and logits are given.
pub(super) fn read_gemma(
    config: &mut Config,
    fields: &mut Fields<'_>,
    [scores, logits]: [Option<f64>; 2],
) -> Result<(), ModelError> {
    make(config);
    // `hidden_act` is what older files have beside the field that counts.
    let name = fields.text_or("hidden_activation", ACTIVATION)?;
    config.hidden_act = Activation::from_name("hidden_activation", name)?;
    config.query_pre_attn_scalar = fields.size_opt("query_pre_attn_scalar")?.unwrap_or(256);
    config.attn_logit_softcapping = fields.number_or_null("attn_logit_softcapping", scores)?;
    config.final_logit_softcapping = fields.number_or_null("final_logit_softcapping", logits)?;
    fields.only("use_bidirectional_attention", &json!(false))
}

pub(super) fn write(config: &Config) -> Value {
    write_gemma(config, "gemma2", "Gemma2ForCausalLM")
}

pub(super) fn write_gemma(config: &Config, model_type: &str, architecture: &str) -> Value {
    let mut json = decoder::write(config, model_type, architecture);
    decoder::write_windows(config, &mut json);
    json["hidden_activation"] = json!(config.hidden_act.name());
    json["query_pre_attn_scalar"] = json!(config.query_pre_attn_scalar);
    json["attn_logit_softcapping"] = json!(config.attn_logit_softcapping);
    json["final_logit_softcapping"] = json!(config.final_logit_softcapping);
    json
}
