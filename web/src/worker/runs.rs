//! A run, from the owner's click to the receipt: what the terminal does, by the same code.

use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use post_core::dp::{Entropy, Plan};
use post_core::optim::DeviceError;
use post_core::prompt::archive;
use post_core::task::{Encoder, Example, LabelWords};
use post_core::tune::{
    ClassHead, Handover, Helpers, Initial, Privacy, Setup, StepReport, TuneError, Tuner, Within,
};

use super::device::{self, Unsound};
use super::helpers::{Lent, Preparation};
use super::port::{Port, now};
use super::storage::Storage;
use super::student::Student;
use super::tables::Data;
use super::{handover, kept, suggest};
use crate::protocol::{Answer, Finished, Kept, Meter, Progress, Settings, Stage};

/// Steps between two looks at the meter, as a share of all.
const METER: f64 = 0.05;

/// What a run works on.
pub(super) struct Run<'a> {
    pub(super) student: &'a Student,
    pub(super) data: &'a Data,
    pub(super) settings: Settings,
    pub(super) storage: &'a Storage,
    pub(super) port: &'a Port,
    pub(super) begin: &'a Begin,
}

/// How a run begins.
pub(super) struct Begin {
    /// ε that all runs on the same rows may cost together, where no run has fixed that.
    pub(super) cap: f64,
    /// The zip of the prompt that it goes on from; without, the task's sentence.
    pub(super) initial: Option<Vec<u8>>,
    /// Whether the ledger has it already.
    pub(super) entered: bool,
    /// Where it was, if it had come so far.
    pub(super) checkpoint: Option<Vec<u8>>,
}

/// How a run ended.
pub(super) enum Ended {
    /// Every step is made.
    Done(Box<Handover>),
    /// The owner stopped it; it can go on.
    Stopped,
}

impl Run<'_> {
    /// Starts, or goes on from a checkpoint, and runs to the end.
    ///
    /// # Errors
    /// When the run may not start, the self-test fails, or a device fails in it ([`is_lost`]).
    pub(super) async fn drive(&self) -> Result<Ended> {
        let resume = self.begin.checkpoint.as_deref();
        self.say_stage(Stage::Encode).await;
        let plan = suggest::plan(&self.settings)?;
        let setup = self.setup(&plan).await?;
        self.say_stage(Stage::SelfTest).await;
        let mut tuner = Tuner::start(setup, resume).await?;
        device::sound(self.student.kind)?;
        if resume.is_none() {
            let unstored = self.keep(&plan, &tuner).await;
            self.say_checkpoint(&tuner, unstored);
        }
        self.port.say(&Answer::Started {
            step: tuner.steps_done(),
            steps: tuner.steps(),
        });
        self.say_meter(&plan, tuner.steps_done())?;
        if !self.steps(&plan, &mut tuner).await? {
            return Ok(Ended::Stopped);
        }
        let tuned = tuner.finish()?;
        let student = self.student;
        let hash = student.card.hash.clone();
        let done = tuned.hand_over(&student.base(), &self.data.task, &[hash])?;
        Ok(Ended::Done(Box::new(done)))
    }

    /// Makes all steps that are left; false when the owner stops it.
    async fn steps(&self, plan: &Plan, tuner: &mut Tuner) -> Result<bool> {
        let mut pace = Pace::new(self.expected());
        let every = (METER * plan.steps() as f64).ceil().max(1.0) as u64;
        loop {
            let made = tuner.steps_done();
            let Some(report) = self.step(tuner, &mut pace, made).await? else {
                return Ok(made == plan.steps());
            };
            device::sound(self.student.kind)?;
            let unstored = self.keep(plan, tuner).await;
            self.say_checkpoint(tuner, unstored);
            self.say_step(&report);
            if report.step == 1 || report.step % every == 0 || report.step == report.steps {
                self.say_meter(plan, report.step)?;
            }
        }
    }

    /// One step, given up as soon as the owner wants to stop; none then, and when none are left.
    async fn step(
        &self,
        tuner: &mut Tuner,
        pace: &mut Pace,
        made: u64,
    ) -> Result<Option<StepReport>> {
        let steps = tuner.steps();
        let (stop, stopped) = futures_channel::oneshot::channel::<()>();
        let mut stop = Some(stop);
        let stepping = tuner.step_with(async |within: Within| {
            pace.examples(within);
            self.port.say(&Answer::Progress {
                progress: pace.progress(made, steps),
            });
            if !self.port.breathe().await {
                stop.take();
                // The step is dropped here, in the middle, and never ends.
                std::future::pending::<()>().await;
            }
        });
        // Dropping the sender ends the wait.
        let step = std::pin::pin!(stepping);
        match futures_util::future::select(step, stopped).await {
            futures_util::future::Either::Left((report, _)) => Ok(report?),
            futures_util::future::Either::Right(_) => Ok(None),
        }
    }

    async fn setup(&self, plan: &Plan) -> Result<Setup> {
        let (student, data) = (self.student, self.data);
        let tokens = self.settings.num_virtual_tokens;
        let encoder = student.encoder(&data.task, tokens)?;
        let examples = encoder.encode_all(&data.train)?;
        let micro = student.micro_batch(data.longest + tokens)?;
        let initial = self.initial(&encoder)?;
        let (storage, rows, begin) = (self.storage, &data.train, self.begin);
        let reserved = if begin.entered {
            kept::resume(storage, rows, plan).await?
        } else {
            kept::reserve(storage, rows, plan, begin.cap, begin.initial.as_deref()).await?
        };
        let helpers = self.helpers(encoder.words()?, &examples, &initial).await;
        Ok(Setup {
            lm: Arc::clone(&student.lm),
            head: ClassHead::new(&student.lm, encoder.words()?).into(),
            others: Vec::new(),
            examples,
            initial,
            config: suggest::tuning(&self.settings, micro),
            privacy: Privacy::Private {
                plan: plan.clone(),
                entropy: Entropy::from_os()?,
                reserved,
            },
            helpers,
        })
    }

    fn initial(&self, encoder: &Encoder<'_>) -> Result<Initial> {
        let tokens = self.settings.num_virtual_tokens;
        let Some(zip) = &self.begin.initial else {
            return Ok(self.student.text_init(encoder, tokens)?.into());
        };
        let earlier = handover::unpack(zip)?;
        let found = earlier.adapter.prompt.num_virtual_tokens();
        ensure!(
            found == tokens,
            "the prompt to go on from has {found} virtual tokens, and the run {tokens}; make its length {found}"
        );
        Ok(earlier.into())
    }

    /// Other workers that share the processor's cores; none where the graphics card computes, or the
    /// browser gives none: the run is then slower and otherwise the same.
    async fn helpers(
        &self,
        words: &LabelWords,
        examples: &[Example],
        initial: &Initial,
    ) -> Option<Box<dyn Helpers>> {
        let student = self.student;
        let crew = student.crew.as_ref()?;
        let run = Preparation::new(student.card.hash.clone(), words, examples, initial.prompt());
        match crew.prepare(&student.file, run).await {
            Ok(()) => Some(Box::new(Lent(Rc::clone(crew)))),
            Err(error) => {
                web_sys::console::warn_1(&format!("no helpers: {error:#}").into());
                None
            }
        }
    }

    /// Keeps the run as it is; why not, if it can't. The run goes on all the same.
    async fn keep(&self, plan: &Plan, tuner: &Tuner) -> Option<String> {
        let kept = Kept {
            step: tuner.steps_done(),
            steps: tuner.steps(),
            epsilon: plan.epsilon(),
            bundle: self.student.card.hash.clone(),
            student: self.student.card.name.clone(),
            mapping: self.data.mapping.clone(),
            settings: self.settings,
        };
        let stored = kept::keep(self.storage, &kept, &tuner.checkpoint()).await;
        stored.err().map(|error| format!("{error:#}"))
    }

    /// Examples a second to begin with, by the quick measurement.
    fn expected(&self) -> (f64, f64) {
        let places = self.data.mean + self.settings.num_virtual_tokens as f64;
        (self.student.places / places, self.settings.expected_batch)
    }

    async fn say_stage(&self, stage: Stage) {
        self.port.say(&Answer::Starting { stage });
        self.port.breathe().await;
    }

    fn say_checkpoint(&self, tuner: &Tuner, unstored: Option<String>) {
        let step = tuner.steps_done();
        self.port.say(&Answer::Checkpoint { step, unstored });
    }

    fn say_step(&self, report: &StepReport) {
        self.port.say(&Answer::Metrics {
            step: report.step,
            loss: report.private.loss,
            examples: report.private.examples,
        });
    }

    fn say_meter(&self, plan: &Plan, step: u64) -> Result<()> {
        let meter = Meter {
            step,
            spent: plan.epsilon_after(step)?,
            epsilon: plan.epsilon(),
        };
        self.port.say(&Answer::Meter { meter });
        Ok(())
    }
}

