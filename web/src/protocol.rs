//! What page and worker say to each other: every message is one of these as JSON, some with a file
//! (a `Blob`, or bytes) beside it.
//!
//! ```text
//! page → worker   device · load · cancel · forget · open · map · cost · start · pause · resume · stop
//!                 · discard · try · test · export · import
//! worker → page   ready · devices · loading · cancelled · bundles · loaded · table · data · cost
//!                 · refused · starting · started · progress · metrics · checkpoint · meter · paused
//!                 · stopped · discarded · done · tried · testing · tested · exported · imported · error
//! ```
//!
//! Nothing in here leaves the tab. What is marked **private** was computed from the examples without
//! noise: the page may show it to its owner and must not put it anywhere else.

mod data;
mod model;
mod run;

use serde::{Deserialize, Serialize};

pub use data::{Column, DataSummary, Mapping, Row, TableSummary, TaskClass, TaskForm, Trouble};
pub use model::{BundleCard, Choice, DeviceKind, DeviceReport, From, Listed, Loading};
pub use run::{
    Cost, Evaluation, Finished, Kept, Meter, Past, Progress, Score, Settings, Stage, Tried, Unit,
};

/// From the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// Compute there. Before `load`; afterwards it loads the model again.
    Device {
        /// Which device, or the faster one.
        choice: Choice,
    },
    /// Get a student ready.
    Load {
        /// Where it is; a file of the person's own comes beside the message.
        from: From,
        /// Keep it in this browser, so that it needn't be fetched again.
        keep: bool,
    },
    /// Stop loading. What was fetched so far stays, to go on from.
    Cancel,
    /// Delete a stored bundle.
    Forget {
        /// Its content hash.
        hash: String,
    },
    /// Read a table, which comes beside the message as a file; without one, the sample set.
    Open {
        /// The file's name, to tell its format by.
        name: Option<String>,
    },
    /// Read the table's rows in this way.
    Map {
        /// Columns, classes, split.
        mapping: Mapping,
    },
    /// What would this run cost?
    Cost {
        /// Counts up, so that an answer to an older question is recognised.
        number: u64,
        /// The run in question.
        settings: Settings,
        /// ε that all runs on the same rows may cost together; counts until a first run has fixed it.
        cap: f64,
    },
    /// Begin the run, or go on with the one that was kept (`Ready::kept`) where it fits the data.
    Start {
        /// The run.
        settings: Settings,
        /// Go on from the kept checkpoint.
        resume: bool,
        /// As in `cost`.
        cap: f64,
        /// A new run starts from the prompt that was taken up, not from the task's sentence.
        from_prompt: bool,
    },
    /// Stop for a moment, between two micro-batches.
    Pause,
    /// Go on.
    Resume,
    /// Give the run up for now; its last checkpoint is kept.
    Stop,
    /// Throw the kept run away. What it has cost stays in the ledger.
    Discard,
    /// What does the model say to this text?
    Try {
        /// One text for each field of the template.
        texts: Vec<String>,
    },
    /// How good is it on the rows that were held out?
    Test,
    /// Pack the prompt for handing over.
    Export,
    /// Take up a prompt from a zip, which comes beside the message, to try it, test it or go on from it.
    Import,
}

/// From the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Answer {
    /// The engine is loaded and listens.
    Ready {
        /// Of the engine.
        version: String,
        /// Students that can be loaded: those on the server's list and those stored here.
        bundles: Vec<Listed>,
        /// Bytes of the server's sample set, where there is one.
        sample: Option<u64>,
        /// A run that was interrupted.
        kept: Option<Kept>,
        /// A prompt that was finished here and can still be exported.
        finished: Option<Finished>,
        /// Why nothing is kept beyond this tab, if so.
        unstorable: Option<String>,
    },
    /// What there is to compute with, best first.
    Devices {
        /// Each with what was found about it.
        devices: Vec<DeviceReport>,
        /// The one in use.
        chosen: Option<DeviceKind>,
    },
    /// How far loading is.
    Loading {
        /// What is being done.
        loading: Loading,
    },
    /// Loading was cancelled.
    Cancelled,
    /// What can be loaded, or how much of it is stored here, has changed.
    Bundles {
        /// Students that can be loaded.
        bundles: Vec<Listed>,
    },
    /// The student is ready.
    Loaded {
        /// What it says of itself.
        card: BundleCard,
        /// The tasks it brings, the first of which fits best; then the built-in ones.
        tasks: Vec<TaskForm>,
    },
    /// The table as it was read.
    Table {
        /// Columns and first rows.
        table: TableSummary,
        /// How the worker would read it.
        mapping: Mapping,
    },
    /// The rows as the task reads them.
    Data {
        /// Counts and warnings.
        data: DataSummary,
        /// Settings that suit so many rows; they depend on their rounded number alone.
        settings: Settings,
        /// Whether the kept run was made with these rows and settings, and can go on.
        resumable: bool,
    },
    /// What the run costs.
    Cost {
        /// The question's.
        number: u64,
        /// In ε, odds, steps and time.
        cost: Cost,
    },
    /// The run cannot be: why, and what to change. Not an error of the session.
    Refused {
        /// The question's.
        number: u64,
        /// One sentence.
        reason: String,
    },
    /// The run is getting ready: the self-test runs on the chosen device.
    Starting {
        /// What is being done.
        stage: Stage,
    },
    /// The first step begins.
    Started {
        /// Steps made before, when it goes on.
        step: u64,
        /// Steps planned.
        steps: u64,
    },
    /// How far the run is. Safe to show anywhere.
    Progress {
        /// Steps, speed, time left.
        progress: Progress,
    },
    /// **Private**, for the owner's eyes.
    Metrics {
        /// Steps made, this one included.
        step: u64,
        /// Mean loss of the step's examples; none when the step drew no example.
        loss: Option<f64>,
        /// How many examples were drawn.
        examples: usize,
    },
    /// A checkpoint was taken.
    Checkpoint {
        /// Steps made.
        step: u64,
        /// Why it could not be stored, if so; the run goes on.
        unstored: Option<String>,
    },
    /// What of the budget is spent.
    Meter {
        /// ε so far and in all.
        meter: Meter,
    },
    /// The run waits.
    Paused,
    /// The run was given up; its checkpoint is kept.
    Stopped {
        /// The kept run.
        kept: Option<Kept>,
    },
    /// The kept run is gone.
    Discarded,
    /// Every step is made.
    Done {
        /// What may be said about the prompt.
        finished: Finished,
    },
    /// The model's answer to a text.
    Tried {
        /// Before and with the prompt.
        tried: Tried,
    },
    /// How far a test is.
    Testing {
        /// Rows answered, both times together.
        done: usize,
        /// Rows to answer.
        total: usize,
    },
    /// **Private**: how good it is on the rows that were held out.
    Tested {
        /// Before and with the prompt.
        evaluation: Evaluation,
    },
    /// The zip comes beside the message.
    Exported {
        /// A name for it.
        name: String,
    },
    /// A prompt was taken up.
    Imported {
        /// What it says of itself: model, length, its guarantee if its receipt holds.
        summary: String,
        /// Its length in virtual tokens, if a run may start from it: only if a guarantee covers it.
        goes_on: Option<usize>,
    },
    /// What was asked for failed; the session goes on.
    Error {
        /// What was being done.
        during: Stage,
        /// What went wrong, with the way out.
        message: String,
    },
}
