//! Hugging Face's folder as bytes: `config.json`, weights, `tokenizer.json`.

use std::collections::HashMap;

use safetensors::Dtype;
use safetensors::tensor::View;

use super::{
    About, Checkpoint, CheckpointError, HostData, HostTensor, Safetensors, SharedBytes, Tensors,
    tokenizer,
};
use crate::model::{Config, NamedTensors};

/// The files of a folder that are read; `None` and empty where there is none.
#[derive(Default)]
pub struct Folder {
    /// `config.json`.
    pub config: Vec<u8>,
    /// `model.safetensors`, or every shard.
    pub weights: Vec<(String, SharedBytes)>,
    /// `model.safetensors.index.json`.
    pub index: Option<Vec<u8>>,
    /// `tokenizer.json`.
    pub tokenizer: Option<Vec<u8>>,
    /// What the folder's name or its README say.
    pub about: About,
}

impl Folder {
    /// Reads and checks everything but the tensors' values.
    ///
    /// # Errors
    /// [`CheckpointError`] naming file and field or tensor.
    pub fn read(mut self) -> Result<Checkpoint, CheckpointError> {
        let weights = std::mem::take(&mut self.weights);
        let weights = match &self.index {
            Some(index) => Safetensors::open_sharded(index, weights)?,
            None => Safetensors::open(weights)?,
        };
        self.with(weights)
    }

    /// As [`Self::read`] with weights that lie in files of another format.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn with(self, weights: impl Tensors + 'static) -> Result<Checkpoint, CheckpointError> {
        let json = serde_json::from_slice(&self.config)
            .map_err(|reason| CheckpointError::metadata("config.json", reason.to_string()))?;
        let config = Config::from_hf(&json).map_err(CheckpointError::model)?;
        let tokenizer = self
            .tokenizer
            .as_deref()
            .map(tokenizer::from_json)
            .transpose()?;
        Checkpoint::new(config, weights, tokenizer, self.about)
    }
}

/// The files of a folder that transformers loads, by name.
///
/// # Errors
/// [`CheckpointError::Tokenizer`] when the tokenizer can't be written down,
/// [`CheckpointError::Metadata`] when the tensors can't.
pub fn folder(
    tensors: &NamedTensors,
    config: &Config,
    tokenizer: Option<&tokenizers::Tokenizer>,
) -> Result<Vec<(String, Vec<u8>)>, CheckpointError> {
    let named = tensors
        .iter()
        .map(|(name, tensor)| (name.as_str(), Stored(tensor)));
    // transformers refuses a file that doesn't say so.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let weights = safetensors::serialize(named, Some(metadata))
        .map_err(|reason| CheckpointError::metadata("model.safetensors", reason.to_string()))?;
    let mut files = vec![
        (
            "config.json".to_owned(),
            format!("{:#}\n", config.to_hf()).into_bytes(),
        ),
        ("model.safetensors".to_owned(), weights),
    ];
    if let Some(tokenizer) = tokenizer {
        files.push((
            "tokenizer.json".to_owned(),
            tokenizer::to_json(tokenizer)?.into_bytes(),
        ));
        // Without it transformers rebuilds the tokenizer as the model's family usually has it.
        let class = serde_json::json!({ "tokenizer_class": "PreTrainedTokenizerFast" });
        files.push((
            "tokenizer_config.json".to_owned(),
            format!("{class:#}\n").into_bytes(),
        ));
    }
    Ok(files)
}

/// A tensor as safetensors writes it, in its own type.
struct Stored<'a>(&'a HostTensor);

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        match self.0.data {
            HostData::F32(_) => Dtype::F32,
            HostData::F16(_) => Dtype::F16,
            HostData::BF16(_) => Dtype::BF16,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        self.0.to_le_bytes().into()
    }

    fn data_len(&self) -> usize {
        self.0.byte_len()
    }
}
