//! The queries of one row that share keys and values, and what they see.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;

use crate::ops::exp::exp;
use crate::ops::host::{slice, upload};
use crate::ops::wide::{largest, sum};

/// What is done to a head's numbers on their way into a tile.
#[derive(Clone, Debug)]
pub(super) enum Turn {
    /// Multiplied.
    Scale(f32),
    /// `(a·cos − b·sin, b·cos + a·sin)` of the halves a and b of its first part; the rest multiplied.
    Rotate(Box<Angles>),
}

/// Cosines and sines of places.
#[derive(Clone, Debug)]
pub(super) struct Angles {
    pub(super) cos: FlexTensor,
    pub(super) sin: FlexTensor,
    /// Pairs of numbers that are turned.
    pub(super) half: usize,
    /// What multiplies the other numbers.
    pub(super) rest: f32,
    /// Whether each row of the batch has tables of its own.
    pub(super) own: bool,
}

impl Angles {
    /// Those of a place.
    #[inline(always)]
    fn at(&self, [row, place, places]: [usize; 3]) -> [&[f32]; 2] {
        let half = self.half;
        let start = if self.own {
            (row * places + place) * half
        } else {
            place * half
        };
        [&self.cos, &self.sin].map(|table| &slice(table)[start..start + half])
    }

    /// The halves turned one way or the other, the rest multiplied.
    #[inline(always)]
    fn rotate(&self, numbers: &[f32], at: [usize; 3], way: f32, out: &mut [f32]) {
        let turned = 2 * self.half;
        let (out, untouched) = out.split_at_mut(turned);
        rotate(&numbers[..turned], self.at(at), way, out);
        for (out, x) in untouched.iter_mut().zip(&numbers[turned..]) {
            *out = x * self.rest;
        }
    }
}

impl Turn {
    /// Puts the numbers, turned.
    #[inline(always)]
    pub(super) fn turned(&self, numbers: &[f32], at: [usize; 3], out: &mut [f32]) {
        match self {
            Self::Scale(scale) => {
                out.iter_mut()
                    .zip(numbers)
                    .for_each(|(out, x)| *out = x * scale);
            }
            Self::Rotate(angles) => angles.rotate(numbers, at, 1.0, out),
        }
    }

    /// Puts the numbers, turned by the transposed matrix: the way back of a slope.
    #[inline(always)]
    pub(super) fn back(&self, numbers: &[f32], at: [usize; 3], out: &mut [f32]) {
        match self {
            Self::Scale(_) => self.turned(numbers, at, out),
            Self::Rotate(angles) => angles.rotate(numbers, at, -1.0, out),
        }
    }
}

/// `(a·cos − way·b·sin, b·cos + way·a·sin)` of the halves a and b.
#[inline(always)]
fn rotate(numbers: &[f32], [cos, sin]: [&[f32]; 2], way: f32, out: &mut [f32]) {
    let (a, b) = numbers.split_at(cos.len());
    let (first, second) = out.split_at_mut(cos.len());
    let numbers = a.iter().zip(b).zip(cos.iter().zip(sin));
    for (((a, b), (c, s)), (first, second)) in numbers.zip(first.iter_mut().zip(second)) {
        *first = a * c - way * b * s;
        *second = b * c + way * a * s;
    }
}

/// Queries `[g·q, c]`, keys and values `[t, c]`, and the weights `[g·q, t]` that the queries give the
/// values.
pub(super) struct Tile {
    queries: FlexTensor,
    keys: FlexTensor,
    values: FlexTensor,
    weights: FlexTensor,
}

impl Tile {
    /// `mask(i)` is added to the scores of query i.
    #[inline(always)]
    pub(super) fn new<'a>(
        width: usize,
        queries: Vec<f32>,
        keys: Vec<f32>,
        values: Vec<f32>,
        mask: impl Fn(usize) -> &'a [f32],
    ) -> Self {
        let tensor = |numbers: Vec<f32>| {
            let places = numbers.len() / width;
            upload(numbers, [places, width])
        };
        let [queries, keys, values] = [queries, keys, values].map(tensor);
        let mut weights = Flex::float_matmul(queries.clone(), keys.transpose(0, 1));
        let seen = keys.layout().shape()[0];
        let scores = weights.storage_mut::<f32>().chunks_exact_mut(seen);
        for (query, scores) in scores.enumerate() {
            softmax(scores, mask(query));
        }
        Self {
            queries,
            keys,
            values,
            weights,
        }
    }

    /// What each query sees, `[g·q, c]`.
    pub(super) fn mixed(self) -> FlexTensor {
        Flex::float_matmul(self.weights, self.values)
    }

    /// Slopes of queries, keys and values, from that of what is mixed.
    ///
    /// With weights P: ∂v = Pᵀ·∂y, and with ∂P = ∂y·vᵀ the scores' slope is S = P∘(∂P − Σⱼ P∘∂P);
    /// ∂q = S·k, ∂k = Sᵀ·q.
    #[inline(always)]
    pub(super) fn backward(self, slope: Vec<f32>) -> [FlexTensor; 3] {
        let [places, width] = [0, 1].map(|dim| self.queries.layout().shape()[dim]);
        let seen = self.keys.layout().shape()[0];
        let slope = upload(slope, [places, width]);
        let to_values = Flex::float_matmul(self.weights.transpose(0, 1), slope.clone());
        let mut scores = Flex::float_matmul(slope, self.values.transpose(0, 1));
        let rows = scores.storage_mut::<f32>().chunks_exact_mut(seen);
        for (row, weights) in rows.zip(slice(&self.weights).chunks_exact(seen)) {
            let level = sum([weights, row], |[p, g]| p * g);
            for (g, p) in row.iter_mut().zip(weights) {
                *g = p * (*g - level);
            }
        }
        let to_keys = Flex::float_matmul(scores.transpose(0, 1), self.queries);
        let to_queries = Flex::float_matmul(scores, self.keys);
        [to_queries, to_keys, to_values]
    }
}

/// softmax(scores + mask), in place.
#[inline(always)]
fn softmax(scores: &mut [f32], mask: &[f32]) {
    for (score, blocked) in scores.iter_mut().zip(mask) {
        *score += blocked;
    }
    let most = largest(scores);
    for score in scores.iter_mut() {
        *score = exp(*score - most);
    }
    let share = 1.0 / sum([scores], |[x]| x);
    for score in scores {
        *score *= share;
    }
}
