//! GGUF files written to do harm.

use std::sync::Arc;

use post_core::checkpoint::{Checkpoint, Gguf, tokenizer};

/// Builds a GGUF byte by byte, so that every lie can be told.
#[derive(Clone, Default)]
struct Forge {
    pairs: Vec<Vec<u8>>,
    tensors: Vec<Vec<u8>>,
    data: usize,
}

fn text(s: &[u8]) -> Vec<u8> {
    [&(s.len() as u64).to_le_bytes()[..], s].concat()
}

impl Forge {
    fn pair(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.pairs
            .push([&text(key.as_bytes())[..], &kind.to_le_bytes(), value].concat());
        self
    }

    fn tensor(mut self, name: &str, dims: &[u64], kind: u32, offset: u64) -> Self {
        let mut info = text(name.as_bytes());
        info.extend((dims.len() as u32).to_le_bytes());
        dims.iter().for_each(|dim| info.extend(dim.to_le_bytes()));
        info.extend(kind.to_le_bytes());
        info.extend(offset.to_le_bytes());
        self.tensors.push(info);
        self
    }

    fn data(mut self, bytes: usize) -> Self {
        self.data = bytes;
        self
    }

    fn build(&self) -> Vec<u8> {
        self.claiming(3, self.tensors.len() as u64, self.pairs.len() as u64)
    }

    fn claiming(&self, version: u32, tensors: u64, pairs: u64) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(version.to_le_bytes());
        out.extend(tensors.to_le_bytes());
        out.extend(pairs.to_le_bytes());
        self.pairs
            .iter()
            .chain(&self.tensors)
            .for_each(|part| out.extend(part));
        out.resize(out.len().next_multiple_of(32) + self.data, 0);
        out
    }
}

fn error(bytes: Vec<u8>) -> String {
    match Gguf::parse(Arc::new(bytes)) {
        Ok(_) => panic!("the file was accepted"),
        Err(error) => error.to_string(),
    }
}

fn assert_refused(bytes: Vec<u8>, place: &str, reason: &str) {
    let error = error(bytes);
    assert!(error.contains(place) && error.contains(reason), "{error}");
}

const F32: u32 = 0;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

#[test]
fn an_honest_forgery_is_read() {
    let forge = Forge::default()
        .pair("a", STRING, &text(b"b"))
        .tensor("w", &[4, 2], F32, 0)
        .data(32);
    let gguf = Gguf::parse(Arc::new(forge.build())).unwrap();
    assert_eq!(gguf.text("a"), Some("b"));
    assert_eq!(gguf.tensor("w").unwrap().shape, [2, 4]);
    Gguf::parse(Arc::new(forge.claiming(2, 1, 1))).unwrap();
}

#[test]
fn every_truncation_is_noticed() {
    let whole: &[u8] = include_bytes!("../../fixtures/gguf/kinds.gguf");
    let ranges: Vec<_> = Gguf::parse(Arc::new(whole))
        .unwrap()
        .tensors()
        .values()
        .map(|t| t.range.clone())
        .collect();
    let header = ranges.iter().map(|range| range.start).min().unwrap();
    // The writer pads the last tensor too; what lies behind it is nobody's.
    let end = ranges.iter().map(|range| range.end).max().unwrap();
    let lengths = (0..header)
        .chain((header..end).step_by(101))
        .chain(end - 40..end);
    for length in lengths {
        error(whole[..length].to_vec());
    }
}

#[test]
fn wrong_beginnings_are_told_apart() {
    assert_refused(vec![], "magic number", "needs 4 bytes");
    assert_refused(
        b"PK\x03\x04 zip file".to_vec(),
        "magic number",
        "no GGUF file",
    );
    assert_refused(Forge::default().claiming(1, 0, 0), "version", "is 1");
    assert_refused(
        Forge::default().claiming(3u32.swap_bytes(), 0, 0),
        "version",
        "big-endian",
    );
}

