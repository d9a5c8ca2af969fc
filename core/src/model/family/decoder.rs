//! What the descendants of Llama have in common: most of their options.

use serde_json::{Value, json};

use super::{Family, Fields, rope};
use crate::model::ModelError;
use crate::model::config::{Activation, Config, HeadKind, Layer, NormKind, NormPlacement};

/// The sizes of a model.
pub(super) struct Shape {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) blocks: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) intermediate_size: usize,
    pub(super) max_positions: usize,
}

impl Shape {
    /// By Llama's names; `head_dim` is the family's, where a file doesn't say and the quotient of width
    /// and heads isn't meant.
    pub(super) fn read(
        fields: &mut Fields<'_>,
        head_dim: Option<usize>,
    ) -> Result<Self, ModelError> {
        let hidden_size = fields.size("hidden_size")?;
        let heads = fields.size("num_attention_heads")?;
        let quotient = hidden_size.checked_div(heads);
        let head_dim = fields.size_opt("head_dim")?.or(head_dim).or(quotient);
        Ok(Self {
            vocab_size: fields.size("vocab_size")?,
            hidden_size,
            blocks: fields.blocks("num_hidden_layers")?,
            heads,
            kv_heads: fields.size_opt("num_key_value_heads")?.unwrap_or(heads),
            head_dim: head_dim
                .ok_or_else(|| ModelError::invalid("num_attention_heads", "0 heads"))?,
            intermediate_size: fields.size("intermediate_size")?,
            max_positions: fields.size_opt("max_position_embeddings")?.unwrap_or(2048),
        })
    }

