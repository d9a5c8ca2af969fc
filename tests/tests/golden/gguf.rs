//! Every element type against ggml's own decoder (`fixtures/gguf/make.py`).

use std::sync::Arc;

use post_core::checkpoint::gguf::{Kind, Value};
use post_core::checkpoint::{Gguf, HostData, Safetensors, SharedBytes, Tensors};

const KINDS: &[u8] = include_bytes!("../../fixtures/gguf/kinds.gguf");
const EXPECTED: &[u8] = include_bytes!("../../fixtures/gguf/kinds.safetensors");

fn shared(bytes: &'static [u8]) -> SharedBytes {
    Arc::new(bytes)
}

fn open() -> (Gguf, Safetensors) {
    let expected =
        Safetensors::open(vec![("kinds.safetensors".to_owned(), shared(EXPECTED))]).unwrap();
    (Gguf::parse(shared(KINDS)).unwrap(), expected)
}

#[test]
fn every_kind_decodes_to_ggmls_values_bit_for_bit() {
    let (gguf, expected) = open();
    assert_eq!(gguf.tensors().len(), 15);
    for name in expected.names() {
        let want = expected.tensor(&name).unwrap();
        let got = gguf.tensor(&name).unwrap();
        assert_eq!(got.shape, want.shape, "{name}");
        let (got, want) = (got.into_f32(), want.into_f32());
        for (i, (g, w)) in got.iter().zip(&want).enumerate() {
            assert_eq!(g, w, "{name}[{i}]");
        }
    }
}

#[test]
fn halves_stay_halves() {
    let (gguf, _) = open();
    assert!(matches!(gguf.tensor("f16").unwrap().data, HostData::F16(_)));
    assert!(matches!(
        gguf.tensor("bf16").unwrap().data,
        HostData::BF16(_)
    ));
}

#[test]
fn decoding_to_f16_rounds_the_f32_values() {
    let (gguf, expected) = open();
    for name in expected.names() {
        let want = expected.tensor(&name).unwrap().into_f16();
        assert_eq!(gguf.tensor_f16(&name).unwrap().into_f16(), want, "{name}");
    }
}

#[test]
fn metadata_keep_their_values() {
    let (gguf, _) = open();
    let metadata = gguf.metadata();
    assert_eq!(gguf.text("general.architecture"), Some("llama"));
    assert_eq!(metadata["test.u8"], Value::Unsigned(200));
    assert_eq!(metadata["test.i8"], Value::Signed(-100));
    assert_eq!(metadata["test.i64"], Value::Signed(-(1 << 40)));
    assert_eq!(metadata["test.f64"], Value::Float(0.1));
    assert_eq!(metadata["test.bool"], Value::Bool(true));
    assert_eq!(gguf.text("test.string"), Some("naïve 🙂"));
    assert_eq!(gguf.strings("test.strings").unwrap(), ["", "a", "日本"]);
    assert_eq!(
        gguf.numbers("test.ints").unwrap(),
        [-1, 0, 7].map(Value::Signed)
    );
    assert_eq!(gguf.tensors()["q6_k"].kind, Kind::Q6K);
}
