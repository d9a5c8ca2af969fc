//! Multi-head attention with shared keys and values (Vaswani et al. 2017; Ainslie et al. 2023).

use burn::module::Module;
use burn::tensor::{Tensor, activation};

use super::past::KeysValues;
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
pub(super) struct Places {
    /// Added to the scores, `[batch or 1, 1, queries or 1, keys]`, those of the past first.
    pub(super) mask: Tensor<4>,
    /// Turns queries and scales them by `1/sqrt(c)`; `None` when positions are learned.
    pub(super) query_rotary: Option<Rotary>,
    /// Turns keys.
    pub(super) key_rotary: Option<Rotary>,
}

impl Attention {
    /// All places at once, behind the `past`: `[batch·s, d]` → `[batch·s, d]`, and the keys and values
    /// of past and present.
    pub(super) fn forward(
        &self,
        x: Tensor<2>,
        batch: usize,
        places: &Places,
        past: Option<&KeysValues>,
    ) -> (Tensor<2>, KeysValues) {
        let qkv = self.split_heads(self.qkv.forward(x), batch);
        let q = qkv.clone().narrow(1, 0, self.heads);
        let k = qkv.clone().narrow(1, self.heads, self.kv_heads);
        let v = qkv.narrow(1, self.heads + self.kv_heads, self.kv_heads);
        let seen = places.keys_values(k, v).behind(past);
        (self.attend(q, seen.clone(), places), seen)
    }

    /// One query in each row, keys and values everywhere:
    /// `[batch, d]` and `[batch·s, d]` → `[batch, d]`.
    pub(super) fn forward_at(
        &self,
        query: Tensor<2>,
        x: Tensor<2>,
        places: &Places,
        past: Option<&KeysValues>,
    ) -> Tensor<2> {
        let batch = query.dims()[0];
        let (width, all) = (self.heads * self.head_dim, self.qkv.weight.dims()[1]);
        let q = self.split_heads(self.qkv.forward_columns(query, 0..width), batch);
        let kv = self.split_heads(self.qkv.forward_columns(x, width..all), batch);
        let k = kv.clone().narrow(1, 0, self.kv_heads);
        let v = kv.narrow(1, self.kv_heads, self.kv_heads);
        self.attend(q, places.keys_values(k, v).behind(past), places)
    }

    /// `[b·s, n·c]` → `[b, n, s, c]`
    fn split_heads(&self, x: Tensor<2>, batch: usize) -> Tensor<4> {
        let [rows, width] = x.dims();
        x.reshape([batch, rows / batch, width / self.head_dim, self.head_dim])
            .swap_dims(1, 2)
    }

    /// q `[b, H, s, c]`, keys and values `[b, G, t, c]` → `[b·s, d]`.
    fn attend(&self, q: Tensor<4>, seen: KeysValues, places: &Places) -> Tensor<2> {
        let [batch, heads, queries, width] = q.dims();
        let KeysValues { keys: k, values: v } = seen;
        let [kv_heads, keys] = [k.dims()[1], k.dims()[2]];
        let group = heads / kv_heads;
        let q = match &places.query_rotary {
            Some(rotary) => rotary.rotate(q),
            None => q * scale(width),
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
    /// Queries everywhere, behind `past` places.
    pub(super) fn along(
        config: &Config,
        lengths: &[usize],
        past: usize,
        width: usize,
        device: &burn::tensor::Device,
    ) -> Self {
        let rotary = Rotary::along(config, past..past + width, device);
        let mask = super::mask::along(config, lengths, past, width, device);
        Self {
            mask,
            query_rotary: rotary
                .clone()
                .map(|rotary| rotary.scaled(scale(config.head_dim))),
            key_rotary: rotary,
        }
    }

    /// One query in each row, at `places[i]`; as many keys as `keys`, turned as in `self`.
    pub(super) fn at(
        &self,
        config: &Config,
        lengths: &[usize],
        places: &[usize],
        keys: usize,
        device: &burn::tensor::Device,
    ) -> Self {
        Self {
            mask: super::mask::at(config, lengths, places, keys, device),
            query_rotary: Rotary::at(config, places, device)
                .map(|rotary| rotary.scaled(scale(config.head_dim))),
            key_rotary: self.key_rotary.clone(),
        }
    }

    fn keys_values(&self, k: Tensor<4>, values: Tensor<4>) -> KeysValues {
        let keys = match &self.key_rotary {
            Some(rotary) => rotary.rotate(k),
            None => k,
        };
        KeysValues { keys, values }
    }
}
