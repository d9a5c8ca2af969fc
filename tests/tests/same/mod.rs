//! A tab and a terminal compute the same bits: both are held to one file.
//!
//! A receipt is verified by recomputing it, and a run may be started in a tab and checked in a
//! terminal, so nearly equal is not enough. Where a test fails it prints what it found; that goes
//! into `tests/fixtures/same/bits.json` only when the engine was meant to change.

pub(crate) mod run;
pub(crate) mod student;

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use post_core::dp::account::{self, Event};
use post_core::dp::{
    Adjacency, Budget, Clipping, Entropy, KnownAnswer, Ledger, Length, Mechanism, MicroBatch, Plan,
    PlanConfig, PrivacyUnit, Untested,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const TOKENS: usize = 2;
const WIDTH: usize = 4;
const ROWS: usize = 50;

/// The bits that the file has under `name`, each number in hex.
fn expected(name: &str) -> Vec<String> {
    let file = include_str!("../../fixtures/same/bits.json");
    let mut all: BTreeMap<String, Vec<String>> = serde_json::from_str(file).unwrap();
    all.remove(name).unwrap_or_default()
}

fn assert_bits(name: &str, found: impl Iterator<Item = String>) {
    let found: Vec<String> = found.collect();
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(found, expected(name), "{name}: found {text}");
}

#[test]
fn epsilon_is_the_same() {
    // (sample rate, noise multiplier, steps): one, few and very many steps, little and much noise.
    let runs = [
        (0.01, 1.0, 1_000),
        (0.04, 1.5, 2_250),
        (0.0005, 0.5, 100_000),
        (1.0, 10.0, 30),
    ];
    let epsilons = runs.map(|(sample_rate, noise_multiplier, steps)| {
        let event = Event {
            sample_rate,
            noise_multiplier,
            steps,
        };
        account::epsilon(&[event], 1e-5).unwrap()
    });
    assert_bits(
        "epsilon",
        epsilons.iter().map(|x| format!("{:016x}", x.to_bits())),
    );
}

#[test]
fn calibrated_noise_is_the_same() {
    let noise = [(8.0, 0.01), (1.0, 0.1)]
        .map(|(epsilon, rate)| account::calibrate_noise(epsilon, 1e-5, rate, 400).unwrap());
    assert_bits(
        "noise_multiplier",
        noise.iter().map(|x| format!("{:016x}", x.to_bits())),
    );
}

/// Sampling, clipping and noise under one seed: the numbers that reach the optimiser.
#[test]
fn a_noised_step_is_the_same() {
    let means = pollster::block_on(noised_means(&Device::flex()));
    assert_eq!(means.len(), 3 * TOKENS * WIDTH);
    assert_bits(
        "noised_mean",
        means.iter().map(|x| format!("{:08x}", x.to_bits())),
    );
}

/// The numbers of [`a_noised_step_is_the_same`], as another device clips them.
pub(crate) async fn noised_means(device: &Device) -> Vec<f32> {
    let mut run = mechanism(device).await;
    let mut means = Vec::new();
    while let Some(batch) = run.sample(ROWS).unwrap() {
        let mut clipper = run.clip(batch);
        while let Some(micro) = clipper.next_micro(4) {
            let gradients = gradients(&micro, device);
            clipper.add(micro, gradients).await.unwrap();
        }
        let sum = clipper.finish().await.unwrap();
        means.extend(run.privatize(sum).unwrap().mean());
    }
    means
}

/// What the file has for them.
#[cfg(target_arch = "wasm32")]
pub(crate) fn expected_means() -> Vec<f32> {
    let bits = expected("noised_mean").into_iter();
    bits.map(|x| f32::from_bits(u32::from_str_radix(&x, 16).unwrap()))
        .collect()
}

async fn mechanism(device: &Device) -> Mechanism {
    let known = KnownAnswer {
        live: &[1.0],
        reference: &[1.0],
    };
    let live = async |micro: &MicroBatch| Ok::<_, String>(gradients(micro, device));
    untested().test(&[0, 1, 2], 4, known, live).await.unwrap()
}

/// The mechanism of a small seeded run, before its kernel was tested.
pub(crate) fn untested() -> Untested {
    let plan = Plan::new(PlanConfig {
        budget: Budget::NoiseMultiplier(1.0),
        public_size: 50,
        expected_batch: 10.0,
        length: Length::Steps(3),
        max_grad_norm: 0.5,
        clipping: Clipping::Threshold,
        target_delta: 1e-2,
        unit: PrivacyUnit::Row,
        adjacency: Adjacency::AddRemove,
    })
    .unwrap();
    let mut ledger = Ledger::new(1e9, plan.delta(), Entropy::insecure(0));
    let data = ledger.identify(["a row"]);
    let reserved = ledger.reserve(&data, &plan).unwrap();
    plan.mechanism(Entropy::insecure(7), reserved, TOKENS * WIDTH, 0)
        .unwrap()
}

/// Per-example gradients `[rows, TOKENS, WIDTH]` in sixteenths, so that their norms are exact in
/// whatever order a device adds.
pub(crate) fn gradients(micro: &MicroBatch, device: &Device) -> Tensor<3> {
    let rows = micro.indices().iter().zip(micro.weights());
    let values: Vec<f32> = rows
        .flat_map(|(row, weight)| {
            (0..TOKENS * WIDTH).map(move |i| ((row * 31 + i * 17) % 33) as f32 / 16.0 * weight)
        })
        .collect();
    let shape = [micro.indices().len(), TOKENS, WIDTH];
    Tensor::from_data(TensorData::new(values, shape), device)
}
