//! The feed-forward half of a block.

use burn::module::Module;
use burn::tensor::{Tensor, activation};

use super::{Linear, config::Activation};
use crate::ops;

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
        let hidden = match (self.gated, self.activation) {
            (true, Activation::Silu) => {
                ops::silu_gate(&hidden).unwrap_or_else(|| gate_by_tensors(Activation::Silu, hidden))
            }
            (true, kind) => gate_by_tensors(kind, hidden),
            (false, kind) => activate(kind, hidden),
        };
        self.output.forward(hidden)
    }
}

/// `act(a) ∘ b` of each row's halves, for any device.
fn gate_by_tensors(kind: Activation, x: Tensor<2>) -> Tensor<2> {
    let width = x.dims()[1] / 2;
    let gate = x.clone().narrow(1, 0, width);
    activate(kind, gate) * x.narrow(1, width, width)
}

pub(super) fn activate<const D: usize>(kind: Activation, x: Tensor<D>) -> Tensor<D> {
    match kind {
        Activation::Silu => activation::silu(x),
        Activation::Gelu => activation::gelu(x),
        Activation::GeluNew => activation::gelu_approximate(x),
        Activation::Relu => activation::relu(x),
    }
}
