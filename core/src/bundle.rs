//! The one file that a provider publishes: `*.post.safetensors`.
//!
//! A safetensors file with the student's weights under Hugging Face's names and everything else that a
//! data owner needs in its metadata:
//!
//! | key | value |
//! |---|---|
//! | `format` | `post-bundle-1` |
//! | `config.json` | the student's configuration, as Hugging Face writes it |
//! | `tokenizer.json` | the tokenizer (absent when the teacher completes the bundle) |
//! | `name`, `teacher`, `license` | texts |
//! | `blocks` | the teacher's blocks that the student came from, as a JSON list |
//! | `tasks` | task files (TOML texts), as a JSON list |
//! | `prompt_place` | where prompts are tuned, if that is `after-bos` |
//! | `completed_by` | sha256 of the teacher's tensors outside the blocks, when these are left out |
//! | `sha256` | the content hash of all the rest, see [`hash`](self::hash) |
//!
//! Vectors are f32. Matrices are f32, f16, or int8 with one f32 scale a row in `<name>.scale`
//! (`value = scale · int8`, `scale = max |row| / 127`).

mod catalog;
mod error;
mod hash;
mod weights;
mod write;

use std::sync::Arc;

use crate::checkpoint::{About, Checkpoint, Safetensors, SharedBytes, tokenizer};
use crate::model::{Config, PromptPlace};

pub use catalog::{Catalog, Listed, Sample};
pub use error::BundleError;
pub use write::{Contents, Dtype, write, write_without_embeddings};

use weights::{Completed, Weights};

/// What the format of every release begins with.
const FAMILY: &str = "post-bundle-";
const FORMAT: &str = "post-bundle-1";
const HASH: &str = "sha256";
const PLACE: &str = "prompt_place";

/// What a bundle says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// The student's name.
    pub name: String,
    /// The teacher's name.
    pub teacher: String,
    /// The licence of the weights.
    pub license: String,
    /// The teacher's blocks that the student's came from.
    pub blocks: Vec<usize>,
    /// Task files ready to use, as TOML.
    pub tasks: Vec<String>,
    /// Where prompts are tuned on it.
    pub prompt_place: PromptPlace,
}

/// A bundle whose content hash was right.
pub struct Bundle {
    weights: Safetensors,
    config: Config,
    card: Card,
    hash: String,
    tokenizer: Option<String>,
    completed_by: Option<String>,
}

impl Bundle {
    /// Reads a bundle and checks its content hash; no tensor is decoded.
    ///
    /// # Errors
    /// [`BundleError`] naming what is missing or wrong.
    pub fn open(bytes: SharedBytes) -> Result<Self, BundleError> {
        let weights = Safetensors::open(vec![("the bundle".to_owned(), bytes)])?;
        let metadata = weights.metadata();
        let text = |key: &'static str| metadata.get(key).map(|&value| value.to_owned());
        let required = |key| text(key).ok_or(BundleError::Missing(key));
        // transformers writes `pt` there.
        let format = text("format")
            .filter(|format| format.starts_with(FAMILY))
            .ok_or(BundleError::Plain)?;
        if format != FORMAT {
            return Err(BundleError::Format {
                found: format,
                known: FORMAT,
            });
        }
        let (expected, found) = (required(HASH)?, hash::contents(&weights));
        if expected != found {
            return Err(BundleError::Hash { expected, found });
        }
        let card = Card {
            name: required("name")?,
            teacher: required("teacher")?,
            license: required("license")?,
            blocks: json("blocks", &required("blocks")?)?,
            tasks: json("tasks", &required("tasks")?)?,
            prompt_place: place(metadata.get(PLACE).copied())?,
        };
        let config = Config::from_hf(&json("config.json", &required("config.json")?)?)?;
        let (tokenizer, completed_by) = (text("tokenizer.json"), text("completed_by"));
        drop(metadata);
        Ok(Self {
            weights,
            config,
            card,
            hash: expected,
            tokenizer,
            completed_by,
        })
    }

    /// What the bundle says of itself.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// What the student is made of.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The content hash, 64 hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Whether embeddings, head and tokenizer must come from the teacher ([`Self::complete`]).
    #[must_use]
    pub fn needs_teacher(&self) -> bool {
        self.completed_by.is_some()
    }

    /// The student.
    ///
    /// # Errors
    /// [`BundleError::NeedsTeacher`] when it was published without embeddings.
    pub fn into_checkpoint(self) -> Result<Checkpoint, BundleError> {
        if self.completed_by.is_some() {
            return Err(BundleError::NeedsTeacher {
                teacher: self.card.teacher,
            });
        }
        let tokenizer = self
            .tokenizer
            .as_deref()
            .map(|text| tokenizer::from_json(text.as_bytes()))
            .transpose()?;
        let about = About {
            name: Some(self.card.name),
            license: Some(self.card.license),
            prompt_place: self.card.prompt_place,
            chat_template: None,
        };
        let weights = Weights::new(self.weights, &self.config);
        Ok(Checkpoint::new(self.config, weights, tokenizer, about)?)
    }

    /// The student, with everything outside its blocks borrowed from the teacher.
    ///
    /// # Errors
    /// [`BundleError::WrongTeacher`] when the teacher isn't the one that the student was distilled from,
    /// down to the last bit of what is borrowed. A bundle that lacks nothing is refused too, since it
    /// would silently lose its own embeddings.
    pub fn complete(self, teacher: &Checkpoint) -> Result<Checkpoint, BundleError> {
        let expected = self.completed_by.ok_or(BundleError::Complete)?;
        let found = hash::outside_blocks(teacher)?;
        let fits = teacher.config.with_layers(self.config.layers.clone()) == self.config;
        if expected != found || !fits {
            return Err(BundleError::WrongTeacher {
                teacher: self.card.teacher,
                expected,
                found,
            });
        }
        let weights = Weights::new(self.weights, &self.config);
        let completed = Completed::new(weights, Arc::clone(&teacher.tensors), &self.config);
        let about = About {
            name: Some(self.card.name),
            license: Some(self.card.license),
            prompt_place: self.card.prompt_place,
            ..teacher.about.clone()
        };
        Ok(Checkpoint::new(
            self.config,
            completed,
            teacher.tokenizer.clone(),
            about,
        )?)
    }
}

fn place(text: Option<&str>) -> Result<PromptPlace, BundleError> {
    let place = text.map_or(Ok(PromptPlace::BeforeBos), str::parse);
    place.map_err(|reason: &str| BundleError::Field {
        key: PLACE,
        reason: reason.to_owned(),
    })
}

fn json<T: serde::de::DeserializeOwned>(key: &'static str, text: &str) -> Result<T, BundleError> {
    serde_json::from_str(text).map_err(|reason| BundleError::Field {
        key,
        reason: reason.to_string(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
