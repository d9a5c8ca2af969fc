//! Models off the disk: mapped, checked, and put on a device.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use burn::tensor::Device;
use post_core::bundle::Bundle;
use post_core::checkpoint::{About, Checkpoint, CheckpointError, SharedBytes, hf, tokenizer};
use post_core::dp::receipt::sha256;
use post_core::model::Lm;
use post_core::prompt::peft::BaseModel;
use post_core::prompt::{PromptPlace, SoftPrompt};
use post_core::task::{Encoder, Task};
use post_core::tune;
use serde_json::Value;
use tokenizers::Tokenizer;

use crate::dtype::Dtype;
use crate::failure::Hint;
use crate::files;
use crate::source::{Located, ModelSource};
use crate::term::Terminal;
use crate::weights::Weights;

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
/// What `distill` writes beside a student: its teacher, its blocks, and where prompts are tuned on it.
pub(crate) const CARD: &str = "student.json";

/// A model on a device, with what it came with.
pub(crate) struct Loaded {
    /// The model.
    pub(crate) lm: Arc<Lm>,
    /// Its tokenizer.
    pub(crate) tokenizer: Tokenizer,
    /// As the person named it.
    pub(crate) name: String,
    /// Where prompts are tuned on it, unless another place is asked for.
    pub(crate) prompt_place: PromptPlace,
}

/// Reads and checks everything but the weights' values, which stay in the mapped file.
///
/// # Errors
/// Names the file, the place in it and the way out.
pub(crate) fn open(source: &ModelSource) -> Result<Checkpoint> {
    let checkpoint = match source.locate()? {
        Located::Folder(path) => folder(&path, None),
        Located::Weights(path) => folder(parent(&path), Some(&path)),
        Located::Gguf(path) => gguf(&path),
        Located::Bundle(path) => bundle(&path),
    };
    let damaged = checkpoint.as_ref().is_err_and(is_damage);
    let checkpoint = checkpoint.with_context(|| format!("could not load {source}"));
    match damaged {
        true => checkpoint
            .hint("is the file complete? Compare its size or sha256 with where it came from"),
        false => checkpoint,
    }
}

/// Whether the bytes are wrong, and not what they say.
fn is_damage(error: &anyhow::Error) -> bool {
    use CheckpointError::{Malformed, MissingTensor, NotFinite};
    let reason = error.downcast_ref();
    matches!(
        reason,
        Some(Malformed { .. } | MissingTensor { .. } | NotFinite { .. })
    )
}

/// What a receipt knows the model by.
///
/// A bundle's content hash; the SHA-256 of a file; for a folder, and a GGUF that has its tokenizer beside it, that of the lines
/// `name sha256` of configuration, tokenizer and weights.
///
/// # Errors
/// When the model isn't there or can't be read.
pub(crate) fn hash(source: &ModelSource) -> Result<String> {
    match source.locate()? {
        Located::Folder(path) => folder_hash(&path, None),
        Located::Weights(path) => folder_hash(parent(&path), Some(&path)),
        Located::Gguf(path) => gguf_hash(&path),
        Located::Bundle(path) => Ok(open_bundle(&path)?.hash().to_owned()),
    }
}

/// Puts a model on a device. The file is let go of before this returns.
///
/// # Errors
/// As [`open`]; when the device lacks the type, a tensor is missing, or the model has no tokenizer.
pub(crate) fn load(
    source: &ModelSource,
    device: &Device,
    dtype: Dtype,
    term: &Terminal,
) -> Result<Loaded> {
    let checkpoint = open(source)?;
    let tokenizer = checkpoint
        .tokenizer()
        .with_context(|| format!("could not load {source}"))
        .hint(
            "transformers writes one, `AutoTokenizer.from_pretrained(…).save_pretrained(…)`, \
             where a repository has only vocab.json and merges.txt",
        )?
        .clone();
    Ok(Loaded {
        lm: Arc::new(place(&checkpoint, source, device, dtype, term)?),
        tokenizer,
        name: source.to_string(),
        prompt_place: checkpoint.about.prompt_place,
    })
}

/// Puts a checkpoint on a device, with a tokenizer or without.
///
/// # Errors
/// When the device lacks the type, or a tensor is missing or of another shape than the configuration says.
pub(crate) fn place(
    checkpoint: &Checkpoint,
    source: &ModelSource,
    device: &Device,
    dtype: Dtype,
    term: &Terminal,
) -> Result<Lm> {
    let (tensors, kept) = (checkpoint.tensors.as_ref(), dtype.on(device)?);
    let lm = Lm::load_kept(&checkpoint.config, tensors, device, kept)
        .with_context(|| format!("could not load {source}"))?;
    let config = lm.config();
    let kept = match dtype {
        Dtype::F32 => String::new(),
        half => format!(", kept in {}", half.name()),
    };
    term.note(format!(
        "model: {source}, {} blocks of width {}{kept}",
        config.num_hidden_layers(),
        config.hidden_size
    ));
    Ok(lm)
}

/// A student in f32 of the named blocks of a teacher, of which no more is read.
///
/// # Errors
/// As [`place`].
pub(crate) fn student(source: &ModelSource, blocks: &[usize], device: &Device) -> Result<Lm> {
    let teacher = open(source)?;
    Lm::load_blocks(&teacher.config, teacher.tensors.as_ref(), device, blocks)
        .with_context(|| format!("could not load {source}"))
}

