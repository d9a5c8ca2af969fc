//! Who differentiates: the run's own kernel, or copies of it elsewhere that share the work.
//!
//! A tab has no threads that share memory unless its page is specially served, but it may have several
//! workers. Each holds the student and the examples, and gives back what the kernel would have given:
//! per-example gradients, which are clipped and noised here like any others.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::kernel::{Gradients, Kernel};
use super::{ClassHead, TuneError, known_answer};
use crate::dp::{MicroBatch, TOLERANCE};
use crate::model::{Lm, PromptPlace};
use crate::optim::{DeviceError, read};
use crate::parallel;
use crate::task::Example;

/// What one micro-batch gives, on the host. **Private**: it stays in the tab.
#[derive(Clone, Debug, PartialEq)]
pub struct HostGradients {
    /// `[b, n, d]`; row i is example i's own gradient, times its weight.
    pub per_example: Vec<f32>,
    /// `[b]`; each loss times its weight.
    pub losses: Vec<f32>,
}

/// An answer that comes later.
pub type Pending<'a> = Pin<Box<dyn Future<Output = Result<Vec<HostGradients>, DeviceError>> + 'a>>;

/// Copies of the run's kernel.
pub trait Helpers {
    /// How many there are.
    fn width(&self) -> usize;

    /// One answer for each micro-batch, in their order; at most [`width`](Self::width) are given.
    fn gradients<'a>(&'a self, prompt: &'a [f32], work: &'a [MicroBatch]) -> Pending<'a>;

    /// Every helper's answer to the same micro-batch.
    fn everyone<'a>(&'a self, prompt: &'a [f32], work: &'a MicroBatch) -> Pending<'a>;
}

/// One copy of a run's kernel, from the same student, task and examples, in the same order.
pub struct Helper {
    kernel: Kernel,
    shape: [usize; 2],
}

impl Helper {
    /// A copy for prompts of `num_virtual_tokens` at that place; its device is put before the known answer.
    ///
    /// # Errors
    /// As [`Tuner::start`](super::Tuner::start).
    pub async fn new(
        lm: Arc<Lm>,
        head: ClassHead,
        examples: &[Example],
        num_virtual_tokens: usize,
        place: PromptPlace,
    ) -> Result<Self, TuneError> {
        sound(lm.device()).await?;
        let shape = [num_virtual_tokens, lm.config().embedding_size];
        let kernel = Kernel::new(lm, head, examples, num_virtual_tokens, place)?;
        Ok(Self { kernel, shape })
    }

    /// Gradients of the examples `indices` with weights, at a prompt of n·d numbers.
    ///
    /// # Errors
    /// [`DeviceError`] when the prompt is of another shape, an example doesn't exist, or the device
    /// fails.
    pub async fn gradients(
        &self,
        prompt: &[f32],
        indices: &[usize],
        weights: &[f32],
    ) -> Result<HostGradients, DeviceError> {
        let known = indices.iter().all(|&index| index < self.kernel.len());
        if prompt.len() != self.shape[0] * self.shape[1] || !known || indices.len() != weights.len()
        {
            return Err(DeviceError::new(
                "a helper was asked for something it doesn't have",
            ));
        }
        let prompt = upload(self.kernel.lm().device(), prompt, self.shape);
        let gradients = self.kernel.gradients(&prompt, indices, weights);
        Ok(HostGradients {
            per_example: read(gradients.per_example).await?,
            losses: read(gradients.losses).await?,
        })
    }
}

/// The run's kernel with its helpers, if it has any.
pub(super) struct Crew {
    kernel: Kernel,
    shape: [usize; 2],
    helpers: Option<Box<dyn Helpers>>,
}

impl Crew {
    pub(super) fn new(
        kernel: Kernel,
        shape: [usize; 2],
        helpers: Option<Box<dyn Helpers>>,
    ) -> Self {
        Self {
            kernel,
            shape,
            helpers,
        }
    }

