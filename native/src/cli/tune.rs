//! `post-native tune`: the data owner's private step, exactly the code that the browser runs.

pub(super) mod initial;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use clap::{ArgMatches, ValueEnum};
use post_core::dp::{
    Adjacency, Budget, Clipping, Entropy, Length, Plan, PlanConfig, PrivacyUnit, round_public,
    suggest_delta,
};
use post_core::model::PromptPlace;
use post_core::task::{Encoder, Example, Labels, Row, Task};
use post_core::tune::{
    Initial, LowRank, NOT_PRIVATE, Optimizer, PlainTraining, Privacy, PrivateMetrics, RECEIPT,
    Setup, StepReport, Student, TaskHead, TuneConfig, Tuned, Tuner,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::values;
use crate::data::Rows;
use crate::device::DeviceChoice;
use crate::drive::{Job, drive};
use crate::dtype::Dtype;
use crate::failure::{Hint, Usage};
use crate::ledgers::{self, Request};
use crate::models::{self, Loaded};
use crate::run::{Opened, RunArgs, RunFolder};
use crate::source::ModelSource;
use crate::term::{self, Terminal};
use crate::{config, data, prompts};

/// Tune a soft prompt on the student, with differential privacy
///
/// Writes the prompt as a PEFT folder with its receipt, `privacy.json`, to RUN/prompt.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
#[command(after_help = "\
Examples:
  With (8, δ)-differential privacy:
    post-native tune --student student.post.safetensors --task sst2 --data train.csv \\
      --target-epsilon 8 --run runs/sst2
  Killed? Go on from the last checkpoint:
    post-native tune --config runs/sst2/config.toml --resume
  Without any privacy, to see what it costs:
    post-native tune --student student.post.safetensors --task sst2 --data train.csv --no-dp
  On two students of one teacher at once:
    post-native tune --student a.post.safetensors --also-student b.post.safetensors --task sst2 \\
      --data train.csv --target-epsilon 8

Everything that fixes the guarantee (N, batch, steps, noise, δ) becomes public in the receipt.")]
pub(crate) struct Args {
    /// The student: a folder, a .gguf file, a .post.safetensors bundle, or hub:org/name[/FILE.gguf][@revision]
    #[arg(long, value_name = "MODEL")]
    pub(super) student: Option<ModelSource>,
    /// Tune on these students of the same teacher as well: what counts of an example is the mean of its losses
    /// on all of them, for as many times the work
    #[arg(long, value_name = "MODEL", num_args = 1..)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) also_student: Vec<ModelSource>,
    /// A task file, or the name of a built-in task
    #[arg(long, value_name = "FILE|NAME")]
    pub(super) task: Option<String>,
    /// The private examples, with the columns that the task names: CSV, TSV, JSON lines or Parquet, also
    /// packed (.gz, .bz2, .zst); several files or a pattern in quotes ('train-*.parquet') are one data set
    #[arg(long, value_name = "FILES", num_args = 1..)]
    #[serde(default, with = "values::paths", skip_serializing_if = "Vec::is_empty")]
    pub(super) data: Vec<PathBuf>,

    /// Spend at most this ε; the noise follows
    #[arg(long, value_name = "EPSILON", group = "budget", help_heading = "Privacy", value_parser = values::positive)]
    target_epsilon: Option<f64>,
    /// Standard deviation of the noise in units of the clipping norm; ε follows
    #[arg(long, value_name = "SIGMA", group = "budget", help_heading = "Privacy", value_parser = values::positive)]
    noise_multiplier: Option<f64>,
    /// No privacy at all: neither clipping nor noise. The prompt is marked so
    #[arg(long, group = "budget", help_heading = "Privacy")]
    pub(super) no_dp: bool,
    /// The δ of (ε, δ) [default: 1 / (10 N), rounded down to one digit]
    #[arg(long, value_name = "DELTA", help_heading = "Privacy", value_parser = values::probability)]
    target_delta: Option<f64>,
    /// N, the number of examples as the world may know it [default: the rows, rounded to two digits]
    #[arg(long, value_name = "N", help_heading = "Privacy")]
    public_size: Option<u64>,
    /// Who is protected: one row, or one person (nobody may have more than one row then)
    #[arg(long, value_enum, default_value_t = Unit::Row, help_heading = "Privacy")]
    unit: Unit,
    /// L2 norm that each example's gradient is clipped to
    #[arg(long, value_name = "C", default_value_t = 1.0, help_heading = "Privacy", value_parser = values::positive)]
    max_grad_norm: f64,
    /// Clip gradients longer than C, or bring each to nearly C (AUTO-S) [default: threshold]
    #[arg(long, value_enum, help_heading = "Privacy")]
    clipping: Option<Clip>,
    /// γ of automatic clipping, C·g/(‖g‖ + γ) [default: 0.01]
    #[arg(long, value_name = "GAMMA", help_heading = "Privacy", value_parser = values::positive)]
    clipping_gamma: Option<f64>,
    /// Where the budget spent on this data is added up, over all runs [default: post/ledger.json in
    /// your configuration folder]
    #[arg(long, value_name = "FILE", help_heading = "Privacy")]
    ledger: Option<PathBuf>,
    /// Refuse to start when all runs on this data would together pass this ε; set once, when the
    /// ledger is made
    #[arg(long, value_name = "EPSILON", help_heading = "Privacy", value_parser = values::positive)]
    ledger_cap: Option<f64>,

    /// Mean size of the Poisson-drawn batches [default: 256, or a quarter of N where that is less]
    #[arg(long, value_name = "B", help_heading = "Training", value_parser = values::positive)]
    expected_batch: Option<f64>,
    /// Expected passes over N examples [default: 20]
    #[arg(long, value_name = "E", group = "length", help_heading = "Training", value_parser = values::positive)]
    epochs: Option<f64>,
    /// Steps, instead of epochs
    #[arg(long, value_name = "T", group = "length", help_heading = "Training")]
    steps: Option<u64>,
    /// Length of the prompt, in virtual tokens
    #[arg(
        long,
        value_name = "TOKENS",
        default_value_t = prompts::VIRTUAL_TOKENS,
        help_heading = "Training"
    )]
    pub(super) num_virtual_tokens: usize,
    /// Where the prompt stands: before the token that every text begins with (BOS: <s>, [CLS]), as PEFT has
    /// it, or behind that token [default: what the student's bundle says, else before-bos; of
    /// --initial-prompt where it stood]
    #[arg(long, value_name = "PLACE", value_parser = values::place(), help_heading = "Training")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt_place: Option<PromptPlace>,
    /// Start from a prompt that an earlier run left (a folder or zip with its receipt) instead of from the
    /// task's sentence. The new receipt names it and does not cover what it tells
    #[arg(long, value_name = "PROMPT", help_heading = "Training")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    initial_prompt: Option<PathBuf>,
    /// Tune two thin factors, of this many columns and rows, instead of the whole prompt: fewer numbers
    /// to add noise to
    #[arg(long, value_name = "R", help_heading = "Training")]
    pub(super) rank: Option<usize>,
    /// What moves the prompt [default: adam]
    #[arg(long, value_enum, help_heading = "Training")]
    optimizer: Option<Rule>,
    /// Of SGD [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Training", value_parser = values::fraction)]
    momentum: Option<f64>,
    /// Step size
    #[arg(long, value_name = "LR", default_value_t = 1e-2, help_heading = "Training", value_parser = values::positive)]
    learning_rate: f64,
    /// Let the step size fall to 0 over the run, in a line
    #[arg(long, help_heading = "Training")]
    #[serde(default)]
    decay: bool,
    /// Share of the steps, at the end, whose prompts are averaged into the result; 0 takes the last
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, help_heading = "Training", value_parser = values::fraction)]
    tail_average: f64,
    /// Decides the order of the examples with --no-dp, where private runs draw from the system, and what
    /// --rank starts from
    #[arg(
        long,
        value_name = "SEED",
        default_value_t = 0,
        help_heading = "Training"
    )]
    pub(super) seed: u32,
    /// Examples per forward pass: memory, not results, depend on it
    #[arg(
        long,
        value_name = "ROWS",
        default_value_t = 16,
        help_heading = "Training"
    )]
    pub(super) micro_batch: usize,

    /// auto, cpu, cuda[:i], wgpu[:i] or vulkan[:i]
    #[arg(
        long,
        value_name = "DEVICE",
        default_value = "auto",
        help_heading = "Running"
    )]
    pub(super) device: DeviceChoice,
    /// What the student's frozen weights are kept in; prompt, losses and optimiser stay f32, and the
    /// guarantee is the same
    #[arg(long, value_enum, default_value_t = Dtype::F32, help_heading = "Running")]
    #[serde(default, skip_serializing_if = "Dtype::is_f32")]
    pub(super) dtype: Dtype,
    #[command(flatten)]
    #[serde(flatten)]
    pub(super) run: RunArgs,
    /// Settings from a TOML file; flags win
    #[arg(long, value_name = "FILE", help_heading = "Running")]
    pub(super) config: Option<PathBuf>,
    /// Print a JSON summary
    #[arg(long)]
    #[serde(default)]
    pub(super) json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    Row,
    Person,
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Clip {
    Threshold,
    Automatic,
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Rule {
    Adam,
    Sgd,
}

/// Passes over the data where neither epochs nor steps are given.
const EPOCHS: f64 = 20.0;

/// Batch size of a large data set.
const BATCH: f64 = 256.0;

/// Tunes and writes the prompt.
///
/// # Errors
/// When an input is bad, the budget is spent, the self-test fails, or the run folder can't be used.
pub(crate) fn run(typed: Args, matches: &ArgMatches, term: &Terminal) -> Result<()> {
    let file = typed.config.clone();
    let mut args = config::merge(typed, matches, file.as_deref())?;
    let path = args.run.settle("tune");
    // Not by the clock: how long a step takes depends on how many rows were drawn, which is private.
    args.run.checkpoint_every.get_or_insert(1);
    let task = data::task(&config::required(args.task.clone(), "task")?)?;
    let source = config::required(args.student.clone(), "student")?;
    let files = config::some(&args.data, "data")?;
    budget(&args)?;
    let run = match RunFolder::open(&path, &config::table(&args)?, &args.run)? {
        Opened::Ready(run) => run,
        Opened::Finished(run) => return already(&run, &args, term),
    };
    let rows = data::rows(files, &task, Labels::Required, term)?;
    let student = load(&args, &source, term)?;
    let checkpoint = run.checkpoint()?;
    let mut tuner = start(&args, &student, &task, &rows, checkpoint.as_deref(), term)?;
    drive(&mut tuner, &run, term)?;
    let tuned = tuner.0.finish()?;
    let folder = run.path("prompt");
    let sources: Vec<&ModelSource> = [&source].into_iter().chain(&args.also_student).collect();
    let summary = release(tuned, &folder, &sources, &student, &task, term)?;
    run.finish(&summary)?;
    say(&summary, args.json)
}

/// The student, as the flags have it.
///
/// # Errors
/// As [`models::load`].
pub(super) fn load(args: &Args, source: &ModelSource, term: &Terminal) -> Result<Loaded> {
    models::load(source, &args.device.open(term)?, args.dtype, term)
}

/// The students beside the first, which must read texts as that one does. Public things alone decide whether
/// they do: a run that only some rows would stop tells of them.
///
/// # Errors
/// As [`models::load`]; when one reads other tokens, or fewer.
pub(super) fn others(
    args: &Args,
    task: &Task,
    first: &Loaded,
    term: &Terminal,
) -> Result<Vec<Student>> {
    let reads = |student: &Loaded| {
        let tokenizer = student.tokenizer.to_string(false);
        let tokenizer = tokenizer.map_err(|error| anyhow!("{}: {error}", student.name))?;
        Ok::<_, anyhow::Error>((tokenizer, student.lm.text_room(args.num_virtual_tokens)))
    };
    let other = |source: &ModelSource| {
        let student = load(args, source, term)?;
        let encoder = student.encoder(task, args.num_virtual_tokens)?;
        if reads(&student)? != reads(first)? {
            return Err(anyhow!(
                "{source} reads texts as other tokens than the first student, or fewer of them"
            ))
            .hint("students that share a prompt need one tokenizer: distil them from one teacher");
        }
        Ok(Student {
            head: TaskHead::new(&student.lm, &encoder),
            lm: Arc::clone(&student.lm),
        })
    };
    args.also_student.iter().map(other).collect()
}

/// The run had finished before: its summary again.
fn already(run: &RunFolder, args: &Args, term: &Terminal) -> Result<()> {
    term.note("this run had finished; nothing is done again");
    say(&run.summary()?, args.json)
}

fn say(summary: &Value, json: bool) -> Result<()> {
    match json {
        true => term::json(summary),
        false => Ok(term::data(summary["prompt"].as_str().unwrap_or_default())?),
    }
}

/// What fixes the noise; `None` for a run without any.
pub(super) fn budget(args: &Args) -> Result<Option<Budget>> {
    match (args.target_epsilon, args.noise_multiplier, args.no_dp) {
        (Some(epsilon), None, false) => Ok(Some(Budget::Epsilon(epsilon))),
        (None, Some(sigma), false) => Ok(Some(Budget::NoiseMultiplier(sigma))),
        (None, None, true) => Ok(None),
        _ => Err(Usage("how private shall it be?".into()))
            .hint("give one of --target-epsilon, --noise-multiplier and --no-dp"),
    }
}

pub(super) fn plan(args: &Args, budget: Budget, rows: usize) -> Result<Plan> {
    let public_size = args
        .public_size
        .unwrap_or_else(|| round_public(rows as u64));
    let length = match (args.steps, args.epochs) {
        (Some(steps), _) => Length::Steps(steps),
        (None, epochs) => Length::Epochs(epochs.unwrap_or(EPOCHS)),
    };
    let unit = match args.unit {
        Unit::Row => PrivacyUnit::Row,
        Unit::Person => PrivacyUnit::Person,
    };
    Ok(Plan::new(PlanConfig {
        budget,
        public_size,
        expected_batch: batch(args, public_size),
        length,
        max_grad_norm: args.max_grad_norm,
        clipping: clipping(args)?,
        target_delta: args
            .target_delta
            .unwrap_or_else(|| suggest_delta(public_size)),
        unit,
        adjacency: Adjacency::AddRemove,
    })?)
}

fn clipping(args: &Args) -> Result<Clipping> {
    match (args.clipping, args.clipping_gamma) {
        (Some(Clip::Automatic), gamma) => {
            let gamma = gamma.unwrap_or(Clipping::GAMMA);
            Ok(Clipping::Automatic { gamma })
        }
        (_, None) => Ok(Clipping::Threshold),
        (_, Some(_)) => Err(Usage("only automatic clipping has a γ".into()))
            .hint("add --clipping automatic, or leave --clipping-gamma out"),
    }
}

fn optimizer(args: &Args) -> Result<Optimizer> {
    match (args.optimizer, args.momentum) {
        (Some(Rule::Sgd), momentum) => {
            let momentum = momentum.unwrap_or(0.0) as f32;
            Ok(Optimizer::Sgd { momentum })
        }
        (_, None) => Ok(TuneConfig::default().optimizer),
        (_, Some(_)) => Err(Usage("Adam has moments of its own".into()))
            .hint("add --optimizer sgd, or leave --momentum out"),
    }
}

fn batch(args: &Args, examples: u64) -> f64 {
    let fitting = BATCH.min((examples as f64 / 4.0).ceil());
    args.expected_batch.unwrap_or(fitting)
}

pub(super) fn plain(args: &Args, rows: usize) -> PlainTraining {
    let batch = batch(args, rows as u64).round().max(1.0);
    let epochs = args.epochs.unwrap_or(EPOCHS);
    let steps = args
        .steps
        .unwrap_or((epochs * rows as f64 / batch).ceil() as u64);
    PlainTraining {
        batch: batch as usize,
        steps,
        seed: args.seed.into(),
    }
}

fn privacy(args: &Args, rows: &[Row], resumed: bool, term: &Terminal) -> Result<Privacy> {
    let Some(budget) = budget(args)? else {
        term.warn(format!("--no-dp: {NOT_PRIVATE}"));
        return Ok(Privacy::None(plain(args, rows.len())));
    };
    let plan = plan(args, budget, rows.len())?;
    let path = match &args.ledger {
        Some(path) => path.clone(),
        None => ledgers::default_path()?,
    };
    term.note(format!(
        "privacy: ε = {:.3} at δ = {:e}, noise multiplier {:.3}, sample rate {:.4}, {} steps, N = {}; \
         entered in {}",
        plan.epsilon(),
        plan.delta(),
        plan.noise_multiplier(),
        plan.sample_rate(),
        plan.steps(),
        plan.config().public_size,
        path.display(),
    ));
    let (path, cap) = (path.as_path(), args.ledger_cap);
    let reserved = ledgers::reserve(&Request {
        path,
        cap,
        rows,
        plan: &plan,
        resumed,
    })?;
    Ok(Privacy::Private {
        plan,
        entropy: Entropy::from_os()?,
        reserved,
    })
}

fn start(
    args: &Args,
    student: &Loaded,
    task: &Task,
    rows: &Rows,
    checkpoint: Option<&[u8]>,
    term: &Terminal,
) -> Result<Run> {
    let encoder = student.encoder(task, args.num_virtual_tokens)?;
    let examples = rows.encode(&encoder)?;
    let others = others(args, task, student, term)?;
    let initial = initial::of(args, student, &encoder)?;
    initial::about(args, term)?;
    let privacy = privacy(args, &rows.rows, checkpoint.is_some(), term)?;
    let setup = Setup {
        others,
        ..setup(args, student, &encoder, examples, initial, privacy)?
    };
    term.note("self-test: the live kernel's gradients, one example at a time");
    let tuner = pollster::block_on(Tuner::start(setup, checkpoint))
        .hint("if a checkpoint is at fault, start anew with --force")?;
    Ok(Run(tuner))
}

/// All that the tuner needs.
pub(super) fn setup(
    args: &Args,
    student: &Loaded,
    encoder: &Encoder<'_>,
    examples: Vec<Example>,
    initial: Initial,
    privacy: Privacy,
) -> Result<Setup> {
    Ok(Setup {
        lm: Arc::clone(&student.lm),
        head: TaskHead::new(&student.lm, encoder),
        others: Vec::new(),
        examples,
        initial,
        config: TuneConfig {
            learning_rate: args.learning_rate,
            schedule: values::schedule(args.decay),
            tail_average: args.tail_average,
            micro_batch: args.micro_batch,
            optimizer: optimizer(args)?,
            low_rank: args.rank.map(|rank| LowRank {
                rank,
                seed: args.seed.into(),
            }),
        },
        privacy,
        helpers: None,
    })
}

/// Writes PEFT's folder and the receipt, and says what a summary should.
fn release(
    tuned: Tuned,
    folder: &Path,
    students: &[&ModelSource],
    student: &Loaded,
    task: &Task,
    term: &Terminal,
) -> Result<Value> {
    let hashes = students.iter().map(|source| models::hash(source));
    let hashes = hashes.collect::<Result<Vec<_>>>()?;
    let done = tuned.hand_over(&student.base(), task, &hashes)?;
    let private = done.receipt.as_ref().is_some_and(|receipt| receipt.private);
    let mut summary = json!({ "prompt": folder, "private": private });
    match &done.receipt {
        None => term.warn(format!("--no-dp: {NOT_PRIVATE}")),
        Some(receipt) => {
            summary["epsilon"] = json!(receipt.epsilon);
            summary["delta"] = json!(receipt.delta);
            summary["total_epsilon"] = json!(receipt.total_epsilon);
            term.note(&receipt.statement);
        }
    }
    // A receipt of an earlier run must not vouch for this prompt.
    let _ = std::fs::remove_file(folder.join(RECEIPT));
    prompts::write(folder, &done.files)?;
    Ok(summary)
}

/// The tuner as a job.
struct Run(Tuner);

/// What may be kept of a step: nothing that was computed from the examples.
#[derive(Serialize)]
struct Line {
    step: u64,
    learning_rate: f64,
    #[serde(skip)]
    private: PrivateMetrics,
}

impl Job for Run {
    type Report = Line;

    const PHASE: &'static str = "tune";

    fn done(&self) -> u64 {
        self.0.steps_done()
    }

    fn total(&self) -> u64 {
        self.0.steps()
    }

    fn step(&mut self) -> Result<Option<Line>> {
        let report = pollster::block_on(self.0.step())?;
        Ok(report.map(
            |StepReport {
                 step,
                 learning_rate,
                 private,
                 ..
             }| Line {
                step,
                learning_rate,
                private,
            },
        ))
    }

    fn detail(line: &Line) -> String {
        let loss = line
            .private
            .loss
            .map_or("-".to_owned(), |loss| format!("{loss:.3}"));
        format!("loss {loss} (for your eyes only)")
    }

    fn checkpoint(&self) -> Result<Vec<u8>> {
        Ok(self.0.checkpoint())
    }
}
