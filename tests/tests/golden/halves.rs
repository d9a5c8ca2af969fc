//! Weights in 16 bits as safetensors and `torch.save` write them (`fixtures/halves/make.py`).

use std::path::PathBuf;
use std::sync::Arc;

use post_core::checkpoint::pytorch::{File, Pytorch, PytorchReader};
use post_core::checkpoint::{HostData, Safetensors, SharedBytes, Tensors};

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "fixtures", "halves", name]
        .iter()
        .collect()
}

fn safe(name: &str) -> Safetensors {
    let bytes: SharedBytes = Arc::new(std::fs::read(fixture(name)).unwrap());
    Safetensors::open(vec![(name.to_owned(), bytes)]).unwrap()
}

fn pickled(name: &str) -> Pytorch {
    let path = fixture(name);
    let bytes = std::fs::read(&path).unwrap();
    let file = File::open(name, &bytes, || PytorchReader::new(&path)).unwrap();
    Pytorch::new(vec![file]).unwrap()
}

/// Bit for bit, those included that only just exist; and they stay in the type they are stored in.
#[test]
fn halves_are_the_numbers_that_torch_has() {
    let expected = safe("expected.safetensors");
    let bits = |numbers: Vec<f32>| numbers.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    for dtype in ["f16", "bf16"] {
        let (safe, pickled) = (
            safe(&format!("{dtype}.safetensors")),
            pickled(&format!("{dtype}.bin")),
        );
        assert_eq!(safe.names(), pickled.names());
        for name in safe.names() {
            let want = expected.tensor(&format!("{dtype}.{name}")).unwrap();
            let shape = want.shape.clone();
            let want = bits(want.into_f32());
            for tensors in [&safe as &dyn Tensors, &pickled] {
                let found = tensors.tensor(&name).unwrap();
                assert_eq!(found.shape, shape, "{dtype} {name}");
                let kept = match found.data {
                    HostData::F16(_) => "f16",
                    HostData::BF16(_) => "bf16",
                    HostData::F32(_) => "f32",
                };
                assert_eq!(kept, dtype, "{name}");
                assert_eq!(bits(found.into_f32()), want, "{dtype} {name}");
            }
        }
    }
}
