//! BERT with its masked-LM head.

use serde_json::Value;

use super::{Family, Fields, Names, encoder, roberta};
use crate::model::ModelError;
use crate::model::config::Config;

pub(super) const NAMES: Names = Names {
    base: "bert.",
    embedding: "bert.embeddings.word_embeddings",
    positions: Some("bert.embeddings.position_embeddings"),
    token_types: Some("bert.embeddings.token_type_embeddings"),
    embedding_norm: Some("bert.embeddings.LayerNorm"),
    block: ["bert.encoder.layer.", "."],
    head: "cls.predictions.decoder",
    masked_lm: Some([
        "cls.predictions.transform.dense",
        "cls.predictions.transform.LayerNorm",
        "cls.predictions.bias",
    ]),
    ..roberta::NAMES
};

/// `BertConfig`, with its defaults.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    encoder::read(Family::Bert, fields)
}

pub(super) fn write(config: &Config) -> Value {
    encoder::write(config, "bert", "BertForMaskedLM")
}
