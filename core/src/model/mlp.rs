//! The feed-forward half of a block.

use burn::module::Module;
use burn::tensor::{Tensor, activation};

use super::{Linear, config::Activation};

/// `down(act(gate(x)) ∘ up(x))` when gated (Shazeer 2020), else `down(act(up(x)))`.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `[d, 2f]`, gate before up, or `[d, f]`.
    pub input: Linear,
    /// `[f, d]`
    pub output: Linear,
    /// Whether the first half of `input` gates the second.
    pub gated: bool,
    /// The activation.
    #[module(skip)]
    pub activation: Activation,
}

impl Mlp {
    /// `[rows, d]` → `[rows, d]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let hidden = self.input.forward(x);
        let hidden = if self.gated {
            let width = hidden.dims()[1] / 2;
            let gate = hidden.clone().narrow(1, 0, width);
            activate(self.activation, gate) * hidden.narrow(1, width, width)
        } else {
            activate(self.activation, hidden)
        };
        self.output.forward(hidden)
    }
}

pub(super) fn activate<const D: usize>(kind: Activation, x: Tensor<D>) -> Tensor<D> {
    match kind {
        Activation::Silu => activation::silu(x),
        Activation::Gelu => activation::gelu(x),
        Activation::GeluNew => activation::gelu_approximate(x),
        Activation::Relu => activation::relu(x),
    }
}
