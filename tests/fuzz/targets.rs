//! What is read, and what has to hold of it: the list of targets, and those of models and prompts.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use burn::tensor::Device;
use post_core::bundle::{Bundle, Card, Contents, Dtype, write};
use post_core::checkpoint::pytorch::{self, File, Pytorch, PytorchReader};
use post_core::checkpoint::{
    Checkpoint, Gguf, Safetensors, SharedBytes, Tensors, hf, safetensors as sharding, tokenizer,
};
use post_core::dp::Receipt;
use post_core::dp::receipt::Hashes;
use post_core::model::{Config, Lm};
use post_core::prompt::{Files, SoftPrompt, archive, logits_at, npy, peft, raw, sniff};

use crate::{data, tiny};

/// What was read in a few words, or the error.
pub(crate) type Outcome = Result<String, String>;

pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    pub(crate) read: fn(&[u8]) -> Outcome,
    /// Pieces of the format.
    pub(crate) words: &'static [&'static str],
}

const JSON: &[&str] = &[
    "{", "}", "[", "]", ",", ":", "null", "true", "\"", "\\u0000", "1e999", "-1",
];

pub(crate) const TARGETS: [Target; 20] = [
    Target {
        name: "safetensors",
        seeds: safetensors_seeds,
        read: safetensors,
        words: &["F64", "BF16", "F4", "BOOL", "__metadata__", "]", "}"],
    },
    Target {
        name: "sharded",
        seeds: sharded_seeds,
        read: sharded,
        words: &["weight_map", ".safetensors", "../", "F32", "]", "}"],
    },
    Target {
        name: "gguf",
        seeds: gguf_seeds,
        read: gguf,
        words: &["GGUF", "llama.", "token_embd.weight", "general.alignment"],
    },
    Target {
        name: "gguf-tokens",
        seeds: gguf_token_seeds,
        read: gguf_tokens,
        words: &["\u{2581}", "<0x0A>", "tokenizer.ggml.", "llama", "gpt2"],
    },
    Target {
        name: "gguf-model",
        seeds: gguf_model_seeds,
        read: gguf_model,
        words: &[
            "gemma3.",
            "qwen2.",
            "rope.scaling.type",
            "rope.scale_linear",
            "yarn",
            "linear",
            "attention.key_length",
            "output.weight",
            "rope_freqs.weight",
        ],
    },
    Target {
        name: "pytorch",
        seeds: pytorch_seeds,
        read: pickle,
        words: &[
            "ctorch\nFloatStorage\n",
            "storage",
            "(",
            ")",
            "t",
            "R",
            "}",
            "u",
            "N",
            "K\x01",
            "\u{2}",
        ],
    },
    Target {
        name: "index",
        seeds: index_seeds,
        read: index,
        words: &["../", "weight_map", ".bin"],
    },
    Target {
        name: "tokenizer",
        seeds: tokenizer_seeds,
        read: tokenizer_json,
        words: &[
            "{\"type\":\"Sequence\"}",
            "Metaspace",
            "Unigram",
            "WordPiece",
            "Precompiled",
            "Replace",
            "Regex",
            "null",
            "(?:",
            "\\p{L}+",
        ],
    },
    Target {
        name: "config",
        seeds: config_seeds,
        read: config,
        words: JSON,
    },
    Target {
        name: "bundle",
        seeds: bundle_seeds,
        read: bundle,
        words: JSON,
    },
    Target {
        name: "archive",
        seeds: archive_seeds,
        read: zip_of_peft,
        words: JSON,
    },
    Target {
        name: "peft",
        seeds: peft_seeds,
        read: folder,
        words: JSON,
    },
    Target {
        name: "receipt",
        seeds: receipt_seeds,
        read: receipt,
        words: JSON,
    },
    Target {
        name: "npy",
        seeds: npy_seeds,
        read: bare,
        words: &["'descr':", "'<f2'", "True", "(", ")", ",", "\u{93}NUMPY"],
    },
    Target {
        name: "table",
        seeds: data::table_seeds,
        read: data::table,
        words: &[
            "\"", "\"\"", ",\"", "\",", "\n", "\r\n", "\t", ";", "{\"a\":", "}", "text", "\u{feff}",
        ],
    },
    Target {
        name: "parquet",
        seeds: data::parquet_seeds,
        read: data::parquet,
        words: &["PAR1", "text", "label"],
    },
    Target {
        name: "packed",
        seeds: data::packed_seeds,
        read: data::packed,
        words: &["BZh9", "1AY&SY", "text,label\n", "\u{1f}"],
    },
    Target {
        name: "task",
        seeds: data::task_seeds,
        read: data::task,
        words: &[
            "{text}",
            "{mask}",
            "{{",
            "\"",
            "\"\"\"",
            "[[classes]]\n",
            "[answer]\n",
            "max_tokens = 8\n",
            "values = []\n",
            "first_token = true\n",
            "label = \"text\"\n",
        ],
    },
    Target {
        name: "catalog",
        seeds: data::catalog_seeds,
        read: data::catalog,
        words: JSON,
    },
    Target {
        name: "ledger",
        seeds: data::ledger_seeds,
        read: data::ledger,
        words: JSON,
    },
];

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name);
    std::fs::read(path).unwrap()
}

