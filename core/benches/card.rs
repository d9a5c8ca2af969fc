//! Time of a private tuning step on the graphics card, natively: one block of SmolLM2's shape.
//!
//! `cargo xtask bench --card` runs it on Chromium's software adapter, and the same step in a tab on the
//! same adapter (`tests/tests/browser/bench.rs`).
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use std::sync::Arc;

use burn::tensor::{Device, DeviceType};
use common::measure;
use common::model::smollm2;
use common::tuning::{CARD, private, tuner};
use pollster::block_on;

fn main() {
    let device = Device::enumerate(DeviceType::Wgpu).to_vec().remove(0);
    let student = Arc::new(smollm2(1, &device));
    let (examples, micro_batch) = CARD;
    let mut run = block_on(tuner(&student, examples, micro_batch, private(examples)));
    measure("tune on wgpu, private", 1, 3, || {
        block_on(run.step()).unwrap().unwrap();
    });
}
