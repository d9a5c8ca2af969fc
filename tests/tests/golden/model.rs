//! Tiny models of every family against transformers (`fixtures/models/make.py`, and `behind.py` for prompts
//! behind the first token).

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use post_core::checkpoint::{Safetensors, SharedBytes, Tensors, hf};
use post_core::model::{Config, Input, Lm, PromptPlace, TokenBatch};

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
        let open = |files: &[&str]| {
            let bytes = |file: &&str| -> (String, SharedBytes) {
                ((*file).to_owned(), Arc::new(read(file)))
            };
            Safetensors::open(files.iter().map(bytes).collect()).unwrap()
        };
        let config =
            Config::from_hf(&serde_json::from_slice(&read("config.json")).unwrap()).unwrap();
        let model = Lm::load(&config, &open(&["model.safetensors"]), &Device::default()).unwrap();
        Self {
            model,
            expected: open(&["expected.safetensors", "behind.safetensors"]),
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

    /// Hidden states at all real places, by both ways through the last block, and the logits. The input's rows
    /// are the expected ones from `first` on.
    fn check(&self, input: &Input, first: usize, kind: &str) {
        let (d, v) = (
            self.model.config().embedding_size,
            self.model.config().vocab_size,
        );
        let hidden = values(self.model.hidden_all(input));
        let expected = self.values(&format!("{kind}.hidden"));
        let stored = expected.len() / self.values("lengths").len();
        let width = input.embeddings.dims()[1] * d;
        for (row, length) in input.lengths.iter().enumerate() {
            let found = &hidden[row * width..][..length * d];
            assert_close(
                found,
                &expected[(first + row) * stored..][..length * d],
                kind,
            );
        }
        let logits = values(
            self.model
                .logits(self.model.hidden_at(input, &input.last())),
        );
        let expected = self.values(&format!("{kind}.logits"));
        assert_close(&logits, &expected[first * v..][..logits.len()], kind);
    }

    /// Each row alone, with nothing behind it.
    fn check_unpadded(&self, place: Option<PromptPlace>, kind: &str) {
        let tokens = self.tokens();
        let rows = tokens.ids.chunks(tokens.width).zip(&tokens.lengths);
        for (row, (ids, &length)) in rows.enumerate() {
            let alone = TokenBatch::padded(&[&ids[..length]], 0);
            let own = self.prompt().narrow(0, row, 1);
            let input = match place {
                Some(place) => self.model.embed_with_prompts(own, place, &alone),
                None => self.model.embed(&alone),
            };
            self.check(&input, row, kind);
        }
    }

    fn check_gradient(&self, place: PromptPlace, kind: &str) {
        let leaf = self.prompt().autodiff().require_grad();
        let (model, tokens) = (&self.model, self.tokens());
        let input = model.embed_with_prompts(leaf.clone(), place, &tokens);
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
        assert_close(&gradient, &self.values(&format!("{kind}.gradient")), kind);
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
    let tokens = case.tokens();
    case.check(&case.model.embed(&tokens), 0, "plain");
    case.check_unpadded(None, "plain");
    for (place, kind) in [
        (PromptPlace::BeforeBos, "prompted"),
        (PromptPlace::AfterBos, "behind"),
    ] {
        let input = case.model.embed_with_prompts(case.prompt(), place, &tokens);
        case.check(&input, 0, kind);
        case.check_unpadded(Some(place), kind);
        case.check_gradient(place, kind);
    }
}

/// A test for each folder, and all of them in one list.
macro_rules! cases {
    ($($test:ident: $folder:literal,)+) => {
        $(#[test]
        fn $test() {
            check($folder);
        })+
        const CASES: &[&str] = &[$($folder),+];
    };
}

cases! {
    llama: "llama",
    llama_with_biases_and_one_key_head: "llama-bias",
    llama_with_linear_scaling: "llama-linear",
    llama_with_dynamic_scaling: "llama-dynamic",
    llama_3_scaling: "llama3",
    llama_with_yarn: "llama-yarn",
    gpt2: "gpt2",
    gpt2_with_a_head_of_its_own: "gpt2-untied",
    gpt2_with_other_scales: "gpt2-scales",
    gpt2_as_deep_as_the_xl: "gpt2-48",
    roberta: "roberta",
    roberta_with_one_token_type: "roberta-gelu-new",
    bert: "bert",
    bert_with_a_head_of_its_own: "bert-untied",
    mistral: "mistral",
    mistral_without_a_window: "mistral-full",
    qwen2: "qwen2",
    qwen3: "qwen3",
    gemma2: "gemma2",
    gemma3: "gemma3",
    gemma3_with_a_vision_tower: "gemma3-multimodal",
    smollm3: "smollm3",
    pythia: "pythia",
    gpt_neox_one_after_the_other: "gpt-neox",
    opt: "opt",
    opt_with_norms_behind: "opt-post",
    opt_with_narrow_embeddings: "opt-narrow",
    opt_with_wide_embeddings: "opt-wide",
}

#[test]
fn every_folder_has_a_test() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models");
    let entries = std::fs::read_dir(models)
        .unwrap()
        .map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut found: Vec<_> = folders
        .map(|folder| folder.file_name().into_string().unwrap())
        .collect();
    found.sort();
    let mut tested = CASES.to_vec();
    tested.sort_unstable();
    assert_eq!(found, tested);
}

