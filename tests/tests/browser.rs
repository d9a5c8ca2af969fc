//! What must hold in a tab: the same numbers as natively, and randomness from the browser.
//!
//! Run by `cargo xtask test` in headless Chromium (`wasm-pack test --headless --chrome`).
#![cfg(target_arch = "wasm32")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

use wasm_bindgen_test::wasm_bindgen_test_configure;

wasm_bindgen_test_configure!(run_in_browser);

#[path = "accounting/mod.rs"]
mod accounting;
#[path = "browser/device.rs"]
mod device;
#[path = "browser/entropy.rs"]
mod entropy;
#[path = "same/mod.rs"]
mod same;
