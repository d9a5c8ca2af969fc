//! A linear layer whose weight lies the way the matrix product reads it.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::ops::{Way, product};

/// `y = x·W + b`.
///
/// Rows of all sequences are flattened into one matrix, so that one product serves the whole batch;
/// projections that read the same input are kept side by side in one weight.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]`, contiguous; of 16 bits where a frozen model is kept so.
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// `[rows, in]` → `[rows, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        add_bias(
            product(x, self.weight.val(), Way::Along),
            self.bias.as_ref().map(Param::val),
        )
    }

    /// The part of the layer that makes `columns` of the output: `[rows, in]` → `[rows, columns]`.
    pub fn forward_columns(&self, x: Tensor<2>, columns: std::ops::Range<usize>) -> Tensor<2> {
        let weight = self.weight.val().narrow(1, columns.start, columns.len());
        let bias = self
            .bias
            .as_ref()
            .map(|bias| bias.val().narrow(0, columns.start, columns.len()));
        add_bias(product(x, weight, Way::Along), bias)
    }

    /// The layer whose outputs, `a` groups of `b` pieces each, stand as `b` groups of `a` pieces.
    pub(super) fn regrouped(&self, [a, b]: [usize; 2]) -> Self {
        let [input, output] = self.weight.dims();
        let piece = output / (a * b);
        let weight = self.weight.val().reshape([input, a, b, piece]);
        let bias = self.bias.as_ref().map(|bias| {
            let bias = bias.val().reshape([a, b, piece]).swap_dims(0, 1);
            Param::from_tensor(bias.reshape([output]))
        });
        Self {
            weight: Param::from_tensor(weight.swap_dims(1, 2).reshape([input, output])),
            bias,
        }
    }
}

fn add_bias(x: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    match bias {
        Some(bias) => x + bias.unsqueeze(),
        None => x,
    }
}
