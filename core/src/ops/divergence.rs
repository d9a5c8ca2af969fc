//! A divergence over a vocabulary and its slope, where logits are the largest tensors there are.

use burn::backend::Flex;
use burn::tensor::Tensor;

use super::exp::exp;
use super::host::{Host, rows, slice, upload};
use super::wide::{Work, largest, sum, wide};
use crate::parallel;

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
    let (mut values, mut slopes) = (vec![0.0; count], vec![0.0; count * width]);
    let inputs = slice(&target)
        .chunks(width)
        .zip(slice(&logits).chunks(width));
    let outputs = values.iter_mut().zip(slopes.chunks_mut(width));
    parallel::each(
        inputs.zip(outputs).collect(),
        |((target, logits), (value, slope))| {
            *value = wide(Row {
                target,
                logits,
                temperature: temperature as f32,
                slope,
            });
        },
    );
    let tensor = |values, width| Tensor::from_primitive::<Flex>(upload(values, [count, width]));
    Some((tensor(values, 1), tensor(slopes, width)))
}

/// One row; its slope is put where it belongs.
struct Row<'a> {
    target: &'a [f32],
    logits: &'a [f32],
    temperature: f32,
    slope: &'a mut [f32],
}

impl Work for Row<'_> {
    /// The value.
    type Output = f32;

    #[inline(always)]
    fn run(self) -> f32 {
        let Self {
            target,
            logits,
            temperature: t,
            slope,
        } = self;
        let (most_p, most_q) = (largest(target), largest(logits));
        let p = |x: f32| (x - most_p) / t;
        let q = |x: f32| (x - most_q) / t;
        let total_p = sum([target], |[x]| exp(p(x)));
        let total_q = sum([logits], |[x]| exp(q(x)));
        let (share_p, share_q) = (1.0 / total_p, 1.0 / total_q);
        for (slope, (&x, &y)) in slope.iter_mut().zip(target.iter().zip(logits)) {
            *slope = t * (exp(q(y)) * share_q - exp(p(x)) * share_p);
        }
        // log p − log q, but for what all words have in common.
        let apart = sum([target, logits], |[x, y]| exp(p(x)) * (p(x) - q(y)));
        t * t * (apart * share_p + total_q.ln() - total_p.ln())
    }
}
