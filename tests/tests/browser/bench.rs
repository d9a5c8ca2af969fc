//! Time of a private tuning step in a tab: what benches in `core/benches` time natively.

use std::sync::Arc;

use burn::tensor::Device;
use js_sys::Date;
use wasm_bindgen_test::{console_log, wasm_bindgen_test};

use crate::bench_model::smollm2;
use crate::bench_tuning::{BATCH, CARD, MICRO, private, tuner};
use crate::graphics::graphics;

/// Prints what each step took.
async fn steps(device: &Device, blocks: usize, (examples, micro_batch): (usize, usize)) {
    let student = Arc::new(smollm2(blocks, device));
    let mut run = tuner(&student, examples, micro_batch, private(examples)).await;
    for _ in 0..4 {
        let start = Date::now();
        run.step().await.unwrap().unwrap();
        console_log!("a step took {} s", (Date::now() - start) / 1e3);
    }
}

/// `core/benches/card.rs`.
#[wasm_bindgen_test]
#[ignore = "a measurement, for `cargo xtask bench --card`"]
async fn steps_on_the_card() {
    steps(&graphics().await, 1, CARD).await;
}

/// "tune, private" of `core/benches/step.rs`, on one thread.
#[wasm_bindgen_test]
#[ignore = "a measurement, for `cargo xtask bench --tab`"]
async fn steps_on_the_processor() {
    steps(&Device::flex(), 6, (BATCH, MICRO)).await;
}
