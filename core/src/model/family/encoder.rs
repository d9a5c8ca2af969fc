//! What BERT and RoBERTa have in common.

use serde_json::{Value, json};

use super::decoder::{self, Shape};
use super::{Family, Fields};
use crate::model::ModelError;
use crate::model::config::{Activation, Config, HeadKind, NormKind, NormPlacement};

/// A post-norm encoder with learned positions and a masked-LM head.
///
/// All tokens are of type 0, whatever the number of types.
pub(super) fn read(family: Family, fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    let names = ["hidden_size", "num_hidden_layers", "num_attention_heads"];
    let intermediate_size = fields.size("intermediate_size")?;
    let max_positions = fields.size("max_position_embeddings")?;
    let shape = Shape::even(fields, names, intermediate_size, max_positions)?;
    fields.only("position_embedding_type", &json!("absolute"))?;
    fields.only("is_decoder", &json!(false))?;
    fields.only("directionality", &json!("bidi"))?;
    fields.size_opt("type_vocab_size")?;
    let activation = Activation::from_name("hidden_act", fields.text_or("hidden_act", "gelu")?)?;
    Ok(Config {
        learned_positions: Some(0),
        norm: NormKind::LayerNorm,
        norm_eps: fields.number_or("layer_norm_eps", 1e-12)?,
        norm_placement: NormPlacement::Post,
        hidden_act: activation,
        gated_mlp: false,
        qkv_bias: true,
        attention_output_bias: true,
        mlp_bias: true,
        causal: false,
        head: HeadKind::MaskedLm(activation),
        tie_word_embeddings: fields.flag_or("tie_word_embeddings", true)?,
        ..shape.plain(family)
    })
}

/// What [`read`] understands.
pub(super) fn write(config: &Config, model_type: &str, architecture: &str) -> Value {
    let mut json = decoder::write_usual(config, model_type, architecture);
    json["type_vocab_size"] = json!(1);
    json["layer_norm_eps"] = json!(config.norm_eps);
    json
}