#[test]
fn huge_counts_allocate_nothing() {
    for count in [1 << 20, 1 << 40, u64::MAX] {
        assert_refused(
            Forge::default().claiming(3, count, 0),
            "number of tensors",
            "room for",
        );
        assert_refused(
            Forge::default().claiming(3, 0, count),
            "number of metadata pairs",
            "room for",
        );
        let array = |kind: u32| [&kind.to_le_bytes()[..], &count.to_le_bytes()].concat();
        for kind in [0, STRING, ARRAY, 12] {
            let forge = Forge::default().pair("list", ARRAY, &array(kind)).data(64);
            assert_refused(forge.build(), "list", "room for");
        }
        assert_refused(
            Forge::default()
                .pair("s", STRING, &count.to_le_bytes())
                .build(),
            "s",
            "bytes where the file has",
        );
        let mut key = b"GGUF\x03\0\0\0".to_vec();
        key.extend(
            [0; 8]
                .iter()
                .chain(&1u64.to_le_bytes())
                .chain(&count.to_le_bytes())
                .chain(&[0; 32]),
        );
        assert_refused(key, "metadata key 0", "bytes where the file has");
    }
}

#[test]
fn arrays_in_arrays_end_somewhere() {
    let mut nested = 0u32.to_le_bytes().to_vec();
    nested.extend(0u64.to_le_bytes());
    for _ in 0..100_000 {
        nested = [&ARRAY.to_le_bytes()[..], &1u64.to_le_bytes(), &nested].concat();
        if nested.len() > 4096 {
            break;
        }
    }
    assert_refused(
        Forge::default().pair("deep", ARRAY, &nested).build(),
        "deep",
        "nested",
    );
}

#[test]
fn a_list_costs_no_more_than_the_file() {
    // 1 MB of booleans: were each made a value of its own, it would be 32 MB.
    let list = [
        &7u32.to_le_bytes()[..],
        &(1u64 << 20).to_le_bytes(),
        &vec![1; 1 << 20],
    ]
    .concat();
    let gguf = Gguf::parse(Arc::new(
        Forge::default().pair("bomb", ARRAY, &list).build(),
    ))
    .unwrap();
    assert!(
        gguf.strings("bomb")
            .unwrap_err()
            .to_string()
            .contains("bomb")
    );
}

#[test]
fn bad_values_are_named() {
    assert_refused(
        Forge::default().pair("kind", 99, &[0; 8]).build(),
        "kind",
        "unknown value type 99",
    );
    assert_refused(
        Forge::default().pair("flag", 7, &[2]).build(),
        "flag",
        "neither 0 nor 1",
    );
    assert_refused(
        Forge::default()
            .pair("name", STRING, &text(&[0xff, 0xfe]))
            .build(),
        "name",
        "UTF-8",
    );
    let twice = Forge::default().pair("k", 4, &[0; 4]).pair("k", 4, &[0; 4]);
    assert_refused(twice.build(), "k", "appears twice");
    for alignment in [0u32, 1, 3, 48, 1 << 30] {
        let forge = Forge::default().pair("general.alignment", 4, &alignment.to_le_bytes());
        assert_refused(forge.build(), "general.alignment", "power of two");
    }
}

#[test]
fn tensors_stay_inside_and_apart() {
    let one = |dims: &[u64], kind, offset| {
        Forge::default()
            .tensor("w", dims, kind, offset)
            .data(64)
            .build()
    };
    assert_refused(one(&[8], F32, 64), "w", "reach past");
    assert_refused(one(&[8], F32, u64::MAX - 31), "w", "reach past");
    assert_refused(one(&[8], F32, 4), "w", "alignment");
    assert_refused(one(&[0], F32, 0), "w", "extent of 0");
    assert_refused(one(&[], F32, 0), "w", "0 dimensions");
    assert_refused(one(&[1; 5], F32, 0), "w", "5 dimensions");
    assert_refused(
        one(&[u64::MAX, 2], F32, 0),
        "w",
        "more elements than can be counted",
    );
    assert_refused(
        one(&[1 << 62], F32, 0),
        "w",
        "more elements than can be counted",
    );
    assert_refused(
        one(&[1 << 32, 1 << 32], F32, 0),
        "w",
        "more elements than can be counted",
    );
    assert_refused(one(&[48], 2, 0), "w", "blocks of 32");
    assert_refused(one(&[8], 21, 0), "w", "IQ3_S");
    assert_refused(one(&[8], 4_000_000_000, 0), "w", "ggml type 4000000000");
    let overlapping = Forge::default()
        .tensor("a", &[16], F32, 0)
        .tensor("b", &[8], F32, 32)
        .data(64);
    assert_refused(overlapping.build(), "b", "overlap");
    let twice = Forge::default()
        .tensor("a", &[8], F32, 0)
        .tensor("a", &[8], F32, 32)
        .data(64);
    assert_refused(twice.build(), "a", "appears twice");
}

