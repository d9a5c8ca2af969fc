//! Qwen3: queries and keys are normalised head by head.

use serde_json::Value;

use super::decoder::{self, Defaults};
use super::{Family, Fields, Names, names, qwen2};
use crate::model::ModelError;
use crate::model::config::Config;

pub(super) const NAMES: Names = Names {
    query_key_norms: Some(["self_attn.q_norm", "self_attn.k_norm"]),
    ..names::DECODER
};

/// `Qwen3Config`, with its defaults.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    let defaults = Defaults {
        head_dim: Some(128),
        ..Defaults::LLAMA
    };
    let mut config = decoder::read(Family::Qwen3, fields, defaults)?;
    config.query_key_norm = true;
    qwen2::read_windows(&mut config, fields)?;
    Ok(config)
}

pub(super) fn write(config: &Config) -> Value {
    let mut json = decoder::write(config, "qwen3", "Qwen3ForCausalLM");
    decoder::write_windows_if_used(config, &mut json);
    json
}
