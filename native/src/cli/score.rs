//! `post-native score`: which public text suits a prompt, before anything is transferred.

use std::path::PathBuf;

use anyhow::Result;
use clap::ArgMatches;
use post_core::report::{Align, Table};
use post_core::task::Labels;
use post_core::transfer::public_score;
use serde::{Deserialize, Serialize};

use super::columns::PublicColumns;
use super::values;
use crate::classify::class_logits;
use crate::device::DeviceChoice;
use crate::dtype::Dtype;
use crate::findings::Scored;
use crate::source::ModelSource;
use crate::term::{self, Terminal};
use crate::{config, data, models, prompts};

/// Say which of several public files suits a prompt best, before it is transferred
///
/// The score is how far the student behind its prompt tells the rows of a file apart, from 0 (it says
/// the same of all) to 1 (it gives all classes equally often and is sure of each). Only the student is
/// run, labels are not looked at, and no private row is needed: the prompt's (ε, δ) holds for its
/// scores, too. Best first.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
#[command(after_help = "\
Example:
  post-native score --student student.post.safetensors --prompt prompt.zip --task sst2 \\
    --public reviews.csv news.csv 'web/*.parquet'

With --json: [{\"file\": …, \"rows\": …, \"score\": …}, …].")]
pub(crate) struct Args {
    /// The student that the prompt was tuned on: a folder, .gguf, .post.safetensors or hub:org/name
    #[arg(long, value_name = "MODEL")]
    student: Option<ModelSource>,
    /// The student's prompt: a PEFT folder, the zip that the browser hands out, .npy, .safetensors, .pth
    #[arg(long, value_name = "PROMPT")]
    prompt: Option<PathBuf>,
    /// A task file, or the name of a built-in task
    #[arg(long, value_name = "FILE|NAME")]
    task: Option<String>,
    /// Public rows with the task's text columns: CSV, TSV, JSON lines or Parquet, also packed; each file
    /// has a score of its own
    #[arg(long, value_name = "FILES", num_args = 1..)]
    #[serde(default, with = "values::paths", skip_serializing_if = "Vec::is_empty")]
    public: Vec<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    columns: PublicColumns,
    /// Rows looked at of each file, drawn by --seed
    #[arg(long, value_name = "ROWS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    max_rows: u32,
    /// Decides which rows
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u32,
    /// Rows per forward pass: memory, not results, depend on it
    #[arg(long, value_name = "ROWS", default_value_t = 16)]
    micro_batch: usize,
    /// auto, cpu, cuda[:i], wgpu[:i] or vulkan[:i]
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    /// What the student's weights are kept in; everything else stays f32
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

/// Scores and prints.
///
/// # Errors
/// When an input is bad, or the prompt belongs to another model.
pub(crate) fn run(typed: Args, matches: &ArgMatches, term: &Terminal) -> Result<()> {
    let file = typed.config.clone();
    let args = config::merge(typed, matches, file.as_deref())?;
    let task = data::task(&config::required(args.task, "task")?)?;
    task.classes()?;
    let read_as = args.columns.of(&task)?;
    let prompt = prompts::soft(&config::required(args.prompt, "prompt")?)?;
    let source = config::required(args.student, "student")?;
    let files = post_data::files::expand(config::some(&args.public, "public")?)?;
    let student = models::load(&source, &args.device.open(term)?, args.dtype, term)?;
    let score = |file: PathBuf| {
        let mut rows = data::rows(std::slice::from_ref(&file), &read_as, Labels::Unused, term)?;
        rows.draw(args.max_rows as usize, args.seed.into());
        let logits = class_logits(
            &student,
            Some(&prompt),
            &task,
            &rows,
            args.micro_batch,
            term,
        )?;
        let (rows, score) = (logits.len(), public_score(&logits));
        let file = file.display().to_string();
        Ok(Scored { file, rows, score })
    };
    let mut scored = files.into_iter().map(score).collect::<Result<Vec<_>>>()?;
    scored.sort_by(|a, b| b.score.total_cmp(&a.score));
    say(&scored, args.json)
}

fn say(scored: &[Scored], as_json: bool) -> Result<()> {
    if as_json {
        return term::json(&scored);
    }
    let mut table = Table::new([
        ("file", Align::Left),
        ("rows", Align::Right),
        ("score", Align::Right),
    ]);
    for of in scored {
        table.push([
            of.file.clone(),
            of.rows.to_string(),
            format!("{:.3}", of.score),
        ]);
    }
    Ok(term::data(table.to_text())?)
}
