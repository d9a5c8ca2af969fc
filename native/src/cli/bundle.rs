//! `post-native bundle`: the one file that a provider publishes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::{ArgMatches, ValueEnum};
use post_core::bundle::{self, Card, Contents, Dtype};
use post_core::checkpoint::Checkpoint;
use post_core::model::{Lm, NamedTensors, PromptPlace};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::values;
use crate::device::DeviceChoice;
use crate::failure::Hint;
use crate::models::{self, CARD};
use crate::source::{Located, ModelSource};
use crate::term::{self, Terminal};
use crate::{config, data, files};

/// Make one file of a student, its tokenizer, tasks and licence
///
/// With --blocks-only the file holds the blocks alone; whoever has the teacher completes it: give the
/// small bundle as --student and the teacher as --teacher.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
#[command(after_help = "\
Examples:
  Publish a distilled student:
    post-native bundle --student runs/distill/student --license Apache-2.0 --task sst2 \\
      --out student.post.safetensors
  Its blocks alone, in 8 bits, and back to a whole:
    post-native bundle --student runs/distill/student --teacher SmolLM2.gguf --license Apache-2.0 \\
      --blocks-only --dtype int8 --out blocks.post.safetensors
    post-native bundle --student blocks.post.safetensors --teacher SmolLM2.gguf \\
      --out student.post.safetensors")]
pub(crate) struct Args {
    /// The student: the folder that `distill` wrote, or a bundle of blocks to complete
    #[arg(long, value_name = "MODEL")]
    student: Option<ModelSource>,
    /// The file to write; its name should end in .post.safetensors
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The teacher, for --blocks-only and to complete a bundle of blocks
    #[arg(long, value_name = "MODEL")]
    teacher: Option<ModelSource>,
    /// Leave out what the student shares with the teacher: embeddings, final norm, head, tokenizer
    #[arg(long, requires = "teacher")]
    #[serde(default)]
    blocks_only: bool,
    /// How matrices are stored
    #[arg(long, value_enum, default_value_t = Stored::F16)]
    dtype: Stored,
    /// The student's name [default: the name of the file]
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Licence of the weights, as SPDX has it [default: the model's own]
    #[arg(long, value_name = "SPDX")]
    license: Option<String>,
    /// A task to put in, by file or name; may be given several times
    #[arg(long, value_name = "FILE|NAME")]
    #[serde(default)]
    task: Vec<String>,
    /// Where prompts are tuned on it: before the token that every text begins with (BOS: <s>, [CLS]), as PEFT
    /// has it, or behind that token [default: what `distill` was told, else before-bos]
    #[arg(long, value_name = "PLACE", value_parser = values::place())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt_place: Option<PromptPlace>,
    /// Settings from a TOML file; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print a JSON summary
    #[arg(long)]
    #[serde(default)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stored {
    F32,
    F16,
    Int8,
}

impl From<Stored> for Dtype {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::F32 => Self::F32,
            Stored::F16 => Self::F16,
            Stored::Int8 => Self::Int8,
        }
    }
}

/// Writes the bundle.
///
/// # Errors
/// When an input is bad or the file can't be written.
pub(crate) fn run(typed: Args, matches: &ArgMatches, term: &Terminal) -> Result<()> {
    let file = typed.config.clone();
    let args = config::merge(typed, matches, file.as_deref())?;
    let source = config::required(args.student.clone(), "student")?;
    let out = config::required(args.out.clone(), "out")?;
    let teacher = args.teacher.as_ref().map(models::open).transpose()?;
    let (student, mut card) = student(&source, teacher.as_ref())?;
    settle(&mut card, &args, &student, &out)?;
    let tokenizer = student.tokenizer()?;
    models::has_place(tokenizer, card.prompt_place, &source.to_string())?;
    let contents = |tensors| Contents {
        tensors,
        config: &student.config,
        tokenizer,
        card,
    };
    let bytes = match (&teacher, args.blocks_only) {
        (Some(teacher), true) => {
            let tensors = blocks(&student, term)?;
            bundle::write_without_embeddings(&contents(&tensors), args.dtype.into(), teacher)?
        }
        _ => bundle::write(&contents(&all(&student)?), args.dtype.into())?,
    };
    files::write_atomic(&out, &bytes)?;
    let summary = json!({ "bundle": out, "bytes": bytes.len() });
    match args.json {
        true => term::json(&summary),
        false => Ok(term::data(format!("{}", out.display()))?),
    }
}

/// The student and what is known of it.
fn student(source: &ModelSource, teacher: Option<&Checkpoint>) -> Result<(Checkpoint, Card)> {
    match source.locate()? {
        Located::Bundle(path) => {
            let bundle = models::open_bundle(&path)?;
            let card = bundle.card().clone();
            let student = match teacher.filter(|_| bundle.needs_teacher()) {
                Some(teacher) => bundle.complete(teacher),
                None => bundle.into_checkpoint(),
            };
            let student = student.with_context(|| format!("could not load {source}"));
            Ok((
                student.hint("give the teacher it was distilled from with --teacher")?,
                card,
            ))
        }
        Located::Folder(path) => Ok((models::open(source)?, kept(&path)?)),
        Located::Gguf(_) | Located::Weights(_) => Ok((models::open(source)?, Card::default())),
    }
}

/// What `distill` wrote beside the weights.
fn kept(folder: &Path) -> Result<Card> {
    let path = folder.join(CARD);
    if !path.is_file() {
        return Ok(Card::default());
    }
    let card: Value = serde_json::from_slice(&files::read(&path)?)
        .with_context(|| format!("{} is damaged", path.display()))?;
    let blocks = card["blocks"].as_array().into_iter().flatten();
    Ok(Card {
        teacher: card["teacher"].as_str().unwrap_or_default().to_owned(),
        blocks: blocks
            .filter_map(|block| block.as_u64().map(|b| b as usize))
            .collect(),
        ..Card::default()
    })
}

/// Puts in what the flags say, and what a publication can't lack.
fn settle(card: &mut Card, args: &Args, student: &Checkpoint, out: &Path) -> Result<()> {
    let file = out.file_name().unwrap_or_default().to_string_lossy();
    let fallback = file
        .strip_suffix(".post.safetensors")
        .unwrap_or(&file)
        .to_owned();
    if args.name.is_some() || card.name.is_empty() {
        card.name = args.name.clone().unwrap_or(fallback);
    }
    if let Some(teacher) = args.teacher.as_ref().filter(|_| card.teacher.is_empty()) {
        card.teacher = teacher.to_string();
    }
    if let Some(license) = args
        .license
        .clone()
        .or_else(|| student.about.license.clone())
    {
        card.license = license;
    }
    if card.license.is_empty() {
        return Err(anyhow!("the student's licence is unknown"))
            .hint("name the licence of the teacher's weights with --license");
    }
    card.prompt_place = args.prompt_place.unwrap_or(student.about.prompt_place);
    for name in &args.task {
        card.tasks.push(data::task(name)?.to_toml());
    }
    Ok(())
}

fn all(student: &Checkpoint) -> Result<NamedTensors> {
    let tensor = |name: String| Ok((name.clone(), student.tensors.tensor(&name)?));
    student.tensors.names().into_iter().map(tensor).collect()
}

fn blocks(student: &Checkpoint, term: &Terminal) -> Result<NamedTensors> {
    let device = DeviceChoice::Cpu.open(term)?;
    let lm = Lm::load(&student.config, student.tensors.as_ref(), &device)?;
    Ok(pollster::block_on(lm.named_block_tensors())?)
}
