//! Time of a forward pass, and of forward and backward to the prompt, on SmolLM2's shape.
//!
//! `cargo bench -p post-core --bench model_step -- [blocks] [repeats]`; `benches/peer/model_step.py`
//! does the same in PyTorch. Prints one JSON line for each measurement: the smallest wall and CPU
//! seconds of the repeats (CPU seconds in steps of 10 ms, Linux only).
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use burn::tensor::Device;
use burn::tensor::Tensor;
use common::measure;
use common::model::smollm2;
use post_core::model::TokenBatch;

const BATCH: usize = 16;
const TEXT: usize = 44;
const PROMPT: usize = 20;

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|x| x.parse().ok()).collect();
    let (blocks, repeats) = (
        numbers.first().copied().unwrap_or(6),
        numbers.get(1).copied().unwrap_or(5),
    );
    let model = smollm2(blocks, &Device::default());
    let ids = (0..BATCH * TEXT)
        .map(|i| (i * 7919 % 49152) as u32)
        .collect();
    let tokens = TokenBatch {
        ids,
        lengths: vec![TEXT; BATCH],
        width: TEXT,
    };
    let prompt = || Tensor::<3>::zeros([BATCH, PROMPT, 576], model.device()) + 0.01;
    let places = [TEXT - 1; BATCH];
    let read = |x: Tensor<1>| pollster::block_on(x.into_data_async()).unwrap();

    measure("forward, all places", blocks, repeats, || {
        let input = model.embed(&tokens).with_prompt(prompt());
        read(model.hidden_all(&input).sum());
    });
    measure("forward, one place", blocks, repeats, || {
        let input = model.embed(&tokens).with_prompt(prompt());
        read(model.hidden_at(&input, &places).sum());
    });
    measure("forward and backward, all places", blocks, repeats, || {
        let leaf = prompt().autodiff().require_grad();
        let input = model.embed(&tokens).with_prompt(leaf.clone());
        let mut grads = model.hidden_all(&input).sum().backward();
        read(leaf.grad_remove(&mut grads).unwrap().sum());
    });
    measure("forward and backward, one place", blocks, repeats, || {
        let leaf = prompt().autodiff().require_grad();
        let input = model.embed(&tokens).with_prompt(leaf.clone());
        let mut grads = model.hidden_at(&input, &places).sum().backward();
        read(leaf.grad_remove(&mut grads).unwrap().sum());
    });
}
