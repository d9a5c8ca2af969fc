//! `post-native eval`: how good a model is at a task, with a prompt or without.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ArgMatches;
use post_core::prompt::SoftPrompt;
use post_core::report::{Align, Table, percent};
use post_core::task::metrics::Confusion;
use post_core::task::{Labels, Row, Task, argmax};
use post_core::tune::{calibrate, logit_arithmetic};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::values;
use crate::classify::class_logits;
use crate::data::Rows;
use crate::device::DeviceChoice;
use crate::dtype::Dtype;
use crate::failure::{Hint, Usage};
use crate::models::{self, Loaded};
use crate::source::ModelSource;
use crate::term::{self, Terminal};
use crate::{config, data, files, prompts};

/// Measure a model's accuracy on labelled rows, with a prompt or zero-shot
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

Accuracy comes with its 95 % interval (Wilson). With --json: {\"accuracy\": …, \"low\": …, \"high\": …,
\"n\": …, \"per_class\": […], \"confusion\": {\"classes\": […], \"counts\": [[…]]}}.")]
pub(crate) struct Args {
    /// A folder, a .gguf file, a .post.safetensors bundle, or hub:org/name[@revision]
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
    #[arg(long, value_name = "PROMPT")]
    prompt: Option<PathBuf>,
    /// The student that --prompt was tuned on: the prompt then stays before the student, and what it
    /// changes in the student's logits is added to the model's own (z + z_s^p − z_s)
    #[arg(long, value_name = "MODEL")]
    student: Option<ModelSource>,
    /// Public rows, labels unused: what the model says to them on the whole is taken off its answers, so
    /// that none is favoured whatever the text (batch calibration, Zhou et al. 2024)
    #[arg(long, value_name = "FILES", num_args = 1..)]
    #[serde(default, with = "values::paths", skip_serializing_if = "Vec::is_empty")]
    calibrate: Vec<PathBuf>,
    /// Write each row's label, answer and class logits to a file, as JSON lines
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

/// Evaluates and prints.
///
/// # Errors
/// When an input is bad or the prompt belongs to another model.
pub(crate) fn run(typed: Args, matches: &ArgMatches, term: &Terminal) -> Result<()> {
    let file = typed.config.clone();
    let args = config::merge(typed, matches, file.as_deref())?;
    let task = data::task(&config::required(args.task, "task")?)?;
    let source = config::required(args.model, "model")?;
    let files = config::some(&args.data, "data")?;
    let rows = data::rows(files, &task, Labels::Required, term)?;
    let known = |row: &Row| row.label.context("a row without a label was evaluated");
    let labels = rows.rows.iter().map(known).collect::<Result<Vec<_>>>()?;
    if args.student.is_some() && args.prompt.is_none() {
        return Err(Usage(
            "a --student answers behind a prompt, and there is none".into(),
        ))
        .hint("give the --prompt that was tuned on it, or leave --student out");
    }
    let device = args.device.open(term)?;
    let answering = Answering {
        model: models::load(&source, &device, args.dtype, term)?,
        student: args
            .student
            .as_ref()
            .map(|student| models::load(student, &device, args.dtype, term))
            .transpose()?,
        prompt: args.prompt.as_deref().map(prompts::soft).transpose()?,
        task: &task,
        micro_batch: args.micro_batch,
        term,
    };
    let mut logits = answering.answer(&rows)?;
    if !args.calibrate.is_empty() {
        let public = data::rows(&args.calibrate, &task, Labels::Unused, term)?;
        calibrate(&mut logits, &answering.answer(&public)?);
    }
    if let Some(path) = &args.answers {
        files::write_atomic(path, answers(&task, &labels, &logits)?.as_bytes())?;
    }
    say(&confusion(&task, &labels, &logits), args.json)
}

/// What answers, and how.
struct Answering<'a> {
    model: Loaded,
    /// Where the prompt stays before the student.
    student: Option<Loaded>,
    prompt: Option<SoftPrompt>,
    task: &'a Task,
    micro_batch: usize,
    term: &'a Terminal,
}

impl Answering<'_> {
    /// Class logits of every row.
    fn answer(&self, rows: &Rows) -> Result<Vec<Vec<f32>>> {
        match (&self.student, &self.prompt) {
            (Some(student), Some(prompt)) => Ok(logit_arithmetic(
                &self.logits(&self.model, None, rows)?,
                &self.logits(student, None, rows)?,
                &self.logits(student, Some(prompt), rows)?,
            )),
            (_, prompt) => self.logits(&self.model, prompt.as_ref(), rows),
        }
    }

    /// Class logits by a model, behind a prompt or zero-shot.
    fn logits(
        &self,
        model: &Loaded,
        prompt: Option<&SoftPrompt>,
        rows: &Rows,
    ) -> Result<Vec<Vec<f32>>> {
        class_logits(model, prompt, self.task, rows, self.micro_batch, self.term)
    }
}

fn confusion(task: &Task, labels: &[usize], logits: &[Vec<f32>]) -> Confusion {
    let classes = task.classes().iter().map(|class| class.name.clone());
    let mut confusion = Confusion::new(classes.collect());
    for (&label, logits) in labels.iter().zip(logits) {
        confusion.add(label, argmax(logits));
    }
    confusion
}

/// One JSON object for each row, in the order of the file.
fn answers(task: &Task, labels: &[usize], logits: &[Vec<f32>]) -> Result<String> {
    let name = |class: usize| &task.classes()[class].name;
    let mut lines = String::new();
    for (&label, logits) in labels.iter().zip(logits) {
        let line =
            json!({ "label": name(label), "answer": name(argmax(logits)), "logits": logits });
        lines += &serde_json::to_string(&line)?;
        lines.push('\n');
    }
    Ok(lines)
}

fn say(confusion: &Confusion, as_json: bool) -> Result<()> {
    let accuracy = confusion
        .accuracy()
        .context("there is not one row to evaluate")?;
    if as_json {
        let mut value = serde_json::to_value(accuracy)?;
        value["per_class"] = json!(confusion.per_class());
        value["confusion"] = json!(confusion);
        return term::json(&value);
    }
    let (low, high) = (percent(accuracy.low), percent(accuracy.high));
    let (share, n) = (percent(accuracy.accuracy), accuracy.n);
    term::data(format!(
        "accuracy {share} (95 % interval {low} to {high}), {n} rows\n"
    ))?;
    term::data(per_class(confusion).to_text())?;
    term::data("")?;
    Ok(term::data(counts(confusion).to_text())?)
}

fn per_class(confusion: &Confusion) -> Table {
    let headers = ["class", "rows", "precision", "recall", "F1"];
    let mut table = Table::new(headers.map(|title| (title, align(title == "class"))));
    for figures in confusion.per_class() {
        let ratio = |x: Option<f64>| x.map_or("-".to_owned(), percent);
        table.push([
            figures.class,
            figures.rows.to_string(),
            ratio(figures.precision),
            ratio(figures.recall),
            ratio(figures.f1),
        ]);
    }
    table
}

/// Rows: what the example is; columns: what the model says.
fn counts(confusion: &Confusion) -> Table {
    let said = confusion
        .classes
        .iter()
        .map(|class| (format!("said {class}"), Align::Right));
    let mut table = Table::new([("is".to_owned(), Align::Left)].into_iter().chain(said));
    for (class, counts) in confusion.classes.iter().zip(&confusion.counts) {
        let counts = counts.iter().map(u64::to_string);
        table.push([class.clone()].into_iter().chain(counts));
    }
    table
}

fn align(words: bool) -> Align {
    if words { Align::Left } else { Align::Right }
}