pub(crate) fn fixtures(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| fixture(name)).collect()
}

/// Decodes everything that a reader offers; lengths must be those of the shapes.
fn decode(tensors: &dyn Tensors, size: usize) -> Outcome {
    let mut failed = None;
    for name in tensors.names() {
        match tensors.tensor(&name) {
            Ok(tensor) => {
                let elements = tensor.shape.iter().product::<usize>();
                assert_eq!(elements, tensor.len(), "{name}");
                // A block of 256 elements takes 84 bytes at least.
                assert!(tensor.len() <= size * 4, "{name} is larger than its file");
            }
            Err(error) => failed = Some(error.to_string()),
        }
    }
    failed.map_or_else(|| Ok("tensors".to_owned()), Err)
}

pub(crate) fn said<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| {
        let text = error.to_string();
        assert!(!text.is_empty(), "an error without words");
        text
    })
}

fn safetensors_seeds() -> Vec<Vec<u8>> {
    fixtures(&[
        "gguf/kinds.safetensors",
        "prompts/vllm.safetensors",
        "peft/made-by-peft/adapter_model.safetensors",
    ])
}

fn safetensors(bytes: &[u8]) -> Outcome {
    let _ = raw::read(bytes);
    let opened = said(Safetensors::open(vec![(
        "x".to_owned(),
        Arc::new(bytes.to_vec()),
    )]))?;
    decode(&opened, bytes.len())
}

/// Lengths of the index and of the first shard, the index, two shards.
fn sharded_seeds() -> Vec<Vec<u8>> {
    let mut first = tiny::tensors();
    let second = first.split_off(first.len() / 2);
    let mut map = serde_json::Map::new();
    let [first, second] =
        [("a.safetensors", first), ("b.safetensors", second)].map(|(shard, tensors)| {
            for (name, _) in &tensors {
                map.insert(name.clone(), shard.into());
            }
            let files = hf::folder(&tensors, &tiny::config(), None).unwrap();
            let weights = files
                .into_iter()
                .find(|(name, _)| name == "model.safetensors");
            weights.unwrap().1
        });
    let index = serde_json::json!({"metadata": {"total_size": 8528}, "weight_map": map});
    let index = index.to_string().into_bytes();
    let lengths = [index.len() as u32, first.len() as u32].map(u32::to_le_bytes);
    vec![[&lengths.concat()[..], &index, &first, &second].concat()]
}

fn sharded(bytes: &[u8]) -> Outcome {
    let Some((lengths, rest)) = bytes.split_first_chunk::<8>() else {
        return Err("short".to_owned());
    };
    let length =
        |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| lengths[at + byte])) as usize;
    let (index, rest) = rest.split_at(length(0).min(rest.len()));
    let (first, second) = rest.split_at(length(4).min(rest.len()));
    let names = said(sharding::shard_names(index))?;
    let shards = names.into_iter().zip([first, second]);
    let shared = |bytes: &[u8]| -> SharedBytes { Arc::new(bytes.to_vec()) };
    let shards = shards.map(|(name, bytes)| (name, shared(bytes))).collect();
    let opened = said(Safetensors::open_sharded(index, shards))?;
    decode(&opened, bytes.len())
}

