//! Published models' options are read, without an error and right.
//!
//! No file is copied: these are the names and values that public copies of the models' `config.json` show, put down
//! here family by family, with what has no part in a forward pass among them, because that is what a strict
//! reader stumbles over. Of what all files have (`architectures`, `torch_dtype`, `transformers_version`,
//! dropouts, ids of tokens) each is written down where it was first needed.

use post_core::model::Config;
use post_core::model::config::Activation;
use post_core::model::rotary::RopeScaling;
use serde_json::{Value, json};

/// What is compared: blocks, heads, key heads, head width, width, inner width, vocabulary.
type Sizes = [usize; 7];

#[track_caller]
fn read(name: &str, json: &Value, sizes: Sizes) -> Config {
    let config = Config::from_hf(json).unwrap_or_else(|error| panic!("{name}: {error}"));
    let found = [
        config.num_hidden_layers(),
        config.num_attention_heads,
        config.num_key_value_heads,
        config.head_dim,
        config.hidden_size,
        config.intermediate_size,
        config.vocab_size,
    ];
    assert_eq!(found, sizes, "{name}");
    config
}

/// The options of `json`, with these instead or besides.
fn with(json: &Value, other: &Value) -> Value {
    let mut json = json.clone();
    let fields = json.as_object_mut().unwrap();
    fields.extend(other.as_object().unwrap().clone());
    json
}

#[test]
fn gpt2() {
    let small = json!({
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 50257, "n_layer": 12,
        "n_head": 12, "n_embd": 768, "n_ctx": 1024, "n_positions": 1024, "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5, "initializer_range": 0.02, "attn_pdrop": 0.1, "embd_pdrop": 0.1,
        "resid_pdrop": 0.1, "bos_token_id": 50256, "eos_token_id": 50256, "summary_activation": null,
        "summary_first_dropout": 0.1, "summary_proj_to_labels": true, "summary_type": "cls_index",
        "summary_use_proj": true,
        "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}},
    });
    let config = read("gpt2", &small, [12, 12, 12, 64, 768, 3072, 50257]);
    assert!(config.tie_word_embeddings);
    let medium = json!({
        "n_layer": 24, "n_head": 16, "n_embd": 1024, "n_special": 0, "predict_special_tokens": true,
    });
    let medium = with(&small, &medium);
    read("gpt2-medium", &medium, [24, 16, 16, 64, 1024, 4096, 50257]);
    let xl = json!({"n_layer": 48, "n_head": 25, "n_embd": 1600, "output_past": true});
    let xl = with(&small, &xl);
    read("gpt2-xl", &xl, [48, 25, 25, 64, 1600, 6400, 50257]);
    // What older versions of transformers wrote out in full.
    let older = json!({
        "output_past": true, "output_attentions": true, "output_hidden_states": true, "num_labels": 2,
        "id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1},
        "pruned_heads": {}, "torchscript": false, "use_bfloat16": false, "name_or_path": "gpt2",
        "max_length": 20, "min_length": 0, "do_sample": true, "num_beams": 1, "num_beam_groups": 1,
        "temperature": 0.6, "top_k": 50, "top_p": 0.9, "typical_p": 1.0, "repetition_penalty": 1.0,
        "length_penalty": 1.0, "diversity_penalty": 0.0, "no_repeat_ngram_size": 0,
        "encoder_no_repeat_ngram_size": 0, "num_return_sequences": 1, "chunk_size_feed_forward": 0,
        "remove_invalid_values": false, "return_dict": true, "tf_legacy_loss": false,
    });
    let older = with(&small, &older);
    assert_eq!(
        read("gpt2", &older, [12, 12, 12, 64, 768, 3072, 50257]),
        config
    );
}

#[test]
fn encoders() {
    let bert = json!({
        "model_type": "bert", "architectures": ["BertForMaskedLM"], "vocab_size": 30522,
        "num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768, "intermediate_size": 3072,
        "max_position_embeddings": 512, "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02,
        "pad_token_id": 0, "position_embedding_type": "absolute", "gradient_checkpointing": false,
        "classifier_dropout": null, "use_cache": true, "transformers_version": "4.6.0.dev0",
    });
    let uncased = read(
        "bert-base-uncased",
        &bert,
        [12, 12, 12, 64, 768, 3072, 30522],
    );
    let chinese = json!({
        "vocab_size": 21128, "directionality": "bidi", "pooler_fc_size": 768,
        "pooler_num_attention_heads": 12, "pooler_num_fc_layers": 3, "pooler_size_per_head": 128,
        "pooler_type": "first_token_transform",
    });
    let chinese = with(&bert, &chinese);
    let chinese = read(
        "bert-base-chinese",
        &chinese,
        [12, 12, 12, 64, 768, 3072, 21128],
    );
    assert_eq!(
        Config {
            vocab_size: 30522,
            ..chinese
        },
        uncased
    );
    let roberta = json!({
        "model_type": "roberta", "architectures": ["RobertaForMaskedLM"], "vocab_size": 50265,
        "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "bos_token_id": 0,
        "eos_token_id": 2, "pad_token_id": 1, "_name_or_path": "roberta-base",
        "_attn_implementation_autoset": true,
    });
    let roberta = with(&bert, &roberta);
    let config = read("roberta-base", &roberta, [12, 12, 12, 64, 768, 3072, 50265]);
    assert_eq!(config.learned_positions, Some(2));
}

