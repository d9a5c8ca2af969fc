//! SmolLM3: a Llama that turns nothing in every fourth block.

use serde_json::{Value, json};

use super::decoder::{self, Defaults};
use super::{Family, Fields, Names, names};
use crate::model::ModelError;
use crate::model::config::Config;

pub(super) const NAMES: Names = names::DECODER;

/// `SmolLM3Config`, with its defaults.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    let defaults = Defaults {
        theta: 2e6,
        tied: true,
        ..Defaults::LLAMA
    };
    let mut config = decoder::read(Family::SmolLm3, fields, defaults)?;
    config.mlp_bias = fields.flag_or("mlp_bias", false)?;
    let turns = read_turns(config.num_hidden_layers(), fields)?;
    decoder::read_windows_if_used(&mut config, fields, None, |block| !turns[block])?;
    for (layer, turns) in config.layers.iter_mut().zip(turns) {
        layer.rope = layer.rope.filter(|_| turns);
    }
    Ok(config)
}

/// Which block turns nothing, where a file doesn't say.
pub(super) const EVERY: usize = 4;

/// Whether a block turns queries and keys, when each `every`th doesn't.
pub(super) fn turns(block: usize, every: usize) -> bool {
    !(block + 1).is_multiple_of(every)
}

/// Which blocks turn queries and keys: those that have a 1 in `no_rope_layers`, its name
/// notwithstanding.
fn read_turns(blocks: usize, fields: &mut Fields<'_>) -> Result<Vec<bool>, ModelError> {
    let every = fields.size_opt("no_rope_layer_interval")?.unwrap_or(EVERY);
    let Some(list) = fields.get("no_rope_layers") else {
        return Ok((0..blocks).map(|block| turns(block, every)).collect());
    };
    let flags = list.as_array().filter(|flags| flags.len() >= blocks);
    let flags =
        flags.ok_or_else(|| ModelError::missing("no_rope_layers", "0 or 1 for each block"))?;
    Ok(flags.iter().map(|flag| flag.as_u64() != Some(0)).collect())
}

pub(super) fn write(config: &Config) -> Value {
    let mut json = decoder::write(config, "smollm3", "SmolLM3ForCausalLM");
    decoder::write_windows_if_used(config, &mut json);
    json["mlp_bias"] = json!(config.mlp_bias);
    // The default lies outside a small vocabulary.
    json["pad_token_id"] = Value::Null;
    let turns = config
        .layers
        .iter()
        .map(|layer| u8::from(layer.rope.is_some()));
    json["no_rope_layers"] = turns.collect();
    json
}