/// What is saved under Hugging Face's names computes the same.
#[test]
fn saved_configs_read_back() {
    for name in CASES {
        let config = Case::open(name).model.config().clone();
        assert_eq!(Config::from_hf(&config.to_hf()).unwrap(), config, "{name}");
    }
}

/// The folder that is written of each model, left in `target/tmp/families` for
/// `fixtures/hf/families.py`, is the one that transformers has loaded and computed the same with.
#[test]
fn written_folders_are_those_that_transformers_has_loaded() {
    let checked = include_str!("../../fixtures/hf/families.json");
    let checked: serde_json::Value = serde_json::from_str(checked).unwrap();
    let mut written = Vec::new();
    for name in CASES {
        let model = Case::open(name).model;
        let tensors = pollster::block_on(model.named_tensors()).unwrap();
        let files = hf::folder(&tensors, model.config(), None).unwrap();
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("families")
            .join(name);
        std::fs::create_dir_all(&target).unwrap();
        for (file, bytes) in &files {
            std::fs::write(target.join(file), bytes).unwrap();
        }
        written.push((name, files));
    }
    for (name, files) in written {
        for (file, bytes) in files {
            let json = match file.as_str() {
                "config.json" => &bytes[..],
                _ => {
                    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
                    &bytes[8..8 + length]
                }
            };
            let json: serde_json::Value = serde_json::from_slice(json).unwrap();
            assert_eq!(json, checked[*name][&file], "{name}: {file}");
        }
    }
}

/// What transformers 5 writes out, older files leave to the family's pattern, or say in other fields.
#[test]
fn older_files_say_the_same() {
    let older: [(&str, &[&str], serde_json::Value); 5] = [
        ("qwen2", &["layer_types"], serde_json::json!({})),
        ("gemma2", &["layer_types"], serde_json::json!({})),
        (
            "smollm3",
            &["layer_types", "no_rope_layers"],
            serde_json::json!({}),
        ),
        (
            "gemma3",
            &["rope_parameters"],
            serde_json::json!({
                "rope_theta": 300.0, "rope_scaling": {"rope_type": "linear", "factor": 2.0},
                "rope_local_base_freq": 50.0,
            }),
        ),
        (
            "pythia",
            &["rope_parameters"],
            serde_json::json!({"rotary_emb_base": 91.0, "rotary_pct": 0.5, "rope_scaling": {}}),
        ),
    ];
    for (name, left_out, instead) in older {
        let json = config_json(name);
        let expected = Config::from_hf(&json).unwrap();
        let mut old = json;
        let fields = old.as_object_mut().unwrap();
        for field in left_out {
            assert!(fields.remove(*field).is_some(), "{name}: {field}");
        }
        fields.extend(instead.as_object().unwrap().clone());
        assert_eq!(Config::from_hf(&old).unwrap(), expected, "{name}");
    }
    // Every second block sees everything.
    let mut old = config_json("gemma3");
    old.as_object_mut().unwrap().remove("layer_types");
    old["sliding_window_pattern"] = serde_json::json!(2);
    let windows = Config::from_hf(&old).unwrap().layers;
    let windows: Vec<_> = windows.iter().map(|layer| layer.window).collect();
    assert_eq!(windows, [Some(4), None, Some(4), None]);
}

