//! A prompt put to use: class logits for examples.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

use super::{ClassHead, TuneError};
use crate::model::{Lm, TokenBatch};
use crate::optim::{DeviceError, read};
use crate::parallel;
use crate::prompt::SoftPrompt;
use crate::task::{Example, group_by_length};

/// A frozen model with a task's head, with or without a prompt.
#[derive(Clone)]
pub struct Classifier {
    lm: Arc<Lm>,
    head: ClassHead,
    /// `[n, d]`
    prompt: Option<Tensor<2>>,
}

impl Classifier {
    /// Without a prompt it is the model's zero-shot answer.
    ///
    /// # Errors
    /// [`TuneError::Prompt`] when the prompt belongs to a model of another width.
    pub fn new(
        lm: Arc<Lm>,
        head: ClassHead,
        prompt: Option<&SoftPrompt>,
    ) -> Result<Self, TuneError> {
        let upload = |prompt: &SoftPrompt| {
            let shape = [prompt.num_virtual_tokens(), prompt.token_dim()];
            let data = TensorData::new(prompt.embeddings().to_vec(), shape);
            Tensor::<2>::from_data(data, lm.device())
        };
        if let Some(prompt) = prompt {
            prompt.fits(
                &format!("{:?}", lm.config().family),
                lm.config().hidden_size,
            )?;
        }
        let prompt = prompt.map(upload);
        Ok(Self { lm, head, prompt })
    }

    /// Class logits of one batch: `classes` numbers for each example.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub async fn class_logits(&self, examples: &[&Example]) -> Result<Vec<Vec<f32>>, DeviceError> {
        if examples.is_empty() {
            return Ok(Vec::new());
        }
        let values = read(self.logits(examples)).await?;
        Ok(values
            .chunks(self.head.classes())
            .map(<[f32]>::to_vec)
            .collect())
    }

    /// `[examples, classes]`, on the device.
    fn logits(&self, examples: &[&Example]) -> Tensor<2> {
        let ids: Vec<&[u32]> = examples
            .iter()
            .map(|example| example.ids.as_slice())
            .collect();
        let answers: Vec<usize> = examples.iter().map(|example| example.answer).collect();
        let tokens = TokenBatch::padded(&ids, 0);
        let input = match &self.prompt {
            Some(prompt) => self.lm.embed_behind(prompt.clone(), &tokens),
            None => self.lm.embed(&tokens),
        };
        self.head.class_logits(self.lm.hidden_at(&input, &answers))
    }

    /// Class logits of all examples, in their order, `rows` at a time and like lengths together.
    /// `progress` hears how many are done.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub async fn evaluate(
        &self,
        examples: &[Example],
        rows: usize,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Vec<f32>>, DeviceError> {
        let lengths: Vec<usize> = examples.iter().map(|example| example.ids.len()).collect();
        let mut logits = vec![Vec::new(); examples.len()];
        let mut done = 0;
        let device = self.lm.device();
        for groups in group_by_length(&lengths, rows).chunks(parallel::width(device)) {
            let together = parallel::map(device, groups, |group| {
                let batch: Vec<&Example> = group.iter().map(|&index| &examples[index]).collect();
                self.logits(&batch)
            });
            for (group, values) in groups.iter().zip(together) {
                let values = read(values).await?;
                for (&index, row) in group.iter().zip(values.chunks(self.head.classes())) {
                    logits[index] = row.to_vec();
                }
                done += group.len();
                progress(done);
            }
        }
        Ok(logits)
    }
}
