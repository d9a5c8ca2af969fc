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
    let hidden_size = fields.size("hidden_size")?;
    let heads = fields.size("num_attention_heads")?;
    let shape = Shape {
        vocab_size: fields.size("vocab_size")?,
        hidden_size,
        blocks: fields.blocks("num_hidden_layers")?,
        heads,
        kv_heads: heads,
        head_dim: decoder::head_dim("num_attention_heads", hidden_size, heads)?,
        intermediate_size: fields.size("intermediate_size")?,
        max_positions: fields.size("max_position_embeddings")?,
    };
    fields.only("position_embedding_type", &json!("absolute"))?;
    fields.only("is_decoder", &json!(false))?;
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
    json!({
        "model_type": model_type,
        "architectures": [architecture],
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers(),
        "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "type_vocab_size": 1,
        "layer_norm_eps": config.norm_eps,
        "hidden_act": config.hidden_act.name(),
        "tie_word_embeddings": config.tie_word_embeddings,
    })
}
