//! A model as it was published: configuration, tensors, tokenizer.

use std::sync::Arc;

use tokenizers::Tokenizer;

use super::gguf::{Gguf, View};
use super::{CheckpointError, SharedBytes, Tensors, tokenizer};
use crate::model::{Config, PromptPlace};

/// A model in host memory, decoded as far as it is asked for.
pub struct Checkpoint {
    /// What the model is made of.
    pub config: Config,
    /// Its weights under Hugging Face's names; shared, so that a student can borrow its teacher's.
    pub tensors: Arc<dyn Tensors>,
    /// Its tokenizer, if it came with one. Its ids all have a row in the embedding table.
    pub tokenizer: Option<Tokenizer>,
    /// What it says of itself.
    pub about: About,
}

/// What a checkpoint says of itself; nothing here changes a number of the model's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The model's name.
    pub name: Option<String>,
    /// The licence of its weights.
    pub license: Option<String>,
    /// The Jinja template of a conversation.
    pub chat_template: Option<String>,
    /// Where prompts are tuned on it.
    pub prompt_place: PromptPlace,
}

impl Checkpoint {
    /// Puts a checkpoint together and checks that the tokenizer fits the model.
    ///
    /// # Errors
    /// [`CheckpointError::Tokenizer`] when a token has no embedding.
    pub fn new(
        config: Config,
        tensors: impl Tensors + 'static,
        tokenizer: Option<Tokenizer>,
        about: About,
    ) -> Result<Self, CheckpointError> {
        if let Some(tokenizer) = &tokenizer {
            tokenizer::check_fits(tokenizer, config.vocab_size)?;
        }
        Ok(Self {
            config,
            tensors: Arc::new(tensors),
            tokenizer,
            about,
        })
    }

    /// Reads a GGUF file. One without a tokenizer is taken as it is.
    ///
    /// # Errors
    /// [`CheckpointError`] naming key or tensor, and where in the file it lies.
    pub fn from_gguf(bytes: SharedBytes) -> Result<Self, CheckpointError> {
        let gguf = Gguf::parse(bytes)?;
        let has_tokenizer = gguf.metadata().contains_key("tokenizer.ggml.model");
        let tokenizer = has_tokenizer
            .then(|| tokenizer::from_gguf(&gguf))
            .transpose()?;
        let text = |key| gguf.text(key).map(str::to_owned);
        let about = About {
            name: text("general.name"),
            license: text("general.license"),
            chat_template: text("tokenizer.chat_template"),
            prompt_place: PromptPlace::default(),
        };
        let view = View::new(gguf)?;
        Self::new(view.config().clone(), view, tokenizer, about)
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// [`CheckpointError::Tokenizer`] when the model came without one.
    pub fn tokenizer(&self) -> Result<&Tokenizer, CheckpointError> {
        self.tokenizer.as_ref().ok_or_else(|| {
            CheckpointError::Tokenizer(
                "the model came without one; put its tokenizer.json beside the weights".to_owned(),
            )
        })
    }
}
