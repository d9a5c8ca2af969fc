//! Llama 2 and 3, SmolLM, SmolLM2.

use serde_json::{Value, json};

use super::decoder::{self, Defaults};
use super::{Family, Fields, Names, names};
use crate::model::ModelError;
use crate::model::config::Config;

pub(super) const NAMES: Names = names::DECODER;

/// `LlamaConfig`, with its defaults.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    let mut config = decoder::read(Family::Llama, fields, Defaults::LLAMA)?;
    config.mlp_bias = fields.flag_or("mlp_bias", false)?;
    Ok(config)
}

pub(super) fn write(config: &Config) -> Value {
    let mut json = decoder::write(config, "llama", "LlamaForCausalLM");
    json["mlp_bias"] = json!(config.mlp_bias);
    json
}
