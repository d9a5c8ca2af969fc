//! The run: batch, forward, slope, backward, Adam, for a fixed number of steps.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::constants::Constants;
use super::loss::{self, Heads};
use super::{TransferError, Words};
use crate::model::{Lm, PromptPlace};
use crate::optim::{Adam, AdamConfig, Order, Schedule, State, read};
use crate::parallel;
use crate::prompt::SoftPrompt;

const KIND: &str = "post.transfer";

/// What a transfer can be told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferConfig {
    /// α: 0 copies the student's answers, 1 its prompt's effect. Not to be chosen by private data.
    pub alpha: f64,
    /// T.
    pub temperature: f64,
    /// Adam's constants.
    pub adam: AdamConfig,
    /// Step size at the schedule's factor 1.
    pub learning_rate: f64,
    /// The step size's course.
    pub schedule: Schedule,
    /// Public examples in a step.
    pub batch: usize,
    /// Steps; fixed, not stopped by any accuracy.
    pub steps: u64,
    /// Decides the order of the examples.
    pub seed: u64,
    /// Examples in one forward and backward pass. Memory and speed depend on it, results do not.
    pub micro_batch: usize,
}

impl Default for TransferConfig {
    /// RoBERTa-base's in the paper, with 1 000 steps: "about 1000–2000 steps converge" (method §3).
    fn default() -> Self {
        Self {
            alpha: 0.5,
            temperature: 2.0,
            adam: AdamConfig::default(),
            learning_rate: 1e-3,
            schedule: Schedule::Constant,
            batch: 32,
            steps: 1000,
            seed: 0,
            micro_batch: 16,
        }
    }
}

impl TransferConfig {
    fn check(&self) -> Result<(), TransferError> {
        let range = |field, value: f64, ok, must| {
            if ok {
                Ok(())
            } else {
                Err(TransferError::Range { field, value, must })
            }
        };
        let (alpha, rate, t) = (self.alpha, self.learning_rate, self.temperature);
        range(
            "alpha",
            alpha,
            (0.0..=1.0).contains(&alpha),
            "between 0 and 1",
        )?;
        range("temperature", t, t > 0.0 && t.is_finite(), "above 0")?;
        range(
            "learning_rate",
            rate,
            rate > 0.0 && rate.is_finite(),
            "above 0",
        )?;
        range("batch", self.batch as f64, self.batch > 0, "at least 1")?;
        range("steps", self.steps as f64, self.steps > 0, "at least 1")?;
        range(
            "micro_batch",
            self.micro_batch as f64,
            self.micro_batch > 0,
            "at least 1",
        )
    }
}

/// One step made. All of it is public.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TransferReport {
    /// Steps made so far, this one included.
    pub step: u64,
    /// Steps planned.
    pub steps: u64,
    /// Step size of this step.
    pub learning_rate: f64,
    /// Mean loss over the batch, before the step.
    pub loss: f64,
}

/// What one device computes with.
struct Replica {
    teacher: Arc<Lm>,
    /// Of the student only its head is used any more.
    student: Arc<Lm>,
    heads: Heads,
}

impl Replica {
    fn new(teacher: Arc<Lm>, student: Arc<Lm>, words: &Words) -> Result<Self, TransferError> {
        Ok(Self {
            heads: Heads::new(&student, &teacher, words)?,
            teacher,
            student,
        })
    }

    /// The same on another device.
    fn on(&self, device: &Device, words: &Words) -> Result<Self, TransferError> {
        let [teacher, student] = [&self.teacher, &self.student].map(|lm| Arc::new(lm.on(device)));
        Self::new(teacher, student, words)
    }
}

/// A run of prompt transfer. The caller owns the loop, the files and the clock.
pub struct Transfer {
    /// At least one.
    replicas: Vec<Replica>,
    words: Words,
    constants: Constants,
    config: TransferConfig,
    order: Order,
    shape: [usize; 2],
    place: PromptPlace,
    prompt: Vec<f32>,
    adam: Adam,
    steps: u64,
}

impl Transfer {
    /// Starts from `initial`, or from `resume`, a [`checkpoint`](Self::checkpoint) of a run with the
    /// same settings. `words` are those whose logits are compared.
    ///
    /// # Errors
    /// Settings out of range, constants not complete, a prompt or checkpoint that does not fit, unlike
    /// vocabularies whose whole is to be compared.
    pub fn new(
        teacher: Arc<Lm>,
        student: Arc<Lm>,
        constants: Constants,
        initial: &SoftPrompt,
        words: Words,
        config: TransferConfig,
        resume: Option<&[u8]>,
    ) -> Result<Self, TransferError> {
        config.check()?;
        initial.fits("teacher", teacher.config().embedding_size)?;
        let missing = constants.len() - constants.done();
        if missing > 0 {
            return Err(TransferError::Incomplete { missing });
        }
        constants.fits(&teacher, initial.num_virtual_tokens())?;
        let batch = config.batch.min(constants.len());
        let prompt = initial.embeddings().to_vec();
        let mut transfer = Self {
            replicas: vec![Replica::new(teacher, student, &words)?],
            words,
            order: Order::new(config.seed, constants.len(), batch),
            constants,
            config,
            shape: [initial.num_virtual_tokens(), initial.token_dim()],
            place: initial.place(),
            adam: Adam::new(config.adam, prompt.len()),
            prompt,
            steps: 0,
        };
        if let Some(bytes) = resume {
            transfer.restore(bytes)?;
        }
        Ok(transfer)
    }

