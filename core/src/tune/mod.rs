//! Step two: the private step, the only place that joins model, task and dp.
//!
//! ```text
//! rows drawn → Kernel::gradients [b, n, d] → Clipper → noise → Adam or SGD → prompt
//! ```
//!
//! The model is frozen; the prompt is the only thing that autodiff tracks, once for each example
//! of a micro-batch. Terminal and tab run this same code.

mod class_head;
mod classify;
mod config;
mod descent;
mod error;
mod kernel;
mod known_answer;
mod metrics;
mod plain;
mod tuner;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use class_head::ClassHead;
pub use classify::Classifier;
pub use config::{Optimizer, PlainTraining, Privacy, TuneConfig};
pub use error::TuneError;
pub(crate) use kernel::Kernel;
pub use known_answer::known_answer;
pub use metrics::PrivateMetrics;
pub use tuner::{Released, Setup, StepReport, Tuned, Tuner};
