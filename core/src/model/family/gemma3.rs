//! Gemma 3, text only: as Gemma 2, with normalised queries and keys, and angles of their own for the
//! blocks that look through a window.

use serde_json::{Map, Value};

use super::decoder::{self, Shape};
use super::{Family, Fields, Names, gemma2, rope};
use crate::model::ModelError;
use crate::model::config::{Config, Layer};
use crate::model::rotary::RopeScaling;

pub(super) const NAMES: Names = Names {
    query_key_norms: Some(["self_attn.q_norm", "self_attn.k_norm"]),
    // In files that have a vision tower as well, as they are published and as transformers has them in memory.
    other_bases: &["language_model.model.", "model.language_model."],
    ..gemma2::NAMES
};

/// `Gemma3TextConfig`, with its defaults.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    let shape = Shape::read(fields, gemma2::DEFAULTS.head_dim)?;
    let mut config = shape.plain(Family::Gemma3);
    decoder::read_usual(&mut config, fields, gemma2::DEFAULTS.tied)?;
    gemma2::read_gemma(&mut config, fields, [None, None])?;
    config.query_key_norm = true;
    let every = fields.size_opt("sliding_window_pattern")?.unwrap_or(6);
    decoder::read_windows(&mut config, fields, gemma2::WINDOW, |block| {
        !(block + 1).is_multiple_of(every)
    })?;
    read_ropes(&mut config, fields)?;
    Ok(config)
}

const KINDS: [&str; 2] = ["full_attention", "sliding_attention"];

/// One entry for each kind of block since transformers 5, fields of their own before.
fn read_ropes(config: &mut Config, fields: &mut Fields<'_>) -> Result<(), ModelError> {
    let parameters = by_kind(fields)?;
    let scaling = fields.get("rope_scaling");
    if let (Some(_), Some(scaling)) = (parameters, scaling) {
        let field = "rope_scaling (beside rope_parameters)";
        return Err(ModelError::unsupported(field, scaling));
    }
    let scaling = scaling.map(|value| ("rope_scaling", value));
    let of = |kind: &str| {
        let found = parameters?.get(kind).filter(|value| !value.is_null());
        found.map(|value| ("rope_parameters", value))
    };
    let [full, sliding] = KINDS.map(of);
    let mut read = |found, theta_field, theta| {
        let defaults = rope::Defaults {
            theta_field,
            ..rope::Defaults::whole(theta)
        };
        rope::read_from(found, config, fields, &defaults)
    };
    let global = read(full.or(scaling), "rope_theta", 1e6)?;
    let local = read(sliding, "rope_local_base_freq", 10_000.0)?;
    if local.scaling != RopeScaling::Default {
        let field = "rope_parameters.sliding_attention.rope_type";
        return Err(ModelError::unsupported(field, "stretched"));
    }
    for layer in &mut config.layers {
        layer.rope = Some(if layer.window.is_some() {
            local
        } else {
            global
        });
    }
    Ok(())
}

/// `rope_parameters`, which has an entry for each kind of block and nothing else: what stands beside them
/// would turn no block.
fn by_kind<'a>(fields: &mut Fields<'a>) -> Result<Option<&'a Map<String, Value>>, ModelError> {
    let Some(value) = fields.get("rope_parameters") else {
        return Ok(None);
    };
    let kinds = value.as_object().ok_or_else(|| {
        ModelError::missing(
            "rope_parameters",
            "an object with full_attention and sliding_attention",
        )
    })?;
    match kinds
        .iter()
        .find(|(kind, _)| !KINDS.contains(&kind.as_str()))
    {
        Some((kind, value)) => {
            let field = format!("rope_parameters.{kind}");
            Err(ModelError::unsupported(&field, value))
        }
        None => Ok(Some(kinds)),
    }
}

pub(super) fn write(config: &Config) -> Value {
    let mut json = gemma2::write_gemma(config, "gemma3_text", "Gemma3ForCausalLM");
    for (windowed, field) in [(false, "rope_theta"), (true, "rope_local_base_freq")] {
        let kind = |layer: &&Layer| layer.window.is_some() == windowed;
        let layers: Vec<Layer> = config.layers.iter().filter(kind).copied().collect();
        rope::write(&config.with_layers(layers), field, &mut json);
    }
    json
}
