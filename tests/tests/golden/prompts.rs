//! Prompts and weights as numpy, torch and PEFT save them (`fixtures/prompts/make.py`), and what PEFT
//! makes of ours.
//!
//! `ours_gives_the_logits_that_peft_gives` leaves PEFT's folders under `target/tmp/peft-<model>` and the
//! bare tensors beside them; `fixtures/prompts/check.py` loads those with Python and compares. What was
//! checked that way is held here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use post_core::checkpoint::hf::Folder;
use post_core::checkpoint::pytorch::{self, File, Pytorch, PytorchReader};
use post_core::checkpoint::{Checkpoint, Safetensors, SharedBytes};
use post_core::model::Lm;
use post_core::prompt::{Files, Format, SoftPrompt, archive, logits_at, npy, peft, raw, sniff};
use serde_json::Value;

const CHECKED: &str = include_str!("../../fixtures/prompts/checked.json");
const MODELS: [&str; 3] = ["gpt2", "llama", "roberta"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join("prompts").join(name)).unwrap()
}

/// `(k - 20) / 64`, three rows.
fn prompt(width: usize) -> SoftPrompt {
    let values = (0..3 * width).map(|k| (k as f32 - 20.0) / 64.0);
    SoftPrompt::new(values.collect(), 3, width).unwrap()
}

fn pickled(path: &Path) -> File {
    let bytes = std::fs::read(path).unwrap();
    File::open("x", &bytes, || PytorchReader::new(path)).unwrap()
}

fn model(name: &str) -> Checkpoint {
    let folder = fixtures().join("models").join(name);
    let weights: SharedBytes = Arc::new(std::fs::read(folder.join("model.safetensors")).unwrap());
    let weights = Safetensors::open(vec![("model.safetensors".to_owned(), weights)]).unwrap();
    with_config(&folder).with(weights).unwrap()
}

fn with_config(folder: &Path) -> Folder {
    Folder {
        config: std::fs::read(folder.join("config.json")).unwrap(),
        ..Folder::default()
    }
}

fn logits(checkpoint: &Checkpoint, prompt: &SoftPrompt, ids: &[u32]) -> Vec<f32> {
    let lm = Lm::load(&checkpoint.config, &*checkpoint.tensors, &Device::default()).unwrap();
    pollster::block_on(logits_at(&lm, ids, ids.len() - 1, Some(prompt))).unwrap()
}

