//! A Llama of one block that is small enough to be damaged thousands of times.

use post_core::checkpoint::HostTensor;
use post_core::model::Config;

pub(crate) fn tensors() -> Vec<(String, HostTensor)> {
    let f32s = |shape: &[usize]| HostTensor::f32(shape, vec![0.5; shape.iter().product()]);
    let mut out = vec![
        ("model.embed_tokens.weight".to_owned(), f32s(&[500, 4])),
        ("model.norm.weight".to_owned(), f32s(&[4])),
    ];
    for (part, shape) in [
        ("input_layernorm", &[4][..]),
        ("post_attention_layernorm", &[4]),
        ("self_attn.q_proj", &[4, 4]),
        ("self_attn.k_proj", &[2, 4]),
        ("self_attn.v_proj", &[2, 4]),
        ("self_attn.o_proj", &[4, 4]),
        ("mlp.gate_proj", &[6, 4]),
        ("mlp.up_proj", &[6, 4]),
        ("mlp.down_proj", &[4, 6]),
    ] {
        out.push((format!("model.layers.0.{part}.weight"), f32s(shape)));
    }
    out
}

pub(crate) fn config() -> Config {
    Config::from_hf(&serde_json::json!({
        "model_type": "llama", "vocab_size": 500, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "intermediate_size": 6, "max_position_embeddings": 16, "rms_norm_eps": 1e-5,
        "hidden_act": "silu", "tie_word_embeddings": true,
    }))
    .unwrap()
}
