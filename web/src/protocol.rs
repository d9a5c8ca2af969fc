//! What page and worker say to each other, as JSON.

use serde::{Deserialize, Serialize};

use crate::cost::Run;

/// From the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// What would this run cost?
    Cost {
        /// Counts up, so that an answer to an older question is recognised.
        number: u64,
        /// The run in question.
        run: Run,
    },
}

/// From the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Answer {
    /// The engine is loaded and listens.
    Ready {
        /// Of the engine.
        version: String,
    },
    /// What the run costs.
    Cost {
        /// The question's.
        number: u64,
        /// ε at the run's δ.
        epsilon: f64,
        /// Probability of each row in each step.
        sample_rate: f64,
    },
    /// The question makes no sense; why, for people.
    Refused {
        /// The question's; none when the message was no question at all.
        number: Option<u64>,
        /// One sentence.
        reason: String,
    },
}
