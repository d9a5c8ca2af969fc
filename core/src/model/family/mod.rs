//! How each family's `config.json` and tensor names map onto the one transformer.
//!
//! A family is data: a reader and a writer of its options and a table of [`Names`]. The forward pass
//! never asks which family it runs.

mod fields;
pub mod gguf;
mod gpt2;
mod llama;
mod names;
mod roberta;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use names::{Layout, Names};

use super::{Config, ModelError};
use fields::Fields;

/// The families that can be read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Llama 2 and 3 without RoPE scaling, SmolLM and SmolLM2.
    Llama,
    /// GPT-2.
    Gpt2,
    /// RoBERTa with its masked-LM head.
    Roberta,
}

impl Family {
    const KNOWN: &'static str = "llama, gpt2, roberta";

    /// The family that `model_type` names.
    ///
    /// # Errors
    /// [`ModelError::Missing`] without a `model_type`, [`ModelError::Family`] for an unknown one.
    pub fn of(json: &Value) -> Result<Self, ModelError> {
        let name = json.get("model_type").and_then(Value::as_str);
        match name.ok_or_else(|| ModelError::missing("model_type", "a text"))? {
            "llama" => Ok(Self::Llama),
            "gpt2" => Ok(Self::Gpt2),
            "roberta" => Ok(Self::Roberta),
            other => Err(ModelError::Family {
                found: other.to_owned(),
                known: Self::KNOWN,
            }),
        }
    }

    /// Reads this family's `config.json`.
    pub(super) fn read(self, json: &Value) -> Result<Config, ModelError> {
        let mut fields = Fields::new(json)?;
        let config = match self {
            Self::Llama => llama::read(&mut fields),
            Self::Gpt2 => gpt2::read(&mut fields),
            Self::Roberta => roberta::read(&mut fields),
        }?;
        fields.finish()?;
        Ok(config)
    }

    /// Writes this family's `config.json`.
    pub(super) fn write(self, config: &Config) -> Value {
        match self {
            Self::Llama => llama::write(config),
            Self::Gpt2 => gpt2::write(config),
            Self::Roberta => roberta::write(config),
        }
    }

    /// What this family calls its tensors.
    #[must_use]
    pub fn names(self) -> &'static Names {
        match self {
            Self::Llama => &llama::NAMES,
            Self::Gpt2 => &gpt2::NAMES,
            Self::Roberta => &roberta::NAMES,
        }
    }
}
