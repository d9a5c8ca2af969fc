//! What must hold in a tab: the same numbers as natively, and randomness from the browser.
//!
//! Run by `cargo xtask test` in headless Chromium (`wasm-pack test --headless --chrome`).
#![cfg(target_arch = "wasm32")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

use wasm_bindgen_test::wasm_bindgen_test_configure;

// Where the product computes: a dedicated worker, which alone may write files piece by piece.
wasm_bindgen_test_configure!(run_in_dedicated_worker);

#[path = "accounting/mod.rs"]
mod accounting;
#[path = "browser/bench.rs"]
mod bench;
#[path = "../../core/benches/common/model.rs"]
mod bench_model;
#[path = "../../core/benches/common/tuning.rs"]
mod bench_tuning;
#[path = "attacks/bundle.rs"]
mod bundle;
#[path = "browser/device.rs"]
mod device;
#[path = "browser/entropy.rs"]
mod entropy;
#[path = "browser/graphics.rs"]
mod graphics;
#[path = "browser/logs.rs"]
mod logs;
#[path = "browser/resume.rs"]
mod resume;
#[path = "same/mod.rs"]
mod same;
#[path = "browser/storage.rs"]
mod storage;
#[path = "golden/tokenizer.rs"]
mod tokenizer;
#[path = "browser/traffic.rs"]
mod traffic;
#[path = "browser/xl.rs"]
mod xl;
