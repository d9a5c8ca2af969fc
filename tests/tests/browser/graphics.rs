//! The graphics card's numbers, on Chromium's software adapter: slow, but by the same shaders.

use std::cell::OnceCell;

use burn::tensor::Device;
use post_core::dp::{KnownAnswer, MicroBatch, SelfTestError};
use post_core::tune::known_answer;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::same;
use crate::same::run::{Course, assert_as_in_a_terminal};
use crate::same::student::Model;

thread_local! {
    /// It can be opened once in a tab.
    static GRAPHICS: OnceCell<Device> = const { OnceCell::new() };
}

/// The card.
pub(crate) async fn graphics() -> Device {
    if let Some(device) = GRAPHICS.with(|opened| opened.get().cloned()) {
        return device;
    }
    let device = Device::wgpu_options().init_async().await.unwrap();
    GRAPHICS.with(|opened| opened.get_or_init(|| device).clone())
}

/// Relative L2 distance.
fn off(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |x: f32| f64::from(x).powi(2);
    let distance: f64 = found.iter().zip(expected).map(|(a, b)| square(a - b)).sum();
    (distance / expected.iter().map(|&b| square(b)).sum::<f64>()).sqrt()
}

/// Forward and backward of a whole little Llama: prompt gradients and losses as transformers has them.
#[wasm_bindgen_test]
async fn the_gradients_of_a_step_are_those_of_the_reference() {
    for device in [Device::flex(), graphics().await] {
        let (live, reference) = known_answer(&device).await.unwrap();
        let off = off(&live, &reference);
        assert!(off <= 1e-4, "{device:?} is off by {off:e}");
    }
}

/// Sampling and noise are the processor's, and from equal gradients both choose equal integers.
#[wasm_bindgen_test]
async fn a_noised_step_has_the_integers_of_the_processor() {
    let found = same::noised_means(&graphics().await).await;
    assert_eq!(found, same::expected_means());
}

/// Whole runs of GPT-2; the known answer is a Llama's. One micro-batch a step, since passes are slow.
#[wasm_bindgen_test]
async fn a_run_gives_the_prompts_of_the_terminal() {
    let runs = [Course::Plain, Course::Private].map(|course| (Model::Gpt2, course));
    assert_as_in_a_terminal(&graphics().await, &runs, 16).await;
}

/// A kernel whose examples see each other, as if a shader had mixed the rows up.
#[wasm_bindgen_test]
async fn the_self_test_finds_a_kernel_that_mixes_examples() {
    let device = graphics().await;
    let mixing = async |micro: &MicroBatch| {
        let own = same::gradients(micro, &device);
        let shared = own.clone().mean_dim(0).expand(own.dims());
        Ok::<_, String>(own + shared)
    };
    let known = KnownAnswer {
        live: &[1.0],
        reference: &[1.0],
    };
    let tested = same::untested().test(&[0, 1, 2], 4, known, mixing).await;
    assert!(matches!(
        tested.err(),
        Some(SelfTestError::Sensitivity { .. })
    ));
}

/// A device that computes something else, as where a shader was skipped.
#[wasm_bindgen_test]
async fn the_self_test_finds_a_skipped_shader() {
    let device = graphics().await;
    let (mut live, reference) = known_answer(&device).await.unwrap();
    live[..16].fill(0.0);
    let known = KnownAnswer {
        live: &live,
        reference: &reference,
    };
    let sound = async |micro: &MicroBatch| Ok::<_, String>(same::gradients(micro, &device));
    let tested = same::untested().test(&[0, 1, 2], 4, known, sound).await;
    assert!(matches!(
        tested.err(),
        Some(SelfTestError::KnownAnswer { .. })
    ));
}
