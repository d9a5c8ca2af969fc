//! Rotary positions (Su et al. 2021), half against half as Hugging Face's Llama has them.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use super::config::{Config, Position};

/// Cosines and sines for the places of one forward pass, shared by all blocks.
///
/// The first half `a` and the second half `b` of a head become
/// `(a·cos − b·sin, b·cos + a·sin)` with angle `place · theta^(−2i/c)`.
#[derive(Clone, Debug)]
pub(super) struct Rotary {
    /// `[batch or 1, 1, places, c/2]`
    cos: Tensor<4>,
    /// `[batch or 1, 1, places, c/2]`
    sin: Tensor<4>,
}

impl Rotary {
    /// Tables for the same places in every row; `None` when positions are learned.
    #[must_use]
    pub(super) fn along(config: &Config, places: Range<usize>, device: &Device) -> Option<Self> {
        let places: Vec<usize> = places.collect();
        Self::tables(config, &places, [1, places.len()], device)
    }

    /// Tables for one place in each row of the batch; `None` when positions are learned.
    #[must_use]
    pub(super) fn at(config: &Config, places: &[usize], device: &Device) -> Option<Self> {
        Self::tables(config, places, [places.len(), 1], device)
    }

    fn tables(
        config: &Config,
        places: &[usize],
        [rows, columns]: [usize; 2],
        device: &Device,
    ) -> Option<Self> {
        let Position::Rotary { theta } = config.position else {
            return None;
        };
        let half = config.head_dim / 2;
        // The angle is rounded to f32 as it was when the model was trained; only then is it exact
        // trigonometry.
        let frequencies: Vec<f32> = (0..half)
            .map(|i| theta.powf(-2.0 * i as f64 / config.head_dim as f64) as f32)
            .collect();
        let angles = || {
            places
                .iter()
                .flat_map(|&p| frequencies.iter().map(move |f| f64::from(p as f32 * f)))
        };
        let upload = |values: Vec<f32>| {
            Tensor::from_data(TensorData::new(values, [rows, 1, columns, half]), device)
        };
        Some(Self {
            cos: upload(angles().map(|angle| libm::cos(angle) as f32).collect()),
            sin: upload(angles().map(|angle| libm::sin(angle) as f32).collect()),
        })
    }

    /// Tables that also multiply by a factor: the scale of the scores costs nothing this way.
    #[must_use]
    pub(super) fn scaled(self, factor: f64) -> Self {
        Self {
            cos: self.cos * factor,
            sin: self.sin * factor,
        }
    }

    /// Cosines and sines.
    #[must_use]
    pub(super) fn angles(&self) -> [&Tensor<4>; 2] {
        [&self.cos, &self.sin]
    }

    /// `[batch, heads, places, c]` → the same, rotated.
    #[must_use]
    pub(super) fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let a = x.clone().narrow(3, 0, half);
        let b = x.narrow(3, half, half);
        let first = a.clone() * self.cos.clone() - b.clone() * self.sin.clone();
        let second = b * self.cos.clone() + a * self.sin.clone();
        Tensor::cat(vec![first, second], 3)
    }
}
