//! What goes into the model.

use burn::tensor::Tensor;

use super::PromptPlace;
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

    /// Whether all rows begin with one token and go on behind it.
    pub(super) fn begin_alike(&self) -> bool {
        let mut rows = self.ids.chunks(self.width.max(1)).zip(&self.lengths);
        rows.all(|(row, &length)| length > 1 && row[0] == self.ids[0])
    }

    /// The first tokens of the first `rows` rows, and what follows the first token of every row: a column
    /// at least, if only of padding.
    ///
    /// # Panics
    /// If a row has no token.
    pub(super) fn split_first(&self, rows: usize) -> (Self, Self) {
        let texts = self.ids.chunks(self.width).zip(&self.lengths);
        let rest: Vec<&[u32]> = texts.map(|(row, &length)| &row[1..length]).collect();
        let first = self.ids.iter().step_by(self.width).take(rows);
        let first = Self {
            ids: first.copied().collect(),
            lengths: vec![1; rows],
            width: 1,
        };
        (first, Self::padded(&rest, (self.width - 1).max(1)))
    }
}

/// Embedded sequences, with or without a prompt.
#[derive(Clone, Debug)]
pub struct Input {
    /// `[batch, n + width, d]`: prompt and text, padding; without what was passed before.
    pub embeddings: Tensor<3>,
    /// Real places in each row, prompt included.
    pub lengths: Vec<usize>,
    /// Virtual tokens, n.
    pub prompt: usize,
    /// Where they stand.
    pub place: PromptPlace,
    /// Places that stand before the embeddings and were passed already.
    pub(super) past: Option<Past>,
}

impl Input {
    /// Puts a prompt before the text: one row for each example, `[batch, n, d]`, so that its gradient
    /// comes back example by example. [`Lm::embed_with_prompts`](super::Lm::embed_with_prompts) knows of
    /// other places.
    ///
    /// # Panics
    /// If the prompt's batch or width is not the text's, or if there is a prompt already.
    #[must_use]
    pub fn with_prompt(self, prompt: Tensor<3>) -> Self {
        assert_eq!(self.prompt, 0, "the text has a prompt already");
        let n = prompt.dims()[1];
        Self {
            embeddings: Tensor::cat(vec![prompt, self.embeddings], 1),
            lengths: self.lengths.into_iter().map(|length| length + n).collect(),
            prompt: n,
            place: PromptPlace::BeforeBos,
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
        assert_eq!(self.prompt, 0, "the text has a prompt already");
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

    /// The place of the text's token `position` among all, those of the prompt included.
    pub(super) fn place_of(&self, position: usize) -> usize {
        match position < self.place.tokens_before() {
            true => position,
            false => position + self.prompt,
        }
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
