//! Texts that a causal model writes side by side, a token of each at a time.

use burn::tensor::Tensor;

use super::{Lm, Past, TokenBatch};

/// The texts so far, and what those that have not ended leave behind for their next token.
pub struct Writing {
    texts: Vec<Vec<u32>>,
    /// Texts that have not ended, one for each row of the past.
    open: Vec<usize>,
    past: Past,
}

impl Writing {
    /// `count` texts, each of which continues a row of the past.
    #[must_use]
    pub fn behind(past: Past, count: usize) -> Self {
        Self {
            texts: vec![Vec::new(); count],
            open: (0..count).collect(),
            past,
        }
    }

    /// How many texts have not ended.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Appends one token to each open text, and lets go of those that have `ended` by it.
    pub fn take(&mut self, tokens: &[u32], ended: impl Fn(&[u32]) -> bool) {
        for (&text, &token) in self.open.iter().zip(tokens) {
            self.texts[text].push(token);
        }
        let going: Vec<usize> = (0..self.open.len())
            .filter(|&row| !ended(&self.texts[self.open[row]]))
            .collect();
        if going.len() < self.open.len() {
            self.open = going.iter().map(|&row| self.open[row]).collect();
            self.past = self.past.select(&going);
        }
    }

    /// Logits behind the last token of each open text, `[open, V]`. Each must have one, taken since the
    /// last call, and one must be open.
    #[must_use]
    pub fn logits(&mut self, lm: &Lm) -> Tensor<2> {
        let last = |&text: &usize| self.texts[text].last().map(std::slice::from_ref);
        let last: Vec<&[u32]> = self.open.iter().filter_map(last).collect();
        let input = lm.embed(&TokenBatch::padded(&last, 0));
        let (hidden, past) = lm.pass(&input.behind(self.past.clone()));
        self.past = past;
        lm.logits(hidden.squeeze_dim(1))
    }

    /// All texts, in their order.
    #[must_use]
    pub fn into_texts(self) -> Vec<Vec<u32>> {
        self.texts
    }
}
