//! safetensors, single or sharded, on top of the kept crate.
//!
//! Stricter than the crate: a name that a header, or two shards, give twice is an error, and every error
//! names file and tensor.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use half::{bf16, f16};
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors};

use super::header_json;
use super::index::Index;
use super::{CheckpointError, HostData, HostTensor, Numbers, SharedBytes, Tensors, read_once};

/// The length of the header's length.
const PREFIX: usize = 8;
const KNOWN: &str = "F32, F16, BF16";
/// The index of a model in several files.
const INDEX: &str = "model.safetensors.index.json";

/// One file or several shards.
pub struct Safetensors {
    files: Vec<File>,
    /// Tensor name → place in `files`.
    owner: BTreeMap<String, usize>,
}

struct File {
    name: String,
    bytes: SharedBytes,
    /// Where the tensors' data begin.
    start: usize,
    header: Metadata,
}

impl Safetensors {
    /// Reads and checks the headers of named files; no tensor is decoded.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] naming file and tensor; a name in two files is one too.
    pub fn open(files: Vec<(String, SharedBytes)>) -> Result<Self, CheckpointError> {
        let files = files
            .into_iter()
            .map(|(name, bytes)| File::open(name, bytes))
            .collect::<Result<Vec<_>, _>>()?;
        let mut owner = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            for tensor in file.header.offset_keys() {
                if let Some(first) = owner.insert(tensor.clone(), index) {
                    let reason = format!("tensor `{tensor}` is in `{}` too", files[first].name);
                    return Err(CheckpointError::malformed(
                        &file.name,
                        PREFIX as u64,
                        reason,
                    ));
                }
            }
        }
        Ok(Self { files, owner })
    }

    /// As [`Self::open`], and the shards must hold exactly what `model.safetensors.index.json` says.
    ///
    /// # Errors
    /// As [`Self::open`]; [`CheckpointError::Metadata`] when index and shards disagree.
    pub fn open_sharded(
        index: &[u8],
        shards: Vec<(String, SharedBytes)>,
    ) -> Result<Self, CheckpointError> {
        let index = Index::parse(INDEX, index)?;
        let opened = Self::open(shards)?;
        let lies_in = |tensor: &str| {
            let at = *opened.owner.get(tensor)?;
            Some(opened.files[at].name.as_str())
        };
        index.check(opened.owner.keys(), lies_in)?;
        Ok(opened)
    }

    /// The free-form metadata of all files together; the first file's word wins.
    #[must_use]
    pub fn metadata(&self) -> HashMap<&str, &str> {
        let pairs = self
            .files
            .iter()
            .rev()
            .filter_map(|file| file.header.metadata().as_ref())
            .flatten();
        pairs
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect()
    }

    /// The stored type and the raw little-endian bytes of a tensor.
    pub(crate) fn raw(&self, name: &str) -> Option<(Dtype, &[usize], &[u8])> {
        let (file, info, range) = self.place(name)?;
        let bytes = (*file.bytes).as_ref();
        Some((info.dtype, &info.shape, &bytes[range]))
    }

    /// What `read` makes of a tensor's bytes; `None` for a type that it doesn't know.
    fn read<R>(
        &self,
        name: &str,
        read: impl FnOnce(Dtype, &[u8]) -> Option<R>,
    ) -> Result<R, CheckpointError> {
        let (file, info, range) = self
            .place(name)
            .ok_or_else(|| CheckpointError::missing(name))?;
        let dtype = info.dtype;
        let found = read_once(&file.bytes, range, |bytes| read(dtype, bytes));
        found.ok_or_else(|| CheckpointError::Dtype {
            name: name.to_owned(),
            dtype: format!("{dtype:?}"),
            known: KNOWN,
        })
    }

    /// Where a tensor's bytes lie in its file.
    fn place(&self, name: &str) -> Option<(&File, &TensorInfo, Range<usize>)> {
        let file = &self.files[*self.owner.get(name)?];
        let info = file.header.info(name)?;
        // `File::open` has checked that the ranges tile the data exactly.
        let (begin, end) = info.data_offsets;
        Some((file, info, file.start + begin..file.start + end))
    }
}

impl Tensors for Safetensors {
    fn names(&self) -> Vec<String> {
        self.owner.keys().cloned().collect()
    }

