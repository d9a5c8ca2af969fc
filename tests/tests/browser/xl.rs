//! Four blocks of GPT2-XL's shape, as a provider would publish them, in a tab.

use std::sync::Arc;

use burn::tensor::Device;
use js_sys::{Array, Function, Uint8Array};
use post_core::bundle::{Bundle, BundleError};
use post_core::checkpoint::SharedBytes;
use post_core::model::Lm;
use post_core::optim::{SplitMix64, read};
use post_core::prompt::SoftPrompt;
use post_core::task::{Example, Label};
use post_core::tune::{ClassHead, PlainTraining, Privacy, Setup, TuneConfig, Tuner};
use post_web::worker::storage::Storage;
use post_web::worker::{files, suggest};
use serde_json::{Map, Value, json};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::Blob;

use crate::graphics::graphics;

const VOCABULARY: usize = 50_257;
const WIDTH: usize = 1600;
const HEADS: usize = 25;
const BLOCKS: usize = 4;
const PLACES: usize = 1024;
/// Virtual tokens and tokens of a text.
const LENGTHS: (usize, usize) = (20, 44);
const WORDS: [&[u32]; 2] = [&[2089, 7818], &[922]];
const FILE: &str = "xl";
/// MiB that the whole may take; 1117 were measured, and a tab has 4096.
const MOST: usize = 1280;
/// What every card's buffers hold.
const BUFFER: usize = 128 << 20;

/// Names, shapes and, for vectors, the value throughout: those are f32, all others f16.
fn tensors() -> Vec<(String, Vec<usize>, Option<f32>)> {
    let d = WIDTH;
    let norm = |name: &str| {
        let part = |part, value| (format!("{name}.{part}"), vec![d], Some(value));
        [part("weight", 1.0), part("bias", 0.0)]
    };
    let table = |name: &str, rows| (format!("transformer.{name}.weight"), vec![rows, d], None);
    let mut all = vec![table("wte", VOCABULARY), table("wpe", PLACES)];
    all.extend(norm("transformer.ln_f"));
    for block in 0..BLOCKS {
        let name = |part: &str| format!("transformer.h.{block}.{part}");
        all.extend(norm(&name("ln_1")));
        all.extend(norm(&name("ln_2")));
        for (part, rows, columns) in [
            ("attn.c_attn", d, 3 * d),
            ("attn.c_proj", d, d),
            ("mlp.c_fc", d, 4 * d),
            ("mlp.c_proj", 4 * d, d),
        ] {
            let name = name(part);
            all.push((format!("{name}.weight"), vec![rows, columns], None));
            all.push((format!("{name}.bias"), vec![columns], Some(0.0)));
        }
    }
    all
}

/// The bundle. Its numbers lie in the browser's storage and never in this program's memory together.
async fn bundle(storage: &Storage) -> Blob {
    storage.remove(FILE).await.unwrap();
    let file = storage.append(FILE).await.unwrap();
    let noise = noise();
    let mut header = Map::new();
    let mut end = 0;
    for (name, shape, value) in tensors() {
        let numbers: usize = shape.iter().product();
        let bytes = numbers * if value.is_some() { 4 } else { 2 };
        header.insert(
            name,
            json!({
                "dtype": if value.is_some() { "F32" } else { "F16" },
                "shape": shape, "data_offsets": [end, end + bytes],
            }),
        );
        end += bytes;
        match value {
            Some(value) => {
                let row: Vec<u8> = value.to_le_bytes().repeat(numbers);
                file.push(&Uint8Array::from(row.as_slice())).unwrap();
            }
            None => {
                let mut left = bytes as u32;
                while left > 0 {
                    let piece = noise.subarray(0, left);
                    file.push(&piece).unwrap();
                    left -= piece.length();
                }
            }
        }
    }
    drop(file);
    let data = storage.file(FILE).await.unwrap().unwrap();
    let unsigned = put_together(&header, "", &data);
    let hash = match Bundle::open(bytes(&unsigned).await) {
        Err(BundleError::Hash { found, .. }) => found,
        _ => panic!("it has no hash yet"),
    };
    put_together(&header, &hash, &data)
}

/// Half-precision numbers of GPT-2's scale, in a length that no row of a matrix is a multiple of.
fn noise() -> Uint8Array {
    let mut generator = SplitMix64::new(3);
    // A sign and a mantissa before an exponent that stands for 2⁻⁶.
    let number = |bits: usize| (0x2400 | bits & 0x03ff | (bits & 0x400) << 5) as u16;
    let bytes: Vec<u8> = (0..(1 << 20) + 7)
        .flat_map(|_| number(generator.below(0x800)).to_le_bytes())
        .collect();
    Uint8Array::from(bytes.as_slice())
}

fn put_together(tensors: &Map<String, Value>, hash: &str, data: &Blob) -> Blob {
    let vocabulary: Map<String, Value> = (0..VOCABULARY)
        .map(|id| (format!("w{id}"), id.into()))
        .collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "w0" },
    });
    let config = json!({
        "model_type": "gpt2", "vocab_size": VOCABULARY, "n_embd": WIDTH, "n_layer": BLOCKS,
        "n_head": HEADS, "n_positions": PLACES, "tie_word_embeddings": true,
    });
    let metadata = json!({
        "format": "post-bundle-1", "name": "xl", "teacher": "xl", "license": "none", "blocks": "[0,15,31,47]",
        "tasks": "[]", "config.json": config.to_string(), "tokenizer.json": tokenizer.to_string(), "sha256": hash,
    });
    let mut header = tensors.clone();
    header.insert("__metadata__".to_owned(), metadata);
    let header = Value::from(header).to_string();
    let front = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    let parts = Array::of2(&Uint8Array::from(front.as_slice()), data);
    Blob::new_with_blob_sequence(&parts).unwrap()
}

