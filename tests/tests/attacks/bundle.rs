//! Bundles and lists of them written to do harm, in a terminal and in a tab.
//!
//! A bundle is loaded as the worker does it, down to the model. Each must be an error that names the
//! place; in a tab, whose memory only grows, it must not have taken any either.

use std::sync::Arc;

use burn::tensor::Device;
use post_core::bundle::{Bundle, BundleError, Catalog, Dtype};
use post_core::model::Lm;
use post_core::optim::SplitMix64;
use serde_json::{Map, Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::same::student::{Model, tokenizer};

/// Bytes that a refused bundle of fifty thousand may take; 64 KiB is the least that is ever taken.
const SPARE: usize = 2 << 20;

/// A bundle taken apart.
#[derive(Clone)]
struct Parts {
    header: Map<String, Value>,
    data: Vec<u8>,
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        let (header, data) = split(bytes);
        Self {
            header: serde_json::from_slice(header).unwrap(),
            data: data.to_vec(),
        }
    }

    fn good() -> Self {
        Self::of(&Model::Llama.bundle())
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn says(&mut self, key: &str, value: impl Into<Value>) {
        self.header["__metadata__"][key] = value.into();
    }

    /// Changes the configuration.
    fn configured(&mut self, field: &str, value: Value) {
        let text = self.header["__metadata__"]["config.json"].as_str();
        let mut config: Value = serde_json::from_str(text.unwrap()).unwrap();
        config[field] = value;
        self.says("config.json", config.to_string());
    }

    /// The bytes of a tensor.
    fn tensor(&mut self, name: &str) -> &mut [u8] {
        let range = &self.header[name]["data_offsets"];
        let at = |i: usize| range[i].as_u64().unwrap() as usize;
        &mut self.data[at(0)..at(1)]
    }

    /// Another name for a tensor, which is then missing under its own.
    fn hide(&mut self, name: &str) {
        let entry = self.header.remove(name).unwrap();
        self.header.insert("elsewhere".to_owned(), entry);
    }

    fn file(&self) -> Vec<u8> {
        file(&Value::from(self.header.clone()).to_string(), &self.data)
    }

    /// With the content hash that goes with it, as whoever means harm would write it.
    fn signed(&self) -> Vec<u8> {
        signed(self.file())
    }
}

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), data].concat()
}

fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8..].split_at(length)
}

/// Puts the hash in that the reader finds, where the file is whole enough to have one.
fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Err(BundleError::Hash { expected, found }) = Bundle::open(Arc::new(bytes.clone()))
        && expected.len() == found.len()
    {
        let at = bytes
            .windows(expected.len())
            .position(|window| window == expected.as_bytes());
        let at = at.unwrap();
        bytes[at..at + found.len()].copy_from_slice(found.as_bytes());
    }
    bytes
}

/// As the worker loads it.
fn load(bytes: Vec<u8>) -> Result<Lm, String> {
    let bundle = Bundle::open(Arc::new(bytes)).map_err(|error| error.to_string())?;
    let checkpoint = bundle
        .into_checkpoint()
        .map_err(|error| error.to_string())?;
    checkpoint.tokenizer().map_err(|error| error.to_string())?;
    let tensors = checkpoint.tensors.as_ref();
    Lm::load(&checkpoint.config, tensors, &Device::flex()).map_err(|error| error.to_string())
}

fn taken() -> usize {
    #[cfg(target_arch = "wasm32")]
    return core::arch::wasm32::memory_size(0) << 16;
    #[cfg(not(target_arch = "wasm32"))]
    0
}

fn assert_refused(bytes: Vec<u8>, place: &str) {
    let before = taken();
    match load(bytes) {
        Ok(_) => panic!("it was accepted: {place}"),
        Err(error) => assert!(error.contains(place), "{place:?} is not in: {error}"),
    }
    let grown = taken() - before;
    assert!(grown <= SPARE, "{place:?} took {grown} bytes");
}

