//! Rotary positions (Su et al. 2021), half against half as Hugging Face's Llama has them.

use std::f64::consts::TAU;

use burn::tensor::{Device, Tensor, TensorData};

use super::ModelError;

/// How places turn queries and keys: the first `dims` numbers of a head, half against half, by
/// `place · frequency`; the rest of the head is left as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// The base of the angles, `rope_theta`.
    pub theta: f64,
    /// How many numbers of a head are turned; even.
    pub dims: usize,
    /// How the angles were stretched for longer texts.
    pub scaling: RopeScaling,
}

/// Stretched angles, by the names and parameters of Hugging Face's `rope_parameters`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// `theta^(−2i/dims)`
    Default,
    /// All frequencies divided by the factor (Chen et al. 2023).
    Linear {
        /// `factor`
        factor: f64,
    },
    /// The base grows with the text once it is longer than `max_position_embeddings`. No text here is:
    /// an example's numbers would depend on the others in its batch. Up to there it is the default.
    Dynamic {
        /// `factor`
        factor: f64,
    },
    /// Slow frequencies divided, fast ones kept, a straight line between (Llama 3.1).
    Llama3 {
        /// `factor`
        factor: f64,
        /// `low_freq_factor`
        low: f64,
        /// `high_freq_factor`
        high: f64,
        /// `original_max_position_embeddings`
        original: usize,
    },
    /// As [`Llama3`](Self::Llama3), with a line over the dimensions, and tables that are multiplied
    /// (Peng et al. 2023).
    Yarn {
        /// `factor`
        factor: f64,
        /// `beta_fast`
        fast: f64,
        /// `beta_slow`
        slow: f64,
        /// `attention_factor`: multiplies cosines and sines.
        attention: f64,
        /// `original_max_position_embeddings`
        original: usize,
        /// `truncate`: whether the line begins and ends at whole dimensions.
        truncate: bool,
    },
}

impl Rope {
    /// # Errors
    /// [`ModelError::Invalid`] for numbers from which no angles follow.
    pub(super) fn check(&self, head_dim: usize) -> Result<(), ModelError> {
        if self.dims == 0 || self.dims > head_dim || !self.dims.is_multiple_of(2) {
            let reason = format!(
                "{} of {head_dim} numbers of a head can't be turned in pairs",
                self.dims
            );
            return Err(ModelError::invalid("head_dim", reason));
        }
        if !(self.theta > 1.0 && self.theta.is_finite()) {
            let reason = format!("{} is not a number above 1", self.theta);
            return Err(ModelError::invalid("rope_theta", reason));
        }
        let (numbers, original) = match self.scaling {
            RopeScaling::Default => return Ok(()),
            RopeScaling::Linear { factor } | RopeScaling::Dynamic { factor } => ([factor; 4], 1),
            RopeScaling::Llama3 {
                factor,
                low,
                high,
                original,
            } => ([factor, low, high, high - low], original),
            RopeScaling::Yarn {
                factor,
                fast,
                slow,
                attention,
                original,
                ..
            } => ([factor, fast, slow, attention], original),
        };
        let usable = numbers
            .iter()
            .all(|number| *number > 0.0 && number.is_finite());
        if !usable || original == 0 {
            let reason = format!("no angles follow from {:?}", self.scaling);
            return Err(ModelError::invalid("rope_parameters", reason));
        }
        Ok(())
    }

    /// Angle per place for each of the `dims / 2` pairs.
    #[must_use]
    pub fn frequencies(&self) -> Vec<f32> {
        let pairs = self.dims / 2;
        let plain = (0..pairs).map(|i| self.theta.powf(-2.0 * i as f64 / self.dims as f64));
        let stretched = |(pair, frequency): (usize, f64)| match self.scaling {
            RopeScaling::Default | RopeScaling::Dynamic { .. } => frequency,
            RopeScaling::Linear { factor } => frequency / factor,
            RopeScaling::Llama3 {
                factor,
                low,
                high,
                original,
            } => {
                // Turns within the original length: few of them are slow, many are fast.
                let turns = original as f64 * frequency / TAU;
                mix(
                    frequency,
                    factor,
                    ((turns - low) / (high - low)).clamp(0.0, 1.0),
                )
            }
            RopeScaling::Yarn {
                factor,
                fast,
                slow,
                original,
                truncate,
                ..
            } => {
                let [first, last] = self.line([fast, slow], original, truncate);
                let kept = 1.0 - ((pair as f64 - first) / (last - first)).clamp(0.0, 1.0);
                mix(frequency, factor, kept)
            }
        };
        plain
            .enumerate()
            .map(|pair| stretched(pair) as f32)
            .collect()
    }