#[test]
fn llamas() {
    let two = json!({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 32000,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "hidden_size": 4096,
        "intermediate_size": 11008, "max_position_embeddings": 4096, "hidden_act": "silu",
        "rms_norm_eps": 1e-5, "rope_scaling": null, "tie_word_embeddings": false, "pretraining_tp": 1,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "torch_dtype": "float16",
        "initializer_range": 0.02, "use_cache": true, "_name_or_path": "meta-llama/Llama-2-7b-hf",
        "max_sequence_length": 2048, "max_length": 4096,
    });
    let config = read("Llama-2-7b", &two, [32, 32, 32, 128, 4096, 11008, 32000]);
    assert_eq!(config.layers[31].rope.unwrap().theta, 10_000.0);
    let three = json!({
        "vocab_size": 128256, "num_key_value_heads": 8, "intermediate_size": 14336,
        "max_position_embeddings": 131072, "rope_theta": 500000.0, "attention_bias": false,
        "attention_dropout": 0.0, "mlp_bias": false, "head_dim": 128, "eos_token_id": [128001, 128008, 128009],
        "rope_scaling": {
            "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3",
        },
    });
    let three = with(&two, &three);
    let config = read(
        "Llama-3.1-8B",
        &three,
        [32, 32, 8, 128, 4096, 14336, 128256],
    );
    let scaling = config.layers[0].rope.unwrap().scaling;
    assert!(matches!(
        scaling,
        RopeScaling::Llama3 {
            factor: 8.0,
            original: 8192,
            ..
        }
    ));
    let small = json!({
        "vocab_size": 49152, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "hidden_size": 576, "intermediate_size": 1536, "max_position_embeddings": 8192,
        "rope_theta": 100000, "rope_interleaved": false, "is_llama_config": true, "tie_word_embeddings": true,
    });
    let small = with(&two, &small);
    read("SmolLM2-135M", &small, [30, 9, 3, 64, 576, 1536, 49152]);
    let mistral = json!({
        "model_type": "mistral", "architectures": ["MistralForCausalLM"], "num_key_value_heads": 8,
        "intermediate_size": 14336, "max_position_embeddings": 32768, "rope_theta": 10000.0,
        "sliding_window": 4096,
    });
    let mistral = with(&two, &mistral);
    let config = read(
        "Mistral-7B-v0.1",
        &mistral,
        [32, 32, 8, 128, 4096, 14336, 32000],
    );
    assert!(config.layers.iter().all(|layer| layer.window == Some(4096)));
}

#[test]
fn qwens_and_smollm3() {
    let two = json!({
        "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "vocab_size": 152064,
        "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "hidden_size": 3584,
        "intermediate_size": 18944, "max_position_embeddings": 131072, "max_window_layers": 28,
        "sliding_window": 131072, "use_sliding_window": false, "rope_theta": 1000000.0, "hidden_act": "silu",
        "rms_norm_eps": 1e-6, "tie_word_embeddings": false, "attention_dropout": 0.0,
        "bos_token_id": 151643, "eos_token_id": 151643, "initializer_range": 0.02,
        "torch_dtype": "bfloat16", "transformers_version": "4.37.2", "use_cache": true,
    });
    let config = read("Qwen2-7B", &two, [28, 28, 4, 128, 3584, 18944, 152064]);
    assert!(config.qkv_bias && !config.attention_output_bias);
    let three = json!({
        "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "vocab_size": 151936,
        "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "hidden_size": 1024,
        "intermediate_size": 3072, "max_position_embeddings": 40960, "attention_bias": false,
        "rope_scaling": null, "rope_theta": 1000000, "sliding_window": null, "tie_word_embeddings": true,
    });
    let three = with(&two, &three);
    let config = read("Qwen3-0.6B", &three, [28, 16, 8, 128, 1024, 3072, 151936]);
    assert!(config.query_key_norm && config.layers.iter().all(|layer| layer.window.is_none()));
    let turned: Vec<u8> = (1..=36).map(|block| u8::from(block % 4 != 0)).collect();
    let smollm = json!({
        "model_type": "smollm3", "architectures": ["SmolLM3ForCausalLM"], "vocab_size": 128256,
        "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 4, "hidden_size": 2048,
        "intermediate_size": 11008, "max_position_embeddings": 65536, "hidden_act": "silu",
        "rms_norm_eps": 1e-6, "rope_theta": 5000000.0, "rope_scaling": null, "tie_word_embeddings": true,
        "no_rope_layer_interval": 4, "no_rope_layers": turned, "pretraining_tp": 2, "mlp_bias": false,
        "attention_bias": false, "sliding_window": null, "use_sliding_window": false,
    });
    let config = read("SmolLM3-3B", &smollm, [36, 16, 4, 128, 2048, 11008, 128256]);
    assert!(config.layers[2].rope.is_some() && config.layers[3].rope.is_none());
}

