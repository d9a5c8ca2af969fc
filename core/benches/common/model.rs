//! A model of SmolLM2's shape with weights of no meaning.

use burn::tensor::Device;
use post_core::checkpoint::{CheckpointError, HostTensor, Tensors};
use post_core::model::Lm;
use post_core::model::config::Config;

/// Weights of no meaning, of the size that random initialisation gives.
struct Noise(Vec<(String, Vec<usize>)>);

impl Tensors for Noise {
    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    fn tensor(&self, name: &str) -> Result<HostTensor, CheckpointError> {
        let shape = self
            .shape(name)
            .ok_or_else(|| CheckpointError::MissingTensor {
                name: name.to_owned(),
            })?;
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state as f32 / u32::MAX as f32 - 0.5) * 0.08 + if shape.len() == 1 { 1.0 } else { 0.0 }
        };
        let data = (0..shape.iter().product()).map(|_| next()).collect();
        Ok(HostTensor::f32(shape.clone(), data))
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, shape)| shape.clone())
    }
}

/// SmolLM2-135M's shape with so many blocks, on a device.
pub(crate) fn smollm2(blocks: usize, device: &Device) -> Lm {
    let config = Config::from_hf(&serde_json::json!({
        "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "num_hidden_layers": blocks,
        "num_attention_heads": 9, "num_key_value_heads": 3, "intermediate_size": 1536,
        "rms_norm_eps": 1e-5, "rope_theta": 1e5, "tie_word_embeddings": true,
    }))
    .unwrap();
    let mut shapes = vec![
        ("model.embed_tokens.weight".into(), vec![49152, 576]),
        ("model.norm.weight".into(), vec![576]),
    ];
    for layer in 0..blocks {
        let sizes: [(&str, &[usize]); 9] = [
            ("input_layernorm", &[576]),
            ("self_attn.q_proj", &[576, 576]),
            ("self_attn.k_proj", &[192, 576]),
            ("self_attn.v_proj", &[192, 576]),
            ("self_attn.o_proj", &[576, 576]),
            ("post_attention_layernorm", &[576]),
            ("mlp.gate_proj", &[1536, 576]),
            ("mlp.up_proj", &[1536, 576]),
            ("mlp.down_proj", &[576, 1536]),
        ];
        shapes.extend(sizes.map(|(part, shape)| {
            (
                format!("model.layers.{layer}.{part}.weight"),
                shape.to_vec(),
            )
        }));
    }
    Lm::load(&config, &Noise(shapes), device).unwrap()
}