#[test]
fn the_bundle_that_all_others_are_made_of_is_good() {
    load(Parts::good().file()).unwrap();
    load(Parts::good().signed()).unwrap();
    let renamed = Parts::good().with(|parts| parts.says("name", "another"));
    load(renamed.signed()).unwrap();
    assert_refused(renamed.file(), "content hash");
}

#[test]
fn truncated_bundles_are_refused() {
    let whole = Parts::good().file();
    let header = 8 + split(&whole).0.len();
    let lengths = (0..header).step_by(101).chain([header - 1, header]);
    let lengths = lengths.chain((header..whole.len()).step_by(4999));
    for length in lengths.chain([whole.len() - 1]) {
        assert_refused(whole[..length].to_vec(), "the bundle");
    }
    assert_refused([&whole[..], &[0]].concat(), "the bundle");
}

#[test]
fn lengths_of_the_header_that_lie_are_refused() {
    let whole = Parts::good().file();
    let right = split(&whole).0.len() as u64;
    let lies = [
        0,
        1,
        right - 1,
        right + 1,
        whole.len() as u64,
        1 << 31,
        (1 << 32) - 9,
        (1 << 32) + right,
        1 << 62,
        u64::MAX,
    ];
    for lie in lies {
        let mut bytes = whole.clone();
        bytes[..8].copy_from_slice(&lie.to_le_bytes());
        assert_refused(bytes, "the bundle");
    }
}

#[test]
fn what_was_changed_after_the_hash_is_refused() {
    let whole = Parts::good().file();
    for back in [1, 1000, 20_000] {
        let mut bytes = whole.clone();
        let at = bytes.len() - back;
        bytes[at] ^= 1;
        assert_refused(bytes, "content hash");
    }
    for hash in ["", "0", "not a hash", &"0".repeat(64), &"f".repeat(1 << 16)] {
        let other = Parts::good().with(|parts| parts.says("sha256", hash));
        assert_refused(other.file(), "content hash");
    }
}

#[test]
fn every_piece_of_metadata_is_asked_for_by_name() {
    for key in [
        "sha256",
        "name",
        "teacher",
        "license",
        "blocks",
        "tasks",
        "config.json",
    ] {
        let without = Parts::good().with(|parts| {
            parts.header["__metadata__"]
                .as_object_mut()
                .unwrap()
                .remove(key);
        });
        assert_refused(without.signed(), &format!("`{key}`"));
    }
    let untokenized = Parts::good().with(|parts| {
        let metadata = parts.header["__metadata__"].as_object_mut();
        metadata.unwrap().remove("tokenizer.json");
    });
    assert_refused(untokenized.signed(), "tokenizer");
}

#[test]
fn metadata_that_cannot_be_read_are_named() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for (key, value, place) in [
        ("format", "pt", "plain safetensors"),
        ("format", "", "plain safetensors"),
        ("format", "post-bundle-99", "`post-bundle-99`"),
        ("blocks", "", "`blocks`"),
        ("blocks", "[-1]", "`blocks`"),
        ("blocks", "[1e99]", "`blocks`"),
        ("blocks", "[18446744073709551616]", "`blocks`"),
        ("blocks", "{}", "`blocks`"),
        ("blocks", &deep, "`blocks`"),
        ("tasks", "[1]", "`tasks`"),
        ("tasks", &deep, "`tasks`"),
        ("config.json", "", "`config.json`"),
        ("config.json", "{", "`config.json`"),
        ("config.json", "[]", "model_type"),
        ("config.json", "{}", "model_type"),
        ("config.json", &deep, "`config.json`"),
        ("completed_by", "", "tiny teacher"),
    ] {
        let other = Parts::good().with(|parts| parts.says(key, value));
        assert_refused(other.signed(), place);
    }
    for value in [json!(1), json!(null), json!({}), json!(["x"])] {
        let other = Parts::good().with(|parts| parts.says("name", value));
        assert_refused(other.signed(), "the bundle");
    }
}

