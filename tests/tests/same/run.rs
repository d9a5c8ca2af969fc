//! Whole runs on a little student, from its bundle to the prompt, by what the worker calls.
//!
//! The file has what a terminal gave: prompts before the first step and after each. Devices add in
//! orders of their own, so they are held to a distance. Where a test fails it prints what it found.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::Device;
use post_core::bundle::Bundle;
use post_core::dp::{
    Adjacency, Budget, Clipping, Entropy, Ledger, Length, MicroBatch, Plan, PlanConfig,
    PrivacyUnit, Reserved,
};
use post_core::model::{Lm, PromptPlace};
use post_core::optim::Schedule;
use post_core::task::table::{self, Format};
use post_core::task::{Example, Labels, Row, Task};
use post_core::tune::{
    self, ClassHead, Helper, Helpers, Optimizer, Pending, PlainTraining, Privacy, Setup,
    TuneConfig, Tuner,
};
use tokenizers::Tokenizer;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::student::{Model, table as rows_as_csv};

pub(crate) const TOKENS: usize = 3;
const ROWS: usize = 30;
const STEPS: u64 = 4;
/// Steps before the interruption.
const STOPPED: u64 = 2;
const MICRO_BATCH: usize = 4;
/// Of how far the prompt has moved from where it began.
const NEAR: f64 = 1e-4;

/// A student out of its bundle, with the task that came in it.
pub(crate) struct Student {
    pub(crate) lm: Arc<Lm>,
    pub(crate) rows: Vec<Row>,
    tokenizer: Tokenizer,
    task: Task,
}

/// How a run goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Course {
    Plain,
    Private,
    /// Private, interrupted and taken up again.
    Resumed,
}

const COURSES: [Course; 3] = [Course::Plain, Course::Private, Course::Resumed];

impl Student {
    pub(crate) fn open(model: Model, device: &Device) -> Self {
        let bundle = Bundle::open(Arc::new(model.bundle())).unwrap();
        let task = Task::from_toml(&bundle.card().tasks[0]).unwrap();
        let checkpoint = bundle.into_checkpoint().unwrap();
        let lm = Lm::load(&checkpoint.config, checkpoint.tensors.as_ref(), device).unwrap();
        let read = table::read(rows_as_csv(ROWS, "").as_bytes(), Format::Csv).unwrap();
        Self {
            lm: Arc::new(lm),
            rows: task.dataset(&read, Labels::Required).unwrap().rows,
            tokenizer: checkpoint.tokenizer().unwrap().clone(),
            task,
        }
    }

    /// A run on all rows, with so many further copies of its kernel; none for the device alone.
    pub(crate) async fn setup(&self, config: TuneConfig, privacy: Privacy, copies: usize) -> Setup {
        let encoder = tune::encoder(&self.lm, &self.tokenizer, &self.task, TOKENS).unwrap();
        let examples = encoder.encode_all(&self.rows).unwrap();
        let head = ClassHead::new(&self.lm, encoder.words().unwrap());
        let mut helpers: Option<Box<dyn Helpers>> = None;
        if copies > 0 {
            let copies = Copies::new(&self.lm, &head, &examples, copies).await;
            helpers = Some(Box::new(copies));
        }
        Setup {
            lm: Arc::clone(&self.lm),
            head: head.into(),
            others: Vec::new(),
            examples,
            initial: tune::text_init(&self.lm, &encoder, TOKENS).unwrap().into(),
            config,
            privacy,
            helpers,
        }
    }
}

/// The worker's helpers, on this thread.
struct Copies(Vec<Helper>);

impl Copies {
    async fn new(lm: &Arc<Lm>, head: &ClassHead, examples: &[Example], count: usize) -> Self {
        let mut copies = Vec::new();
        for _ in 0..count {
            let copy = Helper::new(
                Arc::clone(lm),
                head.clone(),
                examples,
                TOKENS,
                PromptPlace::BeforeBos,
            );
            copies.push(copy.await.unwrap());
        }
        Self(copies)
    }

