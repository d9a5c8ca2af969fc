//! The run: draw, differentiate, clip, noise, step, until the plan is done.

use std::sync::Arc;

use super::config::{PlainTraining, Privacy, TuneConfig};
use super::crew::{Crew, Helpers};
use super::descent::{Descent, Direction};
use super::initial::Initial;
use super::kernel::{Kernel, Student};
use super::metrics::{LossSum, PrivateMetrics};
use super::{TaskHead, TuneError, crew, known_answer, plain};
use crate::dp::{Completed, KnownAnswer, Mechanism, MicroBatch, Untested};
use crate::model::{Lm, PromptPlace};
use crate::optim::{DeviceError, Order, State};
use crate::prompt::SoftPrompt;
use crate::task::Example;

const KIND: &str = "post.tune";

/// All that a run needs.
pub struct Setup {
    /// The student; or the teacher itself, for the upper bound.
    pub lm: Arc<Lm>,
    /// What the task asks for, on that model.
    pub head: TaskHead,
    /// Further students of the same width, which read the same tokens: an example's loss is then the mean over
    /// all of them, and what it counts for is bounded as ever.
    pub others: Vec<Student>,
    /// The private examples, with their answers.
    pub examples: Vec<Example>,
    /// Where the prompt starts.
    pub initial: Initial,
    /// How it moves.
    pub config: TuneConfig,
    /// What protects the examples.
    pub privacy: Privacy,
    /// Who else computes gradients of a private run; none for the device alone.
    pub helpers: Option<Box<dyn Helpers>>,
}

/// A run of prompt tuning. The caller owns the loop, the files and the clock.
pub struct Tuner {
    crew: Crew,
    config: TuneConfig,
    shape: [usize; 2],
    place: PromptPlace,
    descent: Descent,
    source: Source,
    settings: String,
    students: usize,
    earlier: Option<String>,
}

/// Where the steps' directions come from.
enum Source {
    Private(Box<Mechanism>),
    Plain(Order),
}

/// One step made.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Steps made so far, this one included.
    pub step: u64,
    /// Steps planned.
    pub steps: u64,
    /// Step size of this step.
    pub learning_rate: f64,
    /// For the data owner's eyes only.
    pub private: PrivateMetrics,
}

/// How far a step is. For the data owner's eyes only: how many were drawn is private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    /// Examples differentiated.
    pub done: usize,
    /// Examples drawn.
    pub drawn: usize,
}

/// The result of a finished run.
#[derive(Debug)]
pub struct Tuned {
    /// The prompt to hand over.
    pub prompt: SoftPrompt,
    /// What may be said about it.
    pub released: Released,
    /// On how many students it was tuned.
    pub students: usize,
    /// SHA-256 of the prompt that it started from, if an earlier run left that.
    pub earlier: Option<String>,
}

/// What may be said about a prompt.
#[derive(Debug)]
pub enum Released {
    /// The proof that every planned step was made: what a receipt is written for.
    Private(Completed),
    /// **No guarantee**: it may reveal the examples it was tuned on.
    NotPrivate,
}