/// Sizes that other sizes are multiplied with, up to what a tab's `usize` can't hold.
#[test]
fn a_config_that_asks_for_other_sizes_is_refused() {
    let llama = [
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "intermediate_size",
    ];
    let gpt2 = [
        "vocab_size",
        "n_embd",
        "n_layer",
        "n_head",
        "n_inner",
        "n_positions",
    ];
    let models = [(Model::Llama, &llama[..]), (Model::Gpt2, &gpt2[..])];
    let numbers = [
        0,
        1000,
        (1 << 24) - 2,
        1 << 24,
        1 << 30,
        1 << 31,
        (1 << 32) - 1,
        (1 << 32) + 18,
        1 << 62,
        u64::MAX,
    ];
    let values = numbers.map(|number| json!(number)).into_iter();
    let values = values.chain([
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!("18"),
        json!([18]),
    ]);
    for value in values {
        for (model, fields) in models {
            for field in fields {
                let other = Parts::of(&model.bundle());
                let other = other.with(|parts| parts.configured(field, value.clone()));
                // The field, or the first tensor that is missing or of another shape.
                assert_refused(other.signed(), "`");
            }
            if let Some(number) = value.as_u64() {
                let other = Parts::of(&model.bundle()).with(|parts| {
                    fields
                        .iter()
                        .for_each(|field| parts.configured(field, json!(number)));
                });
                assert_refused(other.signed(), "`");
            }
        }
    }
}

#[test]
fn a_config_that_asks_for_something_else_is_refused() {
    for (field, value) in [
        ("model_type", json!("mamba")),
        ("model_type", json!(null)),
        ("model_type", json!("gpt2")),
        ("hidden_act", json!("softmax")),
        ("rope_theta", json!(0)),
        ("rope_theta", json!(-1e300)),
        ("rms_norm_eps", json!(0)),
        ("rms_norm_eps", json!("small")),
        ("attention_bias", json!(true)),
        ("mlp_bias", json!(true)),
        ("rope_scaling", json!({"rope_type": "yarn"})),
        ("quantization_config", json!({"bits": 4})),
    ] {
        let other = Parts::good().with(|parts| parts.configured(field, value));
        assert_refused(other.signed(), "`");
    }
}

#[test]
fn every_missing_tensor_is_named() {
    let bundles = [(Model::Llama, Dtype::F16), (Model::Gpt2, Dtype::Int8)];
    for (model, dtype) in bundles {
        let good = Parts::of(&model.bundle_as(dtype));
        for name in good.header.keys().filter(|name| *name != "__metadata__") {
            let other = good.clone().with(|parts| parts.hide(name));
            assert_refused(other.signed(), &format!("`{name}`"));
        }
    }
}

#[test]
fn tensors_of_other_shapes_and_types_are_named() {
    let name = "model.layers.1.mlp.down_proj.weight";
    let shaped = |shape: Value| Parts::good().with(|parts| parts.header[name]["shape"] = shape);
    // [18, 28] in f16.
    for shape in [
        json!([28, 18]),
        json!([504]),
        json!([18, 28, 1]),
        json!([2, 9, 28]),
    ] {
        assert_refused(shaped(shape).signed(), &format!("`{name}`"));
    }
    for shape in [
        json!([18, 27]),
        json!([]),
        json!([0, 28]),
        json!([1u64 << 40, 1u64 << 40]),
        json!([(1u64 << 32) + 18, 28]),
        json!([u64::MAX, 28]),
        json!([-18, -28]),
        json!(18),
        json!(vec![1; 100_000]),
    ] {
        assert_refused(shaped(shape).signed(), name);
    }
    for dtype in ["BOOL", "F8_E4M3", "I8", "F32", "F64", "I64", "F99", ""] {
        let other = Parts::good().with(|parts| parts.header[name]["dtype"] = json!(dtype));
        assert_refused(other.signed(), name);
    }
    for dtype in ["I16", "U16"] {
        let other = Parts::good().with(|parts| parts.header[name]["dtype"] = json!(dtype));
        assert_refused(other.signed(), dtype);
    }
}

