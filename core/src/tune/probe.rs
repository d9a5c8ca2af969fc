//! A pass to be timed: how fast is this device with this model?

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

use super::kernel::Kernel;
use super::{ClassHead, TuneError};
use crate::model::{Lm, PromptPlace};
use crate::optim::{DeviceError, read};
use crate::task::{Example, Label};

/// Virtual tokens of the probe's prompt.
const PROMPT: usize = 10;

/// The run's own kernel on made-up examples. The caller has the clock.
pub struct Probe {
    kernel: Kernel,
    prompt: Tensor<2>,
    rows: Vec<usize>,
}

impl Probe {
    /// `rows` examples of `width` tokens; neither looks at any data.
    ///
    /// # Errors
    /// [`TuneError::TooLong`] when the model has fewer places.
    pub fn new(lm: Arc<Lm>, rows: usize, width: usize) -> Result<Self, TuneError> {
        let vocabulary = lm.config().vocab_size;
        let example = |row: usize| Example {
            ids: (0..width)
                .map(|place| ((row + 1) * (place + 1) % vocabulary) as u32)
                .collect(),
            answer: width.saturating_sub(1),
            label: Some(Label::Class(row % 2)),
            removed: 0,
        };
        let examples: Vec<Example> = (0..rows).map(example).collect();
        let head = ClassHead::of_classes(&lm, &[&[0], &[1]]);
        let d = lm.config().embedding_size;
        let prompt = TensorData::new(vec![0.01; PROMPT * d], [PROMPT, d]);
        let prompt = Tensor::from_data(prompt, lm.device());
        Ok(Self {
            kernel: Kernel::new(lm, head, &examples, PROMPT, PromptPlace::BeforeBos)?,
            prompt,
            rows: (0..rows).collect(),
        })
    }

    /// Places of each example, prompt included: what a pass's time is about proportional to.
    #[must_use]
    pub fn places(width: usize) -> usize {
        PROMPT + width
    }

    /// One forward and backward pass, read back. The first one compiles what a device compiles.
    ///
    /// # Errors
    /// [`DeviceError`] when the device fails.
    pub async fn pass(&self) -> Result<(), DeviceError> {
        let weights = vec![1.0; self.rows.len()];
        let gradients = self.kernel.gradients(&self.prompt, &self.rows, &weights);
        read(gradients.per_example.sum()).await.map(drop)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tune::testing::lm;

    #[test]
    fn a_probe_passes() {
        let probe = Probe::new(lm(1), 2, 6).unwrap();
        pollster::block_on(probe.pass()).unwrap();
    }
}
