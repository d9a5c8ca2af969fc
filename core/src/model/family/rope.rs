//! Rotary positions as `config.json` has them: fields of their own up to transformers 4, inside
//! `rope_parameters` since 5.

use serde_json::{Map, Value, json};

use super::Fields;
use crate::model::ModelError;
use crate::model::config::Config;
use crate::model::rotary::{Rope, RopeScaling};

/// What a family takes for what its file doesn't say, and how it calls that.
pub(super) struct Defaults {
    pub(super) theta_field: &'static str,
    pub(super) theta: f64,
    /// The field of the part of a head that is turned, and that part; `None` where all of it is.
    pub(super) part: Option<(&'static str, f64)>,
}

impl Defaults {
    /// The whole head is turned, by the base `rope_theta`.
    pub(super) fn whole(theta: f64) -> Self {
        Self {
            theta_field: "rope_theta",
            theta,
            part: None,
        }
    }
}

/// Reads the rotary positions of all blocks.
pub(super) fn read(
    config: &mut Config,
    fields: &mut Fields<'_>,
    defaults: &Defaults,
) -> Result<(), ModelError> {
    // An empty object is as good as none, as for transformers.
    let said = |value: &&Value| value.as_object().is_none_or(|map| !map.is_empty());
    let [scaling, parameters] = ["rope_scaling", "rope_parameters"]
        .map(|field| fields.get(field).filter(said).map(|value| (field, value)));
    let rope = read_from(scaling.or(parameters), config, fields, defaults)?;
    config
        .layers
        .iter_mut()
        .for_each(|layer| layer.rope = Some(rope));
    Ok(())
}

/// The rotary positions that a field's value describes; what it doesn't say is the family's.
pub(super) fn read_from(
    found: Option<(&'static str, &Value)>,
    config: &Config,
    fields: &mut Fields<'_>,
    defaults: &Defaults,
) -> Result<Rope, ModelError> {
    let theta = fields.number_or(defaults.theta_field, defaults.theta)?;
    let empty = Map::new();
    let options = match found {
        None => Options {
            field: "rope_parameters",
            map: &empty,
        },
        Some((field, value)) => Options {
            field,
            map: value
                .as_object()
                .ok_or_else(|| ModelError::missing(field, "an object"))?,
        },
    };
    let given = options.number("partial_rotary_factor")?;
    let part = match (defaults.part, given) {
        (Some((field, part)), given) => given.unwrap_or(fields.number_or(field, part)?),
        (None, None | Some(1.0)) => 1.0,
        (None, Some(part)) => {
            let field = format!("{}.partial_rotary_factor", options.field);
            return Err(ModelError::unsupported(&field, part));
        }
    };
    Ok(Rope {
        theta: options.number("rope_theta")?.unwrap_or(theta),
        dims: (config.head_dim as f64 * part) as usize,
        scaling: options.scaling(config.max_position_embeddings)?,
    })
}

/// The entries of `rope_parameters` or `rope_scaling`.
struct Options<'a> {
    field: &'static str,
    map: &'a Map<String, Value>,
}

impl Options<'_> {
    fn number(&self, name: &str) -> Result<Option<f64>, ModelError> {
        let value = self.map.get(name).filter(|value| !value.is_null());
        let read = |value: &Value| {
            value
                .as_f64()
                .ok_or_else(|| ModelError::missing(&format!("{}.{name}", self.field), "a number"))
        };
        value.map(read).transpose()
    }

    fn needed(&self, name: &str) -> Result<f64, ModelError> {
        let missing = || ModelError::missing(&format!("{}.{name}", self.field), "a number");
        self.number(name)?.ok_or_else(missing)
    }

    fn original(&self, max_positions: usize) -> Result<usize, ModelError> {
        let found = self.number("original_max_position_embeddings")?;
        Ok(found.map_or(max_positions, |number| number as usize))
    }

