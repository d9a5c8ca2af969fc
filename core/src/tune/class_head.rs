//! From the last hidden state to the logits of a task's classes.

use burn::tensor::{Tensor, TensorData};

use crate::model::{HeadRows, Lm};
use crate::task::LabelWords;

/// The head's rows of the label words, and the mean over each class's words.
#[derive(Clone, Debug)]
pub struct ClassHead {
    rows: HeadRows,
    /// `[words, classes]`: 1/k where the word is one of the class's k, else 0.
    averaging: Tensor<2>,
}

impl ClassHead {
    /// The head of a task's label words.
    #[must_use]
    pub fn new(lm: &Lm, words: &LabelWords) -> Self {
        Self::from_averaging(lm, words.ids(), words.averaging())
    }

    /// The head of classes given by their words' vocabulary rows, at least one each.
    #[must_use]
    pub fn of_classes(lm: &Lm, classes: &[&[u32]]) -> Self {
        let ids = classes.concat();
        let rows_of = |class: usize, words: &[u32]| {
            let mut row = vec![0.0; classes.len()];
            row[class] = 1.0 / words.len() as f32;
            row.repeat(words.len())
        };
        let rows = classes
            .iter()
            .enumerate()
            .flat_map(|(class, words)| rows_of(class, words));
        Self::from_averaging(lm, &ids, rows.collect())
    }

    /// From vocabulary rows and a matrix `[ids, classes]`, row after row.
    fn from_averaging(lm: &Lm, ids: &[u32], averaging: Vec<f32>) -> Self {
        let shape = [ids.len(), averaging.len() / ids.len()];
        let averaging = Tensor::from_data(TensorData::new(averaging, shape), lm.device());
        Self {
            rows: lm.head_rows(ids),
            averaging,
        }
    }

    /// How many classes there are.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.averaging.dims()[1]
    }

    /// Mean of the raw logits of each class's words (method §2): `[rows, d]` → `[rows, classes]`.
    #[must_use]
    pub fn class_logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.rows.logits(hidden).matmul(self.averaging.clone())
    }
}
