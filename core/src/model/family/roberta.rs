//! RoBERTa with its masked-LM head.

use serde_json::{Value, json};

use super::{Family, Fields, Layout, Names};
use crate::model::ModelError;
use crate::model::config::{Activation, Config, HeadKind, NormKind, NormPlacement, Position};

pub(super) const NAMES: Names = Names {
    base: "roberta.",
    embedding: "roberta.embeddings.word_embeddings",
    positions: Some("roberta.embeddings.position_embeddings"),
    token_types: Some("roberta.embeddings.token_type_embeddings"),
    embedding_norm: Some("roberta.embeddings.LayerNorm"),
    block: ["roberta.encoder.layer.", "."],
    attention_norm: "attention.output.LayerNorm",
    qkv: &[
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
    ],
    attention_output: "attention.output.dense",
    mlp_norm: "output.LayerNorm",
    mlp_input: &["intermediate.dense"],
    mlp_output: "output.dense",
    final_norm: None,
    head: "lm_head.decoder",
    masked_lm: Some(["lm_head.dense", "lm_head.layer_norm", "lm_head.bias"]),
    layout: Layout::OutIn,
};

/// `RobertaConfig`, with its defaults. Positions begin one after the padding token's id.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    let hidden_size = fields.size("hidden_size")?;
    let heads = fields.size("num_attention_heads")?;
    let head_dim = hidden_size
        .checked_div(heads)
        .filter(|width| width * heads == hidden_size);
    fields.only("position_embedding_type", &json!("absolute"))?;
    fields.only("is_decoder", &json!(false))?;
    // All tokens are of type 0, whatever the number of types.
    fields.size_opt("type_vocab_size")?;
    let padding = fields.size_opt("pad_token_id")?.unwrap_or(1);
    Ok(Config {
        family: Family::Roberta,
        vocab_size: fields.size("vocab_size")?,
        hidden_size,
        num_hidden_layers: fields.size("num_hidden_layers")?,
        num_attention_heads: heads,
        num_key_value_heads: heads,
        head_dim: head_dim.ok_or_else(|| {
            ModelError::invalid("num_attention_heads", "hidden_size is no multiple of it")
        })?,
        intermediate_size: fields.size("intermediate_size")?,
        max_position_embeddings: fields.size("max_position_embeddings")?,
        norm: NormKind::LayerNorm,
        norm_eps: fields.number_or("layer_norm_eps", 1e-12)?,
        norm_placement: NormPlacement::Post,
        position: Position::Learned {
            offset: padding + 1,
        },
        hidden_act: Activation::from_name("hidden_act", fields.text_or("hidden_act", "gelu")?)?,
        gated_mlp: false,
        qkv_bias: true,
        attention_output_bias: true,
        mlp_bias: true,
        causal: false,
        head: HeadKind::MaskedLm,
        tie_word_embeddings: fields.flag_or("tie_word_embeddings", true)?,
    })
}

pub(super) fn write(config: &Config) -> Value {
    let Position::Learned { offset } = config.position else {
        unreachable!("RoBERTa's positions are learned")
    };
    json!({
        "model_type": "roberta",
        "architectures": ["RobertaForMaskedLM"],
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "type_vocab_size": 1,
        "pad_token_id": offset.saturating_sub(1),
        "layer_norm_eps": config.norm_eps,
        "hidden_act": config.hidden_act.name(),
        "tie_word_embeddings": config.tie_word_embeddings,
    })
}
