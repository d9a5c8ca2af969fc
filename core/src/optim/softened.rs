//! Losses over a vocabulary, with their slopes written down instead of traced.
//!
//! Logits over a whole vocabulary are the largest tensors there are. Tracing them through autodiff
//! would keep several copies; their slopes are known in closed form, so the graph can end at the
//! hidden state h: the model's head pulls the slope back to it, and `sum(h · ∂loss/∂h)` stands in for
//! the loss.

use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData, activation};

use crate::ops;

/// A loss for each row, and its slope in the logits.
pub struct Softened {
    /// `[rows, 1]`
    pub value: Tensor<2>,
    /// ∂value/∂logits, `[rows, V]`
    pub slope: Tensor<2>,
}

/// T²·KL(softmax(target/T) ‖ softmax(logits/T)) for each row (Hinton, Vinyals and Dean, 2015).
///
/// With p and q the two distributions the slope is T·(q − p).
pub fn divergence(target: Tensor<2>, logits: Tensor<2>, temperature: f64) -> Softened {
    match ops::divergence(&target, &logits, temperature) {
        Some((value, slope)) => Softened { value, slope },
        None => by_tensors(target, logits, temperature),
    }
}

/// [`divergence`] as tensor operations, for any device and for autodiff.
fn by_tensors(target: Tensor<2>, logits: Tensor<2>, temperature: f64) -> Softened {
    let log_p = activation::log_softmax(target / temperature, 1);
    let log_q = activation::log_softmax(logits / temperature, 1);
    let (p, q) = (log_p.clone().exp(), log_q.clone().exp());
    let value = (p.clone() * (log_p - log_q)).sum_dim(1) * (temperature * temperature);
    let slope = (q - p) * temperature;
    Softened { value, slope }
}

/// −log softmax(z)[target] for each row, 0 where there is no target; slope softmax(z) − e_target.
pub fn cross_entropy(logits: Tensor<2>, targets: &[Option<u32>]) -> Softened {
    let (rows, device) = (targets.len(), logits.device());
    let ids: Vec<i32> = targets
        .iter()
        .map(|target| target.unwrap_or(0) as i32)
        .collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [rows, 1]), &device);
    let real: Vec<f32> = targets
        .iter()
        .map(|target| f32::from(target.is_some()))
        .collect();
    let real = Tensor::<2>::from_data(TensorData::new(real, [rows, 1]), &device);
    let log_p = activation::log_softmax(logits, 1);
    let value = log_p.clone().gather(1, ids.clone()).neg() * real.clone();
    let minus = Tensor::<2>::full([rows, 1], -1.0, &device);
    let slope = log_p.exp().scatter(1, ids, minus, IndexingUpdateOp::Add) * real;
    Softened { value, slope }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{Device, TensorData};
    use pollster::block_on;

    use super::*;
    use crate::optim::{SplitMix64, read};

    fn noise(shape: [usize; 2], seed: u64) -> Tensor<2> {
        let mut generator = SplitMix64::new(seed);
        let values = (0..shape[0] * shape[1]).map(|_| 4.0 * generator.unit() as f32 - 2.0);
        Tensor::from_data(TensorData::new(values.collect(), shape), &Device::default())
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        block_on(read(tensor)).unwrap()
    }

    /// On the host it is one operation; what autodiff follows is left to tensor operations.
    #[test]
    fn fused_agrees_with_tensor_operations() {
        for (rows, width) in [(1, 1), (3, 7), (5, 16), (2, 1000)] {
            let (target, logits) = (noise([rows, width], 1) * 4.0, noise([rows, width], 2));
            for temperature in [0.5, 2.0] {
                let fused = ops::divergence(&target, &logits, temperature).unwrap();
                let plain = by_tensors(target.clone(), logits.clone(), temperature);
                for (fused, plain) in [(fused.0, plain.value), (fused.1, plain.slope)] {
                    assert_eq!(fused.dims(), plain.dims());
                    for (a, b) in values(fused).iter().zip(values(plain)) {
                        assert!((a - b).abs() < 1e-5 + 1e-5 * b.abs(), "{a} {b}");
                    }
                }
            }
        }
        let traced = noise([2, 3], 1).autodiff().require_grad();
        assert!(ops::divergence(&noise([2, 3], 2), &traced, 1.0).is_none());
    }

    /// By hand: p = (¾, ¼), q = (½, ½) at T = 1.
    #[test]
    fn divergence_of_a_coin() {
        let at = |values: [f32; 2]| Tensor::<2>::from_data([values], &Device::default());
        let found = divergence(at([3f32.ln(), 0.0]), at([0.2, 0.2]), 1.0);
        let expected = 0.75 * 1.5f32.ln() + 0.25 * 0.5f32.ln();
        assert!((values(found.value)[0] - expected).abs() < 1e-6);
        let slope = values(found.slope);
        assert!((slope[0] + 0.25).abs() < 1e-6 && (slope[1] - 0.25).abs() < 1e-6);
    }

    /// The slope written down equals the one that autodiff traces.
    #[test]
    fn slopes_equal_autodiffs() {
        let (target, logits) = (noise([5, 23], 3), noise([5, 23], 4));
        for temperature in [1.0, 2.0] {
            let Softened { value, slope } = divergence(target.clone(), logits.clone(), temperature);
            let leaf = logits.clone().autodiff().require_grad();
            let traced = divergence(target.clone(), leaf.clone(), temperature);
            let mut grads = traced.value.clone().sum().backward();
            let expected = values(leaf.grad_remove(&mut grads).unwrap());
            assert!(expected.iter().any(|x| x.abs() > 1e-2));
            for (a, b) in values(slope).iter().zip(&expected) {
                assert!((a - b).abs() < 2e-5, "{a} {b}");
            }
            for (a, b) in values(value).iter().zip(values(traced.value.inner())) {
                assert!((a - b).abs() < 1e-5 * b.abs(), "{a} {b}");
            }
        }
    }
}
