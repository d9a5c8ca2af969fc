//! Mistral: a Llama whose blocks all look through one window.

use serde_json::{Value, json};

use super::decoder::{self, Defaults};
use super::{Family, Fields, Names, names};
use crate::model::ModelError;
use crate::model::config::Config;

pub(super) const NAMES: Names = names::DECODER;

/// `MistralConfig`, with its defaults.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    fields.only("attention_bias", &json!(false))?;
    let mut config = decoder::read(Family::Mistral, fields, Defaults::LLAMA)?;
    // An absent window is 4096, `null` is none.
    let window = fields.size_or_null("sliding_window", Some(4096))?;
    for layer in &mut config.layers {
        layer.window = window;
    }
    Ok(config)
}

pub(super) fn write(config: &Config) -> Value {
    let mut json = decoder::write(config, "mistral", "MistralForCausalLM");
    json["sliding_window"] = json!(config.layers.first().and_then(|layer| layer.window));
    json
}
