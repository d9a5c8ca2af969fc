//! Several workers on one run: copies of the student that share the processor's cores.
//!
//! Threads with shared memory need a page that is specially served and a standard library that is
//! specially built; workers of their own need neither. What goes between them stays in the tab.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;

use anyhow::{Context as _, Result, ensure};
use futures_channel::mpsc::{self, UnboundedReceiver};
use futures_util::StreamExt as _;
use js_sys::{Array, Float32Array};
use post_core::dp::MicroBatch;
use post_core::model::Lm;
use post_core::optim::DeviceError;
use post_core::prompt::{PromptPlace, SoftPrompt};
use post_core::task::{Example, Label, LabelWords};
use post_core::tune::{Helpers, HostGradients, Pending};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use web_sys::{Blob, Event, MessageEvent, Worker, WorkerGlobalScope, WorkerOptions, WorkerType};

use super::thrown;

/// The file that starts a worker, this one or another.
const LOADER: &str = "./worker_loader.js";
/// What a helper is called, which is how it knows that it is one.
pub(super) const NAME: &str = "helper";
/// More of them would wait for each other's memory.
const MOST: usize = 8;
/// Bytes that all copies may take together.
const MEMORY: usize = 2 << 30;

/// To a helper.
#[derive(Serialize, Deserialize)]
pub(super) enum Order {
    /// Get ready; the student's file comes with it.
    Prepare(Box<Preparation>),
    /// Differentiate these examples; prompt and weights come with it, as they may be infinite.
    Differentiate {
        /// Which examples.
        indices: Vec<usize>,
    },
}

/// Everything that a copy of the run's kernel needs but the student's weights.
#[derive(Serialize, Deserialize)]
pub(super) struct Preparation {
    /// Content hash of the student.
    pub(super) hash: String,
    /// Vocabulary rows of each class.
    pub(super) classes: Vec<Vec<u32>>,
    /// Ids, answer position and class of each example.
    pub(super) examples: Vec<(Vec<u32>, usize, Option<usize>)>,
    /// Length of the prompt.
    pub(super) num_virtual_tokens: usize,
    /// Where it stands.
    pub(super) place: PromptPlace,
}

/// From a helper.
#[derive(Serialize, Deserialize)]
pub(super) enum Report {
    /// It listens, or it is prepared.
    Ready,
    /// Gradients and losses come with it.
    Done,
    /// It can't; why.
    Failed(String),
}

/// Helpers at work.
pub(super) struct Crew(Vec<Hand>);

/// One helper.
struct Hand {
    worker: Worker,
    reports: RefCell<UnboundedReceiver<(Report, Array)>>,
    /// They live as long as the worker can speak.
    _listeners: [Closure<dyn FnMut(Event)>; 2],
}

/// How many helpers are worth having for such a student.
pub(super) fn worth(lm: &Lm) -> usize {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let cores = scope.navigator().hardware_concurrency() as usize;
    // One core is left to the page, where there are enough.
    let hands = if cores > 2 { cores - 1 } else { cores };
    let config = lm.config();
    // Blocks in f32, embeddings in f16.
    let copy = 4 * lm.block_parameters() + 2 * config.vocab_size * config.embedding_size;
    hands.min(MOST).min(MEMORY / copy.max(1))
}

impl Preparation {
    /// For a run's examples, and the prompt that it starts from.
    pub(super) fn new(
        hash: String,
        words: &LabelWords,
        examples: &[Example],
        initial: &SoftPrompt,
    ) -> Self {
        let class = |example: &Example| example.label.as_ref().and_then(Label::class);
        let parts = |example: &Example| (example.ids.clone(), example.answer, class(example));
        Self {
            hash,
            classes: (0..words.classes())
                .map(|class| words.class(class).to_vec())
                .collect(),
            examples: examples.iter().map(parts).collect(),
            num_virtual_tokens: initial.num_virtual_tokens(),
            place: initial.place(),
        }
    }
}

impl Crew {
    /// Starts `count` helpers and waits until all listen. It is done while a student is loaded, for it
    /// fetches the page's own files again, and after that nothing shall be fetched.
    ///
    /// # Errors
    /// When one can't be started.
    pub(super) async fn hire(count: usize) -> Result<Self> {
        let hands = (0..count)
            .map(|_| Hand::start())
            .collect::<Result<Vec<_>>>()?;
        // What is said to a worker before it listens is lost.
        for hand in &hands {
            hand.ready().await?;
        }
        Ok(Self(hands))
    }