    async fn ask<'a>(
        &self,
        prompt: &[f32],
        work: impl Iterator<Item = &'a MicroBatch>,
    ) -> Result<Vec<tune::HostGradients>, post_core::optim::DeviceError> {
        let mut answers = Vec::new();
        for (copy, rows) in self.0.iter().zip(work) {
            let answer = copy.gradients(prompt, rows.indices(), rows.weights());
            answers.push(answer.await?);
        }
        Ok(answers)
    }
}

impl Helpers for Copies {
    fn width(&self) -> usize {
        self.0.len()
    }

    fn gradients<'a>(&'a self, prompt: &'a [f32], work: &'a [MicroBatch]) -> Pending<'a> {
        Box::pin(self.ask(prompt, work.iter()))
    }

    fn everyone<'a>(&'a self, prompt: &'a [f32], work: &'a MicroBatch) -> Pending<'a> {
        Box::pin(self.ask(prompt, std::iter::repeat_n(work, self.width())))
    }
}

/// Private runs as the worker sets them; a plain one moves by the mean gradient itself.
fn config(course: Course, micro_batch: usize) -> TuneConfig {
    if course == Course::Plain {
        return TuneConfig {
            optimizer: Optimizer::Sgd { momentum: 0.0 },
            learning_rate: 1.0,
            micro_batch,
            ..TuneConfig::default()
        };
    }
    TuneConfig {
        learning_rate: 2e-2,
        schedule: Schedule::DECAY,
        micro_batch,
        ..TuneConfig::default()
    }
}

fn plan() -> Plan {
    Plan::new(PlanConfig {
        budget: Budget::NoiseMultiplier(1.0),
        public_size: ROWS as u64,
        expected_batch: 10.0,
        length: Length::Steps(STEPS),
        max_grad_norm: 0.5,
        clipping: Clipping::Threshold,
        target_delta: 1e-2,
        unit: PrivacyUnit::Row,
        adjacency: Adjacency::AddRemove,
    })
    .unwrap()
}

fn private(seed: u64, reserved: Reserved) -> Privacy {
    Privacy::Private {
        plan: plan(),
        entropy: Entropy::insecure(seed),
        reserved,
    }
}

fn plain() -> Privacy {
    Privacy::None(PlainTraining {
        batch: 10,
        steps: STEPS,
        seed: 5,
    })
}

/// The prompt before the first step and after each.
async fn prompts(
    student: &Student,
    course: Course,
    micro_batch: usize,
    copies: usize,
) -> Vec<Vec<f32>> {
    let config = config(course, micro_batch);
    let mut ledger = Ledger::new(1e9, plan().delta(), Entropy::insecure(0));
    let data = tune::identify(&ledger, &student.rows);
    let privacy = match course {
        Course::Plain => plain(),
        _ => private(7, ledger.reserve(&data, &plan()).unwrap()),
    };
    let setup = student.setup(config, privacy, copies).await;
    let mut tuner = Tuner::start(setup, None).await.unwrap();
    let mut prompts = vec![prompt(&tuner)];
    while let Some(report) = tuner.step().await.unwrap() {
        prompts.push(prompt(&tuner));
        if course == Course::Resumed && report.step == STOPPED {
            let kept = tuner.checkpoint();
            let privacy = private(8, ledger.resume(&data, &plan()).unwrap());
            let setup = student.setup(config, privacy, copies).await;
            tuner = Tuner::start(setup, Some(&kept)).await.unwrap();
        }
    }
    assert_eq!(prompts.len() as u64, 1 + STEPS);
    let tuned = tuner.finish().unwrap();
    assert_eq!(
        Some(tuned.prompt.embeddings()),
        prompts.last().map(Vec::as_slice)
    );
    prompts
}

/// A private run on the device alone.
#[cfg(target_arch = "wasm32")]
pub(crate) async fn start_private(student: &Student, micro_batch: usize) -> Tuner {
    let mut ledger = Ledger::new(1e9, plan().delta(), Entropy::insecure(0));
    let data = tune::identify(&ledger, &student.rows);
    let privacy = private(7, ledger.reserve(&data, &plan()).unwrap());
    let config = config(Course::Private, micro_batch);
    let setup = student.setup(config, privacy, 0).await;
    Tuner::start(setup, None).await.unwrap()
}