fn gguf_seeds() -> Vec<Vec<u8>> {
    fixtures(&["gguf/kinds.gguf", "tokenizer/spm.gguf"])
}

fn gguf(bytes: &[u8]) -> Outcome {
    let gguf = said(Gguf::parse(Arc::new(bytes.to_vec())))?;
    for (name, info) in gguf.tensors() {
        let elements: usize = info.shape.iter().product();
        assert_eq!(gguf.tensor(name).unwrap().len(), elements);
        assert_eq!(gguf.tensor_f16(name).unwrap().len(), elements);
    }
    for key in gguf.metadata().keys() {
        let _ = (
            gguf.strings(key),
            gguf.numbers(key),
            gguf.float(key),
            gguf.unsigned(key),
        );
    }
    Ok(format!("{} tensors", gguf.tensors().len()))
}

fn gguf_token_seeds() -> Vec<Vec<u8>> {
    fixtures(&[
        "tokenizer/spm.gguf",
        "tokenizer/smollm.gguf",
        "tokenizer/spm-gemma.gguf",
        "tokenizer/qwen2.gguf",
    ])
}

const TEXT: &str = "It's 12 o'clock\r\n 日本 👍🏽\u{200b} <|im_end|> <s>";

fn gguf_tokens(bytes: &[u8]) -> Outcome {
    let gguf = said(Gguf::parse(Arc::new(bytes.to_vec())))?;
    let _ = said(Checkpoint::from_gguf(Arc::new(bytes.to_vec())));
    let built = said(tokenizer::from_gguf(&gguf))?;
    let ids = encode(&built)?;
    let json = said(tokenizer::to_json(&built))?;
    let again = said(tokenizer::from_json(json.as_bytes()))?;
    assert_eq!(encode(&again)?, ids, "written and read again it is another");
    Ok("ids".to_owned())
}

fn encode(tokenizer: &tokenizers::Tokenizer) -> Result<Vec<u32>, String> {
    let encoding = said(tokenizer.encode(TEXT, true))?;
    let _ = tokenizer.decode(encoding.get_ids(), false);
    Ok(encoding.get_ids().to_vec())
}

fn gguf_model_seeds() -> Vec<Vec<u8>> {
    fixtures(&["gguf/llama3.gguf", "gguf/qwen2.gguf", "gguf/gemma3.gguf"])
}

/// All the way: what loads passes tokens.
fn gguf_model(bytes: &[u8]) -> Outcome {
    let checkpoint = said(Checkpoint::from_gguf(Arc::new(bytes.to_vec())))?;
    let (config, tensors) = (&checkpoint.config, &*checkpoint.tensors);
    let lm = said(Lm::load(config, tensors, &Device::default()))?;
    let logits = said(pollster::block_on(logits_at(&lm, &[5, 9, 2], 2, None)))?;
    assert_eq!(logits.len(), config.vocab_size);
    let finite = logits.iter().all(|logit| logit.is_finite());
    Ok(format!("{} runs, finite {finite}", config.family.name()))
}

fn pytorch_seeds() -> Vec<Vec<u8>> {
    fixtures(&[
        "prompts/post.pth",
        "prompts/legacy.pth",
        "prompts/bare.pt",
        "prompts/evil.pth",
        "prompts/expanded.pth",
    ])
}

/// Through a file of this process, because the crate reads from the disk.
fn pickle(bytes: &[u8]) -> Outcome {
    static FILE: OnceLock<tempfile::NamedTempFile> = OnceLock::new();
    let file = FILE.get_or_init(|| tempfile::NamedTempFile::new().unwrap());
    std::fs::write(file.path(), bytes).unwrap();
    let open = || File::open("x", bytes, || PytorchReader::new(file.path()));
    let _ = open().map(|file| post_core::prompt::pytorch::read(&file));
    let mark = Path::new("/tmp/post-pickle-was-executed");
    assert!(!mark.exists(), "a pickle was executed");
    decode(&said(Pytorch::new(vec![said(open())?]))?, bytes.len())
}