    /// Gets all ready for a run.
    ///
    /// # Errors
    /// When one doesn't get ready.
    pub(super) async fn prepare(&self, file: &Blob, run: Preparation) -> Result<()> {
        let order = Order::Prepare(Box::new(run));
        for hand in &self.0 {
            hand.send(&order, &Array::of1(file))?;
        }
        for hand in &self.0 {
            hand.ready().await?;
        }
        Ok(())
    }

    /// Hands out work and gathers the answers in its order.
    async fn share<'a>(
        &self,
        prompt: &[f32],
        work: impl Iterator<Item = &'a MicroBatch>,
    ) -> Result<Vec<HostGradients>, DeviceError> {
        let failed = |error: anyhow::Error| DeviceError::new(format!("{error:#}"));
        let mut busy = Vec::new();
        for (hand, rows) in self.0.iter().zip(work) {
            let order = Order::Differentiate {
                indices: rows.indices().to_vec(),
            };
            let beside = Array::of2(
                &Float32Array::from(prompt),
                &Float32Array::from(rows.weights()),
            );
            hand.send(&order, &beside).map_err(failed)?;
            busy.push(hand);
        }
        let mut answers = Vec::with_capacity(busy.len());
        for hand in busy {
            answers.push(hand.gradients().await.map_err(failed)?);
        }
        Ok(answers)
    }
}

/// A crew that works for a run, and stays when it is over.
pub(super) struct Lent(pub(super) Rc<Crew>);

impl Helpers for Lent {
    fn width(&self) -> usize {
        self.0.0.len()
    }

    fn gradients<'a>(&'a self, prompt: &'a [f32], work: &'a [MicroBatch]) -> Pending<'a> {
        Box::pin(self.0.share(prompt, work.iter()))
    }

    fn everyone<'a>(&'a self, prompt: &'a [f32], work: &'a MicroBatch) -> Pending<'a> {
        Box::pin(
            self.0
                .share(prompt, std::iter::repeat_n(work, self.width())),
        )
    }
}

impl Hand {
    fn start() -> Result<Self> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        options.set_name(NAME);
        let worker = Worker::new_with_options(LOADER, &options).map_err(thrown)?;
        let (sender, reports) = mpsc::unbounded();
        let failed = sender.clone();
        // A closed channel is a crew that was let go.
        let hear = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
            let _ = sender.unbounded_send(read(event.unchecked_ref()));
        });
        let fail = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
            event.prevent_default();
            let report = Report::Failed("a helper could not be loaded".to_owned());
            let _ = failed.unbounded_send((report, Array::new()));
        });
        worker.set_onmessage(Some(hear.as_ref().unchecked_ref()));
        worker.set_onerror(Some(fail.as_ref().unchecked_ref()));
        Ok(Self {
            worker,
            reports: RefCell::new(reports),
            _listeners: [hear, fail],
        })
    }

    fn send(&self, order: &Order, beside: &Array) -> Result<()> {
        let message = Array::of1(&serde_json::to_string(order)?.into());
        let posted = self.worker.post_message(&message.concat(beside));
        posted.map_err(thrown)
    }

    async fn report(&self) -> Result<(Report, Array)> {
        let report = poll_fn(|context| self.reports.borrow_mut().poll_next_unpin(context)).await;
        match report.context("a helper is gone")? {
            (Report::Failed(reason), _) => anyhow::bail!("a helper failed: {reason}"),
            report => Ok(report),
        }
    }

    /// Waits until it is ready. Gradients of a step that was given up may come before.
    async fn ready(&self) -> Result<()> {
        while !matches!(self.report().await?, (Report::Ready, _)) {}
        Ok(())
    }

    async fn gradients(&self) -> Result<HostGradients> {
        let (report, beside) = self.report().await?;
        ensure!(
            matches!(report, Report::Done),
            "a helper answered out of turn"
        );
        let numbers = |at| beside.get(at).dyn_into::<Float32Array>().ok();
        let [per_example, losses] = [numbers(0), numbers(1)];
        Ok(HostGradients {
            per_example: per_example.context("a helper sent no gradients")?.to_vec(),
            losses: losses.context("a helper sent no losses")?.to_vec(),
        })
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}

/// What a helper said; what is no report is its last words.
fn read(event: &MessageEvent) -> (Report, Array) {
    let parts: Array = event.data().unchecked_into();
    let text = parts.shift().as_string().unwrap_or_default();
    let report = serde_json::from_str(&text).unwrap_or(Report::Failed(text));
    (report, parts)
}
