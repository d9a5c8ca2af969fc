//! A GGUF seen as a Hugging Face checkpoint: its configuration, its tensors under Hugging Face's names.

use std::collections::BTreeMap;

use super::super::{CheckpointError, HostData, HostTensor, Tensors};
use super::{Gguf, Value};
use crate::model::Config;
use crate::model::family::gguf::{
    MetaValue, Metadata, hf_name, is_of_images, permuted_heads, raised, read_config, unpermute,
};

const EMBEDDING: &str = "token_embd.weight";
const HEAD: &str = "output.weight";
/// What the angles' frequencies are divided by: a part of the configuration.
const ROPE_FACTORS: &str = "rope_freqs.weight";
/// How many files a model was split into.
const PARTS: &str = "split.count";

/// A GGUF under Hugging Face's names.
pub(in super::super) struct View {
    gguf: Gguf,
    config: Config,
    /// Hugging Face's name → the file's.
    names: BTreeMap<String, String>,
}

impl View {
    /// Finds configuration and names; a tensor that the architecture doesn't know is refused, since
    /// leaving it out could change the model's output.
    pub(in super::super) fn new(gguf: Gguf) -> Result<Self, CheckpointError> {
        if gguf.unsigned(PARTS)?.is_some_and(|count| count > 1) {
            let reason = "says that this is one file of several; put them together with llama.cpp's \
                          `llama-gguf-split --merge`";
            return Err(CheckpointError::metadata(PARTS, reason));
        }
        let embedding = gguf
            .tensors()
            .get(EMBEDDING)
            .ok_or_else(|| CheckpointError::missing(EMBEDDING))?;
        let factors = match gguf.tensors().contains_key(ROPE_FACTORS) {
            true => Some(gguf.tensor(ROPE_FACTORS)?.into_f32()),
            false => None,
        };
        let (vocab_size, tied) = (embedding.shape[0], !gguf.tensors().contains_key(HEAD));
        let config = read_config(&gguf, vocab_size, tied, factors.as_deref())
            .map_err(CheckpointError::model)?;
        let mut names = BTreeMap::new();
        let ours = |name: &&String| *name != ROPE_FACTORS && !is_of_images(&config, name);
        for name in gguf.tensors().keys().filter(ours) {
            let Some(hf) = hf_name(&config, name) else {
                let reason = "is not known for this architecture, and leaving it out could change the model's output";
                return Err(CheckpointError::metadata(format!("tensor {name}"), reason));
            };
            if let Some(other) = names.insert(hf, name.clone()) {
                let reason = format!("is another `{other}`");
                return Err(CheckpointError::metadata(format!("tensor {name}"), reason));
            }
        }
        Ok(Self {
            gguf,
            config,
            names,
        })
    }

    pub(in super::super) fn config(&self) -> &Config {
        &self.config
    }
}

impl Tensors for View {
    fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    fn tensor(&self, name: &str) -> Result<HostTensor, CheckpointError> {
        let stored = self
            .names
            .get(name)
            .ok_or_else(|| CheckpointError::missing(name))?;
        let tensor = self.gguf.tensor(stored)?;
        if raised(&self.config, name) {
            let shape = tensor.shape.clone();
            let weights = tensor.into_f32().into_iter().map(|weight| weight - 1.0);
            let data = HostData::F32(weights.collect());
            return Ok(HostTensor { shape, data });
        }
        let Some(heads) = permuted_heads(&self.config, name) else {
            return Ok(tensor);
        };
        let columns = tensor.shape.last().copied().unwrap_or(1);
        let data = match tensor.data {
            HostData::F32(v) => HostData::F32(unpermute(v, heads, columns)),
            HostData::F16(v) => HostData::F16(unpermute(v, heads, columns)),
            HostData::BF16(v) => HostData::BF16(unpermute(v, heads, columns)),
        };
        Ok(HostTensor {
            shape: tensor.shape,
            data,
        })
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.gguf
            .tensors()
            .get(self.names.get(name)?)
            .map(|info| info.shape.clone())
    }
}

impl Metadata for Gguf {
    fn get(&self, key: &str) -> Option<MetaValue> {
        Some(match self.metadata().get(key)? {
            Value::Unsigned(v) => i64::try_from(*v).map_or(MetaValue::Other, MetaValue::Int),
            Value::Signed(v) => MetaValue::Int(*v),
            Value::Float(v) => MetaValue::Float(*v),
            Value::Bool(v) => MetaValue::Bool(*v),
            Value::String(v) => MetaValue::Text(v.clone()),
            Value::Array(_) => MetaValue::Other,
        })
    }

    fn keys(&self) -> Vec<&str> {
        self.metadata().keys().map(String::as_str).collect()
    }
}
