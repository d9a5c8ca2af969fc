//! `post-native eval`: how good a model is at a task, with a prompt or without.

mod classes;
mod open;

use std::path::PathBuf;

use anyhow::Result;
use clap::ArgMatches;
use post_core::prompt::{PromptPlace, SoftPrompt};
use post_core::report::percent;
use post_core::task::metrics::Accuracy;
use post_core::task::{Answers, Labels, Task};
use serde::{Deserialize, Serialize};

use super::columns::PublicColumns;
use super::since::Since;
use super::values;
use crate::data::Rows;
use crate::device::DeviceChoice;
use crate::dtype::Dtype;
use crate::failure::{Hint, Usage};
use crate::models::Loaded;
use crate::source::ModelSource;
use crate::term::Terminal;
use crate::{config, data, prompts};

/// Measure how often a model answers labelled rows rightly, with a prompt or zero-shot
///
/// Of tasks with classes that is accuracy. Answers of text are written by the likeliest token after the
/// other, and must be the row's own to the letter (exact match).
#[derive(Debug, clap::Args, Serialize, Deserialize)]
#[command(after_help = "\
Examples:
  Zero-shot:
    post-native eval --model SmolLM2.gguf --task sst2 --data test.csv
  With a prompt:
    post-native eval --model SmolLM2.gguf --task sst2 --data test.csv --prompt runs/transfer/prompt
  Logit arithmetic, where the student runs beside the model and its prompt is not transferred:
    post-native eval --model SmolLM2.gguf --task sst2 --data test.csv --prompt runs/tune/prompt \\
      --student student.post.safetensors

Both come with their 95 % interval (Wilson). With --json: {\"accuracy\": …, \"low\": …, \"high\": …,
\"n\": …, \"per_class\": […], \"confusion\": {\"classes\": […], \"counts\": [[…]]}}; of answers of text
{\"exact_match\": …, \"low\": …, \"high\": …, \"n\": …, \"loss\": …}, the loss being what tuning makes small.")]
pub(crate) struct Args {
    /// A folder, a .gguf file, a .post.safetensors bundle, or hub:org/name[/FILE.gguf][@revision]
    #[arg(long, value_name = "MODEL")]
    model: Option<ModelSource>,
    /// A task file, or the name of a built-in task
    #[arg(long, value_name = "FILE|NAME")]
    task: Option<String>,
    /// Labelled rows: CSV, TSV, JSON lines or Parquet, also packed; several files, or a pattern in quotes
    #[arg(long, value_name = "FILES", num_args = 1..)]
    #[serde(default, with = "values::paths", skip_serializing_if = "Vec::is_empty")]
    data: Vec<PathBuf>,
    /// PEFT's folder or zip, .npy, .safetensors or .pth; without one the model answers zero-shot
    #[arg(long, value_name = "PROMPT", group = "behind")]
    prompt: Option<PathBuf>,
    /// Answer behind the task's init_text in so many virtual tokens: where prompts start, and what they must beat
    #[arg(long, value_name = "TOKENS", group = "behind", value_parser = clap::value_parser!(u32).range(1..))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sentence: Option<u32>,
    /// With --sentence: before the token that every text begins with, or behind it [default: what the model's
    /// bundle says, else before-bos]
    #[arg(long, value_name = "PLACE", value_parser = values::place(), requires = "sentence")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt_place: Option<PromptPlace>,
    /// With classes only: the student that --prompt was tuned on: the prompt then stays before the student, and what it
    /// changes in the student's logits is added to the model's own (z + z_s^p − z_s)
    #[arg(long, value_name = "MODEL")]
    student: Option<ModelSource>,
    /// With --student: what the change is counted from, for both models
    #[arg(long, value_enum, default_value_t = Since::ZeroShot)]
    #[serde(default, skip_serializing_if = "Since::is_zero_shot")]
    change_since: Since,
    /// With classes only: public rows, labels unused: what the model says to them on the whole is taken off its answers, so
    /// that none is favoured whatever the text (batch calibration, Zhou et al. 2024)
    #[arg(long, value_name = "FILES", num_args = 1..)]
    #[serde(default, with = "values::paths", skip_serializing_if = "Vec::is_empty")]
    calibrate: Vec<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    columns: PublicColumns,
    /// Write each row's label, answer and class logits (or loss) to a file, as JSON lines
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Rows per forward pass: memory, not results, depend on it
    #[arg(long, value_name = "ROWS", default_value_t = 16)]
    micro_batch: usize,
    /// auto, cpu, cuda[:i], wgpu[:i] or vulkan[:i]
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    /// What the weights of all models are kept in; everything else stays f32
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    #[serde(default, skip_serializing_if = "Dtype::is_f32")]
    dtype: Dtype,
    /// Settings from a TOML file; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    #[serde(default)]
    json: bool,
}

/// What is measured: all inputs but the models.
struct Measured<'a> {
    args: &'a Args,
    task: &'a Task,
    source: ModelSource,
    rows: Rows,
    prompt: Option<SoftPrompt>,
    term: &'a Terminal,
}

impl Measured<'_> {
    /// What the model answers behind.
    fn behind(&self, model: &Loaded) -> Result<Option<SoftPrompt>> {
        match (&self.prompt, self.args.sentence) {
            (None, Some(tokens)) => {
                let tokens = tokens as usize;
                let place = self.args.prompt_place.unwrap_or(model.prompt_place);
                let sentence = model.sentence(self.task, tokens, place)?;
                model.fits(&sentence)?;
                Ok(Some(sentence))
            }
            (prompt, _) => Ok(prompt.clone()),
        }
    }
}

/// Evaluates and prints.
///
/// # Errors
/// When an input is bad or the prompt belongs to another model.
pub(crate) fn run(typed: Args, matches: &ArgMatches, term: &Terminal) -> Result<()> {
    let file = typed.config.clone();
    let args = config::merge(typed, matches, file.as_deref())?;
    if args.prompt.is_some() && args.sentence.is_some() {
        return Err(Usage(
            "a model answers behind a prompt or behind a sentence".into(),
        ))
        .hint("leave prompt or sentence out");
    }
    let task = data::task(&config::required(args.task.clone(), "task")?)?;
    match task.answers() {
        Answers::Classes(_) => classes::check(&args)?,
        Answers::Open(_) => open::check(&args)?,
    }
    let source = config::required(args.model.clone(), "model")?;
    let files = config::some(&args.data, "data")?;
    let measured = Measured {
        rows: data::rows(files, &task, Labels::Required, term)?,
        prompt: args.prompt.as_deref().map(prompts::soft).transpose()?,
        args: &args,
        task: &task,
        source,
        term,
    };
    match task.answers() {
        Answers::Classes(classes) => classes::run(&measured, classes),
        Answers::Open(_) => open::run(&measured),
    }
}

/// `61.5 % (95 % interval 58.5 % to 64.4 %), 1010 rows`
fn with_interval(accuracy: &Accuracy) -> String {
    let [share, low, high] = [accuracy.accuracy, accuracy.low, accuracy.high].map(percent);
    let n = accuracy.n;
    format!("{share} (95 % interval {low} to {high}), {n} rows")
}