impl Tuner {
    /// Checks everything, puts the live kernel to the self-test and takes up `resume`, a
    /// [`checkpoint`](Self::checkpoint) of a run with the same settings.
    ///
    /// A resumed private run goes on with fresh randomness.
    ///
    /// # Errors
    /// Settings out of range, examples without labels, a device that computes something else or
    /// mixes examples, a checkpoint that does not fit.
    pub async fn start(setup: Setup, resume: Option<&[u8]>) -> Result<Self, TuneError> {
        let Setup {
            lm,
            head,
            others,
            examples,
            initial,
            config,
            privacy,
            helpers,
        } = setup;
        let Initial {
            prompt: initial,
            earlier,
        } = initial;
        let shape = [initial.num_virtual_tokens(), initial.token_dim()];
        let place = initial.place();
        config.check(shape[0])?;
        if helpers.is_some() && !others.is_empty() {
            return Err(TuneError::Helpers);
        }
        let students = 1 + others.len();
        let first = Student { lm, head };
        for Student { lm, .. } in others.iter().chain([&first]) {
            let model = format!("{:?}", lm.config().family);
            initial.fits(&model, lm.config().embedding_size)?;
        }
        let kernel = Kernel::of_several(first, others, &examples, shape[0], place)?;
        let crew = Crew::new(kernel, shape, helpers);
        let mut settings = settings(&config, shape, place, &privacy, earlier.as_deref());
        if students > 1 {
            settings += &format!(" {students} students");
        }
        let initial = initial.embeddings().to_vec();
        let mut descent = Descent::new(config, initial, shape, privacy.steps());
        if let Some(bytes) = resume {
            let mut state = State::from_bytes(bytes, KIND)?;
            state.check_settings(&settings)?;
            descent.restore(&mut state)?;
        }
        let source = match privacy {
            Privacy::Private {
                plan,
                entropy,
                reserved,
            } => {
                let (dimension, done) = (descent.dimension(), descent.steps());
                let untested = plan.mechanism(entropy, reserved, dimension, done)?;
                let mechanism = tested(&crew, &descent, untested, config.micro_batch).await?;
                Source::Private(Box::new(mechanism))
            }
            Privacy::None(plain) => Source::Plain(order(crew.kernel(), plain).await?),
        };
        Ok(Self {
            crew,
            config,
            shape,
            place,
            descent,
            source,
            settings,
            students,
            earlier,
        })
    }

    /// Makes the next step; `None` once all are made.
    ///
    /// # Errors
    /// After one the run can't go on: start again from the last checkpoint.
    pub async fn step(&mut self) -> Result<Option<StepReport>, TuneError> {
        self.step_with(async |_| {}).await
    }

    /// [`step`](Self::step), calling `between` after every few examples: a tab looks there whether
    /// its owner wants to pause, and it may wait as long as it likes. A step that is given up there
    /// (by dropping its future) has released nothing; the run then starts again from its checkpoint.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub async fn step_with(
        &mut self,
        mut between: impl AsyncFnMut(Within),
    ) -> Result<Option<StepReport>, TuneError> {
        if self.descent.steps() >= self.descent.total() {
            return Ok(None);
        }
        let (crew, descent) = (&self.crew, &self.descent);
        let micro = self.config.micro_batch;
        let (direction, private) = match &mut self.source {
            Source::Private(mechanism) => {
                noised(crew, descent, mechanism, micro, &mut between).await?
            }
            Source::Plain(order) => {
                let (mean, private) =
                    plain::mean(crew, descent, order, micro, &mut between).await?;
                (Direction::Plain(mean), private)
            }
        };
        let learning_rate = self.descent.learning_rate();
        self.descent.step(direction);
        let (step, steps) = (self.descent.steps(), self.descent.total());
        Ok(Some(StepReport {
            step,
            steps,
            learning_rate,
            private,
        }))
    }

    /// Steps made.
    #[must_use]
    pub fn steps_done(&self) -> u64 {
        self.descent.steps()
    }

    /// Steps planned.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.descent.total()
    }

    /// Whether a guarantee covers the result: a plan, and randomness that is no test's.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match &self.source {
            Source::Private(mechanism) => mechanism.is_private(),
            Source::Plain(_) => false,
        }
    }

    /// The current prompt, for trying it out. As private as the steps so far.
    ///
    /// # Errors
    /// [`TuneError::Prompt`] when it isn't finite any more.
    pub fn prompt(&self) -> Result<SoftPrompt, TuneError> {
        let [n, d] = self.shape;
        let prompt = SoftPrompt::new(self.descent.prompt().to_vec(), n, d)?;
        Ok(prompt.with_place(self.place))
    }

    /// The run so far: prompt, moments, tail average, steps. It holds no randomness, and of the
    /// examples only what the steps released.
    #[must_use]
    pub fn checkpoint(&self) -> Vec<u8> {
        let state = State::new(KIND).with_settings(&self.settings);
        self.descent.save(state).to_bytes()
    }

    /// Hands over the prompt, with the proof of its guarantee.
    ///
    /// # Errors
    /// [`TuneError::Unfinished`] or [`TuneError::Step`] while steps are left.
    pub fn finish(self) -> Result<Tuned, TuneError> {
        let (done, planned) = (self.steps_done(), self.steps());
        if done < planned {
            return Err(TuneError::Unfinished { done, planned });
        }
        let [n, d] = self.shape;
        let prompt = SoftPrompt::new(self.descent.released(), n, d)?.with_place(self.place);
        let released = match self.source {
            Source::Private(mechanism) => Released::Private(mechanism.finish()?),
            Source::Plain(_) => Released::NotPrivate,
        };
        Ok(Tuned {
            prompt,
            released,
            students: self.students,
            earlier: self.earlier,
        })
    }
}