#[test]
fn offsets_that_overlap_or_leave_holes_are_refused() {
    let name = "model.layers.1.mlp.down_proj.weight";
    let range = Parts::good().header[name]["data_offsets"].clone();
    let (begin, end) = (range[0].as_u64().unwrap(), range[1].as_u64().unwrap());
    for (begin, end) in [
        (begin - 2, end - 2),
        (begin - 2, end),
        (begin, end + 2),
        (end, begin),
        (0, end - begin),
        (begin + (1 << 20), end + (1 << 20)),
        (begin + (1 << 32), end + (1 << 32)),
        (u64::MAX - 1, u64::MAX),
    ] {
        let other =
            Parts::good().with(|parts| parts.header[name]["data_offsets"] = json!([begin, end]));
        assert_refused(other.signed(), "the bundle");
    }
    let whole = Parts::good().file();
    let (header, data) = split(&whole);
    let header = std::str::from_utf8(header).unwrap();
    let entry = Parts::good().header[name].to_string();
    let twice = format!("{{\"{name}\":{entry},{}", &header[1..]);
    assert_refused(file(&twice, data), "appears twice");
}

/// The writer refuses them, so only harm or damage can have put them there.
#[test]
fn numbers_that_are_not_finite_are_named() {
    let f16 = [0x7e00_u16, 0xfe01, 0x7c00, 0xfc00].map(|bits| bits.to_le_bytes().to_vec());
    let f32 = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(|x| x.to_le_bytes().to_vec());
    for (name, values) in [
        ("model.layers.2.mlp.down_proj.weight", &f16[..]),
        ("model.embed_tokens.weight", &f16),
        ("lm_head.weight", &f16),
        ("model.layers.0.input_layernorm.weight", &f32),
        ("model.norm.weight", &f32),
    ] {
        for value in values {
            let other = Parts::good().with(|parts| {
                let bytes = parts.tensor(name);
                let end = bytes.len();
                bytes[end - value.len()..].copy_from_slice(value);
            });
            assert_refused(other.signed(), &format!("`{name}`"));
        }
    }
}

/// The same of an integer matrix, whose scales are all that can be; and what overflows half precision.
#[test]
fn scales_that_make_no_numbers_are_named() {
    let name = "transformer.wte.weight";
    for value in [f32::NAN, f32::INFINITY, 1e30] {
        let other = Parts::of(&Model::Gpt2.bundle_as(Dtype::Int8)).with(|parts| {
            parts.tensor(&format!("{name}.scale"))[..4].copy_from_slice(&value.to_le_bytes());
        });
        assert_refused(other.signed(), &format!("`{name}`"));
    }
    let shaped = Parts::of(&Model::Gpt2.bundle_as(Dtype::Int8)).with(|parts| {
        parts.header[&format!("{name}.scale")]["shape"] = json!([1, 37]);
    });
    assert_refused(shaped.signed(), &format!("`{name}`"));
}