    /// What multiplies cosines and sines.
    #[must_use]
    pub fn attention_factor(&self) -> f64 {
        match self.scaling {
            RopeScaling::Yarn { attention, .. } => attention,
            _ => 1.0,
        }
    }

    /// YaRN's line: the pairs that turn `turns` times within the original length.
    fn line(&self, turns: [f64; 2], original: usize, truncate: bool) -> [f64; 2] {
        let pair = |turns: f64| {
            let length = original as f64 / (turns * TAU);
            self.dims as f64 * length.ln() / (2.0 * self.theta.ln())
        };
        let [mut first, mut last] = turns.map(pair);
        if truncate {
            (first, last) = (first.floor(), last.ceil());
        }
        let (first, last) = (first.max(0.0), last.min(self.dims as f64 - 1.0));
        if first == last {
            [first, last + 0.001]
        } else {
            [first, last]
        }
    }
}

/// The frequency, of which a share is kept as it is and the rest is divided by the factor.
fn mix(frequency: f64, factor: f64, kept: f64) -> f64 {
    frequency * kept + frequency / factor * (1.0 - kept)
}

/// Cosines and sines for the places of one forward pass, shared by all blocks that turn alike.
///
/// The first half `a` and the second half `b` of the turned part of a head become
/// `(a·cos − b·sin, b·cos + a·sin)`; the rest is multiplied by `rest`.
#[derive(Clone, Debug)]
pub(super) struct Rotary {
    /// `[batch or 1, 1, places, dims/2]`
    cos: Tensor<4>,
    /// `[batch or 1, 1, places, dims/2]`
    sin: Tensor<4>,
    rest: f64,
}

impl Rotary {
    /// Tables `[rows, 1, columns, dims/2]` for `rows·columns` places.
    #[must_use]
    pub(super) fn tables(
        rope: &Rope,
        places: &[usize],
        [rows, columns]: [usize; 2],
        device: &Device,
    ) -> Self {
        let factor = rope.attention_factor();
        // The angle is rounded to f32 as it was when the model was trained; only then is it exact
        // trigonometry.
        let frequencies = rope.frequencies();
        let half = frequencies.len();
        let table = |of: fn(f64) -> f64| {
            let angles = places
                .iter()
                .flat_map(|&place| frequencies.iter().map(move |f| f64::from(place as f32 * f)));
            let values: Vec<f32> = angles.map(|angle| (of(angle) * factor) as f32).collect();
            Tensor::from_data(TensorData::new(values, [rows, 1, columns, half]), device)
        };
        Self {
            cos: table(libm::cos),
            sin: table(libm::sin),
            rest: 1.0,
        }
    }

    /// Tables that also multiply by a factor: the scale of the scores costs nothing this way.
    #[must_use]
    pub(super) fn scaled(self, factor: f64) -> Self {
        Self {
            cos: self.cos * factor,
            sin: self.sin * factor,
            rest: self.rest * factor,
        }
    }

    /// Cosines and sines, and what multiplies numbers that aren't turned.
    #[must_use]
    pub(super) fn angles(&self) -> ([&Tensor<4>; 2], f64) {
        ([&self.cos, &self.sin], self.rest)
    }

    /// `[batch, heads, places, c]` → the same, rotated.
    #[must_use]
    pub(super) fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let (width, half) = (x.dims()[3], self.cos.dims()[3]);
        let a = x.clone().narrow(3, 0, half);
        let b = x.clone().narrow(3, half, half);
        let first = a.clone() * self.cos.clone() - b.clone() * self.sin.clone();
        let second = b * self.cos.clone() + a * self.sin.clone();
        let mut parts = vec![first, second];
        if 2 * half < width {
            parts.push(x.narrow(3, 2 * half, width - 2 * half) * self.rest);
        }
        Tensor::cat(parts, 3)
    }
}
