//! Step one: a student out of the teacher (method, §1).
//!
//! ```text
//! Corpus → teacher_states (once, cached) → Distiller::step … → student
//! ```
//!
//! The student is the teacher's embeddings, final norm and head around a few of its blocks; only the
//! blocks learn. As the head is shared and frozen, the teacher's last hidden state *is* its logits:
//! it is computed once per corpus and kept, d numbers a token.

mod blocks;
mod config;
mod corpus;
mod error;
mod loss;
mod parameters;
mod plateau;
mod run;
mod sample;
mod states;

#[cfg(test)]
mod tests;

pub use blocks::default_blocks;
pub use config::{DistillConfig, Rows, Weights};
pub use corpus::{Corpus, Masking, Sequence};
pub use error::DistillError;
pub use plateau::PlateauConfig;
pub use run::{DistillReport, Distiller};
pub use sample::{Sampling, sample, whole_sentences};
pub use states::{TeacherStates, teacher_states};
