//! Step three: the prompt carried over to the teacher with public text (method, §3).
//!
//! ```text
//! prompt of the student + public text → Constants (once) → Transfer::step … → prompt of the teacher
//! ```
//!
//! Only the prompt, public text and the two models are used, so the prompt's (ε, δ) stays as it is:
//! this is post-processing. Public labels are no goals: classes are not read at all, and answers of text
//! are only text that both models read on, compared before each of its tokens. α is fixed or chosen on
//! public data, never by a private accuracy (method §2, way 8).
//!
//! The models may differ in tokenizer and width. Each reads the public rows in its own tokens
//! ([`Constants`]); their answers are compared over the words that both have ([`Words`]); and the
//! prompt's place among the student's embeddings says where to start among the teacher's ([`relative()`]).

mod constants;
mod error;
mod loss;
pub mod relative;
mod run;
mod score;
mod words;

#[cfg(test)]
mod tests;

pub use constants::Constants;
pub use error::TransferError;
pub use relative::{RelativeConfig, relative};
pub use run::{Transfer, TransferConfig, TransferReport};
pub use score::public_score;
pub use words::Words;