    pub(super) fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The prompt on the kernel's device.
    pub(super) fn upload(&self, prompt: &[f32]) -> Tensor<2> {
        upload(self.kernel.lm().device(), prompt, self.shape)
    }

    /// Micro-batches worth handing out together.
    pub(super) fn width(&self) -> usize {
        match &self.helpers {
            Some(helpers) => helpers.width().max(1),
            None => parallel::width(self.kernel.lm().device()),
        }
    }

    /// Gradients of each micro-batch, in their order.
    pub(super) async fn gradients(
        &self,
        prompt: &[f32],
        work: &[MicroBatch],
    ) -> Result<Vec<Gradients>, DeviceError> {
        let Some(helpers) = &self.helpers else {
            let prompt = self.upload(prompt);
            let kernel = &self.kernel;
            return Ok(parallel::map(kernel.lm().device(), work, |rows| {
                kernel.gradients(&prompt, rows.indices(), rows.weights())
            }));
        };
        let answers = helpers.gradients(prompt, work).await?;
        if answers.len() != work.len() {
            return Err(DeviceError::new("a helper gave no answer"));
        }
        let pairs = work.iter().zip(answers);
        pairs
            .map(|(rows, answer)| self.taken(rows, answer))
            .collect()
    }

    /// Gradients of one micro-batch by everybody who will take part in the run: all must agree to
    /// the last bit, so that what the self-test finds of one holds for each.
    pub(super) async fn everyone(
        &self,
        prompt: &[f32],
        work: &MicroBatch,
    ) -> Result<Gradients, DeviceError> {
        let Some(helpers) = &self.helpers else {
            let prompt = self.upload(prompt);
            return Ok(self
                .kernel
                .gradients(&prompt, work.indices(), work.weights()));
        };
        let mut answers = helpers.everyone(prompt, work).await?;
        // Bits, not numbers: what is not a number equals nothing.
        let bits = |answer: &HostGradients| -> Vec<u32> {
            answer.per_example.iter().map(|x| x.to_bits()).collect()
        };
        let last = answers
            .pop()
            .filter(|_| answers.len() + 1 == helpers.width());
        let last = last.ok_or_else(|| DeviceError::new("a helper gave no answer"))?;
        let expected = bits(&last);
        if answers.iter().any(|answer| bits(answer) != expected) {
            return Err(DeviceError::new("two helpers computed different numbers"));
        }
        self.taken(work, last)
    }

    fn taken(&self, rows: &MicroBatch, answer: HostGradients) -> Result<Gradients, DeviceError> {
        let (b, [n, d]) = (rows.indices().len(), self.shape);
        if answer.per_example.len() != b * n * d || answer.losses.len() != b {
            return Err(DeviceError::new("a helper's answer is of another shape"));
        }
        let device = self.kernel.lm().device();
        Ok(Gradients {
            per_example: Tensor::from_data(TensorData::new(answer.per_example, [b, n, d]), device),
            losses: Tensor::from_data(TensorData::new(answer.losses, [b]), device),
        })
    }
}

/// Whether a device gives the known answer.
pub(super) async fn sound(device: &Device) -> Result<(), TuneError> {
    let (live, reference) = known_answer(device).await?;
    let square = |x: f32| f64::from(x).powi(2);
    let off: f64 = live
        .iter()
        .zip(&reference)
        .map(|(a, b)| square(a - b))
        .sum();
    let error = (off / reference.iter().map(|&b| square(b)).sum::<f64>()).sqrt();
    // NaN passes nothing.
    if error <= TOLERANCE && live.len() == reference.len() {
        Ok(())
    } else {
        Err(TuneError::KnownAnswer(error))
    }
}

