//! Differential privacy: one plan hands out sampler, clipper, noise and accountant.

mod clip;
mod config;
mod entropy;
mod ledger;
mod mechanism;
mod noise;
mod plan;
pub mod receipt;
mod sample;
mod selftest;
mod slack;

pub use crate::account;
pub use clip::{Clip, ClipError, ClippedSum, Clipper, MAX_DIMENSION};
pub use config::{
    Adjacency, Budget, Clipping, Length, PlanConfig, PrivacyUnit, round_public, suggest_delta,
};
pub use entropy::{Entropy, EntropyError};
pub use ledger::{DataId, Ledger, LedgerError, Quote, Reserved};
pub use mechanism::{Completed, Mechanism, NoisedSum, StepError};
pub use plan::{Plan, PlanError};
pub use receipt::{Odds, Receipt, ReceiptError};
pub use sample::{MicroBatch, PoissonBatch};
pub use selftest::{KnownAnswer, SelfTestError, TOLERANCE, Untested};
#[cfg(test)]
mod tests;
