//! Tiny models of every family against transformers (`fixtures/models/make.py`).

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use post_core::checkpoint::{Safetensors, SharedBytes, Tensors};
use post_core::model::{Config, Input, Lm, TokenBatch};

/// Of the largest value, in f32.
const TOLERANCE: f32 = 1e-4;

struct Case {
    model: Lm,
    expected: Safetensors,
}

impl Case {
    fn open(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures/models")
            .join(name);
        let read = |file: &str| std::fs::read(folder.join(file)).unwrap();
        let open = |file: &str| {
            let bytes: SharedBytes = Arc::new(read(file));
            Safetensors::open(vec![(file.to_owned(), bytes)]).unwrap()
        };
        let config =
            Config::from_hf(&serde_json::from_slice(&read("config.json")).unwrap()).unwrap();
        let model = Lm::load(&config, &open("model.safetensors"), &Device::default()).unwrap();
        Self {
            model,
            expected: open("expected.safetensors"),
        }
    }

    fn values(&self, name: &str) -> Vec<f32> {
        self.expected.tensor(name).unwrap().into_f32()
    }

    fn tokens(&self) -> TokenBatch {
        let ids = self
            .values("ids")
            .into_iter()
            .map(|id| id as u32)
            .collect::<Vec<_>>();
        let lengths = self
            .values("lengths")
            .into_iter()
            .map(|length| length as usize)
            .collect::<Vec<_>>();
        TokenBatch {
            width: ids.len() / lengths.len(),
            ids,
            lengths,
        }
    }

    fn prompt(&self) -> Tensor<3> {
        let stored = self.expected.tensor("prompt").unwrap();
        let shape = stored.shape.clone();
        Tensor::from_data(
            TensorData::new(stored.into_f32(), shape),
            self.model.device(),
        )
    }

    /// Hidden states at all real places, by both ways through the last block, and the logits.
    fn check(&self, input: &Input, kind: &str) {
        let d = self.model.config().hidden_size;
        let hidden = values(self.model.hidden_all(input));
        let expected = self.values(&format!("{kind}.hidden"));
        let width = input.embeddings.dims()[1];
        for (row, length) in input.lengths.iter().enumerate() {
            let real = row * width * d..(row * width + length) * d;
            assert_close(&hidden[real.clone()], &expected[real], kind);
        }
        let at = self.model.hidden_at(input, &input.last());
        assert_close(
            &values(self.model.logits(at)),
            &self.values(&format!("{kind}.logits")),
            kind,
        );
    }

    fn check_gradient(&self) {
        let leaf = self.prompt().autodiff().require_grad();
        let input = self.model.embed(&self.tokens()).with_prompt(leaf.clone());
        let probe = self.values("probe");
        let probe = Tensor::<2>::from_data(
            TensorData::new(probe.clone(), [1, probe.len()]),
            self.model.device(),
        );
        let logits = self
            .model
            .logits(self.model.hidden_at(&input, &input.last()));
        let mut grads = (logits * probe).sum().backward();
        let gradient = values(leaf.grad_remove(&mut grads).unwrap());
        assert_close(&gradient, &self.values("prompted.gradient"), "gradient");
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    pollster::block_on(tensor.into_data_async())
        .unwrap()
        .try_into_vec()
        .unwrap()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.0_f32, |scale, x| scale.max(x.abs()));
    assert!(scale > 1e-2, "{what}: nothing to compare");
    for (i, (x, y)) in found.iter().zip(expected).enumerate() {
        assert!(
            (x - y).abs() <= TOLERANCE * scale,
            "{what} at {i}: {x} instead of {y}"
        );
    }
}

fn check(name: &str) {
    let case = Case::open(name);
    let text = case.model.embed(&case.tokens());
    case.check(&text, "plain");
    case.check(&text.with_prompt(case.prompt()), "prompted");
    case.check_gradient();
}

#[test]
fn llama() {
    check("llama");
}

#[test]
fn llama_with_biases_and_one_key_head() {
    check("llama-bias");
}

#[test]
fn gpt2() {
    check("gpt2");
}

#[test]
fn gpt2_with_a_head_of_its_own() {
    check("gpt2-untied");
}

#[test]
fn roberta() {
    check("roberta");
}

#[test]
fn roberta_with_one_token_type() {
    check("roberta-gelu-new");
}

/// What is saved under Hugging Face's names computes the same.
#[test]
fn saved_configs_read_back() {
    for name in [
        "llama",
        "llama-bias",
        "gpt2",
        "gpt2-untied",
        "roberta",
        "roberta-gelu-new",
    ] {
        let config = Case::open(name).model.config().clone();
        assert_eq!(Config::from_hf(&config.to_hf()).unwrap(), config, "{name}");
    }
}

/// An option that would change numbers is refused by its name.
#[test]
fn unknown_options_are_errors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models");
    let cases = [
        (
            "llama",
            "rope_scaling",
            serde_json::json!({"rope_type": "llama3", "factor": 8.0}),
        ),
        ("llama", "sliding_window", serde_json::json!(4096)),
        ("llama", "hidden_act", serde_json::json!("quick_gelu")),
        (
            "gpt2",
            "scale_attn_by_inverse_layer_idx",
            serde_json::json!(true),
        ),
        (
            "roberta",
            "position_embedding_type",
            serde_json::json!("relative_key"),
        ),
        ("roberta", "is_decoder", serde_json::json!(true)),
    ];
    for (name, field, value) in cases {
        let text = std::fs::read(folder.join(name).join("config.json")).unwrap();
        let mut json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        json[field] = value;
        let message = Config::from_hf(&json).unwrap_err().to_string();
        assert!(message.contains(field), "{name}: {message}");
    }
}