fn index_seeds() -> Vec<Vec<u8>> {
    fixtures(&["prompts/sharded/pytorch_model.bin.index.json"])
}

fn index(bytes: &[u8]) -> Outcome {
    let names = said(pytorch::shard_names(bytes))?;
    for name in &names {
        let parts: Vec<_> = Path::new(name).components().collect();
        assert!(
            matches!(parts[..], [std::path::Component::Normal(_)]),
            "leads elsewhere"
        );
    }
    Ok("names".to_owned())
}

fn tokenizer_seeds() -> Vec<Vec<u8>> {
    let of = |name: &&str| {
        let gguf = Gguf::parse(Arc::new(fixture(name))).unwrap();
        let built = tokenizer::from_gguf(&gguf).unwrap();
        tokenizer::to_json(&built).unwrap().into_bytes()
    };
    let names = [
        "tokenizer/spm.gguf",
        "tokenizer/smollm.gguf",
        "tokenizer/qwen2.gguf",
    ];
    let mut seeds: Vec<Vec<u8>> = names.iter().map(of).collect();
    seeds.push(WORDS.to_vec());
    seeds
}

const WORDS: &[u8] = br#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
"normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},
"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":{"type":"WordPiece","prefix":"\#\#","cleanup":true},
"model":{"type":"WordLevel","vocab":{"<unk>":0,"it":1,"was":2},"unk_token":"<unk>"}}"#;

fn tokenizer_json(bytes: &[u8]) -> Outcome {
    encode(&said(tokenizer::from_json(bytes))?).map(|_| "ids".to_owned())
}

/// The models of `fixtures/models`, by the names of their folders.
fn models() -> &'static [(String, serde_json::Value)] {
    static MODELS: OnceLock<Vec<(String, serde_json::Value)>> = OnceLock::new();
    MODELS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models");
        let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
        let folders = entries.filter(|entry| entry.path().is_dir());
        let mut names: Vec<String> = folders
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        let read = |name: String| {
            let config = fixture(&format!("models/{name}/config.json"));
            let config = serde_json::from_slice(&config).unwrap();
            (name, config)
        };
        names.into_iter().map(read).collect()
    })
}

fn config_seeds() -> Vec<Vec<u8>> {
    let bytes = |(_, config): &(String, serde_json::Value)| config.to_string().into_bytes();
    models().iter().map(bytes).collect()
}

/// The configuration with weights that one of the seeds belongs to; what loads is run.
fn config(bytes: &[u8]) -> Outcome {
    let json: serde_json::Value = said(serde_json::from_slice(bytes))?;
    let read = said(Config::from_hf(&json))?;
    // What is written must read back; values that only look alike are none of its business.
    let again = Config::from_hf(&read.to_hf());
    assert!(
        again.is_ok_and(|again| format!("{again:?}") == format!("{read:?}")),
        "it doesn't read back"
    );
    let mut outcome = String::new();
    let kin = |model: &&(String, serde_json::Value)| model.1["model_type"] == json["model_type"];
    for (name, _) in models().iter().filter(kin) {
        let weights: Arc<Vec<u8>> = Arc::new(fixture(&format!("models/{name}/model.safetensors")));
        let folder = hf::Folder {
            config: bytes.to_vec(),
            weights: vec![("model.safetensors".to_owned(), weights)],
            ..hf::Folder::default()
        };
        let checkpoint = said(folder.read())?;
        let loaded = Lm::load(&checkpoint.config, &*checkpoint.tensors, &Device::default());
        outcome = match loaded {
            Ok(lm) => {
                let logits = said(pollster::block_on(logits_at(&lm, &[5, 9, 2], 2, None)))?;
                return Ok(format!("{name} runs, {} logits", logits.len().min(1)));
            }
            Err(error) => error.to_string(),
        };
    }
    Err(outcome)
}

