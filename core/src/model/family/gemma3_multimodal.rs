//! Gemma 3 with a vision tower, the 4B to the 27B, of which the language model alone is read: it goes on as a
//! `gemma3_text`, and is written as one, without the tower.

use serde_json::{Map, Value, json};

use super::{Fields, gemma3};
use crate::model::ModelError;
use crate::model::config::Config;

pub(super) use super::gemma3::{NAMES, write};

/// What belongs to images: text has none.
const IMAGES: [&str; 8] = [
    "boi_token_id",
    "boi_token_index",
    "eoi_token_id",
    "eoi_token_index",
    "image_token_id",
    "image_token_index",
    "mm_tokens_per_image",
    "vision_config",
];

/// `Gemma3Config`.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Config, ModelError> {
    for unread in IMAGES {
        fields.get(unread);
    }
    fields.only("tie_word_embeddings", &json!(true))?;
    let given = fields.get("text_config").and_then(Value::as_object);
    let given = given.ok_or_else(|| ModelError::missing("text_config", "an object"))?;
    let text = with_defaults(given);
    let mut text = Fields::new(&text)?;
    // The head is the whole model's, which doesn't cap its logits.
    text.only("tie_word_embeddings", &json!(true))?;
    text.only("final_logit_softcapping", &Value::Null)?;
    let config = gemma3::read(&mut text)?;
    text.finish()?;
    Ok(config)
}

/// The sizes of `Gemma3TextConfig`, of which the published files leave out those that are as here.
fn with_defaults(given: &Map<String, Value>) -> Value {
    let mut text = json!({
        "vocab_size": 262_208,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "max_position_embeddings": 131_072,
    });
    for (field, value) in given {
        text[field.as_str()] = value.clone();
    }
    text
}