#[test]
fn gemmas() {
    let two = json!({
        "model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"], "vocab_size": 256000,
        "num_hidden_layers": 42, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 256,
        "hidden_size": 3584, "intermediate_size": 14336, "max_position_embeddings": 8192,
        "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6,
        "query_pre_attn_scalar": 256, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
        "sliding_window": 4096, "sliding_window_size": 4096, "rope_theta": 10000.0,
        "attention_bias": false, "attention_dropout": 0.0, "cache_implementation": "hybrid",
        "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0, "initializer_range": 0.02,
        "torch_dtype": "bfloat16", "transformers_version": "4.45.2", "use_cache": true,
    });
    let config = read("gemma-2-9b", &two, [42, 16, 8, 256, 3584, 14336, 256000]);
    let windows: Vec<_> = config.layers[..3]
        .iter()
        .map(|layer| layer.window)
        .collect();
    assert_eq!(windows, [Some(4096), None, Some(4096)]);
    let small = json!({
        "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4, "hidden_size": 2304,
        "intermediate_size": 9216,
    });
    let small = with(&two, &small);
    read("gemma-2-2b", &small, [26, 8, 4, 256, 2304, 9216, 256000]);
    let other = with(&two, &json!({"sliding_window_size": 2048}));
    let error = Config::from_hf(&other).unwrap_err().to_string();
    assert!(error.contains("sliding_window_size"), "{error}");
    let three = json!({
        "model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"], "vocab_size": 262144,
        "num_hidden_layers": 26, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
        "hidden_size": 1152, "intermediate_size": 6912, "max_position_embeddings": 32768,
        "hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "query_pre_attn_scalar": 256,
        "attn_logit_softcapping": null, "final_logit_softcapping": null, "rope_theta": 1000000,
        "rope_local_base_freq": 10000, "rope_scaling": null, "sliding_window": 512,
        "sliding_window_pattern": 6, "cache_implementation": "hybrid", "attention_bias": false,
        "attention_dropout": 0.0, "bos_token_id": 2, "eos_token_id": [1, 106], "pad_token_id": 0,
        "torch_dtype": "bfloat16", "use_cache": true,
    });
    let config = read("gemma-3-1b-it", &three, [26, 4, 1, 256, 1152, 6912, 262144]);
    let full: Vec<_> = (0..26)
        .filter(|&block| config.layers[block].window.is_none())
        .collect();
    assert_eq!(full, [5, 11, 17, 23]);
}

/// What a file leaves out of the language model's options is transformers' default.
#[test]
fn gemma_with_a_vision_tower() {
    let text = json!({
        "model_type": "gemma3_text", "num_hidden_layers": 34, "hidden_size": 2560, "intermediate_size": 10240,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024,
    });
    let four = json!({
        "model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"],
        "boi_token_index": 255999, "eoi_token_index": 256000, "image_token_index": 262144,
        "mm_tokens_per_image": 256, "eos_token_id": [1, 106], "initializer_range": 0.02,
        "torch_dtype": "bfloat16", "transformers_version": "4.50.0.dev0", "text_config": text,
        "vision_config": {
            "model_type": "siglip_vision_model", "hidden_size": 1152, "image_size": 896, "patch_size": 14,
            "intermediate_size": 4304, "num_attention_heads": 16, "num_hidden_layers": 27,
            "vision_use_head": false,
        },
    });
    let config = read("gemma-3-4b-it", &four, [34, 8, 4, 256, 2560, 10240, 262208]);
    assert!(config.tie_word_embeddings);
    assert_eq!(config.max_position_embeddings, 131_072);
    let full = (0..34).filter(|&block| config.layers[block].window.is_none());
    assert_eq!(full.collect::<Vec<_>>(), [5, 11, 17, 23, 29]);
    let [near, far] = [4, 5].map(|block| config.layers[block].rope.unwrap());
    assert_eq!((near.theta, far.theta), (10_000.0, 1e6));
    assert!(matches!(far.scaling, RopeScaling::Linear { factor: 8.0 }));
    // What a file leaves out is as transformers' `Gemma3TextConfig` has it.
    let bare = with(
        &four,
        &json!({"text_config": {"model_type": "gemma3_text"}}),
    );
    read(
        "a gemma-3 that says no size",
        &bare,
        [26, 8, 4, 256, 2304, 9216, 262208],
    );
    // The whole model doesn't cap its logits, whatever its part says.
    let capped = with(&text, &json!({"final_logit_softcapping": 30.0}));
    let capped = with(&four, &json!({"text_config": capped}));
    let error = Config::from_hf(&capped).unwrap_err().to_string();
    assert!(error.contains("final_logit_softcapping"), "{error}");
}

