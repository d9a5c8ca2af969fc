//! PyTorch's `.bin`, `.pt` and `.pth` on top of the kept crate, which reads pickles without executing
//! them.
//!
//! Behind the feature `pytorch`, which only the terminal turns on: a tab is handed bundles.

use std::collections::BTreeMap;
use std::io::Cursor;

use half::{bf16, f16};
use pytorch_reader::{DType, Tensor};
pub use pytorch_reader::{PytorchError, PytorchReader};
use zip::{CompressionMethod, ZipArchive};

use super::index::Index;
use super::{CheckpointError, HostData, HostTensor, Numbers, Tensors};

const KNOWN: &str = "F32, F16, BF16, F64";
/// Largest pickle that is parsed: it only describes tensors, of which 8 MiB hold some 40 000.
const MAX_PICKLE: u64 = 8 << 20;
/// The index of a model in several files.
pub const INDEX: &str = "pytorch_model.bin.index.json";

/// One file or several.
pub struct Pytorch {
    files: Vec<File>,
    /// Tensor name → place in `files`.
    owner: BTreeMap<String, usize>,
}

/// A file that was opened.
pub struct File {
    name: String,
    /// In bytes: no tensor in it is larger.
    size: u64,
    reader: PytorchReader,
}

impl File {
    /// Looks at the whole file before `open` hands it to the crate, whose reader keeps it and fetches
    /// tensors from it.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] for what the crate refuses. [`CheckpointError::Metadata`] naming the file: a compressed
    /// archive (`torch.save` writes none, and a small one may unpack to gigabytes), a pickle that is too large, and a
    /// tensor that would take more memory than the file does (a view that repeats its storage).
    pub fn open(
        name: &str,
        bytes: &[u8],
        open: impl FnOnce() -> Result<PytorchReader, PytorchError>,
    ) -> Result<Self, CheckpointError> {
        let failed = |reason: String| CheckpointError::metadata(name, reason);
        plain(bytes).map_err(failed)?;
        let reader =
            open().map_err(|reason| CheckpointError::malformed(name, 0, reason.to_string()))?;
        let file = Self {
            name: name.to_owned(),
            size: bytes.len() as u64,
            reader,
        };
        for tensor in file.reader.tensors().values() {
            bounded(tensor, file.size).map_err(failed)?;
        }
        Ok(file)
    }

    /// The names of all tensors, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = self.reader.keys();
        names.sort();
        names
    }

    /// Decodes one tensor.
    ///
    /// # Errors
    /// [`CheckpointError::Dtype`] for integers, [`CheckpointError::Metadata`] when the file doesn't hold
    /// what it says.
    pub fn tensor(&self, name: &str) -> Result<HostTensor, CheckpointError> {
        let tensor = self.find(name)?;
        Ok(HostTensor {
            shape: tensor.shape().to_vec(),
            data: decode(tensor, &read(tensor)?)?,
        })
    }

    fn find(&self, name: &str) -> Result<&Tensor, CheckpointError> {
        let tensor = self.reader.get(name);
        tensor.ok_or_else(|| CheckpointError::missing(name))
    }
}

/// An archive whose files lie in it as they are.
fn plain(bytes: &[u8]) -> Result<(), String> {
    if !bytes.starts_with(b"PK\x03\x04") {
        return Ok(());
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|reason| reason.to_string())?;
    for index in 0..archive.len() {
        let entry = archive
            .by_index_raw(index)
            .map_err(|reason| reason.to_string())?;
        if entry.compression() != CompressionMethod::Stored {
            return Err("is a compressed archive, which torch.save never writes".to_owned());
        }
        if entry.name().ends_with("data.pkl") && entry.size() > MAX_PICKLE {
            let size = entry.size();
            return Err(format!(
                "describes its tensors in {size} bytes, more than any model needs"
            ));
        }
    }
    Ok(())
}

