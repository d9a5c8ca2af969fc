//! Privacy of soft-prompt transfer (POST, ICML 2025): the method.
//!
//! Bytes in, values out: nothing here knows of files, clocks, terminals, networks or JavaScript,
//! so the same code runs in a browser tab, in `post-native` and in the tests.
//! `ARCHITECTURE.md` maps the rooms and says who may know whom.

pub mod account;
pub mod audit;
pub mod bundle;
pub mod checkpoint;
pub mod cost;
pub mod distill;
pub mod dp;
pub mod model;
mod ops;
pub mod optim;
mod parallel;
pub mod prompt;
pub mod task;
pub mod transfer;
pub mod tune;

pub use post_text::report;
