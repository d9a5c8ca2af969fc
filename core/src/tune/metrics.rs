//! What the data owner may watch and nobody else.

use burn::tensor::Tensor;

use crate::optim::{DeviceError, read};

/// Numbers computed from the examples **without** noise.
///
/// They are for the owner's eyes while the run lasts. They can't be serialised: nothing that leaves
/// the owner (prompt, receipt, exported metrics) may hold them, and no setting may be chosen by them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrivateMetrics {
    /// Mean cross-entropy over the step's examples, before the step; `None` for an empty batch.
    pub loss: Option<f64>,
    /// How many examples were drawn.
    pub examples: usize,
}

/// Losses of one step, left on the device until its end.
#[derive(Default)]
pub(super) struct LossSum {
    sum: Option<Tensor<1>>,
    examples: usize,
}

impl LossSum {
    /// Adds a micro-batch's losses, those of padding being 0.
    pub(super) fn add(&mut self, losses: Tensor<1>, examples: usize) {
        let part = losses.sum();
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + part,
            None => part,
        });
        self.examples += examples;
    }

    /// Reads the sum, and says what it comes to.
    pub(super) async fn settle(mut self) -> Result<PrivateMetrics, DeviceError> {
        let sum = match self.take() {
            Some(sum) => read(sum).await?.first().copied(),
            None => None,
        };
        Ok(self.read_as(sum))
    }

    /// The sum on its device, `[1]`, for whoever reads it with something else; `None` of no example.
    pub(super) fn take(&mut self) -> Option<Tensor<1>> {
        self.sum.take()
    }

    /// What a sum that was read comes to.
    pub(super) fn read_as(&self, sum: Option<f32>) -> PrivateMetrics {
        let examples = self.examples;
        let loss = sum.map(|sum| f64::from(sum) / examples as f64);
        PrivateMetrics { loss, examples }
    }
}