/// Whether the device failed, or failed its test, so that the run may go on elsewhere.
pub(super) fn is_lost(error: &anyhow::Error) -> bool {
    let device = |error: &TuneError| {
        matches!(
            error,
            TuneError::Device(_)
                | TuneError::Clip(_)
                | TuneError::SelfTest(_)
                | TuneError::KnownAnswer(_)
        )
    };
    error.is::<Unsound>() || error.is::<DeviceError>() || error.downcast_ref().is_some_and(device)
}

/// What may be said of a finished run, and the zip to hand over.
///
/// # Errors
/// When the run was not private, which no run in a tab is.
pub(super) fn finished(done: &Handover) -> Result<(Finished, Vec<u8>)> {
    let receipt = done.receipt.as_ref().context("the run has no receipt")?;
    ensure!(receipt.private, "the run's randomness was not secret");
    let finished = Finished {
        statement: receipt.statement.clone(),
        epsilon: receipt.epsilon,
        delta: receipt.delta,
        total: receipt.total_epsilon,
        not_covered: receipt.not_covered.clone(),
        receipt: serde_json::to_string_pretty(receipt)?,
    };
    Ok((finished, archive::pack(&done.files)?))
}

/// How fast a run is, over its last few micro-batches.
struct Pace {
    speed: f64,
    batch: f64,
    /// Examples of the running step so far, and drawn.
    within: (usize, usize),
    last: f64,
}

impl Pace {
    fn new((speed, batch): (f64, f64)) -> Self {
        Self {
            speed,
            batch,
            within: (0, 0),
            last: now(),
        }
    }

    fn examples(&mut self, within: Within) {
        let before = if within.done > self.within.0 {
            self.within.0
        } else {
            0
        };
        let (examples, time) = ((within.done - before) as f64, now());
        let speed = examples / (time - self.last).max(1e-6);
        self.speed += 0.2 * (speed - self.speed);
        self.last = time;
        self.within = (within.done, within.drawn);
    }

    fn progress(&self, step: u64, steps: u64) -> Progress {
        let (done, drawn) = self.within;
        let within = done as f64 / drawn.max(1) as f64;
        let left = (steps - step) as f64 - within;
        Progress {
            step,
            steps,
            within,
            speed: self.speed,
            seconds_left: (left * self.batch / self.speed.max(1e-9)).max(0.0),
        }
    }
}
