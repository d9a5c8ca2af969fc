//! Multi-head attention with shared keys and values (Vaswani et al. 2017; Ainslie et al. 2023).

use burn::module::Module;
use burn::tensor::{Tensor, activation};

use super::past::KeysValues;
use super::{Config, Linear, rotary::Rotary};
use crate::ops::{self, Attend, Projected};

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
    /// All places at once, behind the `past`: `[batch·s, d]` → `[batch·s, d]`, and the projections
    /// that it came from, `[batch·s, (H + 2G)·c]`.
    pub(super) fn forward(
        &self,
        x: Tensor<2>,
        batch: usize,
        places: &Places,
        past: Option<&KeysValues>,
    ) -> (Tensor<2>, Tensor<2>) {
        let qkv = self.qkv.forward(x);
        let projected = Projected {
            queries: qkv.clone(),
            keys_values: None,
        };
        let mixed = self.mix(projected, batch, places, past);
        (self.output.forward(mixed), qkv)
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
        let projected = Projected {
            queries: self.qkv.forward_columns(query, 0..width),
            keys_values: Some(self.qkv.forward_columns(x, width..all)),
        };
        let mixed = self.mix(projected, batch, places, past);
        self.output.forward(mixed)
    }

    /// Keys, turned, and values of past and present, from the projections of
    /// [`forward`](Self::forward).
    pub(super) fn seen(
        &self,
        qkv: Tensor<2>,
        batch: usize,
        places: &Places,
        past: Option<&KeysValues>,
    ) -> KeysValues {
        let width = self.heads * self.head_dim;
        let kv = qkv.narrow(1, width, 2 * self.kv_heads * self.head_dim);
        let kv = self.split_heads(kv, batch);
        let k = kv.clone().narrow(1, 0, self.kv_heads);
        let v = kv.narrow(1, self.kv_heads, self.kv_heads);
        places.keys_values(k, v).behind(past)
    }

    /// What the queries see: `[b·q, H·c]`.
    fn mix(
        &self,
        projected: Projected,
        batch: usize,
        places: &Places,
        past: Option<&KeysValues>,
    ) -> Tensor<2> {
        ops::attend(&self.told(batch, places, past), &projected)
            .unwrap_or_else(|| self.mix_by_tensors(projected, batch, places, past))
    }

    fn told<'a>(
        &self,
        batch: usize,
        places: &'a Places,
        past: Option<&'a KeysValues>,
    ) -> Attend<'a> {
        Attend {
            batch,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            mask: &places.mask,
            query_turn: places.query_rotary.as_ref().map(Rotary::angles),
            key_turn: places.key_rotary.as_ref().map(Rotary::angles),
            scale: scale(self.head_dim),
            past: past.map(|past| [&past.keys, &past.values]),
        }
    }

    /// [`mix`](Self::mix) as tensor operations, for any device.
    fn mix_by_tensors(
        &self,
        projected: Projected,
        batch: usize,
        places: &Places,
        past: Option<&KeysValues>,
    ) -> Tensor<2> {
        let (heads, kv_heads) = (self.heads, self.kv_heads);
        let queries = self.split_heads(projected.queries, batch);
        let q = queries.clone().narrow(1, 0, heads);
        let kv = match projected.keys_values {
            Some(kv) => self.split_heads(kv, batch),
            None => queries.narrow(1, heads, 2 * kv_heads),
        };
        let [k, v] = [0, kv_heads].map(|start| kv.clone().narrow(1, start, kv_heads));
        let KeysValues { keys: k, values: v } = places.keys_values(k, v).behind(past);
        let [_, _, queries, width] = q.dims();
        let (keys, group) = (k.dims()[2], heads / kv_heads);
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
        mixed.reshape([batch * queries, heads * width])
    }

    /// `[b·s, n·c]` → `[b, n, s, c]`
    fn split_heads(&self, x: Tensor<2>, batch: usize) -> Tensor<4> {
        let [rows, width] = x.dims();
        x.reshape([batch, rows / batch, width / self.head_dim, self.head_dim])
            .swap_dims(1, 2)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::module::Module;

    use super::*;
    use crate::model::testing::{gpt2, llama, random, roberta};
    use crate::ops::testing::{noise, same};

    const BATCH: usize = 2;
    const WIDTH: usize = 7;

    /// The model's first attention, and its two ways to mix.
    fn check(config: &Config, places: &Places, past: Option<[usize; 2]>, apart: Option<usize>) {
        let attention = random(config, 1).blocks()[0].attention.clone().no_grad();
        let (q, kv) = (config.query_width(), 2 * config.key_width());
        let mut inputs = match apart {
            None => vec![noise([BATCH * WIDTH, q + kv], 1)],
            Some(queries) => vec![
                noise([BATCH * queries, q], 1),
                noise([BATCH * WIDTH, kv], 2),
            ],
        };
        let projections = inputs.len();
        let shape =
            past.map(|[rows, places]| [rows, config.num_key_value_heads, places, config.head_dim]);
        if let Some([rows, heads, places, width]) = shape {
            let rows = rows * heads * places;
            inputs.extend([3, 4].map(|seed| noise([rows, width], seed)));
        }
        let read = |x: &[Tensor<2>]| {
            let projected = Projected {
                queries: x[0].clone(),
                keys_values: (projections > 1).then(|| x[1].clone()),
            };
            let past = shape.map(|shape| {
                let [keys, values] = [0, 1].map(|at| x[projections + at].clone().reshape(shape));
                KeysValues { keys, values }
            });
            (projected, past)
        };
        let fused = |x: &[Tensor<2>]| {
            let (projected, past) = read(x);
            ops::attend(&attention.told(BATCH, places, past.as_ref()), &projected)
        };
        let plain = |x: &[Tensor<2>]| {
            let (projected, past) = read(x);
            attention.mix_by_tensors(projected, BATCH, places, past.as_ref())
        };
        same(&inputs, fused, plain);
    }

    fn along(config: &Config, past: usize) -> Places {
        let lengths = [past + WIDTH, past + 4];
        Places::along(config, &lengths, past, WIDTH, &burn::tensor::Device::flex())
    }

    #[test]
    fn fused_agrees_with_tensor_operations() {
        for config in [llama(), gpt2(), roberta()] {
            check(&config, &along(&config, 0), None, None);
        }
    }

    #[test]
    fn behind_a_past_of_one_row_or_of_each() {
        let config = llama();
        for rows in [1, BATCH] {
            check(&config, &along(&config, 3), Some([rows, 3]), None);
        }
    }

    #[test]
    fn one_query_in_each_row() {
        let device = burn::tensor::Device::flex();
        for config in [llama(), roberta()] {
            let at = |past: usize| {
                let places = [past + 5, past + 2];
                let (lengths, keys) = ([past + WIDTH, past + 4], past + WIDTH);
                along(&config, past).at(&config, &lengths, &places, keys, &device)
            };
            check(&config, &at(0), None, Some(1));
            if config.causal {
                check(&config, &at(3), Some([1, 3]), Some(1));
            }
        }
    }
}
