//! Empirical lower bounds on ε: does a run keep what it claims?
//!
//! ```text
//! canaries → Planted (a coin for each) → Tuner on the planted data → scores → guesses → Verdict
//! ```
//!
//! Scores come from the released prompt alone ([`Planted::scores`]) or from the prompts of all steps
//! ([`Attack`]), which the guarantee allows an attacker to see, and which find far more.
//!
//! The one-run audit of Steinke, Nasr and Jagielski (2023). A bound above the claim refutes the
//! claim; one below proves nothing, for a better attack may exist. The audited prompt was tuned on
//! canaries and must not be published.

mod attack;
mod canary;
pub mod one_run;
mod planted;

#[cfg(test)]
mod tests;

pub use attack::Attack;
pub use canary::{flipped, random_sequences};
pub use planted::{Claim, Planted, Verdict};
