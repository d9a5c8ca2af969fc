//! `--devices`: several share the work of a step, and come to the same.

use std::fs;

use post_core::checkpoint::{Safetensors, Tensors};

use super::journey::Place;

/// Numbers of a file's tensors, one after the other.
pub(super) fn numbers(place: &Place, file: &str) -> Vec<f32> {
    let bytes = std::sync::Arc::new(fs::read(place.path(file)).unwrap());
    let file = Safetensors::open(vec![(file.to_owned(), bytes)]).unwrap();
    let names = file.names().into_iter();
    names
        .flat_map(|name| file.tensor(&name).unwrap().into_f32())
        .collect()
}

#[track_caller]
pub(super) fn assert_near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 1e-4, "{a} instead of {b}");
    }
}

#[test]
fn a_student_is_the_same_from_one_device_and_from_three() {
    let place = Place::new();
    let distill = |devices: &str, run: &str| {
        place.done(&format!(
            "distill --teacher @teacher --blocks 0,2 --task @toy.toml --data @rows.csv --steps 6 --batch 8 \
             --micro-batch 2 --learning-rate 1e-2 {devices} --run @{run}"
        ));
        numbers(&place, &format!("{run}/student/model.safetensors"))
    };
    let alone = distill("--device cpu", "alone");
    let shared = distill("--devices cpu,cpu,cpu", "shared");
    assert_near(&shared, &alone);
    let [states, others] =
        ["alone", "shared"].map(|run| fs::read(place.path(run).join("states.bin")).unwrap());
    assert!(states == others, "the teacher's states differ");
}

#[test]
fn a_prompt_is_the_same_from_one_device_and_from_two() {
    let place = Place::new();
    place.done("distill --teacher @teacher --blocks 0,2 --steps 0 --run @distill --device cpu");
    place.done(
        "tune --student @distill/student --task @toy.toml --data @rows.csv --device cpu --no-dp \
         --num-virtual-tokens 4 --expected-batch 8 --ledger @ledger.json --steps 3 --run @tune",
    );
    let transfer = |devices: &str, run: &str| {
        place.done(&format!(
            "transfer --student @distill/student --teacher @teacher --prompt @tune/prompt --public @rows.csv \
             --task @toy.toml --steps 6 --batch 8 --micro-batch 2 {devices} --run @{run}"
        ));
        numbers(&place, &format!("{run}/prompt/adapter_model.safetensors"))
    };
    let alone = transfer("--device cpu", "alone");
    assert_near(&transfer("--devices cpu,cpu", "shared"), &alone);
}
