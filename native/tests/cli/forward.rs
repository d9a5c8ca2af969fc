//! `forward`, `export` and `inspect` on the random models that the golden tests use.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use post_core::checkpoint::{Safetensors, SharedBytes, Tensors, hf};
use post_core::model::{Config, NamedTensors};
use post_core::prompt::{SoftPrompt, npy, peft};
use serde_json::Value;
use tempfile::TempDir;

use super::{journey, post, refused, stderr, stdout};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures")
        .join(name)
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn tensors(path: &Path) -> Safetensors {
    let bytes: SharedBytes = Arc::new(fs::read(path).unwrap());
    Safetensors::open(vec![(text(path), bytes)]).unwrap()
}

/// What transformers computed for the model (`fixtures/models/make.py`).
struct Expected(Safetensors);

impl Expected {
    fn of(model: &str) -> Self {
        Self(tensors(
            &fixture("models").join(model).join("expected.safetensors"),
        ))
    }

    /// A part of the first row.
    fn values(&self, name: &str, count: usize) -> Vec<f32> {
        self.0.tensor(name).unwrap().into_f32()[..count].to_vec()
    }

    /// The first row's seven tokens, as they are typed.
    fn ids(&self) -> String {
        let ids = self.values("ids", 7);
        ids.iter().map(f32::to_string).collect::<Vec<_>>().join(",")
    }

    fn prompt(&self, width: usize) -> SoftPrompt {
        SoftPrompt::new(self.values("prompt", 3 * width), 3, width).unwrap()
    }
}

