//! The gated activation of an MLP (Shazeer 2020).

use burn::tensor::Tensor;

use super::exp::sigmoid;
use super::host::{Fused, Host, fuse};

/// `silu(a) ∘ b` of the halves a, b of each row, where `silu(a) = a·σ(a)`: `[rows, 2f]` → `[rows, f]`.
pub(crate) fn silu_gate(x: &Tensor<2>) -> Option<Tensor<2>> {
    let [rows, width] = x.dims();
    let op = SiluGate {
        rows,
        width: width / 2,
    };
    Some(fuse(op, [Host::of(x)?]).tensor())
}

#[derive(Clone, Debug)]
struct SiluGate {
    rows: usize,
    /// f
    width: usize,
}

impl Fused<1> for SiluGate {
    fn shape(&self) -> Vec<usize> {
        vec![self.rows, self.width]
    }

    #[inline(always)]
    fn forward(&self, [x]: [&[f32]; 1]) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.rows * self.width);
        let mut line = vec![0.0; self.width];
        for row in x.chunks_exact(2 * self.width) {
            let (a, b) = row.split_at(self.width);
            for (y, (&a, &b)) in line.iter_mut().zip(a.iter().zip(b)) {
                *y = a * sigmoid(a) * b;
            }
            out.extend_from_slice(&line);
        }
        out
    }

    /// With s = σ(a): ∂/∂a = b·s·(1 + a·(1 − s)), ∂/∂b = a·s.
    #[inline(always)]
    fn backward(&self, [x]: [&[f32]; 1], slope: &[f32], _: [bool; 1]) -> [Option<Vec<f32>>; 1] {
        let mut out = Vec::with_capacity(x.len());
        let mut line = vec![0.0; 2 * self.width];
        let slopes = slope.chunks_exact(self.width);
        for (row, slope) in x.chunks_exact(2 * self.width).zip(slopes) {
            let (a, b) = row.split_at(self.width);
            let (to_a, to_b) = line.split_at_mut(self.width);
            let numbers = a.iter().zip(b).zip(slope);
            for (((&a, &b), &g), (to_a, to_b)) in numbers.zip(to_a.iter_mut().zip(to_b)) {
                let s = sigmoid(a);
                *to_a = g * b * s * (1.0 + a * (1.0 - s));
                *to_b = g * a * s;
            }
            out.extend_from_slice(&line);
        }
        [Some(out)]
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::silu;

    use super::*;
    use crate::ops::testing::{noise, same};

    #[test]
    fn agrees_with_tensor_operations() {
        for (rows, width) in [(1, 1), (3, 7), (5, 16), (2, 37)] {
            let plain = |x: &[Tensor<2>]| {
                let half = |start| x[0].clone().narrow(1, start, width);
                silu(half(0)) * half(width)
            };
            let x = [noise([rows, 2 * width], 1) * 3.0];
            same(&x, |x| silu_gate(&x[0]), plain);
        }
    }

    #[test]
    fn reads_what_does_not_lie_in_rows() {
        let plain = |x: &[Tensor<2>]| {
            let half = |start| x[0].clone().transpose().narrow(1, start, 3);
            silu(half(0)) * half(3)
        };
        let x = [noise([6, 5], 2)];
        same(&x, |x| silu_gate(&x[0].clone().transpose()), plain);
    }
}
