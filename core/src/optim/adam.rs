//! Adam and AdamW on the host.

use serde::{Deserialize, Serialize};

use super::{State, StateError};
use crate::parallel;

/// Numbers that one core passes at a time.
const PIECE: usize = 1 << 16;

/// Adam's constants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AdamConfig {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// AdamW's decoupled decay (Loshchilov and Hutter, 2019): x ← x − lr·weight_decay·x first.
    #[serde(default)]
    pub weight_decay: f32,
}

impl Default for AdamConfig {
    /// PyTorch's defaults.
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
        }
    }
}

/// Adam (Kingma and Ba, 2015, algorithm 1) on a host vector.
///
/// m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², x ← x − lr · m̂ / (√v̂ + ε), with m̂ and v̂ corrected
/// for their start at zero. A prompt's noised gradient is on the host anyway, and a student's blocks
/// pass through memory once here, where a chain of tensor operations passes them ten times.
#[derive(Debug, Clone, PartialEq)]
pub struct Adam {
    config: AdamConfig,
    first: Vec<f32>,
    second: Vec<f32>,
    steps: u64,
}

impl Adam {
    /// Zero moments for `len` numbers.
    pub fn new(config: AdamConfig, len: usize) -> Self {
        Self {
            config,
            first: vec![0.0; len],
            second: vec![0.0; len],
            steps: 0,
        }
    }

    /// Moves `x` one step against `gradient`; all three lengths must be equal.
    pub fn step(&mut self, x: &mut [f32], gradient: &[f32], learning_rate: f64) {
        self.step_against(x, &[gradient], 1.0, learning_rate);
    }

    /// Moves `x` one step against `scale` times the `gradients`, one after the other as long as `x`.
    /// Many numbers are shared out among the cores.
    pub fn step_against(
        &mut self,
        x: &mut [f32],
        gradients: &[impl AsRef<[f32]>],
        scale: f32,
        learning_rate: f64,
    ) {
        let lengths = gradients.iter().map(|gradient| gradient.as_ref().len());
        assert_eq!(lengths.sum::<usize>(), self.first.len());
        assert_eq!(x.len(), self.first.len());
        self.steps += 1;
        let update = self.update(scale, learning_rate);
        let (mut x, mut first, mut second) = (x, &mut self.first[..], &mut self.second[..]);
        let mut pieces = Vec::new();
        for gradient in gradients.iter().flat_map(|all| all.as_ref().chunks(PIECE)) {
            let len = gradient.len();
            let cut = [&mut x, &mut first, &mut second].map(|all| {
                let (piece, rest) = std::mem::take(all).split_at_mut(len);
                *all = rest;
                piece
            });
            pieces.push((cut, gradient));
        }
        parallel::each(pieces, |([x, first, second], gradient)| {
            update.apply(x, gradient, first, second);
        });
    }

    fn update(&self, scale: f32, learning_rate: f64) -> Update {
        let config = self.config;
        let exponent = self.steps.min(i32::MAX as u64) as i32;
        let correction_1 = 1.0 - f64::from(config.beta_1).powi(exponent);
        let correction_2 = 1.0 - f64::from(config.beta_2).powi(exponent);
        Update {
            config,
            scale,
            rate: (learning_rate / correction_1) as f32,
            keep: 1.0 - (learning_rate * f64::from(config.weight_decay)) as f32,
            root: (1.0 / correction_2.sqrt()) as f32,
        }
    }

    /// Puts moments and step count into `state`.
    pub fn save(&self, state: State) -> State {
        state
            .with_field("adam_steps", self.steps)
            .with_tensor("adam_first", self.first.clone())
            .with_tensor("adam_second", self.second.clone())
    }

    /// Takes back what [`Adam::save`] put there.
    ///
    /// # Errors
    /// When a moment is missing or has another length than this optimiser's.
    pub fn restore(&mut self, state: &mut State) -> Result<(), StateError> {
        let len = self.first.len();
        self.steps = state.field("adam_steps")?;
        self.first = state.take("adam_first", len)?;
        self.second = state.take("adam_second", len)?;
        Ok(())
    }
}

/// What one step does to every number.
struct Update {
    config: AdamConfig,
    /// Of the gradient.
    scale: f32,
    /// Step size over the first moment's correction.
    rate: f32,
    /// What weight decay leaves.
    keep: f32,
    /// Root of the second moment's correction, inverted.
    root: f32,
}

impl Update {
    fn apply(&self, x: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        let AdamConfig {
            beta_1,
            beta_2,
            epsilon,
            ..
        } = self.config;
        let moments = first.iter_mut().zip(second);
        for ((x, &g), (m, v)) in x.iter_mut().zip(gradient).zip(moments) {
            let g = g * self.scale;
            *m = beta_1 * *m + (1.0 - beta_1) * g;
            *v = beta_2 * *v + (1.0 - beta_2) * g * g;
            *x = self.keep * *x - self.rate * *m / (v.sqrt() * self.root + epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Three steps of `torch.optim.Adam([1., -2.], lr=0.1)` and of `AdamW(weight_decay=0.5)`, by
    /// `golden/adam.py`.
    #[test]
    fn agrees_with_pytorch() {
        type Steps = Vec<Vec<f32>>;
        let golden: [Steps; 2] = serde_json::from_str(include_str!("golden/adam.json")).unwrap();
        for (weight_decay, golden) in [0.0, 0.5].into_iter().zip(&golden) {
            let config = AdamConfig {
                weight_decay,
                ..AdamConfig::default()
            };
            let mut x = vec![1.0, -2.0];
            let mut adam = Adam::new(config, 2);
            for (g, expected) in [[0.5, -1.0], [0.25, 3.0], [-1.0, 0.0]].iter().zip(golden) {
                adam.step(&mut x, g, 0.1);
                for (a, b) in x.iter().zip(expected) {
                    assert!((a - b).abs() < 1e-6, "{a} {b}");
                }
            }
        }
    }

    /// In parts, scaled and over several pieces, it is the same step.
    #[test]
    fn parts_make_the_same_step() {
        let len = 2 * PIECE + 5;
        let gradient: Vec<f32> = (0..len).map(|i| (i % 13) as f32 - 6.0).collect();
        let halved: Vec<f32> = gradient.iter().map(|g| g * 0.5).collect();
        let (mut x, mut y) = (vec![1.0; len], vec![1.0; len]);
        let [mut whole, mut parts] = [0, 1].map(|_| Adam::new(AdamConfig::default(), len));
        for _ in 0..2 {
            whole.step(&mut x, &halved, 0.1);
            let (front, back) = gradient.split_at(PIECE + 3);
            parts.step_against(&mut y, &[front, back], 0.5, 0.1);
        }
        assert_eq!(x, y);
        assert_eq!(whole, parts);
    }

    #[test]
    fn restored_goes_on_bit_for_bit() {
        let mut x = vec![1.0, -2.0, 0.5];
        let mut adam = Adam::new(AdamConfig::default(), 3);
        adam.step(&mut x, &[0.1, 0.2, -0.3], 0.01);
        let bytes = adam.save(State::new("test")).to_bytes();
        let mut again = Adam::new(AdamConfig::default(), 3);
        again
            .restore(&mut State::from_bytes(&bytes, "test").unwrap())
            .unwrap();
        assert_eq!(adam, again);
        let mut y = x.clone();
        adam.step(&mut x, &[1.0, -1.0, 2.0], 0.01);
        again.step(&mut y, &[1.0, -1.0, 2.0], 0.01);
        assert_eq!(x, y);
    }
}
