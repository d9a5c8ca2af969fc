//! The CPU backend in the tab: a forward and a backward pass with a known answer.

use burn::tensor::{Device, Tensor, activation};
use wasm_bindgen_test::wasm_bindgen_test;

/// `f(x) = Σ tanh(x·w)`: `∂f/∂x = (1 − tanh²(x·w))·wᵀ`, computed here in f64 by hand.
#[wasm_bindgen_test]
async fn a_gradient_equals_its_formula() {
    let device = Device::flex();
    let x = [[0.5_f32, -1.0, 2.0], [0.0, 0.25, -0.75]];
    let w = [[0.3_f32], [-0.2], [0.1]];
    let leaf = Tensor::<2>::from_data(x, &device).autodiff().require_grad();
    let weight = Tensor::<2>::from_data(w, &device).autodiff();

    let value = activation::tanh(leaf.clone().matmul(weight)).sum();
    let gradients = value.backward();
    let gradient = leaf.grad(&gradients).unwrap();
    let gradient = gradient.into_data_async().await.unwrap();

    let expected: Vec<f64> = x
        .iter()
        .flat_map(|row| {
            let dot: f64 = row
                .iter()
                .zip(&w)
                .map(|(a, b)| f64::from(*a) * f64::from(b[0]))
                .sum();
            let slope = 1.0 - dot.tanh().powi(2);
            w.map(|b| slope * f64::from(b[0]))
        })
        .collect();
    for (ours, theirs) in gradient.try_to_vec::<f32>().unwrap().iter().zip(expected) {
        assert!(
            (f64::from(*ours) - theirs).abs() < 1e-6,
            "{ours} is not {theirs}"
        );
    }
}
