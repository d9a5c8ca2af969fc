//! One binary for all integration tests: it links once.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, missing_docs)]

mod accounting;
mod attacks;
mod dp;
mod golden;
mod same;
