//! A frozen model behind a prompt, or without one, put to use.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

use super::TuneError;
use crate::model::{Input, Lm, PromptPlace, TokenBatch};
use crate::optim::{DeviceError, read};
use crate::parallel;
use crate::prompt::SoftPrompt;
use crate::task::group_by_length;

/// A frozen model, with or without a prompt.
#[derive(Clone)]
pub(super) struct Prompted {
    lm: Arc<Lm>,
    /// `[n, d]`, and where it stands.
    prompt: Option<(Tensor<2>, PromptPlace)>,
}

impl Prompted {
    /// # Errors
    /// [`TuneError::Prompt`] when the prompt belongs to a model of another width.
    pub(super) fn new(lm: Arc<Lm>, prompt: Option<&SoftPrompt>) -> Result<Self, TuneError> {
        let upload = |prompt: &SoftPrompt| {
            let shape = [prompt.num_virtual_tokens(), prompt.token_dim()];
            let data = TensorData::new(prompt.embeddings().to_vec(), shape);
            (Tensor::from_data(data, lm.device()), prompt.place())
        };
        if let Some(prompt) = prompt {
            prompt.fits(
                &format!("{:?}", lm.config().family),
                lm.config().embedding_size,
            )?;
        }
        let prompt = prompt.map(upload);
        Ok(Self { lm, prompt })
    }

    pub(super) fn lm(&self) -> &Lm {
        &self.lm
    }

    /// Texts, with the prompt if there is one.
    pub(super) fn input(&self, texts: &[&[u32]]) -> Input {
        let tokens = TokenBatch::padded(texts, 0);
        match &self.prompt {
            Some((prompt, place)) => self.lm.embed_with_prompt(prompt.clone(), *place, &tokens),
            None => self.lm.embed(&tokens),
        }
    }

    /// What `pass` makes of texts of these lengths, `rows` at a time and like lengths together: `take`
    /// gets each group's indices with its numbers.
    pub(super) async fn in_groups(
        &self,
        lengths: &[usize],
        rows: usize,
        pass: impl Fn(&[usize]) -> Tensor<2> + Sync,
        mut take: impl FnMut(&[usize], Vec<f32>),
    ) -> Result<(), DeviceError> {
        let device = self.lm.device();
        for groups in group_by_length(lengths, rows).chunks(parallel::width(device)) {
            let together = parallel::map(device, groups, |group| pass(group));
            for (group, values) in groups.iter().zip(together) {
                take(group, read(values).await?);
            }
        }
        Ok(())
    }
}
