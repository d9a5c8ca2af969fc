//! Attention of heads that share keys and values, from projections to what is projected back.

use burn::backend::flex::FlexTensor;
use burn::tensor::{Device, Tensor};

use super::host::{Fused, Host, fuse, rows, slice};
use tile::{Angles, Tile, Turn};

mod tile;

/// Queries, keys and values, a head's c numbers together, heads of one kind side by side.
pub(crate) struct Projected {
    /// `[b·q, H·c]`, or all three in `[b·s, (H + 2G)·c]`.
    pub(crate) queries: Tensor<2>,
    /// `[b·s, 2G·c]`, where there are fewer queries than keys.
    pub(crate) keys_values: Option<Tensor<2>>,
}

/// What attention is told beside the projections.
pub(crate) struct Attend<'a> {
    pub(crate) batch: usize,
    /// H
    pub(crate) heads: usize,
    /// G
    pub(crate) kv_heads: usize,
    /// c
    pub(crate) head_dim: usize,
    /// Added to the scores, `[b or 1, 1, q or 1, p + s]`.
    pub(crate) mask: &'a Tensor<4>,
    /// Cosines and sines that turn the first r numbers of a query, `[b or 1, 1, q, r/2]`, and what
    /// multiplies the others.
    pub(crate) query_turn: Option<([&'a Tensor<4>; 2], f64)>,
    /// Those that turn keys.
    pub(crate) key_turn: Option<([&'a Tensor<4>; 2], f64)>,
    /// Multiplies queries that are not turned.
    pub(crate) scale: f64,
    /// Keys, turned, and values of p earlier places, `[b or 1, G, p, c]`.
    pub(crate) past: Option<[&'a Tensor<4>; 2]>,
}

/// `softmax(q·kᵀ + mask)·v` for each head: → `[b·q, H·c]`.
///
/// A row's heads that share keys are one tile: small enough to stay in the cache from the queries to
/// what they mix, so scores never reach memory.
pub(crate) fn attend(told: &Attend<'_>, projected: &Projected) -> Option<Tensor<2>> {
    let queries = Host::of(&projected.queries)?;
    let past = match told.past {
        Some([keys, values]) => Host::all([Host::of(keys), Host::of(values)])?,
        None => {
            let none = Tensor::<4>::zeros([1, told.kv_heads, 0, told.head_dim], &Device::flex());
            Host::all([Host::of(&none), Host::of(&none)])?
        }
    };
    let op = Attention::new(told, projected)?;
    let [keys, values] = past;
    Some(match &projected.keys_values {
        None => fuse(op, [queries, keys, values]).tensor(),
        Some(kv) => fuse(op, [queries, Host::of(kv)?, keys, values]).tensor(),
    })
}

/// Inputs: the projections, in one tensor or two; keys and values of the past.
#[derive(Clone, Debug)]
struct Attention {
    batch: usize,
    /// Places with a query.
    queries: usize,
    /// Places with a key, without those of the past.
    keys: usize,
    /// p
    past: usize,
    /// Whether each row has a past of its own.
    own_past: bool,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    mask: FlexTensor,
    /// Rows of the mask: for each row of the batch or for all, for each query or for all.
    mask_rows: [usize; 2],
    query_turn: Turn,
    key_turn: Turn,
}

/// Where the heads of one kind begin, and how far apart places are.
#[derive(Clone, Copy)]
struct Columns {
    input: usize,
    start: usize,
    stride: usize,
}

impl Attention {
    fn new(told: &Attend<'_>, projected: &Projected) -> Option<Self> {
        let Projected {
            queries,
            keys_values,
        } = projected;
        let keys = keys_values.as_ref().unwrap_or(queries).dims()[0];
        let queries = queries.dims()[0];
        let turn = |tables: Option<([&Tensor<4>; 2], f64)>, scale: f64| match tables {
            None => Some(Turn::Scale(scale as f32)),
            Some(([cos, sin], rest)) => {
                let (own, half) = (cos.dims()[0] > 1, cos.dims()[3]);
                let [cos, sin] = Host::all([Host::of(cos), Host::of(sin)])?;
                let [cos, sin] = [cos, sin].map(|table| rows(table.plain()));
                let rest = rest as f32;
                let angles = Angles {
                    cos,
                    sin,
                    half,
                    own,
                    rest,
                };
                Some(Turn::Rotate(Box::new(angles)))
            }
        };
        let past = told.past.map_or([1, 0, 0, 0], |[keys, _]| keys.dims());
        let [mask_batch, _, mask_queries, _] = told.mask.dims();
        Some(Self {
            batch: told.batch,
            queries: queries / told.batch,
            keys: keys / told.batch,
            past: past[2],
            own_past: past[0] > 1,
            heads: told.heads,
            kv_heads: told.kv_heads,
            head_dim: told.head_dim,
            mask: rows(Host::of(told.mask)?.plain()),
            mask_rows: [mask_batch, mask_queries],
            query_turn: turn(told.query_turn, told.scale)?,
            key_turn: turn(told.key_turn, 1.0)?,
        })
    }

    /// Queries, keys and values among the inputs.
    fn columns(&self, inputs: usize) -> [Columns; 3] {
        let (c, queries) = (self.head_dim, self.heads * self.head_dim);
        let kv = self.kv_heads * c;
        let at = |input, start, stride| Columns {
            input,
            start,
            stride,
        };
        if inputs == 3 {
            let stride = queries + 2 * kv;
            [0, queries, queries + kv].map(|start| at(0, start, stride))
        } else {
            [at(0, 0, queries), at(1, 0, 2 * kv), at(1, kv, 2 * kv)]
        }
    }

    /// Query heads that share keys and values.
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// What stood `before`, and the places of some heads of an input, turned: head after head, place
    /// after place.
    #[inline(always)]
    fn gather(
        &self,
        before: &[f32],
        input: &[f32],
        columns: Columns,
        [row, places]: [usize; 2],
        heads: std::ops::Range<usize>,
        turn: &Turn,
    ) -> Vec<f32> {
        let c = self.head_dim;
        let mut all = vec![0.0; before.len() + heads.len() * places * c];
        let (front, back) = all.split_at_mut(before.len());
        front.copy_from_slice(before);
        let mut out = back.chunks_exact_mut(c);
        for head in heads {
            for (place, out) in (0..places).zip(&mut out) {
                let from = (row * places + place) * columns.stride + columns.start + head * c;
                turn.turned(&input[from..from + c], [row, place, places], out);
            }
        }
        all
    }

    /// The way back of [`gather`](Self::gather).
    #[inline(always)]
    fn scatter(
        &self,
        tile: &[f32],
        columns: Columns,
        [row, places]: [usize; 2],
        heads: std::ops::Range<usize>,
        turn: &Turn,
        out: &mut [f32],
    ) {
        let c = self.head_dim;
        let mut tile = tile.chunks_exact(c);
        for head in heads {
            for (place, numbers) in (0..places).zip(&mut tile) {
                let to = (row * places + place) * columns.stride + columns.start + head * c;
                turn.back(numbers, [row, place, places], &mut out[to..to + c]);
            }
        }
    }

    /// Where the past of a row and a key head stands.
    fn past_range(&self, row: usize, kv_head: usize) -> std::ops::Range<usize> {
        let len = self.past * self.head_dim;
        let row = if self.own_past { row } else { 0 };
        let start = (row * self.kv_heads + kv_head) * len;
        start..start + len
    }

    /// The tile of a row and a key head, up to its weights.
    #[inline(always)]
    fn tile<const N: usize>(&self, inputs: [&[f32]; N], row: usize, kv_head: usize) -> Tile {
        let (c, group) = (self.head_dim, self.group());
        let [q, k, v] = self.columns(N);
        let heads = kv_head * group..(kv_head + 1) * group;
        let (at, turn) = ([row, self.queries], &self.query_turn);
        let queries = self.gather(&[], inputs[q.input], q, at, heads, turn);
        let past = self.past_range(row, kv_head);
        let (at, head) = ([row, self.keys], kv_head..kv_head + 1);
        let (before, turn) = (&inputs[N - 2][past.clone()], &self.key_turn);
        let keys = self.gather(before, inputs[k.input], k, at, head.clone(), turn);
        let (before, turn) = (&inputs[N - 1][past], &Turn::Scale(1.0));
        let values = self.gather(before, inputs[v.input], v, at, head, turn);
        let mask = slice(&self.mask);
        let width = self.past + self.keys;
        let [mask_batch, mask_queries] = self.mask_rows;
        let visible = |query: usize| {
            let row = if mask_batch > 1 { row } else { 0 };
            let query = if mask_queries > 1 { query } else { 0 };
            &mask[(row * mask_queries + query) * width..][..width]
        };
        Tile::new(c, queries, keys, values, |at| visible(at % self.queries))
    }

    /// Every row and key head.
    fn tiles(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let kv_heads = self.kv_heads;
        (0..self.batch).flat_map(move |row| (0..kv_heads).map(move |head| (row, head)))
    }

    /// What comes out: the queries' heads side by side.
    fn mixed(&self) -> Columns {
        Columns {
            input: 0,
            start: 0,
            stride: self.heads * self.head_dim,
        }
    }
}

impl<const N: usize> Fused<N> for Attention {
    fn shape(&self) -> Vec<usize> {
        vec![self.batch * self.queries, self.heads * self.head_dim]
    }

    #[inline(always)]
    fn forward(&self, inputs: [&[f32]; N]) -> Vec<f32> {
        let mut out = vec![0.0; self.batch * self.queries * self.heads * self.head_dim];
        let as_is = Turn::Scale(1.0);
        for (row, kv_head) in self.tiles() {
            let mixed = self.tile(inputs, row, kv_head).mixed();
            let heads = kv_head * self.group()..(kv_head + 1) * self.group();
            let (at, columns) = ([row, self.queries], self.mixed());
            self.scatter(slice(&mixed), columns, at, heads, &as_is, &mut out);
        }
        out
    }

    #[inline(always)]
    fn backward(
        &self,
        inputs: [&[f32]; N],
        slope: &[f32],
        wanted: [bool; N],
    ) -> [Option<Vec<f32>>; N] {
        let mut slopes = [const { None }; N];
        for (at, slope) in slopes.iter_mut().enumerate().filter(|(at, _)| wanted[*at]) {
            *slope = Some(vec![0.0; inputs[at].len()]);
        }
        let [q, k, v] = self.columns(N);
        let as_is = Turn::Scale(1.0);
        for (row, kv_head) in self.tiles() {
            let heads = kv_head * self.group()..(kv_head + 1) * self.group();
            let (at, columns) = ([row, self.queries], self.mixed());
            let slope_tile = self.gather(&[], slope, columns, at, heads.clone(), &as_is);
            let tile = self.tile(inputs, row, kv_head);
            let [to_q, to_k, to_v] = tile.backward(slope_tile);
            if let Some(out) = &mut slopes[q.input] {
                self.scatter(slice(&to_q), q, at, heads, &self.query_turn, out);
            }
            let (at, head) = ([row, self.keys], kv_head..kv_head + 1);
            let past = self.past_range(row, kv_head);
            let parts = [(k, &to_k, &self.key_turn, N - 2), (v, &to_v, &as_is, N - 1)];
            for (columns, to, turn, past_input) in parts {
                let (before, here) = slice(to).split_at(past.len());
                if let Some(out) = &mut slopes[columns.input] {
                    self.scatter(here, columns, at, head.clone(), turn, out);
                }
                if let Some(out) = &mut slopes[past_input] {
                    let sums = out[past.clone()].iter_mut().zip(before);
                    sums.for_each(|(sum, x)| *sum += x);
                }
            }
        }
        slopes
    }
}