#[track_caller]
fn json(args: &[&str]) -> Value {
    let output = post(args);
    assert!(output.status.success(), "{args:?}\n{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

#[track_caller]
fn assert_logits(found: &Value, want: &[f32]) {
    let found: Vec<f32> = serde_json::from_value(found["logits"].clone()).unwrap();
    assert_eq!(found.len(), want.len());
    let scale = want.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    for (i, (x, y)) in found.iter().zip(want).enumerate() {
        assert!((x - y).abs() <= 1e-4 * scale, "{i}: {x} instead of {y}");
    }
}

/// The whole vocabulary at the last token, with a prompt and without, as transformers has it.
#[test]
fn logits_are_those_of_transformers() {
    for (model, width) in [("llama", 18), ("gpt2", 20), ("roberta", 20)] {
        let (path, expected) = (text(&fixture("models").join(model)), Expected::of(model));
        let ids = expected.ids();
        let forward = [
            "forward", "--model", &path, "--ids", &ids, "--device", "cpu", "--json",
        ];
        let found = json(&forward);
        assert_logits(&found, &expected.values("plain.logits", 37));
        assert_eq!(found["position"], 6);
        assert_eq!(found["ids"].as_array().unwrap().len(), 7);
        let dir = tempfile::tempdir().unwrap();
        let prompt = dir.path().join("prompt.npy");
        fs::write(&prompt, npy::write(&expected.prompt(width))).unwrap();
        let found = json(&[&forward[..], &["--prompt", &text(&prompt)]].concat());
        assert_logits(&found, &expected.values("prompted.logits", 37));
        assert_eq!(found["position"], 6);
    }
}

#[test]
fn a_position_means_a_token_of_the_text() {
    let path = text(&fixture("models/llama"));
    let ids = Expected::of("llama").ids();
    let start = ids.split(',').take(3).collect::<Vec<_>>().join(",");
    let forward = |ids: &str, more: &[&str]| {
        let args = [
            "forward", "--model", &path, "--ids", ids, "--device", "cpu", "--json",
        ];
        json(&[&args[..], more].concat())
    };
    // A causal model's third token knows nothing of those behind it.
    let cut: Vec<f32> = serde_json::from_value(forward(&start, &[])["logits"].clone()).unwrap();
    assert_logits(&forward(&ids, &["--position", "2"]), &cut);
}

#[test]
fn what_cannot_be_passed_is_named() {
    let path = text(&fixture("models/gpt2"));
    let model = ["forward", "--model", &path, "--device", "cpu"];
    let with = |more: &[&'static str]| [&model[..], more].concat();
    refused(&with(&[]), 2, &["--ids"]);
    refused(
        &with(&["--ids", "1", "--text", "x"]),
        2,
        &["cannot be used with"],
    );
    refused(&with(&["--ids", "1,99"]), 1, &["token 99", "ends at 36"]);
    refused(
        &with(&["--ids", "1,2", "--position", "2"]),
        1,
        &["position 2", "stands at 1"],
    );
    refused(
        &with(&["--text", "x"]),
        1,
        &["tokenizer.json", "hint:", "--ids"],
    );
    let long = vec!["1"; 41].join(",");
    refused(
        &[&model[..], &["--ids", &long]].concat(),
        1,
        &["41 tokens", "room for 40"],
    );
    let prompt = text(&fixture("prompts/numpy-float32.npy"));
    let other = [&model[..], &["--ids", "1", "--prompt", &prompt]].concat();
    refused(&other, 1, &["18 numbers wide", "20"]);
}

/// PyTorch's weights give the numbers of the safetensors, from a folder, in shards, and by their file.
#[test]
fn weights_of_pytorch_make_a_model() {
    let expected = Expected::of("llama");
    let ids = expected.ids();
    let dir = tempfile::tempdir().unwrap();
    let place = |from: &str, name: &str| {
        let to = dir.path().join(name);
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(fixture("prompts").join(from)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        fs::copy(fixture("models/llama/config.json"), to.join("config.json")).unwrap();
        to
    };
    let single = place("pytorch", "single");
    let renamed = place("pytorch", "renamed");
    fs::rename(renamed.join("pytorch_model.bin"), renamed.join("best.pt")).unwrap();
    for model in [
        single.clone(),
        place("sharded", "sharded"),
        renamed.join("best.pt"),
    ] {
        let model = text(&model);
        let found = json(&[
            "forward", "--model", &model, "--ids", &ids, "--device", "cpu", "--json",
        ]);
        assert_logits(&found, &expected.values("plain.logits", 37));
        assert_eq!(json(&["inspect", &model, "--json"])["blocks"], 3);
    }
    refused(
        &["inspect", &text(&renamed)],
        1,
        &["has no weights", "hint:", "pytorch_model.bin"],
    );
    // Half of the shards, then a file that is no pickle.
    let half = place("sharded", "half");
    fs::remove_file(half.join("pytorch_model-00001-of-00002.bin")).unwrap();
    refused(
        &["inspect", &text(&half)],
        1,
        &["pytorch_model-00001-of-00002.bin"],
    );
    fs::write(single.join("pytorch_model.bin"), b"<!DOCTYPE html>").unwrap();
    refused(
        &["inspect", &text(&single)],
        1,
        &["pytorch_model.bin", "hint:"],
    );
}

/// Weights in 16 bits, by safetensors and by `torch.save`, give what torch computes with them
/// (`fixtures/halves/make.py`), widened or kept as they are.
#[test]
fn weights_in_16_bits_make_a_model() {
    let expected = Expected(tensors(&fixture("halves/expected.safetensors")));
    let ids = expected.ids();
    for dtype in ["f16", "bf16"] {
        let want = expected.values(&format!("{dtype}.logits"), 37);
        for end in ["safetensors", "bin"] {
            let model = text(&fixture("halves").join(format!("{dtype}.{end}")));
            for kept in [vec![], vec!["--dtype", dtype]] {
                let forward = [
                    "forward", "--model", &model, "--ids", &ids, "--device", "cpu", "--json",
                ];
                assert_logits(&json(&[&forward[..], &kept].concat()), &want);
            }
            assert_eq!(inspected(&model)["kind"], "weights of a model folder");
        }
    }
}

/// A folder with the llama's weights in two files.
fn sharded(folder: &Path, shards: [&str; 2]) {
    let from = fixture("models/llama");
    let whole = tensors(&from.join("model.safetensors"));
    let config = fs::read(from.join("config.json")).unwrap();
    fs::write(folder.join("config.json"), &config).unwrap();
    let config = Config::from_hf(&serde_json::from_slice(&config).unwrap()).unwrap();
    let mut first = whole.names();
    let second = first.split_off(first.len() / 2);
    let mut map = serde_json::Map::new();
    for (shard, names) in shards.into_iter().zip([first, second]) {
        let part = names
            .iter()
            .map(|name| (name.clone(), whole.tensor(name).unwrap()));
        let files = hf::folder(&part.collect::<NamedTensors>(), &config, None).unwrap();
        let weights = files
            .into_iter()
            .find(|(name, _)| name == "model.safetensors");
        fs::write(folder.join(shard), weights.unwrap().1).unwrap();
        map.extend(names.into_iter().map(|name| (name, Value::from(shard))));
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    let path = folder.join("model.safetensors.index.json");
    fs::write(path, index.to_string()).unwrap();
}

#[test]
fn safetensors_in_shards_make_a_model() {
    let expected = Expected::of("llama");
    let ids = expected.ids();
    let dir = tempfile::tempdir().unwrap();
    let shards = [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ];
    sharded(dir.path(), shards);
    let model = text(dir.path());
    let found = json(&[
        "forward", "--model", &model, "--ids", &ids, "--device", "cpu", "--json",
    ]);
    assert_logits(&found, &expected.values("plain.logits", 37));
    let found = inspected(&model);
    assert_eq!(
        (&found["kind"], &found["blocks"]),
        (&"model folder".into(), &3.into())
    );
    // The second is the first again, then it is gone.
    let [first, second] = shards.map(|shard| dir.path().join(shard));
    fs::copy(&first, &second).unwrap();
    refused(&["inspect", &model], 1, &[shards[0], shards[1], "too"]);
    fs::remove_file(&second).unwrap();
    refused(&["inspect", &model], 1, &[shards[1]]);
}

struct Place(TempDir);

impl Place {
    fn path(&self, name: &str) -> String {
        text(&self.0.path().join(name))
    }
}

/// POST's own `.pth` becomes PEFT's folder, and that every other format, bit for bit.
#[test]
fn prompts_go_from_format_to_format() {
    let place = Place(tempfile::tempdir().unwrap());
    let export = |from: &str, out: &str, more: &[&str]| {
        let args = ["export", "--prompt", from, "--out", out, "--json"];
        let found = json(&[&args[..], more].concat());
        assert_eq!(
            (&found["num_virtual_tokens"], &found["token_dim"]),
            (&3.into(), &18.into())
        );
    };
    let (pth, model) = (
        text(&fixture("prompts/post.pth")),
        text(&fixture("models/llama")),
    );
    let names = ["peft", "prompt.zip", "prompt.npy", "prompt.safetensors"].map(|n| place.path(n));
    let [folder, zip, npy, bare] = &names;
    refused(
        &["export", "--prompt", &pth, "--out", folder],
        1,
        &[
            "does not say which model",
            "hint: name the model with --model",
        ],
    );
    export(&pth, folder, &["--model", &model]);
    export(folder, zip, &[]);
    export(zip, npy, &[]);
    export(npy, bare, &[]);
    for pair in [
        ("peft/adapter_model.safetensors", &bare),
        ("peft/adapter_config.json", &zip),
    ] {
        assert!(Path::new(&place.path(pair.0)).is_file() && Path::new(pair.1).is_file());
    }
    assert_eq!(
        fs::read(npy).unwrap(),
        fs::read(fixture("prompts/numpy-float32.npy")).unwrap()
    );
    let config = fs::read(Path::new(folder).join(peft::CONFIG)).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["base_model_name_or_path"], "llama");
    let old = text(&fixture("prompts/old-peft"));
    let answers = names.iter().chain([&pth, &old]).map(|prompt| {
        let args = [
            "forward", "--model", &model, "--ids", "5,9", "--device", "cpu", "--json",
        ];
        json(&[&args[..], &["--prompt", prompt]].concat())["logits"].clone()
    });
    let answers: Vec<Value> = answers.collect();
    assert!(answers.iter().all(|answer| answer == &answers[0]));
}

/// What is said of a file, which fits a screen and is no JSON unless that is asked for.
#[track_caller]
fn inspected(path: &str) -> Value {
    let found = json(&["inspect", path, "--json"]);
    let shown = stdout(&post(&["inspect", path]));
    assert!(
        shown.lines().count() <= 24,
        "{path} fills more than a screen:\n{shown}"
    );
    assert!(!shown.contains(['{', '}', '"']), "{path}:\n{shown}");
    found
}

#[track_caller]
fn assert_says(found: &Value, said: &Value) {
    for (name, value) in said.as_object().unwrap() {
        assert_eq!(&found[name], value, "{name} in {found}");
    }
}

#[test]
fn inspect_says_what_a_gguf_is() {
    let found = inspected(&text(&fixture("gguf/llama3.gguf")));
    let said = serde_json::json!({
        "kind": "GGUF model", "family": "llama", "blocks": 2, "hidden_size": 24, "heads": 4,
        "key_value_heads": 2, "vocab_size": 37, "positions": 64, "causal": true,
        "head_is_embedding": false, "tokenizer": null, "tensors": 21, "parameters": 14856,
    });
    assert_says(&found, &said);
    assert_eq!(found["hash"].as_str().unwrap().len(), 64);
}

#[test]
fn inspect_says_what_a_receipt_promises() {
    let found = inspected(&text(&fixture("fuzz/privacy.json")));
    let said = serde_json::json!({
        "kind": "privacy receipt", "private": true, "delta": 1e-5, "earlier_runs": 0,
    });
    assert_says(&found, &said);
    assert_eq!(found["epsilon"], found["total_epsilon"]);
    assert!((found["epsilon"].as_f64().unwrap() - 8.0).abs() < 1e-3);
    assert!(found["statement"].as_str().unwrap().contains("(8, 1e-5)"));
    assert!(found["hashes"]["prompt"].is_string());
}

#[test]
fn inspect_says_what_a_bundle_holds() {
    let place = journey::Place::new();
    place.done(
        "bundle --student @teacher --name tiny --license MIT --task @toy.toml --out @s.post.safetensors",
    );
    let path = text(&place.path("s.post.safetensors"));
    let found = inspected(&path);
    let said = serde_json::json!({
        "kind": "student bundle", "name": "tiny", "license": "MIT", "tasks": ["toy"], "family": "llama",
        "blocks": 3, "hidden_size": 18, "vocab_size": 37, "prompt_place": "before-bos",
    });
    assert_says(&found, &said);
    assert_eq!(found["hash"].as_str().unwrap().len(), 64);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    refused(&["inspect", &path], 1, &["s.post.safetensors"]);
}

#[test]
fn inspect_knows_every_file() {
    let place = Place(tempfile::tempdir().unwrap());
    let bare = place.path("weights.safetensors");
    fs::copy(fixture("models/llama/model.safetensors"), &bare).unwrap();
    let fixture = |name: &str| text(&fixture(name));
    for (path, kind) in [
        (fixture("models/gpt2"), "model folder"),
        (
            fixture("models/gpt2/model.safetensors"),
            "weights of a model folder",
        ),
        (bare, "weights (safetensors), without a configuration"),
        (
            fixture("prompts/pytorch/pytorch_model.bin"),
            "weights (PyTorch), without a configuration",
        ),
        (fixture("prompts/peft"), "soft prompt (PEFT)"),
        (fixture("prompts/old-peft"), "soft prompt (PEFT)"),
        (fixture("prompts/post.pth"), "soft prompt (PyTorch)"),
        (fixture("prompts/legacy.pth"), "soft prompt (PyTorch)"),
        (
            fixture("prompts/vllm.safetensors"),
            "soft prompt (safetensors)",
        ),
        (fixture("prompts/numpy-float16.npy"), "soft prompt (.npy)"),
    ] {
        assert_eq!(inspected(&path)["kind"], kind, "{path}");
    }
    let other = place.path("x.json");
    fs::write(&other, "{}").unwrap();
    refused(
        &["inspect", &other],
        1,
        &["x.json", "not a receipt", "hint:"],
    );
    let other = place.path("x.dat");
    fs::write(&other, "x").unwrap();
    refused(&["inspect", &other], 1, &["x.dat", "hint:"]);
}

/// A GGUF whose own tokenizer can't be read takes the one beside it.
#[test]
fn a_gguf_takes_the_tokenizer_beside_it() {
    let place = journey::Place::new();
    let folder = place.path("gguf");
    fs::create_dir(&folder).unwrap();
    fs::copy(fixture("gguf/llama3.gguf"), folder.join("m.gguf")).unwrap();
    let forward = "forward --model @gguf/m.gguf --device cpu";
    let ids = place.done(&format!("{forward} --ids 7,3"));
    place.refused(
        &format!("{forward} --text film"),
        &["put its tokenizer.json beside the weights"],
    );
    let tokenizer = place.path("teacher/tokenizer.json");
    fs::copy(tokenizer, folder.join("tokenizer.json")).unwrap();
    let said = place.done(&format!("{forward} --text film"));
    assert_eq!(said["ids"], serde_json::json!([7]));
    assert_eq!(place.done(&format!("{forward} --ids 7,3")), ids);
    fs::write(folder.join("tokenizer.json"), "{}").unwrap();
    place.refused(
        &format!("{forward} --text film"),
        &["could not use", "tokenizer.json"],
    );
}
