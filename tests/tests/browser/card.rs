//! Time of a private tuning step on the card, in a tab: what `core/benches/card.rs` times natively.

use std::sync::Arc;

use js_sys::Date;
use wasm_bindgen_test::{console_log, wasm_bindgen_test};

use crate::bench_model::smollm2;
use crate::bench_tuning::{CARD, private, tuner};
use crate::graphics::graphics;

/// Prints what each step took.
#[wasm_bindgen_test]
#[ignore = "a measurement, for `cargo xtask bench --card`"]
async fn steps_on_the_card() {
    let student = Arc::new(smollm2(1, &graphics().await));
    let (examples, micro_batch) = CARD;
    let mut run = tuner(&student, examples, micro_batch, private(examples)).await;
    for _ in 0..4 {
        let start = Date::now();
        run.step().await.unwrap().unwrap();
        console_log!("a step took {} s", (Date::now() - start) / 1e3);
    }
}
