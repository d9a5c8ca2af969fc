//! The stronger attack: whoever sees every step's prompt, as the guarantee allows.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

use super::Planted;
use crate::dp::{Clip, Clipping};
use crate::model::Lm;
use crate::optim::read;
use crate::prompt::SoftPrompt;
use crate::tune::{Kernel, TaskHead, TuneError};

/// Added to the diagonal of the normal equations, as a share of its mean.
const RIDGE: f64 = 1e-6;

/// Canaries' gradients in one pass.
const ROWS: usize = 16;

/// Recovers the canaries' coins from the steps of a run of plain SGD.
///
/// Step t moves the prompt by −lr·(Σᵢ aᵢ·gᵢ(t) + what other rows and the noise add), where gᵢ(t) is
/// canary i's clipped gradient at that step's prompt, which the auditor can compute, and aᵢ is the
/// same positive number for every canary that is in, 0 for one that is not. The scores are the aᵢ of
/// the ridge regression over all steps: `(Σ G·Gᵀ + λI)·a = Σ G·(−move)`. Without noise, without other
/// rows and with fewer canaries than the steps have numbers it finds nearly all coins; other rows are
/// to it like noise.
pub struct Attack {
    canaries: Kernel,
    clip: Option<Clip>,
    /// Σ G·Gᵀ, `[m, m]`
    gram: Vec<f64>,
    /// Σ G·(−move), `[m]`
    moves: Vec<f64>,
}

impl Attack {
    /// On a run of the model with that head that starts from `initial`; `clip` is what the run does to
    /// gradients, if it clips.
    ///
    /// # Errors
    /// [`TuneError`] when there is no canary, or one that can't be tuned on.
    pub fn new(
        planted: &Planted,
        lm: Arc<Lm>,
        head: impl Into<TaskHead>,
        initial: &SoftPrompt,
        clip: Option<Clip>,
    ) -> Result<Self, TuneError> {
        let (n, place) = (initial.num_virtual_tokens(), initial.place());
        let canaries = Kernel::new(lm, head, planted.canaries(), n, place)?;
        let m = canaries.len();
        Ok(Self {
            canaries,
            clip,
            gram: vec![0.0; m * m],
            moves: vec![0.0; m],
        })
    }

    /// Hears that a step moved the prompt `before` to `after`.
    ///
    /// # Errors
    /// [`TuneError::Device`].
    pub async fn observe(
        &mut self,
        before: &SoftPrompt,
        after: &SoftPrompt,
    ) -> Result<(), TuneError> {
        let gradients = self.gradients(before);
        let pairs = before.embeddings().iter().zip(after.embeddings());
        let back: Vec<f32> = pairs.map(|(before, after)| before - after).collect();
        let len = back.len();
        let back = Tensor::from_data(TensorData::new(back, [len, 1]), &gradients.device());
        let gram = gradients.clone().matmul(gradients.clone().transpose());
        add(&mut self.gram, &read(gram).await?);
        add(&mut self.moves, &read(gradients.matmul(back)).await?);
        Ok(())
    }

    /// The clipped gradient of every canary: `[m, n·d]`.
    fn gradients(&self, prompt: &SoftPrompt) -> Tensor<2> {
        let [n, d] = [prompt.num_virtual_tokens(), prompt.token_dim()];
        let data = TensorData::new(prompt.embeddings().to_vec(), [n, d]);
        let prompt = Tensor::<2>::from_data(data, self.canaries.lm().device());
        let all: Vec<usize> = (0..self.canaries.len()).collect();
        let parts = all.chunks(ROWS).map(|rows| {
            let gradients = self
                .canaries
                .gradients(&prompt, rows, &vec![1.0; rows.len()]);
            gradients.per_example.reshape([rows.len(), n * d])
        });
        let gradients = Tensor::cat(parts.collect(), 0);
        let norm = || gradients.clone().square().sum_dim(1).sqrt();
        let factor = self.clip.map(|clip| match clip.clipping {
            Clipping::Threshold => {
                let factor = norm().clamp_min(1e-30).recip() * clip.max_grad_norm;
                factor.clamp_max(1.0)
            }
            Clipping::Automatic { gamma } => (norm() + gamma).recip() * clip.max_grad_norm,
        });
        match factor {
            None => gradients,
            Some(factor) => gradients * factor,
        }
    }

    /// aᵢ for each canary: the larger, the likelier it was in.
    #[must_use]
    pub fn scores(&self) -> Vec<f64> {
        let m = self.moves.len();
        let mean = (0..m).map(|i| self.gram[i * m + i]).sum::<f64>() / m as f64;
        let mut matrix = self.gram.clone();
        (0..m).for_each(|i| matrix[i * m + i] += RIDGE * mean + f64::MIN_POSITIVE);
        solve(matrix, self.moves.clone())
    }
}

fn add(sum: &mut [f64], part: &[f32]) {
    sum.iter_mut()
        .zip(part)
        .for_each(|(sum, &x)| *sum += f64::from(x));
}

/// x of A·x = b for a symmetric positive definite A `[m, m]`, by Cholesky's A = L·Lᵀ.
fn solve(mut a: Vec<f64>, mut b: Vec<f64>) -> Vec<f64> {
    let m = b.len();
    for j in 0..m {
        for i in j..m {
            let dot: f64 = (0..j).map(|k| a[i * m + k] * a[j * m + k]).sum();
            let rest = a[i * m + j] - dot;
            a[i * m + j] = if i == j {
                rest.sqrt()
            } else {
                rest / a[j * m + j]
            };
        }
    }
    for i in 0..m {
        let dot: f64 = (0..i).map(|k| a[i * m + k] * b[k]).sum();
        b[i] = (b[i] - dot) / a[i * m + i];
    }
    for i in (0..m).rev() {
        let dot: f64 = (i + 1..m).map(|k| a[k * m + i] * b[k]).sum();
        b[i] = (b[i] - dot) / a[i * m + i];
    }
    b
}

#[cfg(test)]
mod tests {
    use super::solve;

    #[test]
    fn solves_by_hand() {
        // [4 2; 2 3]·x = (2, 5) has x = (−1/2, 2).
        let x = solve(vec![4.0, 2.0, 2.0, 3.0], vec![2.0, 5.0]);
        assert!((x[0] + 0.5).abs() < 1e-12 && (x[1] - 2.0).abs() < 1e-12);
    }
}