fn bundle_seeds() -> Vec<Vec<u8>> {
    let gguf = Gguf::parse(Arc::new(fixture("tokenizer/smollm.gguf"))).unwrap();
    let contents = Contents {
        tensors: &tiny::tensors(),
        config: &tiny::config(),
        tokenizer: &tokenizer::from_gguf(&gguf).unwrap(),
        card: Card::default(),
    };
    [Dtype::Int8, Dtype::F16, Dtype::F32]
        .map(|dtype| write(&contents, dtype).unwrap())
        .into()
}

/// With its content hash put right: whoever forges a bundle can compute one.
fn bundle(bytes: &[u8]) -> Outcome {
    let mut bytes = bytes.to_vec();
    if let Err(error) = Bundle::open(Arc::new(bytes.clone())) {
        let text = error.to_string();
        let hex = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let hashes: Vec<&str> = text.split([' ', ':', ',']).filter(hex).collect();
        if let [found, expected] = hashes[..] {
            let at = bytes
                .windows(64)
                .position(|window| window == expected.as_bytes());
            if let Some(at) = at {
                bytes[at..at + 64].copy_from_slice(found.as_bytes());
            }
        }
    }
    let size = bytes.len();
    let checkpoint = said(said(Bundle::open(Arc::new(bytes)))?.into_checkpoint())?;
    let lm = Lm::load(&checkpoint.config, &*checkpoint.tensors, &Device::default());
    said(pollster::block_on(logits_at(
        &said(lm)?,
        &[5, 9, 2],
        2,
        None,
    )))?;
    decode(&*checkpoint.tensors, size)
}

fn prompt() -> SoftPrompt {
    SoftPrompt::new((0..6).map(|i| i as f32 / 7.0 - 0.3).collect(), 2, 3).unwrap()
}

fn files() -> Files {
    let model = peft::BaseModel {
        name: "org/model".into(),
        num_layers: 4,
        num_attention_heads: 3,
        causal: true,
    };
    peft::write(&prompt(), &model, Some("Good or bad"), "").unwrap()
}

fn archive_seeds() -> Vec<Vec<u8>> {
    vec![
        archive::pack(&files()).unwrap(),
        fixture("prompts/post.pth"),
    ]
}

fn zip_of_peft(bytes: &[u8]) -> Outcome {
    let _ = sniff(bytes);
    let files = said(archive::unpack(bytes))?;
    assert!(
        files
            .keys()
            .all(|name| !name.contains(['/', '\\']) && !name.starts_with('.'))
    );
    let adapter = said(peft::read(&files))?;
    Ok(format!("{:?}", adapter.config.task_type))
}

/// Length of the configuration, configuration, weights.
fn peft_seeds() -> Vec<Vec<u8>> {
    let files = files();
    let config = &files[peft::CONFIG];
    let length = (config.len() as u16).to_le_bytes();
    vec![[&length[..], config, &files[peft::WEIGHTS]].concat()]
}

fn folder(bytes: &[u8]) -> Outcome {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
        return Err("short".to_owned());
    };
    let cut = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (config, weights) = rest.split_at(cut);
    let files = [(peft::CONFIG, config), (peft::WEIGHTS, weights)];
    let files = files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec()));
    let adapter = said(peft::read(&files.into()))?;
    assert!(adapter.prompt.embeddings().len() <= bytes.len());
    Ok("a prompt".to_owned())
}

fn receipt_seeds() -> Vec<Vec<u8>> {
    fixtures(&["fuzz/privacy.json"])
}

fn receipt(bytes: &[u8]) -> Outcome {
    let receipt = said(Receipt::from_json(bytes))?;
    said(receipt.verify(&Hashes::new()))?;
    Ok("holds".to_owned())
}

fn npy_seeds() -> Vec<Vec<u8>> {
    fixtures(&[
        "prompts/numpy-float16.npy",
        "prompts/numpy-float32.npy",
        "prompts/numpy-float64.npy",
        "prompts/numpy-columns.npy",
    ])
}

fn bare(bytes: &[u8]) -> Outcome {
    let prompt = said(npy::read(bytes))?;
    assert!(prompt.embeddings().len() <= bytes.len());
    assert_eq!(npy::read(&npy::write(&prompt)).unwrap(), prompt);
    Ok("a prompt".to_owned())
}
