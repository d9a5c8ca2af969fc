//! Step two: the private step, the only place that joins model, task and dp.
//!
//! ```text
//! rows drawn → Kernel::gradients [b, n, d] (→ of the factors) → Clipper → noise → Adam or SGD → prompt
//! ```
//!
//! The model is frozen; the prompt is the only thing that autodiff tracks, once for each example
//! of a micro-batch. Terminal and tab run this same code.

mod class_head;
mod classify;
mod config;
mod crew;
mod descent;
mod error;
mod fit;
mod form;
mod initial;
mod kernel;
mod known_answer;
mod metrics;
mod objective;
mod plain;
mod probe;
mod prompted;
mod release;
mod tuner;
mod write;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use class_head::ClassHead;
pub use classify::{Classifier, calibrate, logit_arithmetic};
pub use config::{LowRank, Optimizer, PlainTraining, Privacy, TuneConfig};
pub use crew::{Helper, Helpers, HostGradients, Pending};
pub use error::TuneError;
pub use fit::{encoder, text_init};
pub use initial::{Earlier, EarlierError, Initial};
pub(crate) use kernel::Kernel;
pub use kernel::Student;
pub use known_answer::known_answer;
pub use metrics::PrivateMetrics;
pub use objective::TaskHead;
pub use probe::Probe;
pub use release::{Handover, NOT_PRIVATE, RECEIPT, ReleaseError};
pub use tuner::{Released, Setup, StepReport, Tuned, Tuner, Within};
pub use write::Writer;

use crate::dp::{DataId, Ledger};
use crate::task::Row;

/// What identifies a data set in a ledger: its texts, whatever their order and labels.
#[must_use]
pub fn identify(ledger: &Ledger, rows: &[Row]) -> DataId {
    // A separator that no text holds keeps the fields apart.
    ledger.identify(rows.iter().map(|row| row.texts.join("\0")))
}
