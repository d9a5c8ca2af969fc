//! Models of each architecture as GGUF files against transformers (`fixtures/gguf/families.py`).

use std::sync::Arc;

use burn::tensor::Device;
use post_core::checkpoint::{Checkpoint, Safetensors, SharedBytes, Tensors};
use post_core::model::rotary::RopeScaling;
use post_core::model::{Lm, TokenBatch};

const EXPECTED: &[u8] = include_bytes!("../../fixtures/gguf/families.safetensors");

fn shared(bytes: &'static [u8]) -> SharedBytes {
    Arc::new(bytes)
}

/// Compares the logits, and gives the model.
fn check(name: &str, file: &'static [u8]) -> Lm {
    let expected = vec![("families.safetensors".to_owned(), shared(EXPECTED))];
    let expected = Safetensors::open(expected).unwrap();
    let values = |part: &str| {
        expected
            .tensor(&format!("{name}.{part}"))
            .unwrap()
            .into_f32()
    };
    let checkpoint = Checkpoint::from_gguf(shared(file)).unwrap();
    let lm = Lm::load(&checkpoint.config, &*checkpoint.tensors, &Device::default()).unwrap();
    let ids: Vec<u32> = values("ids").into_iter().map(|id| id as u32).collect();
    let input = lm.embed(&TokenBatch::padded(&[&ids], 0));
    let logits = lm.logits(lm.hidden_at(&input, &input.last()));
    let logits = pollster::block_on(logits.into_data_async()).unwrap();
    let logits: Vec<f32> = logits.try_into_vec().unwrap();
    let expected = values("logits");
    let scale = expected.iter().fold(0.0_f32, |scale, x| scale.max(x.abs()));
    assert_eq!(logits.len(), expected.len());
    for (i, (found, expected)) in logits.iter().zip(&expected).enumerate() {
        let close = (found - expected).abs() <= 1e-4 * scale;
        assert!(close, "{name} at {i}: {found} instead of {expected}");
    }
    lm
}

#[test]
fn llama_3_and_what_its_frequencies_are_divided_by() {
    let lm = check("llama3", include_bytes!("../../fixtures/gguf/llama3.gguf"));
    let rope = lm.config().layers[0].rope.unwrap();
    let expected = RopeScaling::Llama3 {
        factor: 8.0,
        low: 1.0,
        high: 4.0,
        original: 8192,
    };
    assert_eq!(rope.scaling, expected);
}

#[test]
fn angles_that_a_file_has_scaled() {
    let linear = check("linear", include_bytes!("../../fixtures/gguf/linear.gguf"));
    let scaling = |lm: &Lm| lm.config().layers[0].rope.unwrap().scaling;
    assert_eq!(scaling(&linear), RopeScaling::Linear { factor: 2.5 });
    let yarn = check("yarn", include_bytes!("../../fixtures/gguf/yarn.gguf"));
    assert!(matches!(scaling(&yarn), RopeScaling::Yarn { .. }));
}

#[test]
fn qwen2() {
    check("qwen2", include_bytes!("../../fixtures/gguf/qwen2.gguf"));
}

#[test]
fn qwen3() {
    check("qwen3", include_bytes!("../../fixtures/gguf/qwen3.gguf"));
}

#[test]
fn gemma_2() {
    let lm = check("gemma2", include_bytes!("../../fixtures/gguf/gemma2.gguf"));
    let config = lm.config();
    assert_eq!(config.attn_logit_softcapping, Some(2.0));
    assert_eq!(config.final_logit_softcapping, Some(3.0));
    let windows: Vec<_> = config.layers.iter().map(|layer| layer.window).collect();
    assert_eq!(windows, [Some(4), None]);
}

#[test]
fn gemma_3() {
    let lm = check("gemma3", include_bytes!("../../fixtures/gguf/gemma3.gguf"));
    let angles = |block: usize| lm.config().layers[block].rope.unwrap();
    assert_eq!(angles(5).scaling, RopeScaling::Linear { factor: 8.0 });
    assert_eq!(angles(6).scaling, RopeScaling::Default);
}

#[test]
fn smollm3() {
    check(
        "smollm3",
        include_bytes!("../../fixtures/gguf/smollm3.gguf"),
    );
}