impl Pytorch {
    /// Puts files together.
    ///
    /// # Errors
    /// [`CheckpointError::Metadata`] naming a tensor that two files give.
    pub fn new(files: Vec<File>) -> Result<Self, CheckpointError> {
        let mut owner = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            for name in file.reader.tensors().keys() {
                if let Some(first) = owner.insert(name.clone(), index) {
                    let reason = format!("tensor `{name}` is in `{}` too", files[first].name);
                    return Err(CheckpointError::metadata(&file.name, reason));
                }
            }
        }
        Ok(Self { files, owner })
    }

    /// As [`Self::new`], and the files must hold what `pytorch_model.bin.index.json` says.
    ///
    /// # Errors
    /// As [`Self::new`]; [`CheckpointError::Metadata`] when index and files disagree.
    pub fn sharded(index: &[u8], files: Vec<File>) -> Result<Self, CheckpointError> {
        let index = Index::parse(INDEX, index)?;
        let opened = Self::new(files)?;
        let lies_in = |tensor: &str| {
            let at = *opened.owner.get(tensor)?;
            Some(opened.files[at].name.as_str())
        };
        index.check(opened.owner.keys(), lies_in)?;
        Ok(opened)
    }

    fn holder(&self, name: &str) -> Result<&File, CheckpointError> {
        let owner = self.owner.get(name);
        let &at = owner.ok_or_else(|| CheckpointError::missing(name))?;
        Ok(&self.files[at])
    }
}

/// The files that an index names, sorted: what has to be opened.
///
/// # Errors
/// [`CheckpointError::Metadata`] when it isn't an index, or a name leads out of the folder.
pub fn shard_names(index: &[u8]) -> Result<Vec<String>, CheckpointError> {
    Index::parse(INDEX, index)?.shards()
}

impl Tensors for Pytorch {
    fn names(&self) -> Vec<String> {
        self.owner.keys().cloned().collect()
    }

    fn tensor(&self, name: &str) -> Result<HostTensor, CheckpointError> {
        self.holder(name)?.tensor(name)
    }

    fn show(&self, name: &str, see: &mut dyn FnMut(Numbers<'_>)) -> Result<(), CheckpointError> {
        let tensor = self.holder(name)?.find(name)?;
        let bytes = read(tensor)?;
        match in_place(tensor.dtype(), &bytes) {
            Some(numbers) => see(numbers),
            None => see(decode(tensor, &bytes)?.numbers()),
        }
        Ok(())
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let file = &self.files[*self.owner.get(name)?];
        Some(file.reader.get(name)?.shape().to_vec())
    }
}

/// A tensor's bytes, in this processor's order.
fn read(tensor: &Tensor) -> Result<Vec<u8>, CheckpointError> {
    let failed = |reason: std::io::Error| {
        CheckpointError::metadata(format!("tensor {}", tensor.name), reason.to_string())
    };
    tensor.read().map_err(failed)
}

/// What was read as numbers, where it is aligned.
fn in_place(dtype: DType, bytes: &[u8]) -> Option<Numbers<'_>> {
    match dtype {
        DType::F32 => bytemuck::try_cast_slice(bytes).ok().map(Numbers::F32),
        DType::F16 => bytemuck::try_cast_slice(bytes).ok().map(Numbers::F16),
        DType::BF16 => bytemuck::try_cast_slice(bytes).ok().map(Numbers::BF16),
        _ => None,
    }
}

fn decode(tensor: &Tensor, bytes: &[u8]) -> Result<HostData, CheckpointError> {
    Ok(match tensor.dtype() {
        DType::F32 => HostData::F32(each(bytes, f32::from_ne_bytes)),
        DType::F16 => HostData::F16(each(bytes, f16::from_ne_bytes)),
        DType::BF16 => HostData::BF16(each(bytes, bf16::from_ne_bytes)),
        DType::F64 => HostData::F32(each(bytes, |b| f64::from_ne_bytes(b) as f32)),
        other => {
            return Err(CheckpointError::Dtype {
                name: tensor.name.clone(),
                dtype: format!("{other:?}"),
                known: KNOWN,
            });
        }
    })
}

/// The crate lets a view repeat its storage up to 10 GiB; no published model does, so none may.
fn bounded(tensor: &Tensor, size: u64) -> Result<(), String> {
    let bytes = tensor
        .shape()
        .iter()
        .try_fold(tensor.dtype().size() as u64, |product, &extent| {
            product.checked_mul(extent as u64)
        });
    match bytes {
        Some(bytes) if bytes <= size => Ok(()),
        _ => Err(format!(
            "tensor `{}` of shape {:?} would be larger than the file; save it with .clone()",
            tensor.name,
            tensor.shape()
        )),
    }
}

fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|&b| read(b)).collect()
}
