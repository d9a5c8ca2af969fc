//! A divergence over a vocabulary and its slope, where logits are the largest tensors there are.

use burn::backend::Flex;
use burn::tensor::Tensor;

use super::exp::exp;
use super::host::{Host, rows, slice, upload};
use super::wide::{Work, largest, sum, wide};

/// T²·KL(softmax(target/T) ‖ softmax(logits/T)) for each row, `[rows, 1]`, and its slope in the logits,
/// T·(q − p), `[rows, V]`; of tensors that nothing follows.
pub(crate) fn divergence(
    target: &Tensor<2>,
    logits: &Tensor<2>,
    temperature: f64,
) -> Option<(Tensor<2>, Tensor<2>)> {
    let [count, width] = logits.dims();
    let [Host::Plain(target), Host::Plain(logits)] =
        Host::all([Host::of(target), Host::of(logits)])?
    else {
        return None;
    };
    let (target, logits) = (rows(target), rows(logits));
    let (values, slopes) = wide(Divergence {
        target: slice(&target),
        logits: slice(&logits),
        width,
        temperature: temperature as f32,
    });
    let tensor = |values, width| Tensor::from_primitive::<Flex>(upload(values, [count, width]));
    Some((tensor(values, 1), tensor(slopes, width)))
}

struct Divergence<'a> {
    target: &'a [f32],
    logits: &'a [f32],
    /// V
    width: usize,
    temperature: f32,
}

impl Work for Divergence<'_> {
    /// Values and slopes.
    type Output = (Vec<f32>, Vec<f32>);

    #[inline(always)]
    fn run(self) -> Self::Output {
        let mut values = Vec::new();
        let mut slopes = Vec::with_capacity(self.logits.len());
        let mut line = vec![0.0; self.width];
        let rows = self.target.chunks_exact(self.width);
        for (target, logits) in rows.zip(self.logits.chunks_exact(self.width)) {
            values.push(self.row(target, logits, &mut line));
            slopes.extend_from_slice(&line);
        }
        (values, slopes)
    }
}

impl Divergence<'_> {
    /// One row's value and slopes.
    #[inline(always)]
    fn row(&self, target: &[f32], logits: &[f32], slopes: &mut [f32]) -> f32 {
        let t = self.temperature;
        let (most_p, most_q) = (largest(target), largest(logits));
        let p = |x: f32| (x - most_p) / t;
        let q = |x: f32| (x - most_q) / t;
        let total_p = sum([target], |[x]| exp(p(x)));
        let total_q = sum([logits], |[x]| exp(q(x)));
        let (share_p, share_q) = (1.0 / total_p, 1.0 / total_q);
        for (slope, (&x, &y)) in slopes.iter_mut().zip(target.iter().zip(logits)) {
            *slope = t * (exp(q(y)) * share_q - exp(p(x)) * share_p);
        }
        // log p − log q, but for what all words have in common.
        let apart = sum([target, logits], |[x, y]| exp(p(x)) * (p(x) - q(y)));
        t * t * (apart * share_p + total_q.ln() - total_p.ln())
    }
}
