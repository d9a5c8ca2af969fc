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
    /// Its tokenizer, if it came with one that can be read. Its ids all have a row in the embedding table.
    pub tokenizer: Option<Tokenizer>,
    /// Why the one that it came with can't be.
    unread: Option<String>,
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
        let checkpoint = Self {
            config,
            tensors: Arc::new(tensors),
            tokenizer: None,
            unread: None,
            about,
        };
        match tokenizer {
            Some(tokenizer) => checkpoint.with_tokenizer(tokenizer),
            None => Ok(checkpoint),
        }
    }

    /// The same model with another tokenizer.
    ///
    /// # Errors
    /// [`CheckpointError::Tokenizer`] when a token has no embedding.
    pub fn with_tokenizer(self, tokenizer: Tokenizer) -> Result<Self, CheckpointError> {
        tokenizer::check_fits(&tokenizer, self.config.vocab_size)?;
        Ok(Self {
            tokenizer: Some(tokenizer),
            ..self
        })
    }

    /// Reads a GGUF file. One without a tokenizer, or with one that can't be read, is taken as it is: token ids
    /// need none.
    ///
    /// # Errors
    /// [`CheckpointError`] naming key or tensor, and where in the file it lies.
    pub fn from_gguf(bytes: SharedBytes) -> Result<Self, CheckpointError> {
        let gguf = Gguf::parse(bytes)?;
        let has_tokenizer = gguf.metadata().contains_key("tokenizer.ggml.model");
        let (tokenizer, unread) = match has_tokenizer.then(|| tokenizer::from_gguf(&gguf)) {
            None => (None, None),
            Some(Ok(tokenizer)) => (Some(tokenizer), None),
            Some(Err(reason)) => (None, Some(reason.to_string())),
        };
        let text = |key| gguf.text(key).map(str::to_owned);
        let about = About {
            name: text("general.name"),
            license: text("general.license"),
            chat_template: text("tokenizer.chat_template"),
            prompt_place: PromptPlace::default(),
        };
        let view = View::new(gguf)?;
        let checkpoint = Self::new(view.config().clone(), view, tokenizer, about)?;
        Ok(Self {
            unread,
            ..checkpoint
        })
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// [`CheckpointError::Tokenizer`] when the model came without one, or with one that can't be read.
    pub fn tokenizer(&self) -> Result<&Tokenizer, CheckpointError> {
        self.tokenizer.as_ref().ok_or_else(|| {
            let reason = self
                .unread
                .as_deref()
                .unwrap_or("the model came without one");
            CheckpointError::Tokenizer(format!(
                "{reason}; put its tokenizer.json beside the weights"
            ))
        })
    }
}
