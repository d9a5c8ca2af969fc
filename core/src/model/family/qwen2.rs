//! Qwen2 and 2.5: biases on queries, keys and values, windows from some block on.

use serde_json::{Value, json};

use super::decoder::{self, Defaults};
use super::{Family, Fields, Names, names};
use crate::model::ModelError;
use crate::model::config::Config;

pub(super) const NAMES: Names = names::DECODER;

/// `Qwen2Config`, with its defaults.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    fields.only("attention_bias", &json!(false))?;
    let mut config = decoder::read(Family::Qwen2, fields, Defaults::LLAMA)?;
    config.qkv_bias = true;
    read_windows(&mut config, fields)?;
    Ok(config)
}

/// Those that Qwen 2 and 3 have.
pub(super) fn read_windows(config: &mut Config, fields: &mut Fields<'_>) -> Result<(), ModelError> {
    let first = fields.size_opt("max_window_layers")?.unwrap_or(28);
    decoder::read_windows_if_used(config, fields, Some(4096), |block| block >= first)
}

pub(super) fn write(config: &Config) -> Value {
    let mut json = decoder::write(config, "qwen2", "Qwen2ForCausalLM");
    decoder::write_windows_if_used(config, &mut json);
    // The biases of this family are always there, and only on queries, keys and values.
    json["attention_bias"] = Value::Null;
    json
}
