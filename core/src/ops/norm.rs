//! Normalisation over the width of the residual stream.

use burn::tensor::Tensor;

use super::host::{Fused, Host, fuse};
use super::wide::sum;

/// RMSNorm, `y = x·r·w` with `r = 1/sqrt(mean(x²) + eps)` (Zhang and Sennrich 2019):
/// `[rows, d]` and `[d]` → `[rows, d]`.
pub(crate) fn rms_norm(x: &Tensor<2>, weight: &Tensor<1>, eps: f64) -> Option<Tensor<2>> {
    let inputs = Host::all([Host::of(x), Host::of(weight)])?;
    Some(fuse(Norm::new(x, eps), inputs).tensor())
}

/// LayerNorm, `y = (x − mean(x))·r·w + b` with `r = 1/sqrt(var(x) + eps)` (Ba et al. 2016):
/// `[rows, d]`, `[d]` and `[d]` → `[rows, d]`.
pub(crate) fn layer_norm(
    x: &Tensor<2>,
    weight: &Tensor<1>,
    bias: &Tensor<1>,
    eps: f64,
) -> Option<Tensor<2>> {
    let inputs = Host::all([Host::of(x), Host::of(weight), Host::of(bias)])?;
    Some(fuse(Norm::new(x, eps), inputs).tensor())
}

/// RMSNorm of x and w, or LayerNorm of x, w and b.
#[derive(Clone, Debug)]
struct Norm {
    rows: usize,
    /// d
    width: usize,
    eps: f32,
}

impl Norm {
    fn new(x: &Tensor<2>, eps: f64) -> Self {
        let [rows, width] = x.dims();
        Self {
            rows,
            width,
            eps: eps as f32,
        }
    }

    /// Mean and r of a row; a row that is not to be centred has mean 0.
    #[inline(always)]
    fn mean_and_root(&self, row: &[f32], centred: bool) -> (f32, f32) {
        let width = self.width as f32;
        let mean = if centred {
            sum([row], |[x]| x) / width
        } else {
            0.0
        };
        let square = sum([row], |[x]| (x - mean) * (x - mean)) / width;
        (mean, 1.0 / (square + self.eps).sqrt())
    }
}

impl<const N: usize> Fused<N> for Norm {
    fn shape(&self) -> Vec<usize> {
        vec![self.rows, self.width]
    }

    #[inline(always)]
    fn forward(&self, inputs: [&[f32]; N]) -> Vec<f32> {
        let (x, weight) = (inputs[0], inputs[1]);
        let mut out = Vec::with_capacity(x.len());
        let mut line = vec![0.0; self.width];
        for row in x.chunks_exact(self.width) {
            let (mean, root) = self.mean_and_root(row, N == 3);
            for (y, (x, w)) in line.iter_mut().zip(row.iter().zip(weight)) {
                *y = (x - mean) * root * w;
            }
            if N == 3 {
                line.iter_mut().zip(inputs[2]).for_each(|(y, b)| *y += b);
            }
            out.extend_from_slice(&line);
        }
        out
    }

    /// With x̂ = (x − mean)·r and g = ∂y·w: ∂x = r·(g − mean(g) − x̂·mean(g·x̂)), without mean(g) for
    /// RMSNorm; ∂w = Σ ∂y·x̂ and ∂b = Σ ∂y over the rows.
    #[inline(always)]
    fn backward(
        &self,
        inputs: [&[f32]; N],
        slope: &[f32],
        wanted: [bool; N],
    ) -> [Option<Vec<f32>>; N] {
        let (x, weight, width) = (inputs[0], inputs[1], self.width);
        let mut to_x = Vec::with_capacity(if wanted[0] { x.len() } else { 0 });
        let mut line = vec![0.0; width];
        let [mut to_weight, mut to_bias] = [vec![0.0; width], vec![0.0; width]];
        for (row, slope) in x.chunks_exact(width).zip(slope.chunks_exact(width)) {
            let (mean, root) = self.mean_and_root(row, N == 3);
            if wanted[0] {
                let part = sum([row, slope, weight], |[x, g, w]| (x - mean) * g * w);
                let along = part * root * root / width as f32;
                let level = if N == 3 {
                    sum([slope, weight], |[g, w]| g * w) / width as f32
                } else {
                    0.0
                };
                let numbers = row.iter().zip(slope).zip(weight);
                for (out, ((x, g), w)) in line.iter_mut().zip(numbers) {
                    *out = root * (g * w - level - (x - mean) * along);
                }
                to_x.extend_from_slice(&line);
            }
            if wanted[1] {
                for (out, (x, g)) in to_weight.iter_mut().zip(row.iter().zip(slope)) {
                    *out += g * (x - mean) * root;
                }
            }
            if N == 3 && wanted[2] {
                to_bias.iter_mut().zip(slope).for_each(|(out, g)| *out += g);
            }
        }
        let mut slopes = [Some(to_x), Some(to_weight), Some(to_bias)].into_iter();
        wanted.map(|wanted| slopes.next().flatten().filter(|_| wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{noise, same};

    const EPS: f64 = 1e-3;

    fn unit(x: Tensor<2>) -> Tensor<2> {
        let root = (x.clone() * x.clone()).mean_dim(1).add_scalar(EPS).sqrt();
        x / root
    }

    #[test]
    fn rms_norm_agrees_with_tensor_operations() {
        for (rows, width) in [(1, 2), (3, 7), (5, 16), (2, 37)] {
            let inputs = [noise([rows, width], 1), noise([1, width], 2)];
            let fused = |x: &[Tensor<2>]| rms_norm(&x[0], &x[1].clone().squeeze_dim(0), EPS);
            same(&inputs, fused, |x| unit(x[0].clone()) * x[1].clone());
        }
    }

    #[test]
    fn layer_norm_agrees_with_tensor_operations() {
        for (rows, width) in [(1, 3), (3, 7), (5, 16), (2, 37)] {
            let row = |seed| noise([1, width], seed);
            let inputs = [noise([rows, width], 1) + 3.0, row(2), row(3)];
            let fused = |x: &[Tensor<2>]| {
                let row = |at: usize| x[at].clone().squeeze_dim(0);
                layer_norm(&x[0], &row(1), &row(2), EPS)
            };
            let plain = |x: &[Tensor<2>]| {
                let mean = x[0].clone().mean_dim(1);
                unit(x[0].clone() - mean) * x[1].clone() + x[2].clone()
            };
            same(&inputs, fused, plain);
        }
    }
}
