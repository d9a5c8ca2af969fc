//! Weights and tokenizers out of the formats they are published in: bytes → host tensors.
//!
//! Nothing is decoded before it is asked for: a format's reader checks the whole header once, keeps
//! the bytes (a memory map, natively) and decodes one tensor per call.
//! Every source names its tensors as Hugging Face does (`model.layers.0.self_attn.q_proj.weight`) and
//! lays them out as Hugging Face does, so [`crate::model`] knows a single set of names.

mod error;
pub mod gguf;
mod header_json;
pub mod hf;
mod index;
#[cfg(feature = "pytorch")]
pub mod pytorch;
pub mod safetensors;
mod tensor;
pub mod tokenizer;
mod whole;

use std::ops::Range;
use std::sync::Arc;

pub use error::CheckpointError;
pub use gguf::Gguf;
pub use safetensors::Safetensors;
pub use tensor::{HostData, HostTensor, Numbers};
pub use whole::{About, Checkpoint};

/// The bytes of a file, wherever they live: natively a memory map, in the tab a `Vec`.
pub type SharedBytes = Arc<dyn Bytes>;

/// Bytes that don't change while they are held.
pub trait Bytes: AsRef<[u8]> + Send + Sync {
    /// The same bytes once more, where holding what was read of these costs memory that letting go of
    /// others doesn't: pages of a mapped file stay beside what was made of them until it is unmapped.
    fn again(&self) -> Option<SharedBytes> {
        None
    }
}

impl Bytes for Vec<u8> {}

impl Bytes for &'static [u8] {}

/// Shorter pieces are not worth a mapping of their own.
const WORTH_LETTING_GO: usize = 1 << 16;

/// Reads a piece of a file, and lets go of it.
fn read_once<R>(bytes: &SharedBytes, range: Range<usize>, read: impl FnOnce(&[u8]) -> R) -> R {
    let large = range.len() >= WORTH_LETTING_GO;
    let again = if large { bytes.again() } else { None };
    let bytes: &dyn Bytes = again.as_deref().unwrap_or(bytes.as_ref());
    read(&bytes.as_ref()[range])
}

/// Named tensors that are decoded one at a time.
pub trait Tensors: Send + Sync {
    /// All names, sorted.
    fn names(&self) -> Vec<String>;

    /// Decodes one tensor.
    ///
    /// # Errors
    /// [`CheckpointError::MissingTensor`] when there is none of that name, else what is wrong with it.
    fn tensor(&self, name: &str) -> Result<HostTensor, CheckpointError>;

    /// Shows one tensor's elements, where they lie if they lie there as they are computed with.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    fn show(&self, name: &str, see: &mut dyn FnMut(Numbers<'_>)) -> Result<(), CheckpointError> {
        see(self.tensor(name)?.data.numbers());
        Ok(())
    }

    /// The shape of one tensor, without decoding it; `None` when there is none of that name.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;
}
