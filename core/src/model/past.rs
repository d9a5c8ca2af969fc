//! Keys and values of places that were passed before, so that what follows need not pass them again.
//!
//! In a causal model nothing looks ahead: what a prompt leaves behind is the same whatever text
//! follows. So one prompt is passed once for a whole batch, and a text is continued token by token.

use burn::tensor::{Int, Tensor, TensorData};

/// What one block leaves behind: `[b or 1, G, places, c]` each, keys turned to their places.
#[derive(Clone, Debug)]
pub(super) struct KeysValues {
    pub(super) keys: Tensor<4>,
    pub(super) values: Tensor<4>,
}

/// What all blocks leave behind.
#[derive(Clone, Debug)]
pub struct Past {
    pub(super) blocks: Vec<KeysValues>,
}

impl KeysValues {
    /// These places behind those of the past; a past of one row stands before every row.
    pub(super) fn behind(self, past: Option<&Self>) -> Self {
        let Some(past) = past else { return self };
        let batch = self.keys.dims()[0];
        let join = |past: &Tensor<4>, here: Tensor<4>| {
            let [_, heads, places, width] = past.dims();
            let past = past.clone().expand([batch, heads, places, width]);
            Tensor::cat(vec![past, here], 2)
        };
        Self {
            keys: join(&past.keys, self.keys),
            values: join(&past.values, self.values),
        }
    }
}

impl Past {
    /// Number of places.
    #[must_use]
    pub fn places(&self) -> usize {
        self.blocks.first().map_or(0, |block| block.keys.dims()[2])
    }

    /// Some of its rows, in the order given.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let index: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let pick = |all: &Tensor<4>| {
            let data = TensorData::new(index.clone(), [rows.len()]);
            let index = Tensor::<1, Int>::from_data(data, &all.device());
            all.clone().select(0, index)
        };
        let blocks = self.blocks.iter().map(|block| KeysValues {
            keys: pick(&block.keys),
            values: pick(&block.values),
        });
        Self {
            blocks: blocks.collect(),
        }
    }
}