    fn tensor(&self, name: &str) -> Result<HostTensor, CheckpointError> {
        let shape = self.shape(name).unwrap_or_default();
        let data = self.read(name, decode)?;
        Ok(HostTensor { shape, data })
    }

    fn show(&self, name: &str, see: &mut dyn FnMut(Numbers<'_>)) -> Result<(), CheckpointError> {
        self.read(name, |dtype, bytes| {
            match in_place(dtype, bytes) {
                Some(numbers) => see(numbers),
                None => see(decode(dtype, bytes)?.numbers()),
            }
            Some(())
        })
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.place(name).map(|(_, info, _)| info.shape.clone())
    }
}

impl File {
    fn open(name: String, bytes: SharedBytes) -> Result<Self, CheckpointError> {
        let slice: &[u8] = bytes.as_ref().as_ref();
        let header = header_json::read(&name, slice)?;
        let (length, header) = SafeTensors::read_metadata(slice).map_err(|error| {
            CheckpointError::malformed(
                header_json::culprit(&name, &header),
                PREFIX as u64,
                error.to_string(),
            )
        })?;
        Ok(Self {
            name,
            start: PREFIX + length,
            header,
            bytes,
        })
    }
}

/// The file's own bytes as numbers, where they are aligned and of this processor's order.
fn in_place(dtype: Dtype, bytes: &[u8]) -> Option<Numbers<'_>> {
    if cfg!(target_endian = "big") {
        return None;
    }
    match dtype {
        Dtype::F32 => bytemuck::try_cast_slice(bytes).ok().map(Numbers::F32),
        Dtype::F16 => bytemuck::try_cast_slice(bytes).ok().map(Numbers::F16),
        Dtype::BF16 => bytemuck::try_cast_slice(bytes).ok().map(Numbers::BF16),
        _ => None,
    }
}

fn decode(dtype: Dtype, bytes: &[u8]) -> Option<HostData> {
    let halves = || {
        bytes
            .chunks_exact(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
    };
    Some(match dtype {
        Dtype::F32 => HostData::F32(
            bytes
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        ),
        Dtype::F16 => HostData::F16(halves().map(f16::from_bits).collect()),
        Dtype::BF16 => HostData::BF16(halves().map(bf16::from_bits).collect()),
        _ => return None,
    })
}

/// The shards that an index names, sorted: what has to be opened.
///
/// # Errors
/// [`CheckpointError::Metadata`] when it isn't an index, or a shard's name leads out of the folder.
pub fn shard_names(index: &[u8]) -> Result<Vec<String>, CheckpointError> {
    Index::parse(INDEX, index)?.shards()
}

/// A tensor to be written: little-endian bytes.
pub(crate) struct Piece {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<u8>,
}

/// Writes a file whose bytes depend on nothing but its contents.
///
/// The crate's own writer takes metadata from a hash map and so orders them differently in every run;
/// here metadata are sorted, and tensors stand widest type first (each then begins at a multiple of its
/// size), then by name.
pub(crate) fn serialize<K: AsRef<str>>(
    metadata: &BTreeMap<K, String>,
    pieces: &mut [Piece],
) -> Vec<u8> {
    pieces.sort_by(|a, b| {
        b.dtype
            .bitsize()
            .cmp(&a.dtype.bitsize())
            .then_with(|| a.name.cmp(&b.name))
    });
    let metadata: serde_json::Map<_, _> = metadata
        .iter()
        .map(|(key, value)| (key.as_ref().to_owned(), value.clone().into()))
        .collect();
    let mut header = serde_json::Map::from_iter([("__metadata__".to_owned(), metadata.into())]);
    let mut end = 0;
    for piece in pieces.iter() {
        let begin = end;
        end += piece.data.len();
        let info = serde_json::json!({
            "dtype": piece.dtype.to_string(), "shape": piece.shape, "data_offsets": [begin, end],
        });
        header.insert(piece.name.clone(), info);
    }
    let mut header = serde_json::Value::from(header).to_string();
    let padding = header.len().next_multiple_of(PREFIX) - header.len();
    header.extend(std::iter::repeat_n(' ', padding));
    let mut out = Vec::with_capacity(PREFIX + header.len() + end);
    out.extend((header.len() as u64).to_le_bytes());
    out.extend(header.into_bytes());
    pieces.iter().for_each(|piece| out.extend(&piece.data));
    out
}
