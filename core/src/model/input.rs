//! What goes into the model.

use burn::tensor::Tensor;

use super::past::{KeysValues, Past};

/// Sequences of token ids, padded on the right to one width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBatch {
    /// `[batch·width]`; what stands beyond a row's length is ignored, but must be an id.
    pub ids: Vec<u32>,
    /// Real tokens in each row.
    pub lengths: Vec<usize>,
    /// Columns.
    pub width: usize,
}

impl TokenBatch {
    /// Pads sequences on the right with id 0, to the longest one or to `width` if that is longer.
    #[must_use]
    pub fn padded<S: AsRef<[u32]>>(sequences: &[S], width: usize) -> Self {
        let lengths: Vec<usize> = sequences.iter().map(|ids| ids.as_ref().len()).collect();
        let width = lengths.iter().copied().fold(width, usize::max);
        let mut ids = Vec::with_capacity(width * sequences.len());
        for sequence in sequences {
            ids.extend_from_slice(sequence.as_ref());
            ids.resize(ids.len() + width - sequence.as_ref().len(), 0);
        }
        Self {
            ids,
            lengths,
            width,
        }
    }

    /// Rows.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.lengths.len()
    }
}

/// Embedded sequences, with or without a prompt in front of them.
#[derive(Clone, Debug)]
pub struct Input {
    /// `[batch, n + width, d]`: prompt, text, padding; without what was passed before.
    pub embeddings: Tensor<3>,
    /// Real places in each row, prompt included.
    pub lengths: Vec<usize>,
    /// Virtual tokens in front of the text, n.
    pub prompt: usize,
    /// Places that stand before the embeddings and were passed already.
    pub(super) past: Option<Past>,
}

impl Input {
    /// Puts a prompt before the text: one row for each example, `[batch, n, d]`, so that its gradient
    /// comes back example by example.
    ///
    /// # Panics
    /// If the prompt's batch or width is not the text's, or if there is a prompt already.
    #[must_use]
    pub fn with_prompt(self, prompt: Tensor<3>) -> Self {
        assert_eq!(self.prompt, 0, "a prompt stands before the text already");
        let n = prompt.dims()[1];
        Self {
            embeddings: Tensor::cat(vec![prompt, self.embeddings], 1),
            lengths: self.lengths.into_iter().map(|length| length + n).collect(),
            prompt: n,
            past: None,
        }
    }

    /// Puts the text behind places that were passed before ([`Lm::pass`](super::Lm::pass)): one row
    /// for all, or one row for each. Only a causal model can tell them nothing of what follows.
    ///
    /// # Panics
    /// If something stands before the text already.
    #[must_use]
    pub fn behind(self, past: Past) -> Self {
        assert_eq!(self.prompt, 0, "a prompt stands before the text already");
        let n = past.places();
        Self {
            lengths: self.lengths.into_iter().map(|length| length + n).collect(),
            prompt: n,
            past: Some(past),
            ..self
        }
    }

    /// Places passed before.
    pub(super) fn passed(&self) -> usize {
        self.past.as_ref().map_or(0, Past::places)
    }

    /// What block `index` left behind.
    pub(super) fn past_of(&self, index: usize) -> Option<&KeysValues> {
        self.past.as_ref().map(|past| &past.blocks[index])
    }

    /// The place of the last real token in each row, counted from the first token of the *text*.
    #[must_use]
    pub fn last(&self) -> Vec<usize> {
        self.lengths
            .iter()
            .map(|length| (length - self.prompt).saturating_sub(1))
            .collect()
    }
}