#[test]
fn neox_and_opt() {
    let neox = json!({
        "model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"], "vocab_size": 50432,
        "num_hidden_layers": 44, "num_attention_heads": 64, "hidden_size": 6144, "intermediate_size": 24576,
        "max_position_embeddings": 2048, "hidden_act": "gelu_fast", "layer_norm_eps": 1e-5,
        "rotary_pct": 0.25, "rotary_emb_base": 10000, "tie_word_embeddings": false,
        "attention_probs_dropout_prob": 0.1, "hidden_dropout_prob": 0.1, "bos_token_id": 0,
        "eos_token_id": 2, "initializer_range": 0.02, "torch_dtype": "float16", "use_cache": true,
    });
    let config = read("gpt-neox-20b", &neox, [44, 64, 64, 96, 6144, 24576, 50432]);
    assert_eq!(config.hidden_act, Activation::GeluNew);
    assert_eq!(config.layers[0].rope.unwrap().dims, 24);
    let pythia = json!({
        "vocab_size": 50304, "num_hidden_layers": 6, "num_attention_heads": 4, "hidden_size": 128,
        "intermediate_size": 512, "hidden_act": "gelu", "use_parallel_residual": true,
        "attention_bias": true, "attention_dropout": 0.0, "classifier_dropout": 0.1, "hidden_dropout": 0.0,
        "rope_scaling": null,
    });
    let pythia = with(&neox, &pythia);
    let config = read("pythia-14m", &pythia, [6, 4, 4, 32, 128, 512, 50304]);
    assert_eq!(config.hidden_act, Activation::Gelu);
    let opt = json!({
        "model_type": "opt", "architectures": ["OPTForCausalLM"], "vocab_size": 50272,
        "num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768, "ffn_dim": 3072,
        "word_embed_proj_dim": 768, "max_position_embeddings": 2048, "activation_function": "relu",
        "do_layer_norm_before": true, "dropout": 0.1, "activation_dropout": 0.0, "attention_dropout": 0.0,
        "layerdrop": 0.0, "init_std": 0.02, "bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1,
        "prefix": "</s>", "torch_dtype": "float16", "use_cache": true,
        "_name_or_path": "facebook/opt-125m", "_remove_final_layer_norm": false,
    });
    read("opt-125m", &opt, [12, 12, 12, 64, 768, 3072, 50272]);
    let narrow = json!({
        "num_hidden_layers": 24, "num_attention_heads": 16, "hidden_size": 1024, "ffn_dim": 4096,
        "word_embed_proj_dim": 512, "do_layer_norm_before": false,
    });
    let narrow = with(&opt, &narrow);
    let config = read("opt-350m", &narrow, [24, 16, 16, 64, 1024, 4096, 50272]);
    assert_eq!(config.embedding_size, 512);
    let large = json!({
        "num_hidden_layers": 40, "num_attention_heads": 40, "hidden_size": 5120, "ffn_dim": 20480,
        "word_embed_proj_dim": 5120, "output_projection": true,
    });
    let large = with(&opt, &large);
    read("opt-13b", &large, [40, 40, 40, 128, 5120, 20480, 50272]);
}

/// The names by which transformers computes one function.
#[test]
fn activations_have_several_names() {
    let of = |name: &str| Activation::from_name("hidden_act", name).unwrap();
    for name in ["gelu", "gelu_python"] {
        assert_eq!(of(name), Activation::Gelu, "{name}");
    }
    for name in [
        "gelu_new",
        "gelu_fast",
        "gelu_accurate",
        "gelu_pytorch_tanh",
        "gelu_python_tanh",
    ] {
        assert_eq!(of(name), Activation::GeluNew, "{name}");
    }
    // Clipped, and another curve.
    for name in ["gelu_10", "quick_gelu"] {
        assert!(Activation::from_name("hidden_act", name).is_err(), "{name}");
    }
}