#[test]
fn numpys_files_are_read_and_written_byte_for_byte() {
    for kind in ["float16", "float32", "float64"] {
        let found = npy::read(&bytes(&format!("numpy-{kind}.npy"))).unwrap();
        assert_eq!(found, prompt(18), "{kind}");
    }
    assert_eq!(npy::write(&prompt(18)), bytes("numpy-float32.npy"));
    for (file, said) in [("int32", "<i4"), ("columns", "ascontiguousarray")] {
        let error = npy::read(&bytes(&format!("numpy-{file}.npy"))).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn bare_tensors_are_read_and_written() {
    assert_eq!(raw::read(&bytes("vllm.safetensors")).unwrap(), prompt(18));
    assert_eq!(
        raw::read(&raw::write(&prompt(18)).unwrap()).unwrap(),
        prompt(18)
    );
    // PEFT's own file is one, too.
    assert_eq!(
        raw::read(&bytes("peft/adapter_model.safetensors")).unwrap(),
        prompt(18)
    );
}

#[test]
fn what_torch_saved_is_read() {
    for name in ["post.pth", "legacy.pth", "old-peft/adapter_model.bin"] {
        let file = pickled(&fixtures().join("prompts").join(name));
        let found = post_core::prompt::pytorch::read(&file);
        assert_eq!(
            found.unwrap_or_else(|e| panic!("{name}: {e}")),
            prompt(18),
            "{name}"
        );
    }
    // The crate takes no tensor without a dictionary around it.
    let path = fixtures().join("prompts/bare.pt");
    let error = File::open("x", &bytes("bare.pt"), || PytorchReader::new(&path))
        .err()
        .unwrap();
    assert!(error.to_string().contains("dictionary"), "{error}");
}

#[test]
fn files_are_told_apart_by_what_is_in_them() {
    let zip = archive::pack(&folder("llama", &prompt(18))).unwrap();
    assert_eq!(sniff(&zip), Some(Format::Peft));
    for (name, format) in [
        ("numpy-float32.npy", Format::Npy),
        ("vllm.safetensors", Format::Safetensors),
        ("post.pth", Format::Pytorch),
        ("legacy.pth", Format::Pytorch),
        ("bare.pt", Format::Pytorch),
    ] {
        assert_eq!(sniff(&bytes(name)), Some(format), "{name}");
    }
    assert_eq!(sniff(b"PK\x03\x04 and no more"), None);
    assert_eq!(sniff(b""), None);
}

fn folder(name: &str, prompt: &SoftPrompt) -> Files {
    let base = peft::BaseModel::of(name.to_owned(), &model(name).config);
    peft::write(prompt, &base, Some("Good or bad"), "").unwrap()
}

/// PEFT's own folder gives our numbers, and ours give PEFT's, without a warning.
#[test]
fn ours_gives_the_logits_that_peft_gives() {
    let checked: Value = serde_json::from_str(CHECKED).unwrap();
    let ids: Vec<u32> = serde_json::from_value(checked["ids"].clone()).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let write = |path: PathBuf, bytes: &[u8]| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    write(target.join("prompt.npy"), &npy::write(&prompt(18)));
    write(
        target.join("prompt.safetensors"),
        &raw::write(&prompt(18)).unwrap(),
    );
    for name in MODELS {
        let prompt = prompt(model(name).config.hidden_size);
        for (file, bytes) in &folder(name, &prompt) {
            write(target.join(format!("peft-{name}")).join(file), bytes);
        }
    }
    let own = &checked["warnings_for_their_own"];
    for name in MODELS {
        let model = model(name);
        let prompt = prompt(model.config.hidden_size);
        let files = folder(name, &prompt);
        let checked = &checked["models"][name];
        assert_eq!(&checked["warnings"], own, "{name}");
        let config: Value = serde_json::from_slice(&files[peft::CONFIG]).unwrap();
        assert_eq!(config, checked["adapter_config.json"], "{name}");
        let want: Vec<f32> = serde_json::from_value(checked["logits"].clone()).unwrap();
        assert_close(name, &logits(&model, &prompt, &ids), &want);
    }
    let theirs = [peft::CONFIG, peft::WEIGHTS].map(|n| (n.to_owned(), bytes(&format!("peft/{n}"))));
    let theirs = peft::read(&theirs.into()).unwrap().prompt;
    let want: Vec<f32> =
        serde_json::from_value(checked["models"]["llama"]["logits"].clone()).unwrap();
    assert_close("peft", &logits(&model("llama"), &theirs, &ids), &want);
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let scale = want.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            (g - w).abs() <= 1e-4 * scale,
            "{what}, {i}: {g} instead of {w}"
        );
    }
}

#[test]
fn weights_that_torch_saved_are_those_of_the_safetensors() {
    let expected = model("llama");
    let folder = |name: &str| fixtures().join("prompts").join(name);
    let single = Pytorch::new(vec![pickled(&folder("pytorch").join("pytorch_model.bin"))]).unwrap();
    let index = bytes("sharded/pytorch_model.bin.index.json");
    let names = pytorch::shard_names(&index).unwrap();
    let open = |name: &String| {
        let path = folder("sharded").join(name);
        let bytes = std::fs::read(&path).unwrap();
        File::open(name, &bytes, || PytorchReader::new(&path)).unwrap()
    };
    let sharded = Pytorch::sharded(&index, names.iter().map(open).collect()).unwrap();
    let missing = Pytorch::sharded(&index, vec![open(&names[0])]);
    let missing = missing
        .err()
        .expect("half a model was accepted")
        .to_string();
    assert!(missing.contains("none of the shards"), "{missing}");
    for weights in [single, sharded] {
        let config = with_config(&fixtures().join("models/llama"));
        let found = config.with(weights).unwrap();
        for name in expected.tensors.names() {
            let (found, want) = (found.tensors.tensor(&name), expected.tensors.tensor(&name));
            assert_eq!(found.unwrap(), want.unwrap(), "{name}");
        }
        let ids = [5, 9, 2];
        let of = |checkpoint| logits(checkpoint, &prompt(18), &ids);
        assert_eq!(of(&found), of(&expected));
    }
}