#[test]
fn broken_tokenizers_are_refused() {
    let good = tokenizer();
    let with = |path: &str, value: Value| {
        let mut other = good.clone();
        *other.pointer_mut(path).unwrap() = value;
        other.to_string()
    };
    let deep = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    for text in [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        deep,
        with("/version", json!("9.9")),
        with("/model", json!(null)),
        with("/model/type", json!("Unheard")),
        with("/model/vocab", json!([])),
        with("/model/vocab", json!({"<unk>": -1})),
        with("/model/vocab", json!({"<unk>": 1u64 << 40})),
        // A row that the embeddings don't have.
        with("/model/vocab", json!({"<unk>": 0, "it": 37})),
        with("/model/vocab", json!({"<unk>": 0, "it": u32::MAX})),
        with(
            "/pre_tokenizer",
            json!({"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": false}),
        ),
        with("/decoder", json!({"type": "Unheard"})),
        with(
            "/normalizer",
            json!({"type": "Precompiled", "precompiled_charsmap": "!"}),
        ),
        with(
            "/model",
            json!({"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}),
        ),
        with("/added_tokens", json!([{"id": 4_000_000_000_u32}])),
    ] {
        let other = Parts::good().with(|parts| parts.says("tokenizer.json", text));
        assert_refused(other.signed(), "tokenizer");
    }
}

/// Damage anywhere in the header, signed anew where it can be: whatever comes of it, no panic.
#[test]
fn damaged_headers_never_panic() {
    let whole = Parts::good().file();
    let header = 8 + split(&whole).0.len();
    let before = taken();
    let mut generator = SplitMix64::new(1);
    let mut loaded = 0;
    for _ in 0..600 {
        let mut bytes = whole.clone();
        for _ in 0..1 + generator.below(2) {
            let at = generator.below(header);
            // Digits often, since most of what is wrong is a number.
            bytes[at] = match generator.below(3) {
                0 => generator.below(256) as u8,
                _ => b'0' + generator.below(10) as u8,
            };
        }
        loaded += usize::from(load(signed(bytes)).is_ok());
    }
    // Many only change a text.
    assert!((10..590).contains(&loaded), "{loaded} of 600 were loaded");
    assert!(taken() - before <= SPARE);
}

#[test]
fn lists_that_lead_astray_are_refused() {
    let good = json!({
        "bundles": [{
            "file": "tiny student.post.safetensors", "bytes": 1000, "hash": "0123456789abcdef".repeat(4),
            "name": "tiny", "teacher": "tiny teacher", "license": "Apache-2.0", "layers": 3, "hidden_size": 18,
        }],
        "sample": { "file": "reviews.csv", "bytes": 10 },
    });
    let read = |list: &str| Catalog::from_json(list.as_bytes()).map_err(|error| error.to_string());
    assert_eq!(read(&good.to_string()).unwrap().bundles.len(), 1);
    assert!(read(r#"{"bundles":[]}"#).unwrap().sample.is_none());
    let refused = |list: &str, place: &str| {
        let before = taken();
        let error = read(list).expect_err("the list was accepted");
        assert!(error.contains(place), "{place} is not in: {error}");
        assert!(taken() - before <= SPARE, "{place}");
    };
    let digits = good["bundles"][0]["hash"].as_str().unwrap();
    let upper = digits.to_uppercase();
    for (path, value) in [
        ("/bundles/0/file", json!("")),
        ("/bundles/0/file", json!("..")),
        ("/bundles/0/file", json!("../worker.js")),
        ("/bundles/0/file", json!("//elsewhere.example/x")),
        ("/bundles/0/file", json!("..\\x")),
        ("/bundles/0/file", json!("x\r\ny")),
        ("/bundles/0/file", json!("x\0")),
        ("/bundles/0/bytes", json!(u64::MAX)),
        ("/bundles/0/hash", json!("")),
        ("/bundles/0/hash", json!("../../x")),
        ("/bundles/0/hash", json!(&digits[1..])),
        ("/bundles/0/hash", json!(upper)),
        ("/bundles/0/hash", json!("é".repeat(32))),
        ("/sample/file", json!("..")),
        ("/sample/file", json!("a/b")),
        ("/sample/bytes", json!(1u64 << 53)),
    ] {
        let mut other = good.clone();
        *other.pointer_mut(path).unwrap() = value;
        let path = path[1..].replace("/0/", "[0].").replace('/', ".");
        refused(&other.to_string(), &format!("`{path}`"));
    }
    for (path, value) in [
        ("/bundles/0/bytes", json!(-1)),
        ("/bundles/0/bytes", json!(1e99)),
        ("/bundles/0/layers", json!(1.5)),
        ("/bundles/0/name", json!(null)),
        ("/bundles/0/license", json!(["x"])),
        ("/bundles/0", json!("x")),
        ("/bundles", json!({})),
        ("/sample", json!("x")),
    ] {
        let mut other = good.clone();
        *other.pointer_mut(path).unwrap() = value;
        refused(&other.to_string(), "`bundles.json`: ");
    }
    let deep = format!(
        "{{\"bundles\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    for list in ["", "null", "[]", "{}", "<html>", deep.as_str()] {
        refused(list, "`bundles.json`: ");
    }
}
