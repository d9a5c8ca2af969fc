//! Attacks: what does a run, or a model, give away, and does a run keep what it claims?
//!
//! ```text
//! canaries → Planted (a coin for each) → Tuner on the planted data → scores → guesses → Verdict
//! ```
//!
//! Scores come from the released prompt alone ([`Planted::scores`]) or from the prompts of all steps
//! ([`Attack`]), which the guarantee allows an attacker to see, and which find far more.
//!
//! This is the one-run audit of Steinke, Nasr and Jagielski (2023). A bound above the claim refutes the
//! claim; one below proves nothing, for a better attack may exist. The audited prompt was tuned on
//! canaries and must not be published.
//!
//! Two more attacks need no canaries: [`lira`] tells which rows a prompt was tuned on, by shadow
//! prompts, and [`min_k`] which texts a model was trained on; [`roc`] says how well.

mod attack;
mod canary;
pub mod lira;
pub mod min_k;
pub mod one_run;
mod planted;
pub mod roc;

#[cfg(test)]
mod tests;

pub use attack::Attack;
pub use canary::{flipped, random_sequences};
pub use planted::{Claim, Planted, Verdict};
