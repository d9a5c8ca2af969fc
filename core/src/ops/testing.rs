//! An operation against the tensor operations that say the same.

use burn::tensor::{Device, Tensor, TensorData};
use pollster::block_on;

use crate::optim::{SplitMix64, read};

/// Numbers between −2 and 2.
pub(crate) fn noise<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut generator = SplitMix64::new(seed);
    let values = (0..shape.iter().product()).map(|_| 4.0 * generator.unit() as f32 - 2.0);
    Tensor::from_data(TensorData::new(values.collect(), shape), &Device::flex())
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    block_on(read(tensor)).unwrap()
}

fn agree(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(1e-2, |most: f32, x| most.max(x.abs()));
    for (at, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() < 1e-5 * size, "{what} at {at}: {a} {b}");
    }
}

/// Asserts that `fused` says what `plain` says of all inputs: outputs of plain tensors, and outputs and
/// slopes for every choice of inputs that autodiff follows, where the others are constants in the graph
/// or outside of it; and that the slopes are those of small steps.
pub(crate) fn same<const D: usize>(
    inputs: &[Tensor<2>],
    fused: impl Fn(&[Tensor<2>]) -> Option<Tensor<D>>,
    plain: impl Fn(&[Tensor<2>]) -> Tensor<D>,
) {
    let fused = |inputs: &[Tensor<2>]| fused(inputs).expect("it lies on the host");
    let expected = values(plain(inputs));
    assert!(expected.iter().any(|x| x.abs() > 1e-3));
    agree(&values(fused(inputs)), &expected, "plain output");
    let constants: Vec<_> = inputs.iter().map(|x| x.clone().autodiff()).collect();
    agree(
        &values(fused(&constants).inner()),
        &expected,
        "constant output",
    );
    let pull = noise(plain(inputs).dims(), 99);
    let objective = |output: Tensor<D>| (output * pull.clone()).sum();
    for chosen in 1_u32..1 << inputs.len() {
        for lifted in [false, true] {
            let leaves: Vec<Tensor<2>> = (0..)
                .zip(inputs)
                .map(|(at, x)| {
                    let x = x.clone();
                    match (chosen >> at & 1 == 1, lifted) {
                        (true, _) => x.autodiff().require_grad(),
                        (false, true) => x.autodiff(),
                        (false, false) => x,
                    }
                })
                .collect();
            let slopes = |output: Tensor<D>| {
                // Read twice, as a residual stream is.
                let mut grads = (objective(output.clone()) + objective(output) * 2.0).backward();
                let slope = |x: &Tensor<2>| {
                    x.is_require_grad()
                        .then(|| values(x.grad_remove(&mut grads).unwrap()))
                };
                leaves.iter().map(slope).collect::<Vec<_>>()
            };
            let output = fused(&leaves);
            agree(&values(output.clone().inner()), &expected, "traced output");
            let (found, traced) = (slopes(output), slopes(plain(&leaves)));
            for (at, (found, traced)) in found.iter().zip(&traced).enumerate() {
                assert_eq!(found.is_some(), chosen >> at & 1 == 1);
                if let (Some(found), Some(traced)) = (found, traced) {
                    agree(
                        found,
                        traced,
                        &format!("slope of input {at}, {chosen:b} followed"),
                    );
                    let slope: Vec<f32> = found.iter().map(|g| g / 3.0).collect();
                    step(inputs, at, &slope, |inputs| objective(fused(inputs)));
                }
            }
        }
    }
}

/// A small step of one input changes the objective as its slope says.
fn step(
    inputs: &[Tensor<2>],
    at: usize,
    slope: &[f32],
    objective: impl Fn(&[Tensor<2>]) -> Tensor<1>,
) {
    const SIZE: f64 = 1e-2;
    let way = noise(inputs[at].dims(), 7);
    let moved = |size: f64| {
        let mut inputs = inputs.to_vec();
        inputs[at] = inputs[at].clone() + way.clone() * size;
        f64::from(values(objective(&inputs))[0])
    };
    let measured = (moved(SIZE) - moved(-SIZE)) / (2.0 * SIZE);
    let along: f64 = slope
        .iter()
        .zip(values(way))
        .map(|(g, x)| f64::from(g * x))
        .sum();
    let size: f64 = slope.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt();
    assert!(
        (measured - along).abs() < 2e-2 * size.max(1e-2),
        "input {at}: {measured} {along}"
    );
}