fn prompt(tuner: &Tuner) -> Vec<f32> {
    tuner.prompt().unwrap().embeddings().to_vec()
}

/// Holds runs on this device to the file, whatever micro-batches it takes.
pub(crate) async fn assert_as_in_a_terminal(
    device: &Device,
    runs: &[(Model, Course)],
    micro_batch: usize,
) {
    let file = include_str!("../../fixtures/same/runs.json");
    let golden: BTreeMap<String, Vec<Vec<f32>>> = serde_json::from_str(file).unwrap();
    let (mut found, mut off) = (BTreeMap::new(), Vec::new());
    for &(model, course) in runs {
        let name = format!("{model:?} {course:?}");
        let student = Student::open(model, device);
        let prompts = prompts(&student, course, micro_batch, 0).await;
        let expected = golden.get(&name).map_or(&[][..], Vec::as_slice);
        let worst = (prompts.len() == expected.len()).then(|| distance(&prompts, expected));
        if !worst.is_some_and(|worst| worst <= NEAR) {
            off.push((name.clone(), worst));
        }
        found.insert(name, prompts);
    }
    let text = serde_json::to_string(&found).unwrap();
    assert!(off.is_empty(), "{device:?}: {off:?} off; found {text}");
}

/// The worst of all prompts' distances, relative to how far the expected one has moved.
fn distance(found: &[Vec<f32>], expected: &[Vec<f32>]) -> f64 {
    let between = |a: &[f32], b: &[f32]| {
        assert_eq!(a.len(), b.len());
        let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
        squares.sum::<f64>().sqrt()
    };
    assert_eq!(found[0], expected[0], "they begin elsewhere");
    let each = found.iter().zip(expected).skip(1);
    let each = each.map(|(a, b)| between(a, b) / between(b, &expected[0]));
    each.fold(0.0, f64::max)
}

#[test]
fn the_processor_gives_the_prompts_of_the_terminal() {
    let models = [Model::Llama, Model::Gpt2].into_iter();
    let runs: Vec<(Model, Course)> = models
        .flat_map(|model| COURSES.map(|course| (model, course)))
        .collect();
    pollster::block_on(assert_as_in_a_terminal(&Device::flex(), &runs, MICRO_BATCH));
}

/// A run with helpers is the same run, to the last bit.
#[test]
fn helpers_change_nothing() {
    let student = Student::open(Model::Gpt2, &Device::flex());
    for course in [Course::Private, Course::Resumed] {
        let after = |copies| pollster::block_on(prompts(&student, course, MICRO_BATCH, copies));
        assert_eq!(after(0), after(3), "{course:?}");
    }
}

/// A plain run whose checkpoint is put away and fetched again ends where an uninterrupted one does, to
/// the last bit: without noise there is nothing to draw anew.
pub(crate) async fn assert_goes_on(put_away: impl AsyncFn(Vec<u8>) -> Vec<u8>) {
    let student = Student::open(Model::Llama, &Device::flex());
    let begin = async |kept: Option<&[u8]>| {
        let setup = student
            .setup(config(Course::Plain, MICRO_BATCH), plain(), 0)
            .await;
        Tuner::start(setup, kept).await.unwrap()
    };
    let mut tuner = begin(None).await;
    for _ in 0..STOPPED {
        tuner.step().await.unwrap();
    }
    let kept = put_away(tuner.checkpoint()).await;
    drop(tuner);
    let mut tuner = begin(Some(&kept)).await;
    let mut left = 0;
    while tuner.step().await.unwrap().is_some() {
        left += 1;
    }
    assert_eq!(left, STEPS - STOPPED);
    let straight = prompts(&student, Course::Plain, MICRO_BATCH, 0).await;
    assert_eq!(
        straight.last().map(Vec::as_slice),
        Some(prompt(&tuner).as_slice())
    );
}

#[test]
fn an_interrupted_run_ends_where_the_other_does() {
    pollster::block_on(assert_goes_on(async |kept| kept));
}
