//! The DP engine from outside, as `tune` uses it.

mod eight_ways;
mod ledger;
mod receipt;
mod run;
mod selftest;

use burn::tensor::{Device, Tensor, TensorData};
use post_core::dp::{
    Adjacency, Budget, Clipping, Entropy, KnownAnswer, Ledger, Length, Mechanism, MicroBatch,
    NoisedSum, Plan, PlanConfig, PrivacyUnit, Reserved,
};

/// Prompt: `[TOKENS, WIDTH]`.
const TOKENS: usize = 2;
const WIDTH: usize = 3;
const DIMENSION: usize = TOKENS * WIDTH;
/// Rows of the private table.
const ROWS: usize = 60;
const MICRO: usize = 4;

fn config() -> PlanConfig {
    PlanConfig {
        budget: Budget::NoiseMultiplier(1.0),
        public_size: 50,
        expected_batch: 10.0,
        length: Length::Steps(6),
        max_grad_norm: 0.5,
        clipping: Clipping::Threshold,
        target_delta: 1e-2,
        unit: PrivacyUnit::Row,
        adjacency: Adjacency::AddRemove,
    }
}

/// Every way of clipping.
fn clippings() -> [Clipping; 2] {
    [Clipping::Threshold, Clipping::Automatic { gamma: 0.01 }]
}

/// A plan whose noise is negligible beside a clipped example, for looking through it.
fn quiet() -> PlanConfig {
    PlanConfig {
        budget: Budget::NoiseMultiplier(0.25),
        length: Length::Steps(1),
        ..config()
    }
}

fn reserve(plan: &Plan) -> Reserved {
    let mut ledger = Ledger::new(1e9, plan.delta(), Entropy::insecure(0));
    let data = ledger.identify(["a row"]);
    ledger.reserve(&data, plan).unwrap()
}

/// Row `row`'s features `[TOKENS, WIDTH]`.
fn features(row: usize) -> Vec<f32> {
    (0..DIMENSION)
        .map(|i| ((row * DIMENSION + i) as f32 * 1.7).sin() + 0.3)
        .collect()
}

/// The live kernel: loss (⟨prompt, features⟩ − 1)² per row, per-example gradients by one backward
/// pass over a prompt that is expanded to `[batch, n, d]`.
fn kernel(micro: &MicroBatch) -> Tensor<3> {
    gradients(micro.indices(), micro.weights())
}

fn gradients(rows: &[usize], weights: &[f32]) -> Tensor<3> {
    let device = Device::default();
    let shape = [rows.len(), TOKENS, WIDTH];
    let of_rows = rows
        .iter()
        .flat_map(|&row| features(row))
        .collect::<Vec<_>>();
    let features = Tensor::<3>::from_data(TensorData::new(of_rows, shape), &device);
    let weights = TensorData::new(weights.to_vec(), [rows.len(), 1, 1]);
    let prompt = Tensor::<3>::full(shape, 0.1, &device)
        .autodiff()
        .require_grad();
    let score = (prompt.clone() * features.autodiff()).sum_dim(2).sum_dim(1);
    let loss = (score - 1.0).square() * Tensor::<3>::from_data(weights, &device).autodiff();
    prompt.grad(&loss.sum().backward()).unwrap()
}

/// A tested mechanism for `plan`, made with seed `seed`.
fn mechanism(plan: &Plan, seed: u64) -> Mechanism {
    let untested = plan
        .mechanism(Entropy::insecure(seed), reserve(plan), DIMENSION, 0)
        .unwrap();
    let known = KnownAnswer {
        live: &[1.0],
        reference: &[1.0],
    };
    let honest = async |micro: &MicroBatch| Ok::<_, String>(kernel(micro));
    pollster::block_on(untested.test(&[0, 1, 2], MICRO, known, honest)).unwrap()
}

/// One step with any kernel; `None` after the last.
fn step(
    mechanism: &mut Mechanism,
    rows: usize,
    kernel: impl Fn(&MicroBatch) -> Tensor<3>,
) -> Option<NoisedSum> {
    let batch = mechanism.sample(rows).unwrap()?;
    let mut clipper = mechanism.clip(batch);
    while let Some(micro) = clipper.next_micro(MICRO) {
        let gradients = kernel(&micro);
        pollster::block_on(clipper.add(micro, gradients)).unwrap();
    }
    let sum = pollster::block_on(clipper.finish()).unwrap();
    Some(mechanism.privatize(sum).unwrap())
}
