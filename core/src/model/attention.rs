//! Multi-head attention with shared keys and values (Vaswani et al. 2017; Ainslie et al. 2023).

use burn::module::Module;
use burn::tensor::{Tensor, activation};

use super::{Config, Linear, rotary::Rotary};

/// `softmax(q·kᵀ / sqrt(c) + mask)·v` for each head, then the output projection.
///
/// H query heads share G key/value heads. The H/G queries of a group are stacked into one matrix,
/// `[b, G, H/G·s, c]`, so that keys and values are never repeated.
#[derive(Module, Debug)]
pub struct Attention {
    /// `[d, (H + 2G)·c]`: queries, keys, values side by side.
    pub qkv: Linear,
    /// `[H·c, d]`
    pub output: Linear,
    /// H
    pub heads: usize,
    /// G
    pub kv_heads: usize,
    /// c
    pub head_dim: usize,
}

/// What every block of one forward pass shares: where its queries stand and what they may see.
#[derive(Clone, Debug)]
pub struct Places {
    /// Added to the scores, `[batch or 1, 1, queries or 1, keys]`.
    pub mask: Tensor<4>,
    /// Turns queries and scales them by `1/sqrt(c)`; `None` when positions are learned.
    pub query_rotary: Option<Rotary>,
    /// Turns keys.
    pub key_rotary: Option<Rotary>,
}

impl Attention {
    /// All places at once: `[batch·s, d]` → `[batch·s, d]`.
    pub fn forward(&self, x: Tensor<2>, batch: usize, places: &Places) -> Tensor<2> {
        let qkv = self.split_heads(self.qkv.forward(x), batch);
        let q = qkv.clone().narrow(1, 0, self.heads);
        let k = qkv.clone().narrow(1, self.heads, self.kv_heads);
        let v = qkv.narrow(1, self.heads + self.kv_heads, self.kv_heads);
        self.attend(q, k, v, places)
    }

    /// One query in each row, keys and values everywhere:
    /// `[batch, d]` and `[batch·s, d]` → `[batch, d]`.
    pub fn forward_at(&self, query: Tensor<2>, x: Tensor<2>, places: &Places) -> Tensor<2> {
        let batch = query.dims()[0];
        let (width, all) = (self.heads * self.head_dim, self.qkv.weight.dims()[1]);
        let q = self.split_heads(self.qkv.forward_columns(query, 0..width), batch);
        let kv = self.split_heads(self.qkv.forward_columns(x, width..all), batch);
        let k = kv.clone().narrow(1, 0, self.kv_heads);
        let v = kv.narrow(1, self.kv_heads, self.kv_heads);
        self.attend(q, k, v, places)
    }

    /// `[b·s, n·c]` → `[b, n, s, c]`
    fn split_heads(&self, x: Tensor<2>, batch: usize) -> Tensor<4> {
        let [rows, width] = x.dims();
        x.reshape([batch, rows / batch, width / self.head_dim, self.head_dim])
            .swap_dims(1, 2)
    }

    /// q `[b, H, s, c]`, k and v `[b, G, t, c]` → `[b·s, d]`.
    fn attend(&self, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, places: &Places) -> Tensor<2> {
        let [batch, heads, queries, width] = q.dims();
        let [kv_heads, keys] = [k.dims()[1], k.dims()[2]];
        let group = heads / kv_heads;
        let q = match &places.query_rotary {
            Some(rotary) => rotary.rotate(q),
            None => q * scale(width),
        };
        let k = match &places.key_rotary {
            Some(rotary) => rotary.rotate(k),
            None => k,
        };
        let scores = q
            .reshape([batch, kv_heads, group * queries, width])
            .matmul(k.swap_dims(2, 3));
        let scores = scores.reshape([batch, heads, queries, keys]) + places.mask.clone();
        let weights =
            activation::softmax(scores, 3).reshape([batch, kv_heads, group * queries, keys]);
        let mixed = weights
            .matmul(v)
            .reshape([batch, heads, queries, width])
            .swap_dims(1, 2);
        self.output
            .forward(mixed.reshape([batch * queries, heads * width]))
    }
}

/// Keeps the scores' variance that of one product, however wide the head.
fn scale(head_dim: usize) -> f64 {
    (head_dim as f64).powf(-0.5)
}

impl Places {
    /// Queries everywhere.
    pub(super) fn along(
        config: &Config,
        lengths: &[usize],
        width: usize,
        device: &burn::tensor::Device,
    ) -> Self {
        let rotary = Rotary::along(config, width, device);
        let mask = super::mask::along(config, lengths, width, device);
        Self {
            mask,
            query_rotary: rotary
                .clone()
                .map(|rotary| rotary.scaled(scale(config.head_dim))),
            key_rotary: rotary,
        }
    }

    /// One query in each row, at `places[i]`; keys as in `self`.
    pub(super) fn at(
        &self,
        config: &Config,
        lengths: &[usize],
        places: &[usize],
        width: usize,
        device: &burn::tensor::Device,
    ) -> Self {
        Self {
            mask: super::mask::at(config, lengths, places, width, device),
            query_rotary: Rotary::at(config, places, device)
                .map(|rotary| rotary.scaled(scale(config.head_dim))),
            key_rotary: self.key_rotary.clone(),
        }
    }
}