async fn bytes(file: &Blob) -> SharedBytes {
    Arc::new(files::read(file).await.unwrap())
}

/// As the worker loads it.
async fn load(file: &Blob, device: &Device) -> Lm {
    let checkpoint = Bundle::open(bytes(file).await).unwrap();
    let checkpoint = checkpoint.into_checkpoint().unwrap();
    Lm::load(&checkpoint.config, checkpoint.tensors.as_ref(), device).unwrap()
}

/// One step of a run without privacy on one micro-batch.
async fn step(lm: &Arc<Lm>, micro_batch: usize) {
    let (tokens, words) = LENGTHS;
    let mut generator = SplitMix64::new(4);
    let mut ids = |count| {
        (0..count)
            .map(|_| generator.below(VOCABULARY) as u32)
            .collect()
    };
    let examples = (0..micro_batch).map(|row| Example {
        ids: ids(words),
        answer: words - 1,
        label: Some(Label::Class(row % 2)),
        removed: 0,
    });
    let examples = examples.collect();
    let row = |id| lm.embedding().rows(&[id]);
    let initial = SoftPrompt::from_text(&[1, 2, 3], tokens, row).unwrap();
    let setup = Setup {
        lm: Arc::clone(lm),
        head: ClassHead::of_classes(lm, &WORDS).into(),
        others: Vec::new(),
        examples,
        initial: initial.clone().into(),
        config: TuneConfig {
            micro_batch,
            ..TuneConfig::default()
        },
        privacy: Privacy::None(PlainTraining {
            batch: micro_batch,
            steps: 1,
            seed: 0,
        }),
        helpers: None,
    };
    let mut tuner = Tuner::start(setup, None).await.unwrap();
    let report = tuner.step().await.unwrap().unwrap();
    assert_eq!(report.private.examples, micro_batch);
    assert!(report.private.loss.unwrap().is_finite());
    assert_ne!(tuner.prompt().unwrap(), initial);
}

/// MiB of this program's memory, which never shrinks: the most that was ever taken.
fn taken() -> usize {
    core::arch::wasm32::memory_size(0) / 16
}

/// The smallest micro-batch and the one that the worker takes for these lengths. `docs/performance.md`
/// has what was measured; a table or a file too many in memory is noticed here.
#[wasm_bindgen_test]
async fn it_is_loaded_and_makes_a_step_in_the_memory_of_a_tab() {
    let (storage, why) = Storage::open().await;
    assert_eq!(why, None);
    let file = bundle(&storage).await;
    let lm = Arc::new(load(&file, &Device::flex()).await);
    assert_eq!(lm.embedding().byte_len(), 2 * VOCABULARY * WIDTH);
    let loaded = taken();
    let usual = suggest::micro_batch(LENGTHS.0 + LENGTHS.1, lm.config());
    assert_eq!(usual, 8);
    for micro_batch in [1, usual] {
        step(&lm, micro_batch).await;
    }
    let stepped = taken();
    assert!(
        loaded <= MOST && stepped <= MOST,
        "{loaded} MiB loaded, {stepped} MiB after the steps"
    );
    storage.remove(FILE).await.unwrap();
}

/// What the card is given: the blocks, the places and the label words' rows, in no large buffer.
#[wasm_bindgen_test]
async fn the_card_holds_the_blocks_and_no_table() {
    let (storage, why) = Storage::open().await;
    assert_eq!(why, None);
    let file = bundle(&storage).await;
    let device = graphics().await;
    let seen = watch();
    let lm = load(&file, &device).await;
    let head = ClassHead::of_classes(&lm, &WORDS);
    // What is under way has arrived when it answers.
    let norm = read(lm.blocks()[BLOCKS - 1].mlp_norm.weight.val())
        .await
        .unwrap();
    assert_eq!(norm.len(), WIDTH);
    let number = |at| seen.get(at).as_f64().unwrap() as usize;
    let (largest, written) = (number(0), number(1));
    assert!(largest <= BUFFER, "a buffer of {largest} bytes");
    let words = WORDS.concat().len();
    let least = 4 * (lm.block_parameters() + (PLACES + words) * WIDTH);
    // Norms, averaging and rounding up are all that there is besides.
    let range = least..least + (1 << 20);
    assert!(range.contains(&written), "{written} bytes, not {range:?}");
    assert_eq!(head.classes(), WORDS.len());
    // Of a pass, the largest are the widest activation and what each head gives each pair of places.
    for length in [2, 64, PLACES] {
        let rows = suggest::micro_batch(length, lm.config());
        let largest = 4 * rows * length * (4 * WIDTH).max(HEADS * length);
        assert!(largest <= BUFFER, "{largest} bytes");
    }
    let most = suggest::places(lm.config());
    assert!(4 * HEADS * most * most <= BUFFER && 4 * HEADS * (most + 1).pow(2) > BUFFER);
    storage.remove(FILE).await.unwrap();
}

/// The largest buffer that the page's scripts make from now on, and the bytes that are written to any.
fn watch() -> Array {
    let watch = Function::new_no_args(
        "const seen = [0, 0];
         const create = GPUDevice.prototype.createBuffer;
         GPUDevice.prototype.createBuffer = function (about) {
           seen[0] = Math.max(seen[0], about.size);
           if (about.mappedAtCreation) seen[1] += about.size;
           return create.call(this, about);
         };
         const write = GPUQueue.prototype.writeBuffer;
         GPUQueue.prototype.writeBuffer = function (buffer, at, data, from, size) {
           seen[1] += size ?? data.byteLength;
           return write.apply(this, arguments);
         };
         return seen;",
    );
    watch.call0(&JsValue::NULL).unwrap().into()
}
