//! The files that a prompt comes in, told apart by what is in them rather than by their names.

use std::io::Cursor;

use super::{PromptError, npy, peft, raw};

/// A file that may hold a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A zip of PEFT's folder.
    Peft,
    /// NumPy's `.npy`.
    Npy,
    /// safetensors with the bare tensor.
    Safetensors,
    /// What `torch.save` writes: a zip with a pickle in it, or a pickle.
    Pytorch,
}

/// Why a file is not a prompt that can be read; callers add its path.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A damaged or foreign `.npy`.
    #[error("the .npy file does not read: {0}")]
    Npy(String),
    /// A damaged safetensors file.
    #[error("the safetensors file does not read: {0}; was it downloaded in full?")]
    Safetensors(#[from] safetensors::SafeTensorError),
    /// A damaged file of PyTorch's, or one that holds more than tensors.
    #[error("the PyTorch file does not read: {0}")]
    Pytorch(String),
    /// Several tensors, none of which is called as a prompt is.
    #[error(
        "no tensor is called {}, and there is not exactly one; found {found:?}", raw::NAMES.join(", ")
    )]
    NoTensor {
        /// Names in the file, the first few.
        found: Vec<String>,
    },
    /// A tensor that is no matrix.
    #[error("the tensor has shape {found:?}; a prompt is [num_virtual_tokens, token_dim]")]
    Shape {
        /// The tensor's shape.
        found: Vec<usize>,
    },
    /// Integers and such.
    #[error("the tensor is stored as {found}; save it as 32-bit floats")]
    Dtype {
        /// The type as the file names it.
        found: String,
    },
    /// The numbers are no prompt.
    #[error(transparent)]
    Prompt(#[from] PromptError),
}

/// What the bytes are, by their first ones, and for a zip by the names in it.
#[must_use]
pub fn sniff(bytes: &[u8]) -> Option<Format> {
    if npy::is(bytes) {
        return Some(Format::Npy);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        let archive = zip::ZipArchive::new(Cursor::new(bytes)).ok()?;
        let named = |end: &str| archive.file_names().any(|name| name.ends_with(end));
        return match () {
            () if named(peft::CONFIG) => Some(Format::Peft),
            () if named("data.pkl") => Some(Format::Pytorch),
            () => None,
        };
    }
    if bytes.get(8) == Some(&b'{') {
        return Some(Format::Safetensors);
    }
    // A pickle of protocol 2 to 5: what PyTorch wrote before it wrote zips.
    matches!(bytes, [0x80, 2..=5, ..]).then_some(Format::Pytorch)
}