/// What a prompt names its model by. Of a path only its last part: the prompt is handed on, and where
/// its maker keeps files is nobody's business.
pub(crate) fn public_name(name: &str) -> String {
    let last = Path::new(name)
        .file_name()
        .map(|name| name.to_string_lossy());
    match name.strip_prefix("hub:") {
        Some(repo) => repo.to_owned(),
        None => last.map_or_else(|| name.to_owned(), Into::into),
    }
}

/// Whether a prompt can stand there in the texts of a tokenizer.
///
/// # Errors
/// When it is to stand behind BOS, and there is none.
pub(crate) fn has_place(tokenizer: &Tokenizer, place: PromptPlace, model: &str) -> Result<()> {
    if place.is_before_bos() || tokenizer::begins_texts(tokenizer) {
        return Ok(());
    }
    Err(anyhow!(
        "a prompt {place} needs a token that every text begins with, and the tokenizer of {model} has none"
    ))
    .hint("tune with --prompt-place before-bos, or take a model whose texts begin with one, as <s> or [CLS]")
}

impl Loaded {
    /// Whether the model can read the prompt, and its texts have the prompt's place.
    ///
    /// # Errors
    /// When the prompt is of another width, or there is no BOS that it could stand behind.
    pub(crate) fn fits(&self, prompt: &SoftPrompt) -> Result<()> {
        prompt.fits(&self.name, self.lm.config().embedding_size)?;
        self.has_place(prompt.place())
    }

    /// Whether a prompt can stand there in its texts.
    ///
    /// # Errors
    /// As [`has_place`].
    pub(crate) fn has_place(&self, place: PromptPlace) -> Result<()> {
        has_place(&self.tokenizer, place, &self.name)
    }

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

    /// The task's sentence in `length` virtual tokens, at its place.
    ///
    /// # Errors
    /// When the task doesn't fit the model, or the sentence has no tokens.
    pub(crate) fn sentence(
        &self,
        task: &Task,
        length: usize,
        place: PromptPlace,
    ) -> Result<SoftPrompt> {
        let sentence = self.text_init(&self.encoder(task, length)?, length)?;
        Ok(sentence.with_place(place))
    }

    /// What PEFT wants to know of the model.
    pub(crate) fn base(&self) -> BaseModel {
        BaseModel::of(public_name(&self.name), self.lm.config())
    }
}

/// With the tokenizer beside the file, where its own can't be read.
fn gguf(path: &Path) -> Result<Checkpoint> {
    let checkpoint = Checkpoint::from_gguf(shared(path)?)?;
    let beside = parent(path).join(TOKENIZER);
    match optional(&beside)? {
        Some(json) if checkpoint.tokenizer.is_none() => {
            let tokenizer = tokenizer::from_json(&json);
            let whole = tokenizer.and_then(|tokenizer| checkpoint.with_tokenizer(tokenizer));
            whole.with_context(|| format!("could not use {}", beside.display()))
        }
        _ => Ok(checkpoint),
    }
}

fn gguf_hash(path: &Path) -> Result<String> {
    let beside = parent(path).join(TOKENIZER);
    if !beside.is_file() || Checkpoint::from_gguf(shared(path)?)?.tokenizer.is_some() {
        return file_hash(path);
    }
    hash_of([path, &beside])
}

fn folder(path: &Path, weights: Option<&Path>) -> Result<Checkpoint> {
    let weights = weights.map_or_else(|| Weights::find(path), Weights::one)?;
    let folder = hf::Folder {
        config: files::read(&path.join(CONFIG))?,
        tokenizer: optional(&path.join(TOKENIZER))?,
        about: About {
            name: Some(path.display().to_string()),
            prompt_place: prompt_place(path)?,
            ..About::default()
        },
        ..hf::Folder::default()
    };
    weights.load(path, folder)
}

/// Where prompts are tuned on the student in a folder, if its card says so.
fn prompt_place(folder: &Path) -> Result<PromptPlace> {
    let path = folder.join(CARD);
    let damaged = || format!("{} is damaged", path.display());
    let Some(bytes) = optional(&path)? else {
        return Ok(PromptPlace::default());
    };
    let card: Value = serde_json::from_slice(&bytes).with_context(damaged)?;
    match card.get("prompt_place") {
        None => Ok(PromptPlace::default()),
        Some(place) => serde_json::from_value(place.clone()).with_context(damaged),
    }
}

fn folder_hash(path: &Path, weights: Option<&Path>) -> Result<String> {
    let weights = weights.map_or_else(|| Weights::find(path), Weights::one)?;
    let mut names = weights.names;
    names.extend([CONFIG.to_owned(), TOKENIZER.to_owned()]);
    names.sort();
    let paths = names.iter().map(|name| path.join(name));
    hash_of(paths.filter(|path| path.is_file()))
}

/// Of the lines `name sha256` of the files.
fn hash_of(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<String> {
    let mut lines = String::new();
    for path in paths {
        let path = path.as_ref();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        lines += &format!("{name} {}\n", file_hash(path)?);
    }
    Ok(sha256(lines.as_bytes()))
}

fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn file_hash(path: &Path) -> Result<String> {
    Ok(sha256(&files::map(path)?))
}

/// The file's bytes, if it is there.
pub(super) fn optional(path: &Path) -> Result<Option<Vec<u8>>> {
    path.is_file().then(|| files::read(path)).transpose()
}

/// The file's bytes, mapped.
pub(super) fn shared(path: &Path) -> Result<SharedBytes> {
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
