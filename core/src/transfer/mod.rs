//! Step three: the prompt carried over to the teacher with public text (method, §3).
//!
//! ```text
//! prompt of the student + public text → Constants (once) → Transfer::step … → prompt of the teacher
//! ```
//!
//! Only the prompt, public text and the two models are used, so the prompt's (ε, δ) stays as it is:
//! this is post-processing. Public labels are not read. α is fixed or chosen on public data, never by
//! a private accuracy (method §2, way 8).

mod constants;
mod error;
mod loss;
mod run;

#[cfg(test)]
mod tests;

pub use constants::Constants;
pub use error::TransferError;
pub use run::{Transfer, TransferConfig, TransferReport};
