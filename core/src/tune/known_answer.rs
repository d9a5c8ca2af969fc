//! A tiny built-in model whose gradient is known, to find a device that computes something else.
//!
//! A shader that fails validation may be skipped without an error, and the numbers are then wrong
//! (cubecl #1641). So the run's own kernel is first put before a question with a known answer.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::kernel::Kernel;
use super::{ClassHead, TuneError};
use crate::checkpoint::{CheckpointError, HostTensor, Tensors};
use crate::model::{Config, Lm, PromptPlace};
use crate::optim::{SplitMix64, read};
use crate::task::{Example, Label};

/// What the reference implementation gets, by `golden/known_answer.py`.
const REFERENCE: &str = include_str!("golden/known_answer.json");

/// Virtual tokens of the test's prompt.
const PROMPT: usize = 3;

/// Sequences, of unlike lengths so that padding is part of the test, and their classes.
const EXAMPLES: [(&[u32], usize); 2] = [(&[5, 30, 2], 1), (&[3, 14, 15, 9, 26, 5], 0)];

/// Label words of the two classes.
const WORDS: [&[u32]; 2] = [&[7, 11, 12], &[20]];

/// The kernel's answer on this device, and transformers' on a CPU: prompt gradients
/// `[2, 3, 16]`, then the two losses.
///
/// # Errors
/// Only when the device loses its numbers; comparing is the caller's part.
pub async fn known_answer(device: &Device) -> Result<(Vec<f32>, Vec<f32>), TuneError> {
    let (lm, prompt) = model(device)?;
    let head = ClassHead::of_classes(&lm, &WORDS);
    let prompt = TensorData::new(prompt, [PROMPT, lm.config().hidden_size]);
    let prompt = Tensor::<2>::from_data(prompt, device);
    let (examples, place) = (EXAMPLES.map(example), PromptPlace::BeforeBos);
    let kernel = Kernel::new(lm, head, &examples, PROMPT, place)?;
    let gradients = kernel.gradients(&prompt, &[0, 1], &[1.0, 1.0]);
    let mut live = read(gradients.per_example).await?;
    live.extend(read(gradients.losses).await?);
    let reference = serde_json::from_str(REFERENCE).expect("the file is part of the program");
    Ok((live, reference))
}

/// The model, and the prompt `[3, 16]` that it is asked behind.
pub(super) fn model(device: &Device) -> Result<(Arc<Lm>, Vec<f32>), TuneError> {
    let lm = Arc::new(Lm::load(&config(), &Formula, device)?);
    let prompt = values("prompt", PROMPT * lm.config().hidden_size);
    Ok((lm, prompt))
}

fn example((ids, label): (&[u32], usize)) -> Example {
    Example {
        ids: ids.to_vec(),
        answer: ids.len() - 1,
        label: Some(Label::Class(label)),
        removed: 0,
    }
}

/// A Llama with every part that a big one has: shared keys, rotary positions, gated MLP, tied head.
fn config() -> Config {
    let json = serde_json::json!({
        "model_type": "llama", "vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 24,
        "max_position_embeddings": 32, "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
    });
    Config::from_hf(&json).expect("the model is part of the program")
}

/// `len` numbers in [−0.5, 0.5) that depend on `name` alone.
fn values(name: &str, len: usize) -> Vec<f32> {
    // FNV-1a.
    let hash = |h: u64, byte: u8| (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let mut generator = SplitMix64::new(name.bytes().fold(0xcbf2_9ce4_8422_2325, hash));
    (0..len).map(|_| (generator.unit() - 0.5) as f32).collect()
}

/// The weights, by formula.
struct Formula;

impl Tensors for Formula {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn tensor(&self, name: &str) -> Result<HostTensor, CheckpointError> {
        let shape = self
            .shape(name)
            .ok_or_else(|| CheckpointError::MissingTensor {
                name: name.to_owned(),
            })?;
        let mut data = values(name, shape.iter().product());
        if name.ends_with("norm.weight") {
            data.iter_mut().for_each(|x| *x += 1.0);
        }
        Ok(HostTensor::f32(shape, data))
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let (d, kv, f, v) = (16, 8, 24, 32);
        let suffixes = [
            ("embed_tokens.weight", vec![v, d]),
            ("norm.weight", vec![d]),
            ("q_proj.weight", vec![d, d]),
            ("k_proj.weight", vec![kv, d]),
            ("v_proj.weight", vec![kv, d]),
            ("o_proj.weight", vec![d, d]),
            ("gate_proj.weight", vec![f, d]),
            ("up_proj.weight", vec![f, d]),
            ("down_proj.weight", vec![d, f]),
        ];
        let find = |(suffix, shape): (&str, Vec<usize>)| name.ends_with(suffix).then_some(shape);
        // `post_attention_layernorm` and `input_layernorm` end in `norm.weight` too.
        suffixes.into_iter().find_map(find)
    }
}
