//! How each family's `config.json` and tensor names map onto the one transformer.
//!
//! A family is data, in a file of its own: a reader and a writer of its options and a table of
//! [`Names`], entered in the list below. The forward pass never asks which family it runs.

mod decoder;
mod encoder;
mod fields;
pub mod gguf;
mod names;
mod rope;

use serde::{Serialize, Serializer};
use serde_json::Value;

pub use names::{Layout, Names};

use super::{Config, ModelError};
use fields::Fields;

macro_rules! families {
    ($($(#[$doc:meta])* $family:ident = $file:ident, $model_type:literal;)+) => {
        $(mod $file;)+

        /// The families that can be read and written.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Family {
            $($(#[$doc])* $family,)+
        }

        impl Family {
            /// All of them, by their `model_type`.
            pub const ALL: &[(&str, Self)] = &[$(($model_type, Self::$family)),+];

            /// Its `model_type`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$family => $model_type,)+
                }
            }

            /// What this family calls its tensors.
            #[must_use]
            pub fn names(self) -> &'static Names {
                match self {
                    $(Self::$family => &$file::NAMES,)+
                }
            }

            fn read_fields(self, fields: &mut Fields<'_>) -> Result<Config, ModelError> {
                match self {
                    $(Self::$family => $file::read(fields),)+
                }
            }

            /// Writes this family's `config.json`.
            pub(super) fn write(self, config: &Config) -> Value {
                match self {
                    $(Self::$family => $file::write(config),)+
                }
            }
        }
    };
}

families! {
    /// Llama 2 and 3, SmolLM, SmolLM2.
    Llama = llama, "llama";
    /// GPT-2.
    Gpt2 = gpt2, "gpt2";
    /// RoBERTa with its masked-LM head.
    Roberta = roberta, "roberta";
    /// BERT with its masked-LM head.
    Bert = bert, "bert";
    /// Mistral.
    Mistral = mistral, "mistral";
    /// Qwen2 and 2.5.
    Qwen2 = qwen2, "qwen2";
    /// Qwen3, dense.
    Qwen3 = qwen3, "qwen3";
    /// Gemma 2.
    Gemma2 = gemma2, "gemma2";
    /// Gemma 3, text only.
    Gemma3 = gemma3, "gemma3_text";
    /// Gemma 3 with a vision tower; what is read of it is [`Self::Gemma3`].
    Gemma3Multimodal = gemma3_multimodal, "gemma3";
    /// SmolLM3.
    SmolLm3 = smollm3, "smollm3";
    /// GPT-NeoX and Pythia.
    GptNeoX = gpt_neox, "gpt_neox";
    /// OPT.
    Opt = opt, "opt";
}

impl Serialize for Family {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Family {
    /// The family that `model_type` names.
    ///
    /// # Errors
    /// [`ModelError::Missing`] without a `model_type`, [`ModelError::Family`] for an unknown one.
    pub fn of(json: &Value) -> Result<Self, ModelError> {
        let name = json.get("model_type").and_then(Value::as_str);
        let name = name.ok_or_else(|| ModelError::missing("model_type", "a text"))?;
        let found = Self::ALL.iter().find(|(model_type, _)| *model_type == name);
        found.map(|(_, family)| *family).ok_or_else(|| {
            let known: Vec<_> = Self::ALL
                .iter()
                .map(|(model_type, _)| *model_type)
                .collect();
            ModelError::Family {
                found: name.to_owned(),
                known: known.join(", "),
            }
        })
    }

    /// Reads this family's `config.json`.
    pub(super) fn read(self, json: &Value) -> Result<Config, ModelError> {
        let mut fields = Fields::new(json)?;
        let config = self.read_fields(&mut fields)?;
        fields.finish()?;
        Ok(config)
    }
}
