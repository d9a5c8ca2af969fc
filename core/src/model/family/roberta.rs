//! RoBERTa with its masked-LM head.

use serde_json::{Value, json};

use super::{Family, Fields, Layout, Names, encoder};
use crate::model::ModelError;
use crate::model::config::{Activation, Config, HeadKind};

pub(super) const NAMES: Names = Names {
    base: "roberta.",
    other_bases: &[],
    embedding: "roberta.embeddings.word_embeddings",
    positions: Some("roberta.embeddings.position_embeddings"),
    token_types: Some("roberta.embeddings.token_type_embeddings"),
    embedding_norm: Some("roberta.embeddings.LayerNorm"),
    projections: None,
    block: ["roberta.encoder.layer.", "."],
    attention_norm: "attention.output.LayerNorm",
    qkv: &[
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
    ],
    qkv_by_head: false,
    query_key_norms: None,
    attention_output: "attention.output.dense",
    mlp_norm: "output.LayerNorm",
    mlp_input: &["intermediate.dense"],
    mlp_output: "output.dense",
    branch_norms: None,
    final_norm: None,
    head: "lm_head.decoder",
    masked_lm: Some(["lm_head.dense", "lm_head.layer_norm", "lm_head.bias"]),
    layout: Layout::OutIn,
};

/// `RobertaConfig`, with its defaults. Positions begin one after the padding token's id, and the head's
/// activation is always the same.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    let config = encoder::read(Family::Roberta, fields)?;
    let padding = fields.size_opt("pad_token_id")?.unwrap_or(1);
    Ok(Config {
        learned_positions: Some(padding.saturating_add(1)),
        head: HeadKind::MaskedLm(Activation::Gelu),
        ..config
    })
}

pub(super) fn write(config: &Config) -> Value {
    let mut json = encoder::write(config, "roberta", "RobertaForMaskedLM");
    json["pad_token_id"] = json!(config.learned_positions.unwrap_or(1).saturating_sub(1));
    json
}
