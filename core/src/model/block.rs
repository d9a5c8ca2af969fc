//! One block of the transformer.

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use super::attention::{Attention, Places};
use super::config::NormPlacement;
use super::past::KeysValues;
use super::{Mlp, Norm};

/// Attention and MLP with their residual connections.
///
/// How they follow each other is a matter of [`NormPlacement`].
#[derive(Module, Debug)]
pub struct Block {
    /// Before the attention, or after its residual sum.
    pub attention_norm: Norm,
    /// The attention.
    pub attention: Attention,
    /// Before the MLP, or after its residual sum.
    pub mlp_norm: Norm,
    /// The MLP.
    pub mlp: Mlp,
    /// After attention and MLP, before their residual sums: [`NormPlacement::Both`] only.
    pub branch_norms: Option<[Norm; 2]>,
    /// Where the norms stand.
    #[module(skip)]
    pub placement: NormPlacement,
}

impl Block {
    /// Behind the `past`: `[batch·s, d]` → `[batch·s, d]`, and the attention's projections, from which
    /// [`Attention::seen`] makes what the block leaves behind.
    pub(super) fn forward(
        &self,
        x: Tensor<2>,
        batch: usize,
        places: &Places,
        past: Option<&KeysValues>,
    ) -> (Tensor<2>, Tensor<2>) {
        let normed = self.read(x.clone());
        let (attended, qkv) = self.attention.forward(normed, batch, places, past);
        (self.rest(x, attended), qkv)
    }

    /// The block at q places in each row, where nothing else is read: keys and values everywhere, the
    /// queries, their attention and the MLP at `rows` alone, given as `batch·q` indices into `[batch·s]`.
    /// `[batch·s, d]` → `[batch·q, d]`
    pub(super) fn forward_at(
        &self,
        x: Tensor<2>,
        rows: Tensor<1, Int>,
        batch: usize,
        places: &Places,
        past: Option<&KeysValues>,
    ) -> Tensor<2> {
        let here = x.clone().select(0, rows.clone());
        let normed = self.read(x);
        let query = normed.clone().select(0, rows);
        let attended = self
            .attention
            .forward_at(query, normed, batch, places, past);
        self.rest(here, attended)
    }

    fn rest(&self, x: Tensor<2>, attended: Tensor<2>) -> Tensor<2> {
        let mlp = |x: Tensor<2>| self.mlp.forward(x);
        match (self.placement, &self.branch_norms) {
            (NormPlacement::Post, _) => {
                let x = self.attention_norm.forward(x + attended);
                self.mlp_norm.forward(x.clone() + mlp(x))
            }
            (NormPlacement::Parallel, _) => {
                let out = mlp(self.mlp_norm.forward(x.clone()));
                x + attended + out
            }
            (NormPlacement::Pre | NormPlacement::Both, None) => {
                let x = x + attended;
                x.clone() + mlp(self.mlp_norm.forward(x))
            }
            (NormPlacement::Pre | NormPlacement::Both, Some([attention, out])) => {
                let x = x + attention.forward(attended);
                x.clone() + out.forward(mlp(self.mlp_norm.forward(x)))
            }
        }
    }

    /// What the attention reads.
    fn read(&self, x: Tensor<2>) -> Tensor<2> {
        match self.placement {
            NormPlacement::Post => x,
            _ => self.attention_norm.forward(x),
        }
    }
}