fn upload(device: &Device, prompt: &[f32], shape: [usize; 2]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(prompt.to_vec(), shape), device)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use pollster::block_on;

    use super::*;
    use crate::dp::Entropy;
    use crate::tune::testing::{PROMPT, examples, head, lm, private, prompt, setup};
    use crate::tune::{Privacy, Setup, Student, TuneConfig, Tuner};

    const PLACE: PromptPlace = PromptPlace::BeforeBos;

    /// Copies on this thread; `wrong` spoils the last one's answers.
    struct Copies {
        copies: Vec<Helper>,
        wrong: bool,
    }

    impl Copies {
        fn ask(&self, at: usize, prompt: &[f32], rows: &MicroBatch) -> HostGradients {
            let copy = &self.copies[at];
            let mut answer =
                block_on(copy.gradients(prompt, rows.indices(), rows.weights())).unwrap();
            if self.wrong && at + 1 == self.copies.len() {
                answer.per_example[0] += 1e-3;
            }
            answer
        }
    }

    impl Helpers for Copies {
        fn width(&self) -> usize {
            self.copies.len()
        }

        fn gradients<'a>(&'a self, prompt: &'a [f32], work: &'a [MicroBatch]) -> Pending<'a> {
            let answers = work.iter().enumerate();
            let answers = answers
                .map(|(at, rows)| self.ask(at, prompt, rows))
                .collect();
            Box::pin(std::future::ready(Ok(answers)))
        }

        fn everyone<'a>(&'a self, prompt: &'a [f32], work: &'a MicroBatch) -> Pending<'a> {
            let all = 0..self.copies.len();
            let answers = all.map(|at| self.ask(at, prompt, work)).collect();
            Box::pin(std::future::ready(Ok(answers)))
        }
    }

    fn copies(wrong: bool) -> Box<dyn Helpers> {
        let lm = lm(1);
        let examples = examples(48, 2);
        let copy =
            |_| block_on(Helper::new(lm.clone(), head(&lm), &examples, PROMPT, PLACE)).unwrap();
        let copies = (0..3).map(copy).collect();
        Box::new(Copies { copies, wrong })
    }

    fn seeded(helpers: Option<Box<dyn Helpers>>) -> Setup {
        let Privacy::Private { plan, reserved, .. } = private(48, 1.0, 1.0, 3) else {
            unreachable!("it is private")
        };
        let privacy = Privacy::Private {
            plan,
            entropy: Entropy::insecure(3),
            reserved,
        };
        Setup {
            helpers,
            ..setup(TuneConfig::default(), privacy)
        }
    }

    #[test]
    fn a_run_with_helpers_ends_at_the_same_prompt() {
        let after = |helpers| {
            let mut tuner = block_on(Tuner::start(seeded(helpers), None)).unwrap();
            while block_on(tuner.step()).unwrap().is_some() {}
            tuner.finish().unwrap().prompt
        };
        assert_eq!(after(None), after(Some(copies(false))));
    }

    #[test]
    fn a_helper_that_computes_something_else_is_found_before_the_run() {
        let started = block_on(Tuner::start(seeded(Some(copies(true))), None));
        let error = started.err().unwrap().to_string();
        assert!(error.contains("different numbers"), "{error}");
    }

    #[test]
    fn helpers_and_several_students_exclude_each_other() {
        let lm = lm(2);
        let head = head(&lm).into();
        let setup = Setup {
            others: vec![Student { lm, head }],
            ..seeded(Some(copies(false)))
        };
        let error = block_on(Tuner::start(setup, None)).err().unwrap();
        assert!(matches!(error, TuneError::Helpers), "{error}");
    }

    #[test]
    fn a_helper_knows_what_it_does_not_have() {
        let lm = lm(1);
        let examples = examples(4, 2);
        let helper = Helper::new(lm.clone(), head(&lm), &examples, PROMPT, PLACE);
        let helper = block_on(helper).unwrap();
        let numbers = prompt(&lm).embeddings().to_vec();
        assert!(block_on(helper.gradients(&numbers, &[4], &[1.0])).is_err());
        assert!(block_on(helper.gradients(&numbers[1..], &[0], &[1.0])).is_err());
        assert!(block_on(helper.gradients(&numbers, &[0], &[])).is_err());
    }
}
