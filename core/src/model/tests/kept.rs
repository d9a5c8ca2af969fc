//! A model kept in 16 bits is, to the last digit or nearly, the model whose matrices were rounded so.

use burn::tensor::{DType, Device, Tensor};
use half::{bf16, f16};

use super::{SEQUENCES, assert_close, families, prompt, values};
use crate::checkpoint::{CheckpointError, HostData, HostTensor};
use crate::model::testing::{Memory, llama, random_tensors};
use crate::model::{Config, Lm, ModelError, TokenBatch, WeightType};

const KINDS: [WeightType; 2] = [WeightType::Bf16, WeightType::F16];
const SEED: u64 = 31;

/// As a file of that type has it; what is no matrix as it was.
fn stored(config: &Config, kept: WeightType) -> Memory {
    let names = config.family.names();
    let whole = [names.positions, names.token_types];
    let round = |(name, tensor): (String, HostTensor)| {
        let places = whole.iter().flatten().any(|whole| name.starts_with(whole));
        if tensor.shape.len() != 2 || places {
            return (name, tensor);
        }
        let HostTensor { shape, data } = tensor;
        let HostData::F32(numbers) = data else {
            panic!("random tensors are f32")
        };
        let data = match kept {
            WeightType::F32 => HostData::F32(numbers),
            WeightType::Bf16 => HostData::BF16(numbers.into_iter().map(bf16::from_f32).collect()),
            WeightType::F16 => HostData::F16(numbers.into_iter().map(f16::from_f32).collect()),
        };
        (name, HostTensor { shape, data })
    };
    Memory(
        random_tensors(config, SEED)
            .into_iter()
            .map(round)
            .collect(),
    )
}

/// Kept in 16 bits, and its like in f32 with the same numbers.
fn both(config: &Config, kept: WeightType) -> [Lm; 2] {
    let device = Device::flex();
    let tensors = Memory(random_tensors(config, SEED));
    [
        Lm::load_kept(config, &tensors, &device, kept).unwrap(),
        Lm::load(config, &stored(config, kept), &device).unwrap(),
    ]
}

fn each(check: impl Fn([Lm; 2], WeightType)) {
    for config in families() {
        for kept in KINDS {
            check(both(&config, kept), kept);
        }
    }
}

fn agree<const D: usize>(found: [Tensor<D>; 2]) {
    let [half, wide] = found.map(|found| {
        assert_eq!(found.dtype(), DType::F32);
        values(found)
    });
    assert_close(&half, &wide, 1e-6);
}

#[test]
fn hidden_states_and_logits_are_those_of_rounded_matrices() {
    each(|models, _| {
        let run = |lm: &Lm| {
            let input = lm.embed(&TokenBatch::padded(&SEQUENCES, 0));
            lm.hidden_all(&input.with_prompt(prompt(lm, 3, 2)))
        };
        agree(models.each_ref().map(run));
        let at = |lm: &Lm| {
            let input = lm.embed(&TokenBatch::padded(&SEQUENCES, 0));
            lm.hidden_at(&input, &input.last())
        };
        agree(models.each_ref().map(|lm| lm.logits(at(lm))));
        agree(
            models
                .each_ref()
                .map(|lm| lm.head_rows(&[7, 0, 22]).logits(at(lm))),
        );
        let slope = |lm: &Lm| lm.whole_head().slope(at(lm), lm.logits(at(lm)).sin());
        agree(models.each_ref().map(slope));
    });
}

#[test]
fn a_prompts_gradient_is_that_of_rounded_matrices() {
    each(|models, _| {
        let gradient = |lm: &Lm| {
            let leaf = prompt(lm, 3, 7).autodiff().require_grad();
            let input = lm.embed(&TokenBatch::padded(&SEQUENCES, 0));
            let input = input.with_prompt(leaf.clone());
            let logits = lm.logits(lm.hidden_at(&input, &input.last()));
            let mut grads = (logits.clone() * logits).sum().backward();
            leaf.grad_remove(&mut grads).unwrap()
        };
        agree(models.each_ref().map(gradient));
    });
}

#[test]
fn matrices_take_half_the_memory() {
    each(|[half, wide], kept| {
        for block in half.blocks() {
            let (attention, mlp) = (&block.attention, &block.mlp);
            for linear in [&attention.qkv, &attention.output, &mlp.input, &mlp.output] {
                assert_eq!(linear.weight.val().dtype(), kept.dtype());
            }
            assert_eq!(block.mlp_norm.weight.val().dtype(), DType::F32);
        }
        for block in wide.blocks() {
            assert_eq!(block.attention.qkv.weight.val().dtype(), DType::F32);
        }
        let numbers = half.config().vocab_size * half.config().embedding_size;
        assert_eq!(half.embedding().byte_len(), 2 * numbers);
        assert_eq!(half.whole_head().dtype(), kept.dtype());
    });
}

#[test]
fn what_is_saved_is_what_is_kept() {
    each(|models, _| {
        let [half, wide] = models.map(|lm| pollster::block_on(lm.named_tensors()).unwrap());
        for ((name, half), (other, wide)) in half.into_iter().zip(wide) {
            assert_eq!(name, other);
            assert_eq!(half.into_f32(), wide.into_f32(), "{name}");
        }
    });
}

#[test]
fn a_file_of_the_other_type_is_rounded_again() {
    let (config, device) = (llama(), Device::flex());
    let file = stored(&config, WeightType::Bf16);
    let half = Lm::load_kept(&config, &file, &device, WeightType::F16).unwrap();
    let wide = Lm::load(&config, &file, &device).unwrap();
    // Between 2⁻¹⁴ and ½, f16 has every number of bf16.
    let run = |lm: &Lm| lm.hidden_all(&lm.embed(&TokenBatch::padded(&SEQUENCES, 0)));
    let [half, wide] = [half, wide].map(|lm| values(run(&lm)));
    assert_close(&half, &wide, 1e-4);
}

#[test]
fn a_number_that_f16_does_not_reach_is_named() {
    let (config, device) = (llama(), Device::flex());
    let name = "model.layers.1.mlp.down_proj.weight";
    let mut tensors = random_tensors(&config, SEED);
    let HostData::F32(numbers) = &mut tensors.get_mut(name).unwrap().data else {
        panic!("random tensors are f32")
    };
    numbers[5] = -70_000.0;
    let tensors = Memory(tensors);
    let load = |kept| Lm::load_kept(&config, &tensors, &device, kept);
    assert!(load(WeightType::Bf16).is_ok());
    let Err(ModelError::Checkpoint(CheckpointError::Range { name: found })) = load(WeightType::F16)
    else {
        panic!("f16 has no such number")
    };
    assert_eq!(found, name);
}