fn config_json(name: &str) -> serde_json::Value {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models");
    let text = std::fs::read(models.join(name).join("config.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The angles of published models' parameters (`rope.json`).
#[test]
fn stretched_angles() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models/rope.json");
    let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for case in cases.as_array().unwrap() {
        let width = case["head_dim"].as_u64().unwrap();
        let config = serde_json::json!({
            "model_type": "gpt_neox", "vocab_size": 8, "hidden_size": width, "num_hidden_layers": 1,
            "num_attention_heads": 1, "intermediate_size": 8, "rotary_pct": 1.0,
            "max_position_embeddings": case["max_position_embeddings"],
            "rope_parameters": case["parameters"],
        });
        let config = Config::from_hf(&config).unwrap();
        let rope = config.layers[0].rope.unwrap();
        let expected = case["frequencies"].as_array().unwrap();
        let found = rope.frequencies();
        assert_eq!(found.len(), expected.len(), "{case}");
        for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
            let (found, expected) = (f64::from(*found), expected.as_f64().unwrap());
            assert!(
                (found - expected).abs() <= 2e-6 * expected,
                "{i}: {found}, {case}"
            );
        }
        let factor = case["attention_factor"].as_f64().unwrap();
        assert!((rope.attention_factor() - factor).abs() < 1e-12, "{case}");
    }
}

/// An option that would change numbers is refused by its name.
#[test]
fn unknown_options_are_errors() {
    let cases = [
        (
            "llama",
            "rope_scaling",
            serde_json::json!({"rope_type": "longrope", "factor": 8.0}),
        ),
        (
            "llama",
            "rope_parameters",
            serde_json::json!({"rope_type": "linear", "factor": 8.0, "short_factor": [1.0]}),
        ),
        (
            "llama",
            "rope_parameters",
            serde_json::json!({"rope_theta": 271.0, "partial_rotary_factor": 0.5}),
        ),
        (
            "mistral",
            "layer_types",
            serde_json::json!(["full_attention"]),
        ),
        ("qwen2", "attention_bias", serde_json::json!(true)),
        (
            "qwen2",
            "layer_types",
            serde_json::json!(["chunked_attention", "full_attention", "full_attention"]),
        ),
        (
            "gemma3",
            "use_bidirectional_attention",
            serde_json::json!(true),
        ),
        ("gemma3", "rope_parameters", serde_json::json!("linear")),
        (
            "gemma3",
            "rope_parameters",
            serde_json::json!({"rope_type": "linear", "factor": 2.0, "rope_theta": 300.0}),
        ),
        (
            "gemma3",
            "rope_parameters",
            serde_json::json!({"full_attention": {}, "chunked_attention": {"rope_theta": 9.0}}),
        ),
        (
            "gemma3",
            "rope_scaling",
            serde_json::json!({"rope_type": "linear", "factor": 8.0}),
        ),
        (
            "gemma3-multimodal",
            "tie_word_embeddings",
            serde_json::json!(false),
        ),
        ("gemma3-multimodal", "text_config", serde_json::json!("4b")),
        ("gemma3-multimodal", "hidden_size", serde_json::json!(20)),
        ("qwen2", "use_sliding_window", serde_json::json!(false)),
        ("smollm3", "use_sliding_window", serde_json::json!(false)),
        ("opt", "_remove_final_layer_norm", serde_json::json!(true)),
        ("llama", "_remove_final_layer_norm", serde_json::json!(true)),
        ("llama", "_score_scale", serde_json::json!(3.0)),
        ("gpt2", "n_special", serde_json::json!(2)),
        ("bert", "directionality", serde_json::json!("left")),
        ("gemma2", "sliding_window_size", serde_json::json!(5)),
        ("gemma2", "sliding_window", serde_json::Value::Null),
        ("opt", "output_projection", serde_json::json!("other")),
        ("gpt2", "n_layer", serde_json::json!(1 << 20)),
        ("llama", "sliding_window", serde_json::json!(4096)),
        ("llama", "hidden_act", serde_json::json!("quick_gelu")),
        (
            "roberta",
            "position_embedding_type",
            serde_json::json!("relative_key"),
        ),
        ("roberta", "is_decoder", serde_json::json!(true)),
    ];
    for (name, field, value) in cases {
        let mut json = config_json(name);
        json[field] = value;
        let message = Config::from_hf(&json).unwrap_err().to_string();
        assert!(message.contains(field), "{name}: {message}");
    }
}
