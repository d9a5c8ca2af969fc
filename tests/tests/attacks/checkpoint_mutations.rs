//! Small good files with bytes changed, cut or doubled at random: whatever is read, nothing panics.

use std::sync::{Arc, OnceLock};

use post_core::bundle::{Bundle, Card, Contents, Dtype, write};
use post_core::checkpoint::{Checkpoint, Gguf, Safetensors, Tensors, tokenizer};
use proptest::prelude::*;

use super::tiny::{config, tensors};

/// A way to damage a file.
#[derive(Clone, Debug)]
enum Damage {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Word(prop::sample::Index, u64),
    Cut(prop::sample::Index),
    Double(prop::sample::Index, usize),
}

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let at = any::<prop::sample::Index>;
    let words = prop::sample::select(vec![
        0,
        1,
        31,
        u64::from(u32::MAX),
        1 << 31,
        1 << 40,
        u64::MAX,
        u64::MAX - 7,
    ]);
    let one = prop_oneof![
        (at(), any::<u8>()).prop_map(|(i, b)| Damage::Set(i, b)),
        (at(), 0..8u8).prop_map(|(i, bit)| Damage::Flip(i, bit)),
        (at(), words).prop_map(|(i, w)| Damage::Word(i, w)),
        at().prop_map(Damage::Cut),
        (at(), 1..64usize).prop_map(|(i, n)| Damage::Double(i, n)),
    ];
    prop::collection::vec(one, 1..4)
}

/// Applies damage within the first `front` bytes, where the rules are.
fn damaged(bytes: &[u8], front: usize, damages: &[Damage]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for damage in damages {
        let front = front.min(out.len());
        if front == 0 {
            break;
        }
        match damage {
            Damage::Set(i, byte) => out[i.index(front)] = *byte,
            Damage::Flip(i, bit) => out[i.index(front)] ^= 1 << bit,
            Damage::Word(i, word) => {
                let at = i.index(front);
                let end = (at + 8).min(out.len());
                out[at..end].copy_from_slice(&word.to_le_bytes()[..end - at]);
            }
            Damage::Cut(i) => out.truncate(i.index(front)),
            Damage::Double(i, n) => {
                let at = i.index(front);
                let piece = out[at..(at + n).min(out.len())].to_vec();
                out.splice(at..at, piece);
            }
        }
    }
    out
}

const TOKENIZER: &[u8] = include_bytes!("../../fixtures/tokenizer/smollm.gguf");

fn tokenizer_json() -> &'static [u8] {
    static JSON: OnceLock<Vec<u8>> = OnceLock::new();
    JSON.get_or_init(|| {
        let built = tokenizer::from_gguf(&Gguf::parse(Arc::new(TOKENIZER)).unwrap()).unwrap();
        tokenizer::to_json(&built).unwrap().into_bytes()
    })
}

fn bundle() -> &'static [u8] {
    static BUNDLE: OnceLock<Vec<u8>> = OnceLock::new();
    BUNDLE.get_or_init(|| {
        let tokenizer = tokenizer::from_json(tokenizer_json()).unwrap();
        let contents = Contents {
            tensors: &tensors(),
            config: &config(),
            tokenizer: &tokenizer,
            card: Card::default(),
        };
        write(&contents, Dtype::Int8).unwrap()
    })
}

/// Decodes everything that a reader offers.
fn decode_all(tensors: &dyn Tensors) {
    for name in tensors.names() {
        if let Ok(tensor) = tensors.tensor(&name) {
            assert_eq!(
                tensor.shape.iter().product::<usize>(),
                tensor.len(),
                "{name}"
            );
        }
    }
}

fn names_a_place(error: &impl std::fmt::Display) -> Result<(), TestCaseError> {
    let text = error.to_string();
    let places = [
        "`",
        "byte ",
        "tokenizer",
        "content hash",
        "plain safetensors",
    ];
    prop_assert!(places.iter().any(|place| text.contains(place)), "{}", text);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_gguf_never_panics(damage in damages()) {
        let kinds: &[u8] = include_bytes!("../../fixtures/gguf/kinds.gguf");
        match Gguf::parse(Arc::new(damaged(kinds, 900, &damage))) {
            Err(error) => names_a_place(&error)?,
            Ok(gguf) => {
                for (name, info) in gguf.tensors() {
                    let elements: usize = info.shape.iter().product();
                    prop_assert_eq!(gguf.tensor(name).unwrap().len(), elements);
                    prop_assert_eq!(gguf.tensor_f16(name).unwrap().len(), elements);
                }
                for key in gguf.metadata().keys() {
                    let _ = (gguf.strings(key), gguf.numbers(key), gguf.float(key), gguf.unsigned(key));
                }
            }
        }
    }

    #[test]
    fn damaged_safetensors_never_panic(damage in damages()) {
        let good = bundle();
        let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
        let bytes = damaged(good, header, &damage);
        match Safetensors::open(vec![("x".to_owned(), Arc::new(bytes.clone()))]) {
            Err(error) => names_a_place(&error)?,
            Ok(opened) => decode_all(&opened),
        }
        match Bundle::open(Arc::new(bytes)).and_then(Bundle::into_checkpoint) {
            Err(error) => names_a_place(&error)?,
            Ok(checkpoint) => decode_all(&*checkpoint.tensors),
        }
    }
}

proptest! {
    // Each case builds a tokenizer, so there are fewer.
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_gguf_tokenizers_never_panic(damage in damages()) {
        let bytes = damaged(TOKENIZER, TOKENIZER.len(), &damage);
        if let Ok(gguf) = Gguf::parse(Arc::new(bytes.clone())) {
            match tokenizer::from_gguf(&gguf) {
                Err(error) => names_a_place(&error)?,
                Ok(built) => { let _ = built.encode("It's 12 o'clock\r\n 日本 <|im_end|>", true); }
            }
        }
        if let Err(error) = Checkpoint::from_gguf(Arc::new(bytes)) {
            names_a_place(&error)?;
        }
    }

    #[test]
    fn damaged_tokenizer_json_never_panics(damage in damages()) {
        let bytes = damaged(tokenizer_json(), tokenizer_json().len(), &damage);
        match tokenizer::from_json(&bytes) {
            Err(error) => names_a_place(&error)?,
            Ok(built) => { let _ = built.encode("It's 12 o'clock\r\n 日本 <|im_end|>", true); }
        }
    }
}