fn model_error(forge: &Forge) -> String {
    match Checkpoint::from_gguf(Arc::new(forge.build())) {
        Ok(_) => panic!("the file was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_model_that_is_none_is_named() {
    let empty = Forge::default();
    assert!(model_error(&empty).contains("token_embd.weight"));
    let foreign = empty
        .pair("general.architecture", STRING, &text(b"mamba"))
        .tensor("token_embd.weight", &[8, 2], F32, 0)
        .data(64);
    let error = model_error(&foreign);
    assert!(
        error.contains("mamba") && error.contains("llama"),
        "{error}"
    );
}

const U32: u32 = 4;
const FLOAT: u32 = 6;
const U64: u32 = 10;

/// The header of a Llama of one block, and its embeddings.
fn llama() -> Forge {
    let sizes = [
        ("embedding_length", 8_u32),
        ("block_count", 1),
        ("feed_forward_length", 8),
        ("attention.head_count", 2),
        ("context_length", 16),
    ];
    let named = Forge::default().pair("general.architecture", STRING, &text(b"llama"));
    let float = 1e-5_f32.to_le_bytes();
    let named = named.pair("llama.attention.layer_norm_rms_epsilon", FLOAT, &float);
    let sized = sizes.into_iter().fold(named, |forge, (key, size)| {
        forge.pair(&format!("llama.{key}"), U32, &size.to_le_bytes())
    });
    sized.tensor("token_embd.weight", &[8, 2], F32, 0).data(64)
}

/// Tensors that a model of the architecture doesn't compute with would be left out silently.
#[test]
fn tensors_that_would_be_left_out_are_named() {
    for name in [
        "blk.0.attn_q_norm.weight",
        "blk.1.attn_q.weight",
        "v.blk.0.attn_q.weight",
        "blk.0.post_ffw_norm.weight",
    ] {
        let error = model_error(&llama().tensor(name, &[8], F32, 64).data(96));
        assert!(error.contains(&format!("tensor {name}")), "{error}");
    }
    let twice = llama()
        .tensor("blk.0.attn_norm.weight", &[8], F32, 64)
        .tensor("blk.00.attn_norm.weight", &[8], F32, 96);
    let error = model_error(&twice.data(128));
    assert!(
        error.contains("another `blk.0.attn_norm.weight`"),
        "{error}"
    );
}

/// Keys that llama.cpp would compute with, or that are no numbers where numbers belong.
#[test]
fn keys_that_would_change_the_model_are_named() {
    Checkpoint::from_gguf(Arc::new(llama().build())).unwrap();
    let list = [
        &U32.to_le_bytes()[..],
        &1_u64.to_le_bytes(),
        &1_u32.to_le_bytes(),
    ]
    .concat();
    let cases = [
        ("llama.logit_scale", FLOAT, &0.1_f32.to_le_bytes()[..]),
        ("llama.attention.clamp_kqv", FLOAT, &f32::NAN.to_le_bytes()),
        ("llama.attention.head_count_kv", ARRAY, &list),
        ("llama.rope.dimension_count", U64, &u64::MAX.to_le_bytes()),
        ("llama.attention.sliding_window", ARRAY, &list),
        ("llama.rope.scaling.factor", FLOAT, &f32::NAN.to_le_bytes()),
        ("split.count", U32, &2_u32.to_le_bytes()),
    ];
    for (key, kind, value) in cases {
        let error = model_error(&llama().pair(key, kind, value));
        let named = match key {
            "llama.rope.scaling.factor" => "rope_parameters",
            key => key,
        };
        assert!(error.contains(named), "{key}: {error}");
    }
}

#[test]
fn a_tokenizer_that_contradicts_itself_is_named() {
    let strings = |list: &[&str]| {
        let items = list.iter().flat_map(|s| text(s.as_bytes()));
        [
            &STRING.to_le_bytes()[..],
            &(list.len() as u64).to_le_bytes(),
        ]
        .concat()
        .into_iter()
        .chain(items)
        .collect::<Vec<u8>>()
    };
    let base = || Forge::default().pair("tokenizer.ggml.model", STRING, &text(b"gpt2"));
    let pre = |name: &str| base().pair("tokenizer.ggml.pre", STRING, &text(name.as_bytes()));
    let tokens = |list: &[&str]| pre("smollm").pair("tokenizer.ggml.tokens", ARRAY, &strings(list));
    let merges = |list: &[&str]| {
        tokens(&["a", "b", "ab"]).pair("tokenizer.ggml.merges", ARRAY, &strings(list))
    };
    let types = |n: usize| {
        [
            &5u32.to_le_bytes()[..],
            &(n as u64).to_le_bytes(),
            &vec![0; 4 * n],
        ]
        .concat()
    };
    let cases = [
        (
            Forge::default().pair("tokenizer.ggml.model", STRING, &text(b"t5")),
            "`t5`",
        ),
        (base(), "tokenizer.ggml.pre"),
        (pre("nonsense"), "nonsense"),
        (pre("smollm"), "tokenizer.ggml.tokens"),
        (
            pre("smollm").pair("tokenizer.ggml.tokens", STRING, &text(b"a")),
            "must be an array",
        ),
        (
            pre("smollm").pair("tokenizer.ggml.tokens", ARRAY, &types(2)),
            "array of strings",
        ),
        (tokens(&["a", "a"]), "are both `a`"),
        (tokens(&["a"]), "tokenizer.ggml.merges"),
        (merges(&["ab"]), "not a pair"),
        (merges(&["a c"]), "tokenizer.ggml.merges"),
        (merges(&["b a"]), "tokenizer.ggml.merges"),
        (
            merges(&["a b"]).pair("tokenizer.ggml.token_type", ARRAY, &types(2)),
            "2 entries for 3 tokens",
        ),
        (
            merges(&["a b"]).pair("tokenizer.ggml.add_bos_token", 7, &[1]),
            "bos_token_id",
        ),
        (
            merges(&["a b"])
                .pair("tokenizer.ggml.add_bos_token", 7, &[1])
                .pair("tokenizer.ggml.bos_token_id", 4, &[9, 0, 0, 0]),
            "beyond the last token",
        ),
    ];
    for (forge, place) in cases {
        let gguf = Gguf::parse(Arc::new(forge.build())).unwrap();
        let error = tokenizer::from_gguf(&gguf).unwrap_err().to_string();
        assert!(error.contains(place), "{place}: {error}");
    }
}

/// Token ids need none; who needs it learns why it isn't there.
#[test]
fn a_model_is_read_without_a_tokenizer_of_a_kind_that_is_not() {
    let checkpoint = |forge: Forge| Checkpoint::from_gguf(Arc::new(forge.build())).unwrap();
    let foreign = llama().pair("tokenizer.ggml.model", STRING, &text(b"t5"));
    for (forge, reason) in [(foreign, "`t5`"), (llama(), "came without one")] {
        let checkpoint = checkpoint(forge);
        assert!(checkpoint.tokenizer.is_none());
        let error = checkpoint.tokenizer().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(error.contains("put its tokenizer.json beside"), "{error}");
    }
}
