//! Training without any guarantee, for comparison.

use burn::tensor::Tensor;

use super::config::PlainTraining;
use super::crew::Crew;
use super::descent::Descent;
use super::metrics::{LossSum, PrivateMetrics};
use super::{TuneError, Within};
use crate::optim::{Order, read};
use crate::parallel;

/// A mean gradient that protects nobody. Only this file makes one.
pub(super) struct PlainMean(Vec<f32>);

impl PlainMean {
    pub(super) fn into_inner(self) -> Vec<f32> {
        self.0
    }
}

impl PlainTraining {
    pub(super) fn check(&self) -> Result<(), TuneError> {
        let positive = [("batch", self.batch as f64), ("steps", self.steps as f64)];
        match positive.into_iter().find(|(_, value)| *value < 1.0) {
            Some((field, value)) => {
                let must = "at least 1";
                Err(TuneError::Range { field, value, must })
            }
            None => Ok(()),
        }
    }

    /// The order of the examples; a batch never holds one twice.
    pub(super) fn order(&self, examples: usize) -> Order {
        Order::new(self.seed, examples, self.batch.min(examples))
    }
}

/// Mean gradient over the next batch of `order`, in micro-batches of at most `micro` examples.
pub(super) async fn mean(
    crew: &Crew,
    descent: &Descent,
    order: &mut Order,
    micro: usize,
    between: &mut impl AsyncFnMut(Within),
) -> Result<(PlainMean, PrivateMetrics), TuneError> {
    let (kernel, step) = (crew.kernel(), descent.steps());
    let prompt = &crew.upload(descent.prompt());
    let mut batch = order.batch(step);
    batch.sort_unstable();
    let mut losses = LossSum::default();
    let mut sum: Option<Tensor<3>> = None;
    let device = kernel.lm().device();
    let (drawn, mut done) = (batch.len(), 0);
    let micros: Vec<&[usize]> = batch.chunks(micro).collect();
    for together in micros.chunks(parallel::width(device)) {
        let parts = parallel::map(device, together, |indices| {
            let gradients = kernel.gradients(prompt, indices, &vec![1.0; indices.len()]);
            (gradients.losses, gradients.per_example.sum_dim(0))
        });
        for (indices, (values, part)) in together.iter().zip(parts) {
            losses.add(values, indices.len());
            done += indices.len();
            sum = Some(match sum {
                Some(sum) => sum + part,
                None => part,
            });
        }
        between(Within { done, drawn }).await;
    }
    let sum = sum.ok_or(TuneError::NoExamples)?;
    // The chain rule is linear, so the sum's gradient is the gradients' sum.
    let mean = read(descent.gradients(sum) / batch.len() as f64).await?;
    if mean.iter().all(|x| x.is_finite()) {
        Ok((PlainMean(mean), losses.settle().await?))
    } else {
        Err(TuneError::Diverged(step))
    }
}
