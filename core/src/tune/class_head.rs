//! From the last hidden state to the logits of a task's classes.

use burn::tensor::Tensor;

use crate::model::{HeadRows, Lm};
use crate::task::LabelWords;

/// The head's rows of the label words, and the mean over each class's words.
#[derive(Clone, Debug)]
pub struct ClassHead(HeadRows);

impl ClassHead {
    /// The head of a task's label words.
    #[must_use]
    pub fn new(lm: &Lm, words: &LabelWords) -> Self {
        Self::of_classes(lm, &words.by_class())
    }

    /// The head of classes given by their words' vocabulary rows, at least one each.
    #[must_use]
    pub fn of_classes(lm: &Lm, classes: &[&[u32]]) -> Self {
        Self(lm.head_of_classes(classes))
    }

    /// How many classes there are.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.0.width()
    }

    /// Mean of the raw logits of each class's words (method §2): `[rows, d]` → `[rows, classes]`.
    #[must_use]
    pub fn class_logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.0.logits(hidden)
    }
}