    fn scaling(&self, max_positions: usize) -> Result<RopeScaling, ModelError> {
        let kind = self.map.get("rope_type").or_else(|| self.map.get("type"));
        let kind = kind.map_or(Some("default"), Value::as_str);
        let (scaling, known): (_, &[&str]) = match kind {
            Some("default") => (RopeScaling::Default, &[]),
            Some("linear") => (
                RopeScaling::Linear {
                    factor: self.needed("factor")?,
                },
                &["factor"],
            ),
            Some("dynamic") => (
                RopeScaling::Dynamic {
                    factor: self.needed("factor")?,
                },
                &["factor"],
            ),
            Some("llama3") => {
                let scaling = RopeScaling::Llama3 {
                    factor: self.needed("factor")?,
                    low: self.needed("low_freq_factor")?,
                    high: self.needed("high_freq_factor")?,
                    original: self.original(max_positions)?,
                };
                (
                    scaling,
                    &[
                        "factor",
                        "low_freq_factor",
                        "high_freq_factor",
                        "original_max_position_embeddings",
                    ],
                )
            }
            Some("yarn") => (self.yarn(max_positions)?, YARN),
            _ => {
                return Err(ModelError::unsupported(
                    self.field,
                    Value::from(self.map.clone()),
                ));
            }
        };
        let always = [
            "rope_type",
            "type",
            "rope_theta",
            "partial_rotary_factor",
            "finetuned",
        ];
        let unknown =
            |name: &&String| !always.contains(&name.as_str()) && !known.contains(&name.as_str());
        match self.map.keys().find(unknown) {
            Some(name) => Err(ModelError::unsupported(
                &format!("{}.{name}", self.field),
                &self.map[name],
            )),
            None => Ok(scaling),
        }
    }

    fn yarn(&self, max_positions: usize) -> Result<RopeScaling, ModelError> {
        let original = self.original(max_positions)?;
        let factor = match self.number("factor")? {
            Some(factor) => factor,
            // How much longer texts may be than they were.
            None if self.map.contains_key("original_max_position_embeddings") => {
                max_positions as f64 / original as f64
            }
            None => self.needed("factor")?,
        };
        // How much longer texts blur attention, and what makes up for it.
        let sharpen = |weight: f64| {
            if factor <= 1.0 {
                1.0
            } else {
                0.1 * weight * factor.ln() + 1.0
            }
        };
        let scales = ["mscale", "mscale_all_dim"].map(|name| self.number(name));
        let attention = match (self.number("attention_factor")?, scales) {
            (Some(given), _) => given,
            (None, [Ok(Some(one)), Ok(Some(all))]) if one != 0.0 && all != 0.0 => {
                sharpen(one) / sharpen(all)
            }
            (None, [Err(error), _] | [_, Err(error)]) => return Err(error),
            (None, _) => sharpen(1.0),
        };
        let truncate = self
            .map
            .get("truncate")
            .is_none_or(|value| value != &json!(false));
        Ok(RopeScaling::Yarn {
            factor,
            fast: self.number("beta_fast")?.unwrap_or(32.0),
            slow: self.number("beta_slow")?.unwrap_or(1.0),
            attention,
            original,
            truncate,
        })
    }
}

const YARN: &[&str] = &[
    "factor",
    "original_max_position_embeddings",
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
    "truncate",
];

/// Puts the base under its name and, where the angles are stretched, `rope_scaling`: what both
/// transformers 4 and 5 read. Of blocks that differ, the first that turns anything is taken.
pub(super) fn write(config: &Config, theta_field: &str, json: &mut Value) {
    let Some(rope) = config.layers.iter().find_map(|layer| layer.rope) else {
        return;
    };
    json[theta_field] = json!(rope.theta);
    if let Some(scaling) = write_scaling(&rope.scaling) {
        json["rope_scaling"] = scaling;
    }
}

/// The part of a head that is turned, such that whoever cuts off behind the point gets all of it back.
pub(super) fn part(rope: &Rope, head_dim: usize) -> f64 {
    let (turned, all) = (rope.dims as f64, head_dim as f64);
    let part = turned / all;
    match part * all < turned {
        true => part.next_up(),
        false => part,
    }
}

fn write_scaling(scaling: &RopeScaling) -> Option<Value> {
    Some(match *scaling {
        RopeScaling::Default => return None,
        RopeScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
        RopeScaling::Dynamic { factor } => json!({"rope_type": "dynamic", "factor": factor}),
        RopeScaling::Llama3 {
            factor,
            low,
            high,
            original,
        } => json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": low,
            "high_freq_factor": high,
            "original_max_position_embeddings": original,
        }),
        RopeScaling::Yarn {
            factor,
            fast,
            slow,
            attention,
            original,
            truncate,
        } => json!({
            "rope_type": "yarn",
            "factor": factor,
            "beta_fast": fast,
            "beta_slow": slow,
            "attention_factor": attention,
            "original_max_position_embeddings": original,
            "truncate": truncate,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_head_survive_being_cut_off() {
        for head_dim in 1..=512 {
            for dims in (2..=head_dim).step_by(2) {
                let rope = Rope {
                    theta: 10_000.0,
                    dims,
                    scaling: RopeScaling::Default,
                };
                let part = part(&rope, head_dim);
                assert_eq!((part * head_dim as f64) as usize, dims, "of {head_dim}");
            }
        }
    }
}