/// One private direction: every drawn example is clipped and added once, then the sum is noised.
async fn noised(
    crew: &Crew,
    descent: &Descent,
    mechanism: &mut Mechanism,
    micro: usize,
    between: &mut impl AsyncFnMut(Within),
) -> Result<(Direction, PrivateMetrics), TuneError> {
    let (done, planned) = (mechanism.steps_done(), mechanism.plan().steps());
    let batch = mechanism.sample(crew.kernel().len())?;
    let batch = batch.ok_or(TuneError::Unfinished { done, planned })?;
    let drawn = batch.len();
    let mut left = drawn;
    let mut losses = LossSum::default();
    let mut clipper = mechanism.clip(batch);
    loop {
        let together: Vec<MicroBatch> = (0..crew.width())
            .map_while(|_| clipper.next_micro(micro))
            .collect();
        if together.is_empty() {
            break;
        }
        let gradients = crew.gradients(descent.prompt(), &together).await?;
        for (rows, gradients) in together.into_iter().zip(gradients) {
            losses.add(gradients.losses, micro.min(left));
            left -= micro.min(left);
            let tuned = descent.gradients(gradients.per_example);
            clipper.add(rows, tuned).await?;
        }
        let done = drawn - left;
        between(Within { done, drawn }).await;
    }
    let (sum, loss) = clipper.finish_beside(losses.take()).await?;
    let direction = Direction::Noised(mechanism.privatize(sum)?);
    Ok((direction, losses.read_as(loss)))
}

/// The plan's mechanism, once the live kernel has passed, up to the numbers that will be clipped.
async fn tested(
    crew: &Crew,
    descent: &Descent,
    untested: Untested,
    micro: usize,
) -> Result<Mechanism, TuneError> {
    let (live, reference) = known_answer(crew.kernel().lm().device()).await?;
    let known = KnownAnswer {
        live: &live,
        reference: &reference,
    };
    let rows: Vec<usize> = (0..crew.kernel().len().min(micro)).collect();
    let gradients = async |micro: &MicroBatch| {
        let gradients = crew.everyone(descent.prompt(), micro).await?;
        Ok::<_, DeviceError>(descent.gradients(gradients.per_example))
    };
    Ok(untested.test(&rows, micro, known, gradients).await?)
}

/// Without a guarantee there is nothing to keep but the arithmetic.
async fn order(kernel: &Kernel, plain: PlainTraining) -> Result<Order, TuneError> {
    plain.check()?;
    crew::sound(kernel.lm().device()).await?;
    Ok(plain.order(kernel.len()))
}

impl Privacy {
    fn steps(&self) -> u64 {
        match self {
            Self::Private { plan, .. } => plan.steps(),
            Self::None(plain) => plain.steps,
        }
    }
}

/// What a resumed run must share, as text.
fn settings(
    config: &TuneConfig,
    shape: [usize; 2],
    place: PromptPlace,
    privacy: &Privacy,
    earlier: Option<&str>,
) -> String {
    let privacy = match privacy {
        Privacy::Private { plan, .. } => plan.hash(),
        Privacy::None(plain) => format!("{plain:?}"),
    };
    // Checkpoints from before there were ranks and places stay what they were.
    let config = format!("{config:?}").replace(", low_rank: None", "");
    let from = earlier.map_or_else(String::new, |hash| format!(" from {hash}"));
    let place = match place {
        PromptPlace::BeforeBos => "",
        PromptPlace::AfterBos => " after-bos",
    };
    format!("{config} {shape:?} {privacy}{from}{place}")
}