    /// Shares the micro-batches of each step out among the models' device and these. Results depend on their
    /// number by the order of sums alone.
    ///
    /// # Errors
    /// None that [`new`](Self::new) hasn't had.
    pub fn shared_with(mut self, devices: &[Device]) -> Result<Self, TransferError> {
        for device in devices {
            self.replicas
                .push(self.replicas[0].on(device, &self.words)?);
        }
        Ok(self)
    }

    /// Makes the next step; `None` once all are made.
    ///
    /// # Errors
    /// A failing device, or a prompt that diverges. The prompt is then still the last step's.
    pub async fn step(&mut self) -> Result<Option<TransferReport>, TransferError> {
        if self.steps >= self.config.steps {
            return Ok(None);
        }
        let mut batch = self.order.batch(self.steps);
        // Neighbours are of like length.
        batch.sort_unstable();
        let (loss, gradient) = self.gradient(&batch).await?;
        if !gradient.iter().all(|x| x.is_finite()) {
            return Err(TransferError::Diverged(self.steps));
        }
        let factor = self.config.schedule.factor(self.steps, self.config.steps);
        let learning_rate = self.config.learning_rate * factor;
        self.adam.step(&mut self.prompt, &gradient, learning_rate);
        self.steps += 1;
        let (step, steps) = (self.steps, self.config.steps);
        Ok(Some(TransferReport {
            step,
            steps,
            learning_rate,
            loss,
        }))
    }

    /// Mean loss over the batch and its gradient in the prompt, `[n·d]`.
    async fn gradient(&self, batch: &[usize]) -> Result<(f64, Vec<f32>), TransferError> {
        let teachers = self.replicas.iter().map(|replica| &replica.teacher);
        let devices: Vec<&Device> = teachers.map(|teacher| teacher.device()).collect();
        let data = TensorData::new(self.prompt.clone(), self.shape);
        let upload = |device: &&Device| Tensor::<2>::from_data(data.clone(), *device);
        let prompts: Vec<_> = devices.iter().map(upload).collect();
        let chunks: Vec<&[usize]> = batch.chunks(self.config.micro_batch).collect();
        let micro = |device: usize, indices: &&[usize]| {
            self.micro(&self.replicas[device], &prompts[device], indices)
        };
        let sums = parallel::sums(&devices, &chunks, micro, |(a, b), (c, d)| (a + c, b + d));
        let (mut loss, mut gradient) = (0.0, vec![0.0; self.prompt.len()]);
        for (losses, slopes) in sums {
            loss += f64::from(read(losses).await?[0]);
            let slopes = read(slopes).await?;
            let pairs = gradient.iter_mut().zip(slopes);
            pairs.for_each(|(sum, slope)| *sum += slope);
        }
        gradient.iter_mut().for_each(|x| *x /= batch.len() as f32);
        Ok((loss / batch.len() as f64, gradient))
    }

    /// Summed loss `[1]` and gradient `[n, d]` over a micro-batch: one forward and one backward to
    /// the activations of the teacher, which passes the prompt once for all rows.
    fn micro(
        &self,
        replica: &Replica,
        prompt: &Tensor<2>,
        indices: &[usize],
    ) -> (Tensor<1>, Tensor<2>) {
        let Replica {
            teacher,
            student,
            heads,
        } = replica;
        let leaf = prompt.clone().autodiff().require_grad();
        let (tokens, places) = self.constants.batch(indices);
        let input = teacher.embed_with_prompt(leaf.clone(), self.place, &tokens);
        let hidden = teacher.hidden_within(&input, &places);

        let rows = self.constants.rows(indices, student, teacher);
        let TransferConfig {
            alpha, temperature, ..
        } = self.config;
        let here = hidden.clone().inner();
        let (loss, slope) = loss::loss(heads, rows, here, alpha, temperature);
        let mut grads = (hidden * slope).sum().backward();
        let gradient = leaf.grad_remove(&mut grads);
        (
            loss.sum(),
            gradient.unwrap_or_else(|| leaf.inner().zeros_like()),
        )
    }

    /// Steps made.
    #[must_use]
    pub fn steps_done(&self) -> u64 {
        self.steps
    }

    /// The current prompt.
    ///
    /// # Errors
    /// [`TransferError::Prompt`] when it isn't finite.
    pub fn prompt(&self) -> Result<SoftPrompt, TransferError> {
        let [n, d] = self.shape;
        let prompt = SoftPrompt::new(self.prompt.clone(), n, d)?;
        Ok(prompt.with_place(self.place))
    }

    /// The teacher's prompt.
    ///
    /// # Errors
    /// [`TransferError::Unfinished`] while steps are left.
    pub fn finish(self) -> Result<SoftPrompt, TransferError> {
        let (done, planned) = (self.steps, self.config.steps);
        if done < planned {
            return Err(TransferError::Unfinished { done, planned });
        }
        self.prompt()
    }

    /// Prompt, moments and steps; the constants have a checkpoint of their own.
    #[must_use]
    pub fn checkpoint(&self) -> Vec<u8> {
        let state = State::new(KIND)
            .with_settings(&self.settings())
            .with_field("steps", self.steps)
            .with_tensor("prompt", self.prompt.clone());
        self.adam.save(state).to_bytes()
    }

    /// What a resumed run must share.
    fn settings(&self) -> impl Serialize + '_ {
        (self.config, self.shape, self.constants.len(), &self.words)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), TransferError> {
        let mut state = State::from_bytes(bytes, KIND)?;
        state.check_settings(&self.settings())?;
        self.steps = state.field("steps")?;
        self.prompt = state.take("prompt", self.prompt.len())?;
        self.adam.restore(&mut state)?;
        Ok(())
    }
}
