//! Multi-head attention with shared keys and values (Vaswani et al. 2017; Ainslie et al. 2023).

use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};

use super::config::Layer;
use super::past::KeysValues;
use super::{Config, Linear, Norm, rotary::Rotary};
use crate::ops::{self, Attend, Projected};

/// `softmax(scale · q·kᵀ + mask)·v` for each head, then the output projection.
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
    /// Of each head's queries and of its keys, over c.
    pub query_key_norms: Option<[Norm; 2]>,
    /// Multiplies the scores.
    pub scale: f64,
    /// The scores s become `cap · tanh(s / cap)`.
    pub softcap: Option<f64>,
}

/// What the blocks of one forward pass that are alike as [`Layer`]s share: where their queries stand and
/// what they may see.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// Added to the scores, `[batch or 1, 1, queries or 1, keys]`, those of the past first.
    pub(super) mask: Tensor<4>,
    /// Turns queries and scales them; `None` when nothing is turned.
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
        let (heads, shared) = (self.heads, self.kv_heads);
        let qkv = self.normalised(self.qkv.forward(x), [heads, shared, shared]);
        let projected = Projected {
            queries: qkv.clone(),
            keys_values: None,
        };
        let mixed = self.mix(projected, batch, places, past);
        (self.output.forward(mixed), qkv)
    }

    /// q queries in each row, keys and values everywhere:
    /// `[batch·q, d]` and `[batch·s, d]` → `[batch·q, d]`.
    pub(super) fn forward_at(
        &self,
        query: Tensor<2>,
        x: Tensor<2>,
        batch: usize,
        places: &Places,
        past: Option<&KeysValues>,
    ) -> Tensor<2> {
        let (width, all) = (self.heads * self.head_dim, self.qkv.weight.dims()[1]);
        let (query, kv) = (
            self.qkv.forward_columns(query, 0..width),
            self.qkv.forward_columns(x, width..all),
        );
        let projected = Projected {
            queries: self.normalised(query, [self.heads, 0, 0]),
            keys_values: Some(self.normalised(kv, [0, self.kv_heads, self.kv_heads])),
        };
        let mixed = self.mix(projected, batch, places, past);
        self.output.forward(mixed)
    }

    /// Projections `[rows, heads·c]` with the heads of queries and keys normalised, where the model does
    /// that; given are the numbers of heads of queries, keys and values.
    fn normalised(&self, x: Tensor<2>, [queries, keys, values]: [usize; 3]) -> Tensor<2> {
        let Some([query_norm, key_norm]) = &self.query_key_norms else {
            return x;
        };
        let (rows, c) = (x.dims()[0], self.head_dim);
        let heads = |from: usize, heads: usize| x.clone().narrow(1, from * c, heads * c);
        let each = |norm: &Norm, x: Tensor<2>| {
            let width = x.dims()[1];
            norm.forward(x.reshape([rows * width / c, c]))
                .reshape([rows, width])
        };
        let mut parts = Vec::with_capacity(3);
        if queries > 0 {
            parts.push(each(query_norm, heads(0, queries)));
        }
        if keys > 0 {
            parts.push(each(key_norm, heads(queries, keys)));
            parts.push(heads(queries + keys, values));
        }
        Tensor::cat(parts, 1)
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
        let fused = match self.softcap {
            None => ops::attend(&self.told(batch, places, past), &projected),
            Some(_) => None,
        };
        fused.unwrap_or_else(|| self.mix_by_tensors(projected, batch, places, past))
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
            scale: self.scale,
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
            None => q * self.scale,
        };
        let scores = q
            .reshape([batch, kv_heads, group * queries, width])
            .matmul(k.swap_dims(2, 3));
        let scores = match self.softcap {
            Some(cap) => (scores / cap).tanh() * cap,
            None => scores,
        };
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

impl Places {
    /// Queries everywhere, behind `past` places.
    pub(super) fn along(
        config: &Config,
        layer: &Layer,
        lengths: &[usize],
        [past, width]: [usize; 2],
        device: &Device,
    ) -> Self {
        let places: Vec<usize> = (past..past + width).collect();
        let turn = |rope| Rotary::tables(rope, &places, [1, width], device);
        let rotary = layer.rope.as_ref().map(turn);
        Self {
            mask: super::mask::along(config, layer, lengths, [past, width], device),
            query_rotary: scaled(config, rotary.clone()),
            key_rotary: rotary,
        }
    }

    /// q queries in each row, at `places[i·q..(i + 1)·q]` in row i; as many keys as `keys`, turned as in
    /// `self`.
    pub(super) fn at(
        &self,
        config: &Config,
        layer: &Layer,
        lengths: &[usize],
        places: &[usize],
        keys: usize,
        device: &Device,
    ) -> Self {
        let (batch, queries) = (lengths.len(), places.len() / lengths.len());
        let turn = |rope| Rotary::tables(rope, places, [batch, queries], device);
        Self {
            mask: super::mask::at(config, layer, lengths, places, keys, device),
            query_rotary: scaled(config, layer.rope.as_ref().map(turn)),
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

/// Where something is turned, all blocks have one scale.
fn scaled(config: &Config, rotary: Option<Rotary>) -> Option<Rotary> {
    rotary.map(|rotary| rotary.scaled(config.score_scale(0)))
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
        let layer = &config.layers[0];
        Places::along(config, layer, &lengths, [past, WIDTH], &Device::flex())
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
    fn a_few_queries_in_each_row() {
        let device = Device::flex();
        for (config, few) in [(llama(), 1), (roberta(), 1), (llama(), 3), (roberta(), 3)] {
            let at = |past: usize| {
                let rows = [[5, 4, 6], [2, 3, 3]];
                let places = rows.iter().flat_map(|row| &row[..few]);
                let places: Vec<usize> = places.map(|place| past + place).collect();
                let (lengths, keys) = ([past + WIDTH, past + 4], past + WIDTH);
                let layer = &config.layers[0];
                along(&config, past).at(&config, layer, &lengths, &places, keys, &device)
            };
            check(&config, &at(0), None, Some(few));
            if config.causal {
                check(&config, &at(3), Some([1, 3]), Some(few));
            }
        }
    }
}