    /// Of a model whose heads share no keys and fill the width together; width, blocks and heads have the
    /// family's names.
    pub(super) fn even(
        fields: &mut Fields<'_>,
        [width, blocks, heads]: [&'static str; 3],
        intermediate_size: usize,
        max_positions: usize,
    ) -> Result<Self, ModelError> {
        let (hidden_size, count) = (fields.size(width)?, fields.size(heads)?);
        let quotient = hidden_size.checked_div(count);
        let head_dim = quotient.filter(|quotient| quotient * count == hidden_size);
        let uneven = || ModelError::invalid(heads, format!("{width} is no multiple of it"));
        Ok(Self {
            vocab_size: fields.size("vocab_size")?,
            hidden_size,
            blocks: fields.blocks(blocks)?,
            heads: count,
            kv_heads: count,
            head_dim: head_dim.ok_or_else(uneven)?,
            intermediate_size,
            max_positions,
        })
    }

    /// A plain Llama of these sizes whose places are all alike; a family changes what it has otherwise.
    pub(super) fn plain(self, family: Family) -> Config {
        let layer = Layer {
            window: None,
            rope: None,
        };
        Config {
            family,
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            embedding_size: self.hidden_size,
            layers: vec![layer; self.blocks],
            num_attention_heads: self.heads,
            num_key_value_heads: self.kv_heads,
            head_dim: self.head_dim,
            intermediate_size: self.intermediate_size,
            max_position_embeddings: self.max_positions,
            learned_positions: None,
            embedding_scale: 1.0,
            norm: NormKind::RmsNorm,
            norm_eps: 1e-6,
            norm_placement: NormPlacement::Pre,
            query_key_norm: false,
            query_pre_attn_scalar: self.head_dim,
            scale_attn_by_inverse_layer_idx: false,
            attn_logit_softcapping: None,
            hidden_act: Activation::Silu,
            gated_mlp: true,
            qkv_bias: false,
            attention_output_bias: false,
            mlp_bias: false,
            causal: true,
            head: HeadKind::Linear,
            final_logit_softcapping: None,
            tie_word_embeddings: false,
        }
    }
}

/// A pre-norm decoder with rotary positions.
///
/// Not read here: windows, and biases of the MLP.
pub(super) fn read(
    family: Family,
    fields: &mut Fields<'_>,
    defaults: Defaults,
) -> Result<Config, ModelError> {
    let mut config = Shape::read(fields, defaults.head_dim)?.plain(family);
    rope::read(&mut config, fields, &rope::Defaults::whole(defaults.theta))?;
    read_usual(&mut config, fields, defaults.tied)?;
    Ok(config)
}

/// What a family takes for what its file doesn't say.
pub(super) struct Defaults {
    pub(super) head_dim: Option<usize>,
    pub(super) theta: f64,
    pub(super) tied: bool,
}

impl Defaults {
    pub(super) const LLAMA: Self = Self {
        head_dim: None,
        theta: 10_000.0,
        tied: false,
    };
}

/// `rms_norm_eps`, `hidden_act`, `attention_bias` and `tie_word_embeddings` (whose default is given).
pub(super) fn read_usual(
    config: &mut Config,
    fields: &mut Fields<'_>,
    tied: bool,
) -> Result<(), ModelError> {
    config.norm_eps = fields.number_or("rms_norm_eps", 1e-6)?;
    config.hidden_act = Activation::from_name("hidden_act", fields.text_or("hidden_act", "silu")?)?;
    config.tie_word_embeddings = fields.flag_or("tie_word_embeddings", tied)?;
    let bias = fields.flag_or("attention_bias", false)?;
    (config.qkv_bias, config.attention_output_bias) = (bias, bias);
    Ok(())
}

/// Gives the blocks that `layer_types` names, or else `otherwise`, the window `sliding_window`, which is
/// `absent` where the file doesn't say.
pub(super) fn read_windows(
    config: &mut Config,
    fields: &mut Fields<'_>,
    absent: Option<usize>,
    otherwise: impl Fn(usize) -> bool,
) -> Result<(), ModelError> {
    let window = fields.size_or_null("sliding_window", absent)?;
    let count = config.layers.len();
    let slides: Vec<bool> = match fields.get("layer_types") {
        None => (0..count).map(otherwise).collect(),
        Some(types) => {
            let kind = |value: &Value| match value.as_str() {
                Some("full_attention") => Ok(false),
                Some("sliding_attention") if window.is_some() => Ok(true),
                Some("sliding_attention") => {
                    let reason = "`layer_types` has windows, so it must say how wide they are";
                    Err(ModelError::invalid("sliding_window", reason))
                }
                _ => Err(ModelError::unsupported("layer_types", value)),
            };
            let types = types.as_array().filter(|types| types.len() == count);
            let types =
                types.ok_or_else(|| ModelError::missing("layer_types", "a text for each block"))?;
            types.iter().map(kind).collect::<Result<_, _>>()?
        }
    };
    for (layer, slides) in config.layers.iter_mut().zip(slides) {
        layer.window = window.filter(|_| slides);
    }
    Ok(())
}

/// What most families call alike.
pub(super) fn write_usual(config: &Config, model_type: &str, architecture: &str) -> Value {
    json!({
        "model_type": model_type,
        "architectures": [architecture],
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers(),
        "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "hidden_act": config.hidden_act.name(),
        "tie_word_embeddings": config.tie_word_embeddings,
    })
}

/// What [`read`] understands, for a family's own entries to be put over it.
pub(super) fn write(config: &Config, model_type: &str, architecture: &str) -> Value {
    let mut json = write_usual(config, model_type, architecture);
    json["num_key_value_heads"] = json!(config.num_key_value_heads);
    json["head_dim"] = json!(config.head_dim);
    json["rms_norm_eps"] = json!(config.norm_eps);
    json["attention_bias"] = json!(config.qkv_bias);
    rope::write(config, "rope_theta", &mut json);
    json
}

/// [`read_windows`] where `use_sliding_window` says so; else what stands there is not used. `layer_types`
/// that has windows all the same is refused: transformers' masks would go by it, or fail.
pub(super) fn read_windows_if_used(
    config: &mut Config,
    fields: &mut Fields<'_>,
    absent: Option<usize>,
    otherwise: impl Fn(usize) -> bool,
) -> Result<(), ModelError> {
    if fields.flag_or("use_sliding_window", false)? {
        return read_windows(config, fields, absent, otherwise);
    }
    fields.get("sliding_window");
    let Some(types) = fields.get("layer_types") else {
        return Ok(());
    };
    let full = |kind: &Value| kind.as_str() == Some("full_attention");
    match types.as_array().is_some_and(|types| types.iter().all(full)) {
        true => Ok(()),
        false => {
            let reason = "has windows, but `use_sliding_window` is not true: say which is meant";
            Err(ModelError::invalid("layer_types", reason))
        }
    }
}

/// What [`read_windows_if_used`] understands.
pub(super) fn write_windows_if_used(config: &Config, json: &mut Value) {
    write_windows(config, json);
    json["use_sliding_window"] = json!(!json["sliding_window"].is_null());
}

/// `sliding_window` and `layer_types`.
pub(super) fn write_windows(config: &Config, json: &mut Value) {
    let kind = |layer: &Layer| match layer.window {
        Some(_) => "sliding_attention",
        None => "full_attention",
    };
    json["layer_types"] = config.layers.iter().map(kind).collect();
    json["sliding_window"] = json!(config.layers.iter().find_map(|layer| layer.window));
}
