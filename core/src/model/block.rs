//! One block of the transformer.

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use super::attention::{Attention, Places};
use super::config::NormPlacement;
use super::past::KeysValues;
use super::{Mlp, Norm};

/// Attention and MLP with their residual connections.
///
/// Pre-norm: `y = x + attention(norm(x))`, `z = y + mlp(norm(y))`.
/// Post-norm: `y = norm(x + attention(x))`, `z = norm(y + mlp(y))`.
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
    /// Which of the two.
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
        let normed = self.before(&self.attention_norm, x.clone());
        let (attended, qkv) = self.attention.forward(normed, batch, places, past);
        (self.rest(x, attended), qkv)
    }

    /// The block at one place in each row, where nothing else is read: keys and values everywhere,
    /// the query, its attention and the MLP at `rows` alone, given as indices into `[batch·s]`.
    /// `[batch·s, d]` → `[batch, d]`
    pub(super) fn forward_at(
        &self,
        x: Tensor<2>,
        rows: Tensor<1, Int>,
        places: &Places,
        past: Option<&KeysValues>,
    ) -> Tensor<2> {
        let here = x.clone().select(0, rows.clone());
        let normed = self.before(&self.attention_norm, x);
        let query = normed.clone().select(0, rows);
        let attended = self.attention.forward_at(query, normed, places, past);
        self.rest(here, attended)
    }

    fn rest(&self, x: Tensor<2>, attended: Tensor<2>) -> Tensor<2> {
        let x = self.after(&self.attention_norm, x + attended);
        let out = self.mlp.forward(self.before(&self.mlp_norm, x.clone()));
        self.after(&self.mlp_norm, x + out)
    }

    fn before(&self, norm: &Norm, x: Tensor<2>) -> Tensor<2> {
        if self.placement == NormPlacement::Pre {
            norm.forward(x)
        } else {
            x
        }
    }

    fn after(&self, norm: &Norm, x: Tensor<2>) -> Tensor<2> {
        if self.placement == NormPlacement::Post {
            norm.forward(x)
        } else {
            x
        }
    }
}
