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

    /// The first token, which is the same in all rows, and what follows it; `None` where rows begin unlike,
    /// or one has no more than that.
    pub(super) fn split_start(&self) -> Option<(Self, Self)> {
        let first = *self.ids.first()?;
        let mut rows = self.ids.chunks(self.width);
        if !rows.all(|row| row[0] == first) || self.lengths.iter().any(|&length| length < 2) {
            return None;
        }
        let rest = self.ids.chunks(self.width).flat_map(|row| &row[1..]);
        let rest = Self {
            ids: rest.copied().collect(),
            lengths: self.lengths.iter().map(|length| length - 1).collect(),
            width: self.width - 1,
        };
        Some((Self::padded(&[[first]], 0), rest))
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
    /// Puts a prompt at its place in the text: one row for each example, `[batch, n, d]`, so that its
    /// gradient comes back example by example.
    ///
    /// # Panics
    /// If the prompt's batch or width is not the text's, if there is a prompt already, or a row has no token
    /// that it could stand behind.
    #[must_use]
    pub fn with_prompt(self, prompt: Tensor<3>, place: PromptPlace) -> Self {
        assert_eq!(self.prompt, 0, "the text has a prompt already");
        let (n, text) = (prompt.dims()[1], self.embeddings);
        let parts = match place {
            PromptPlace::BeforeBos => vec![prompt, text],
            PromptPlace::AfterBos => {
                assert!(!self.lengths.contains(&0), "a text has no first token");
                let [batch, width, d] = text.dims();
                // Cut as a matrix, which the tab's program cuts already: it is short of room for more.
                let rows = text.reshape([batch, width * d]);
                let cut = |start: usize, count: usize| {
                    let cut = rows.clone().narrow(1, start * d, count * d);
                    cut.reshape([batch, count, d])
                };
                let mut parts = vec![cut(0, 1), prompt];
                if width > 1 {
                    parts.push(cut(1, width - 1));
                }
                parts
            }
        };
        Self {
            embeddings: Tensor::cat(parts, 1),
            lengths: self.lengths.into_iter().map(|length| length + n).collect(),
            prompt: n,
            place,
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
