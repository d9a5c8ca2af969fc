//! What the page knows between two answers.

use std::cell::{Cell, RefCell};

use gloo::timers::callback::Timeout;
use post_web::protocol::{
    BundleCard, Cost, Kept, Listed, Mapping, Settings, TableSummary, TaskForm,
};

use wasm_bindgen::JsValue;

use crate::connect::Connection;

/// One for the page. No borrow of a cell outlives the call that takes it.
pub(crate) struct State {
    pub(crate) connection: Connection,
    /// Students that can be loaded.
    pub(crate) bundles: RefCell<Vec<Listed>>,
    /// The student that is loaded.
    pub(crate) card: RefCell<Option<BundleCard>>,
    /// The tasks to choose from.
    pub(crate) tasks: RefCell<Vec<TaskForm>>,
    /// The open table.
    pub(crate) table: RefCell<Option<TableSummary>>,
    /// How the rows are read, as the form was last filled or sent.
    pub(crate) mapping: RefCell<Option<Mapping>>,
    /// The run that would be started.
    pub(crate) settings: Cell<Option<Settings>>,
    /// Number of the last question for its cost.
    pub(crate) asked: Cell<u64>,
    /// The question that waits until the form rests.
    pub(crate) waiting: RefCell<Option<Timeout>>,
    /// The answer to the last question, once it is there.
    pub(crate) cost: RefCell<Option<Cost>>,
    /// The interrupted run.
    pub(crate) kept: RefCell<Option<Kept>>,
    /// Its owner wants to go on with it.
    pub(crate) returning: Cell<bool>,
    /// Its settings, when it fits the rows that were read.
    pub(crate) resumable: Cell<Option<Settings>>,
    /// Length of the prompt that was taken up, when a run may start from it.
    pub(crate) from_tokens: Cell<Option<usize>>,
    /// The data form differs from what the worker has read.
    pub(crate) unread: Cell<bool>,
    /// The worker is gone.
    pub(crate) broken: Cell<bool>,
    /// A run is under way, paused ones included.
    pub(crate) running: Cell<bool>,
    /// It waits for its owner.
    pub(crate) paused: Cell<bool>,
    /// What keeps the screen on.
    pub(crate) screen: RefCell<Option<JsValue>>,
    /// **Private**: the loss of each step.
    pub(crate) losses: RefCell<Vec<(f64, f64)>>,
    /// When its curve was last drawn, in milliseconds.
    pub(crate) drawn: Cell<f64>,
}

impl State {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            bundles: RefCell::default(),
            card: RefCell::default(),
            tasks: RefCell::default(),
            table: RefCell::default(),
            mapping: RefCell::default(),
            settings: Cell::default(),
            asked: Cell::default(),
            waiting: RefCell::default(),
            cost: RefCell::default(),
            kept: RefCell::default(),
            returning: Cell::default(),
            resumable: Cell::default(),
            from_tokens: Cell::default(),
            unread: Cell::default(),
            broken: Cell::default(),
            running: Cell::default(),
            paused: Cell::default(),
            screen: RefCell::default(),
            losses: RefCell::default(),
            drawn: Cell::default(),
        }
    }
}
