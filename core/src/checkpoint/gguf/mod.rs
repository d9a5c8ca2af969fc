//! GGUF, versions 2 and 3, little-endian.
//!
//! Layout, after ggml's `docs/gguf.md`: magic, version, two counts; that many metadata pairs; that many
//! tensor descriptions; padding to `general.alignment`; the tensors' data. Everything that the header
//! claims is checked against the file's length before it is believed.

mod cursor;
mod dequant;
mod header;
mod value;
mod view;

use std::collections::BTreeMap;

use super::{CheckpointError, HostData, HostTensor, SharedBytes, read_once};
pub use dequant::Kind;
pub use header::TensorInfo;
pub use value::{Array, Value};
pub(super) use view::View;

/// A checked GGUF file.
pub struct Gguf {
    bytes: SharedBytes,
    version: u32,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

impl Gguf {
    /// Reads and checks the header; no tensor is decoded.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] with the key or tensor and its place in the file,
    /// [`CheckpointError::Dtype`] for a tensor whose type isn't read.
    pub fn parse(bytes: SharedBytes) -> Result<Self, CheckpointError> {
        let header = header::read(bytes.as_ref().as_ref())?;
        Ok(Self {
            version: header.version,
            metadata: header.metadata,
            tensors: header.tensors,
            bytes,
        })
    }

    /// The format's version, 2 or 3.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// All metadata by key.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, Value> {
        &self.metadata
    }

    /// All tensors by name, as the file names them (`blk.0.attn_q.weight`).
    #[must_use]
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// The text under a metadata key.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).and_then(Value::as_str)
    }

    /// The count or identifier under a metadata key.
    ///
    /// # Errors
    /// [`CheckpointError::Metadata`] when the key is there and holds something else.
    pub fn unsigned(&self, key: &str) -> Result<Option<u64>, CheckpointError> {
        let wrong = || CheckpointError::metadata(key, "must be an integer that isn't negative");
        self.metadata
            .get(key)
            .map(|value| value.as_u64().ok_or_else(wrong))
            .transpose()
    }

    /// The number under a metadata key.
    ///
    /// # Errors
    /// [`CheckpointError::Metadata`] when the key is there and holds something else.
    pub fn float(&self, key: &str) -> Result<Option<f64>, CheckpointError> {
        let wrong = || CheckpointError::metadata(key, "must be a number");
        self.metadata
            .get(key)
            .map(|value| value.as_f64().ok_or_else(wrong))
            .transpose()
    }

    /// The truth value under a metadata key.
    ///
    /// # Errors
    /// [`CheckpointError::Metadata`] when the key is there and holds something else.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, CheckpointError> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(CheckpointError::metadata(key, "must be true or false")),
        }
    }

    /// The strings under a metadata key.
    ///
    /// # Errors
    /// [`CheckpointError::Metadata`] when the key is absent or holds something else.
    pub fn strings(&self, key: &str) -> Result<Vec<&str>, CheckpointError> {
        self.array(key)?.strings(self.file(), key)
    }

    /// The numbers under a metadata key.
    ///
    /// # Errors
    /// [`CheckpointError::Metadata`] when the key is absent or holds something else.
    pub fn numbers(&self, key: &str) -> Result<Vec<Value>, CheckpointError> {
        self.array(key)?.numbers(self.file(), key)
    }

    /// Decodes one tensor, named as the file names it. F16 and BF16 stay what they are, quantised types
    /// become f32.
    ///
    /// # Errors
    /// [`CheckpointError::MissingTensor`].
    pub fn tensor(&self, name: &str) -> Result<HostTensor, CheckpointError> {
        let info = self.info(name)?;
        Ok(HostTensor {
            shape: info.shape.clone(),
            data: self.read(info, dequant::decode),
        })
    }

    /// Decodes one tensor to half precision, block by block: what an embedding table is kept in, at half
    /// the memory of [`Self::tensor`] even while it is decoded.
    ///
    /// # Errors
    /// [`CheckpointError::MissingTensor`].
    pub fn tensor_f16(&self, name: &str) -> Result<HostTensor, CheckpointError> {
        let info = self.info(name)?;
        let data = self.read(info, dequant::decode_f16);
        Ok(HostTensor {
            shape: info.shape.clone(),
            data: HostData::F16(data),
        })
    }

    fn info(&self, name: &str) -> Result<&TensorInfo, CheckpointError> {
        self.tensors
            .get(name)
            .ok_or_else(|| CheckpointError::missing(name))
    }

    fn array(&self, key: &str) -> Result<&Array, CheckpointError> {
        match self.metadata.get(key) {
            Some(Value::Array(array)) => Ok(array),
            Some(_) => Err(CheckpointError::metadata(key, "must be an array")),
            None => Err(CheckpointError::metadata(
                key,
                "is absent from the GGUF's metadata",
            )),
        }
    }

    fn file(&self) -> &[u8] {
        self.bytes.as_ref().as_ref()
    }

    /// Decodes a tensor's bytes; [`header::read`] has checked that the range lies in the file.
    fn read<R>(&self, info: &TensorInfo, decode: impl FnOnce(Kind, &[u8]) -> R) -> R {
        let decode = |bytes: &[u8]| decode(info.kind, bytes);
        read_once(&self.bytes, info.range.clone(), decode)
    }
}
