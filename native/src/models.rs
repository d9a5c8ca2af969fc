//! Models off the disk: mapped, checked, and put on a device.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use burn::tensor::Device;
use post_core::bundle::Bundle;
use post_core::checkpoint::{About, Checkpoint, SharedBytes, hf, safetensors};
use post_core::dp::receipt::sha256;
use post_core::model::Lm;
use post_core::prompt::SoftPrompt;
use post_core::prompt::peft::BaseModel;
use post_core::task::{Encoder, Task};
use post_core::tune;
use tokenizers::Tokenizer;

use crate::failure::Hint;
use crate::files;
use crate::source::{Located, ModelSource};
use crate::term::Terminal;

const INDEX: &str = "model.safetensors.index.json";
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const WEIGHTS: &str = "model.safetensors";

/// A model on a device, with what it came with.
pub(crate) struct Loaded {
    /// The model.
    pub(crate) lm: Arc<Lm>,
    /// Its tokenizer.
    pub(crate) tokenizer: Tokenizer,
    /// As the person named it.
    pub(crate) name: String,
}

/// Reads and checks everything but the weights' values, which stay in the mapped file.
///
/// # Errors
/// Names the file, the place in it and the way out.
pub(crate) fn open(source: &ModelSource) -> Result<Checkpoint> {
    let checkpoint = match source.locate()? {
        Located::Folder(path) => folder(&path),
        Located::Gguf(path) => gguf(&path),
        Located::Bundle(path) => bundle(&path),
    };
    checkpoint
        .with_context(|| format!("could not load {source}"))
        .hint("is the file complete? Compare its size or sha256 with where it came from")
}

/// What a receipt knows the model by.
///
/// A bundle's content hash; the SHA-256 of a file; for a folder, that of the lines `name sha256` of configuration, tokenizer
/// and weights.
///
/// # Errors
/// When the model isn't there or can't be read.
pub(crate) fn hash(source: &ModelSource) -> Result<String> {
    match source.locate()? {
        Located::Folder(path) => folder_hash(&path),
        Located::Gguf(path) => file_hash(&path),
        Located::Bundle(path) => Ok(open_bundle(&path)?.hash().to_owned()),
    }
}

/// Puts a model on a device. The file is let go of before this returns.
///
/// # Errors
/// As [`open`]; and when a tensor is missing, or the model has no tokenizer.
pub(crate) fn load(source: &ModelSource, device: &Device, term: &Terminal) -> Result<Loaded> {
    let checkpoint = open(source)?;
    let tokenizer = checkpoint
        .tokenizer()
        .with_context(|| format!("could not load {source}"))?
        .clone();
    let lm = Lm::load(&checkpoint.config, checkpoint.tensors.as_ref(), device)
        .with_context(|| format!("could not load {source}"))?;
    let config = lm.config();
    term.note(format!(
        "model: {source}, {} blocks of width {}",
        config.num_hidden_layers(),
        config.hidden_size
    ));
    Ok(Loaded {
        lm: Arc::new(lm),
        tokenizer,
        name: source.to_string(),
    })
}

impl Loaded {
    /// Rows of a task as this model reads them, with room left for a prompt of `virtual_tokens`.
    ///
    /// # Errors
    /// When template or label words don't fit the tokenizer.
    pub(crate) fn encoder<'a>(
        &'a self,
        task: &'a Task,
        virtual_tokens: usize,
    ) -> Result<Encoder<'a>> {
        tune::encoder(&self.lm, &self.tokenizer, task, virtual_tokens)
            .with_context(|| format!("task {} does not fit {}", task.name(), self.name))
            .hint("change the task's template or words; `tasks/README.md` says what they may be")
    }

    /// The prompt that repeats the task's sentence.
    ///
    /// # Errors
    /// When the sentence has no tokens.
    pub(crate) fn text_init(&self, encoder: &Encoder<'_>, length: usize) -> Result<SoftPrompt> {
        Ok(tune::text_init(&self.lm, encoder, length)?)
    }

    fn public_name(&self) -> String {
        let last = Path::new(&self.name)
            .file_name()
            .map(|name| name.to_string_lossy());
        match self.name.strip_prefix("hub:") {
            Some(repo) => repo.to_owned(),
            None => last.map_or_else(|| self.name.clone(), Into::into),
        }
    }

    /// What PEFT wants to know of the model. Of a path only its last part is named: the prompt is
    /// handed on, and where its maker keeps files is nobody's business.
    pub(crate) fn base(&self) -> BaseModel {
        BaseModel::of(self.public_name(), self.lm.config())
    }
}

fn gguf(path: &Path) -> Result<Checkpoint> {
    Ok(Checkpoint::from_gguf(shared(path)?)?)
}

fn folder(path: &Path) -> Result<Checkpoint> {
    let index = optional(&path.join(INDEX))?;
    let names = weight_names(index.as_deref())?;
    let weights = names.into_iter().map(|name| {
        let bytes = shared(&path.join(&name))?;
        Ok((name, bytes))
    });
    let folder = hf::Folder {
        config: files::read(&path.join(CONFIG))?,
        weights: weights.collect::<Result<_>>()?,
        index,
        tokenizer: optional(&path.join(TOKENIZER))?,
        about: About {
            name: Some(path.display().to_string()),
            ..About::default()
        },
    };
    Ok(folder.read()?)
}

fn folder_hash(path: &Path) -> Result<String> {
    let mut names = weight_names(optional(&path.join(INDEX))?.as_deref())?;
    names.extend([CONFIG.to_owned(), TOKENIZER.to_owned()]);
    names.sort();
    let mut lines = String::new();
    for name in names.iter().filter(|name| path.join(name).is_file()) {
        lines += &format!("{name} {}\n", file_hash(&path.join(name))?);
    }
    Ok(sha256(lines.as_bytes()))
}

fn file_hash(path: &Path) -> Result<String> {
    Ok(sha256(&files::map(path)?))
}

fn weight_names(index: Option<&[u8]>) -> Result<Vec<String>> {
    match index {
        Some(index) => Ok(safetensors::shard_names(index)?),
        None => Ok(vec![WEIGHTS.to_owned()]),
    }
}

fn optional(path: &Path) -> Result<Option<Vec<u8>>> {
    path.is_file().then(|| files::read(path)).transpose()
}

fn shared(path: &Path) -> Result<SharedBytes> {
    Ok(Arc::new(files::map(path)?))
}

fn bundle(path: &Path) -> Result<Checkpoint> {
    open_bundle(path)?
        .into_checkpoint()
        .hint("complete it with its teacher first: `post-native bundle --student … --teacher …`")
}

/// A bundle whose content hash is right.
///
/// # Errors
/// When the file can't be read, is no bundle, or was changed.
pub(crate) fn open_bundle(path: &Path) -> Result<Bundle> {
    Bundle::open(shared(path)?).with_context(|| format!("bundle {}", path.display()))
}
