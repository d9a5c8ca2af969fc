//! The soft prompt: `[num_virtual_tokens, token_dim]` trained embeddings, put before a text or behind its
//! first token.

pub mod archive;
mod format;
mod forward;
pub mod npy;
pub mod peft;
#[cfg(feature = "pytorch")]
pub mod pytorch;
pub mod raw;

pub use crate::model::PromptPlace;
pub use format::{Format, FormatError, sniff};
pub use forward::{ForwardError, logits_at};

use std::collections::BTreeMap;

/// Small files by name: a folder in memory.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Why a prompt cannot be made or does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// Not `num_virtual_tokens × token_dim` numbers, or none.
    #[error(
        "a prompt of {num_virtual_tokens} tokens of width {token_dim} holds {expected} numbers, but {found} are given"
    )]
    Shape {
        /// Virtual tokens.
        num_virtual_tokens: usize,
        /// Width of an embedding.
        token_dim: usize,
        /// Their product.
        expected: String,
        /// Numbers given.
        found: usize,
    },
    /// NaN or infinity.
    #[error(
        "the prompt's token {token} holds a number that is not finite; the file is damaged or the training diverged"
    )]
    NotFinite {
        /// Index of the virtual token.
        token: usize,
    },
    /// A prompt for another model.
    #[error(
        "the prompt is {prompt} numbers wide, the model `{model}` {width}; use the model that it was made for, or transfer it"
    )]
    Width {
        /// The prompt's width.
        prompt: usize,
        /// The model's name.
        model: String,
        /// The model's width.
        width: usize,
    },
    /// No text to start from.
    #[error("the initial text has no tokens; give a sentence that says what to predict")]
    NoText,
}

/// A soft prompt: finite f32 numbers, one row for each virtual token, and where they stand.
#[derive(Debug, Clone, PartialEq)]
pub struct SoftPrompt {
    embeddings: Vec<f32>,
    num_virtual_tokens: usize,
    token_dim: usize,
    place: PromptPlace,
}

impl SoftPrompt {
    /// From its numbers `[num_virtual_tokens, token_dim]`, row after row. It stands before the text, see
    /// [`with_place`](Self::with_place).
    ///
    /// # Errors
    /// [`PromptError::Shape`] or [`PromptError::NotFinite`].
    pub fn new(
        embeddings: Vec<f32>,
        num_virtual_tokens: usize,
        token_dim: usize,
    ) -> Result<Self, PromptError> {
        let expected = num_virtual_tokens.checked_mul(token_dim);
        if embeddings.is_empty() || expected != Some(embeddings.len()) {
            let expected = expected.map_or_else(|| "too many".into(), |n| n.to_string());
            let found = embeddings.len();
            return Err(PromptError::Shape {
                num_virtual_tokens,
                token_dim,
                expected,
                found,
            });
        }
        if let Some(index) = embeddings.iter().position(|value| !value.is_finite()) {
            return Err(PromptError::NotFinite {
                token: index / token_dim,
            });
        }
        Ok(Self {
            embeddings,
            num_virtual_tokens,
            token_dim,
            place: PromptPlace::default(),
        })
    }

    /// The same numbers at this place. A prompt does what it was tuned for only where it was tuned.
    #[must_use]
    pub fn with_place(self, place: PromptPlace) -> Self {
        Self { place, ..self }
    }

    /// Text init (`method.md` §2, PEFT's `TEXT`): the embeddings of `ids`, over and over until there
    /// are `num_virtual_tokens`. `embedding` gives one row of the model's embedding table.
    ///
    /// # Errors
    /// [`PromptError::NoText`] without ids; [`PromptError::Shape`] where `num_virtual_tokens` is 0 or
    /// rows differ in width.
    pub fn from_text(
        ids: &[u32],
        num_virtual_tokens: usize,
        mut embedding: impl FnMut(u32) -> Vec<f32>,
    ) -> Result<Self, PromptError> {
        let rows: Vec<Vec<f32>> = ids.iter().map(|&id| embedding(id)).collect();
        let token_dim = rows.first().ok_or(PromptError::NoText)?.len();
        let embeddings = rows
            .iter()
            .cycle()
            .take(num_virtual_tokens)
            .flatten()
            .copied()
            .collect();
        Self::new(embeddings, num_virtual_tokens, token_dim)
    }

    /// All numbers, `[num_virtual_tokens, token_dim]`, row after row.
    pub fn embeddings(&self) -> &[f32] {
        &self.embeddings
    }

    /// How many virtual tokens there are.
    pub fn num_virtual_tokens(&self) -> usize {
        self.num_virtual_tokens
    }

    /// Width of one embedding.
    pub fn token_dim(&self) -> usize {
        self.token_dim
    }

    /// Where it stands.
    pub fn place(&self) -> PromptPlace {
        self.place
    }

    /// Checks that a model of this width can read the prompt.
    ///
    /// # Errors
    /// [`PromptError::Width`], naming both widths.
    pub fn fits(&self, model: &str, width: usize) -> Result<(), PromptError> {
        if self.token_dim == width {
            return Ok(());
        }
        Err(PromptError::Width {
            prompt: self.token_dim,
            model: model.to_owned(),
            width,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn text_is_repeated_and_cut() {
        let row = |id: u32| vec![id as f32, -1.0];
        let prompt = SoftPrompt::from_text(&[3, 5], 3, row).unwrap();
        assert_eq!(prompt.embeddings(), [3.0, -1.0, 5.0, -1.0, 3.0, -1.0]);
        let cut = SoftPrompt::from_text(&[3, 5, 7], 2, row).unwrap();
        assert_eq!((cut.num_virtual_tokens(), cut.token_dim()), (2, 2));
        assert_eq!(SoftPrompt::from_text(&[], 2, row), Err(PromptError::NoText));
        assert!(matches!(
            SoftPrompt::from_text(&[1], 0, row),
            Err(PromptError::Shape { .. })
        ));
    }

    #[test]
    fn numbers_must_fill_the_shape_and_be_finite() {
        let short = SoftPrompt::new(vec![0.0; 5], 2, 3).unwrap_err().to_string();
        assert!(short.contains('6') && short.contains('5'), "{short}");
        assert!(matches!(
            SoftPrompt::new(vec![], 0, 0),
            Err(PromptError::Shape { .. })
        ));
        assert!(matches!(
            SoftPrompt::new(vec![0.0], usize::MAX, 2),
            Err(PromptError::Shape { .. })
        ));
        let mut values = vec![0.0; 6];
        values[4] = f32::NAN;
        assert_eq!(
            SoftPrompt::new(values, 2, 3),
            Err(PromptError::NotFinite { token: 1 })
        );
    }

    #[test]
    fn a_prompt_of_another_width_names_both() {
        let prompt = SoftPrompt::new(vec![0.0; 6], 2, 3).unwrap();
        assert_eq!(prompt.fits("m", 3), Ok(()));
        let message = prompt.fits("org/model", 576).unwrap_err().to_string();
        assert!(
            message.contains("3 numbers") && message.contains("`org/model` 576"),
            "{message}"
        );
    }
}
