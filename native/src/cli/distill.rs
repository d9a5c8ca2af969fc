//! `post-native distill`: the provider's first step, a small student out of the large teacher.

use std::iter;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ArgMatches;
use post_core::checkpoint::hf;
use post_core::distill::{
    DistillConfig, DistillReport, Distiller, PlateauConfig, Rows, Weights, default_blocks,
};
use post_core::model::{Lm, PromptPlace};
use post_core::optim::Schedule;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokenizers::Tokenizer;

use super::values;
use crate::config;
use crate::corpus;
use crate::device::{Devices, Found};
use crate::drive::{Job, drive};
use crate::dtype::Dtype;
use crate::failure::{Hint, Usage};
use crate::models::{self, CARD};
use crate::run::{Opened, RunArgs, RunFolder};
use crate::source::ModelSource;
use crate::states::{self, Of};
use crate::term::{self, Terminal};

/// Distil a small student out of a large teacher
///
/// The student is the teacher's embeddings, final norm and head around a few of its blocks; only the
/// blocks learn. Writes it as a Hugging Face folder to RUN/student; `bundle` makes one file of that.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
#[command(after_help = "\
Examples:
  From plain text, one passage a line:
    post-native distill --teacher SmolLM2.gguf --blocks 0,1,28,29 --text wiki.txt --run runs/student
  From public rows of a task, which ends each text as the task will:
    post-native distill --teacher SmolLM2.gguf --num-blocks 6 --task sst2 --data public.csv

Of files with more than steps × batch texts, so many are drawn by --seed, in bounded memory. The teacher
reads those once; its hidden states are kept in RUN/states.bin (2 bytes × width for each token). Killed? Run it again with --resume.")]
pub(crate) struct Args {
    /// The large model: a folder, a .gguf file, or hub:org/name[/FILE.gguf][@revision]
    #[arg(long, value_name = "MODEL")]
    teacher: Option<ModelSource>,
    /// Public text of any size: one passage a line, or the column of a table (.parquet, .jsonl, .csv, .tsv);
    /// also packed (.gz, .bz2, .zst); several files, or a pattern in quotes ('wiki-*.parquet')
    #[arg(long, value_name = "FILES", num_args = 1..)]
    #[serde(default, with = "values::paths")]
    text: Vec<PathBuf>,
    /// The column of text where --text is a table
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_column: String,
    /// Public rows of the task: CSV, TSV, JSON lines or Parquet, also packed; several files, or a pattern
    #[arg(long, value_name = "FILES", num_args = 1..)]
    #[serde(default, with = "values::paths")]
    data: Vec<PathBuf>,
    /// The task that the rows of --data are read as: a file, or the name of a built-in one
    #[arg(long, value_name = "FILE|NAME")]
    task: Option<String>,
    /// Put every other row of --data behind the task's init sentence, repeated to so many tokens: the
    /// student then also learns to answer behind a prompt
    #[arg(long, value_name = "TOKENS", default_value_t = 0)]
    behind_init: usize,
    /// Longest text in tokens; longer ones of --text are cut into pieces
    #[arg(long, value_name = "TOKENS", default_value_t = 128)]
    max_length: usize,

    /// The teacher's blocks that the student is made of, counted from 0
    #[arg(
        long,
        value_name = "0,1,…",
        value_delimiter = ',',
        group = "size",
        help_heading = "Student"
    )]
    #[serde(default)]
    blocks: Vec<usize>,
    /// As many blocks: the first two, the last two, the others evenly between [default: 4]
    #[arg(long, value_name = "COUNT", group = "size", help_heading = "Student")]
    num_blocks: Option<usize>,
    /// Where prompts will be tuned on it, and --behind-init puts its sentence: before the token that every
    /// text begins with (BOS: <s>, [CLS]), as PEFT has it, or behind that token
    #[arg(long, value_name = "PLACE", default_value_t, value_parser = values::place(), help_heading = "Student")]
    #[serde(default, skip_serializing_if = "PromptPlace::is_before_bos")]
    prompt_place: PromptPlace,

    /// Weight of T² · KL(teacher ‖ student)
    #[arg(long, value_name = "WEIGHT", default_value_t = 5.0, help_heading = "Losses", value_parser = values::not_negative)]
    ce: f64,
    /// Weight of the cross-entropy with the text itself
    #[arg(long, value_name = "WEIGHT", default_value_t = 2.0, help_heading = "Losses", value_parser = values::not_negative)]
    lm: f64,
    /// Weight of 1 − cosine between the last hidden states
    #[arg(long, value_name = "WEIGHT", default_value_t = 1.0, help_heading = "Losses", value_parser = values::not_negative)]
    cos: f64,
    /// Weight of the squared difference of the last hidden states
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0, help_heading = "Losses", value_parser = values::not_negative)]
    mse: f64,
    /// T
    #[arg(long, value_name = "T", default_value_t = 2.0, help_heading = "Losses", value_parser = values::positive)]
    temperature: f64,
    /// Take the losses over the vocabulary at each answer position and so many random tokens of a
    /// batch only, which is cheaper [default: at every token]
    #[arg(long, value_name = "TOKENS", help_heading = "Losses")]
    random_rows: Option<usize>,

    /// Most steps; 0 takes the teacher's blocks as they are
    #[arg(
        long,
        value_name = "STEPS",
        default_value_t = 1000,
        help_heading = "Training"
    )]
    steps: u64,
    /// Texts in a step
    #[arg(
        long,
        value_name = "TEXTS",
        default_value_t = 16,
        help_heading = "Training"
    )]
    batch: usize,
    /// Texts per forward pass; their gradients accumulate
    #[arg(
        long,
        value_name = "TEXTS",
        default_value_t = 16,
        help_heading = "Training"
    )]
    micro_batch: usize,
    /// Highest step size of AdamW
    #[arg(long, value_name = "LR", default_value_t = 2.5e-4, help_heading = "Training", value_parser = values::positive)]
    learning_rate: f64,
    /// Share of the steps in which the step size rises; it falls to 0 in the others
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, help_heading = "Training", value_parser = values::fraction)]
    warmup: f64,
    /// L2 norm that the whole gradient is scaled down to
    #[arg(long, value_name = "NORM", default_value_t = 5.0, help_heading = "Training", value_parser = values::positive)]
    max_grad_norm: f64,
    /// Stop early once the loss has not fallen for so many steps [default: never]
    #[arg(long, value_name = "STEPS", help_heading = "Training")]
    patience: Option<u64>,
    /// The share by which the smoothed loss must fall to count, for --patience
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, help_heading = "Training", value_parser = values::fraction)]
    min_improvement: f64,
    /// Decides which texts are drawn, their order and the random rows
    #[arg(
        long,
        value_name = "SEED",
        default_value_t = 0,
        help_heading = "Training"
    )]
    seed: u32,

    /// auto, cpu, cuda[:i], wgpu[:i], vulkan[:i], or ws://host:port[/i], which a `post-native worker` lends; several,
    /// as in cuda:0,cuda:1, share each step's micro-batches
    #[arg(
        long,
        visible_alias = "devices",
        value_name = "DEVICES",
        default_value = "auto",
        help_heading = "Running"
    )]
    device: Devices,
    /// What the teacher's weights are kept in; the student is read from the file and trained in f32
    #[arg(long, value_enum, default_value_t = Dtype::F32, help_heading = "Running")]
    #[serde(default, skip_serializing_if = "Dtype::is_f32")]
    dtype: Dtype,
    /// Folder for the teacher's hidden states, which several runs with one teacher on the same text then share
    /// [default: the run folder]
    #[arg(long, value_name = "FOLDER", help_heading = "Running")]
    states: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    run: RunArgs,
    /// Settings from a TOML file; flags win
    #[arg(long, value_name = "FILE", help_heading = "Running")]
    config: Option<PathBuf>,
    /// Print a JSON summary
    #[arg(long)]
    #[serde(default)]
    json: bool,
}

/// Distils and writes the student.
///
/// # Errors
/// When an input is bad or the run folder can't be used.
pub(crate) fn run(typed: Args, matches: &ArgMatches, term: &Terminal) -> Result<()> {
    let file = typed.config.clone();
    let mut args = config::merge(typed, matches, file.as_deref())?;
    let path = args.run.settle("distill");
    let source = config::required(args.teacher.clone(), "teacher")?;
    if args.text.is_empty() && args.data.is_empty() && args.steps > 0 {
        return Err(Usage("there is no text to distil on".into()))
            .hint("give --text FILE, or --data FILE with --task");
    }
    let run = match RunFolder::open(&path, &config::table(&args)?, &args.run)? {
        Opened::Ready(run) => run,
        Opened::Finished(run) => {
            term.note("this run had finished; nothing is done again");
            return say(&run.summary()?, args.json);
        }
    };
    let devices = args.device.open(term)?;
    let summary =
        work(&args, &source, &devices, &run, term).map_err(|error| devices.blame(error))?;
    run.finish(&summary)?;
    say(&summary, args.json)
}

/// Makes the student, and says where it is.
fn work(
    args: &Args,
    source: &ModelSource,
    devices: &Found,
    run: &RunFolder,
    term: &Terminal,
) -> Result<Value> {
    let card = |blocks: &[usize]| card(args, source, blocks);
    if args.steps == 0 {
        let teacher = models::load(source, &devices.first, Dtype::F32, term)?;
        teacher.has_place(args.prompt_place)?;
        let blocks = blocks(args, &teacher.lm);
        let student = teacher.lm.select_blocks(&blocks)?;
        return release(&student, &teacher.tokenizer, &card(&blocks), run);
    }
    let (mut job, tokenizer, blocks) = start(args, source, devices, run, term)?;
    drive(&mut job, run, term)?;
    release(job.0.student(), &tokenizer, &card(&blocks), run)
}

fn say(summary: &Value, json: bool) -> Result<()> {
    match json {
        true => term::json(summary),
        false => Ok(term::data(summary["student"].as_str().unwrap_or_default())?),
    }
}

/// Runs the teacher over the corpus, and lets go of it.
fn start(
    args: &Args,
    source: &ModelSource,
    devices: &Found,
    run: &RunFolder,
    term: &Terminal,
) -> Result<(Run, Tokenizer, Vec<usize>)> {
    let Found { first, others, .. } = devices;
    let teacher = models::load(source, first, args.dtype, term)?;
    teacher.has_place(args.prompt_place)?;
    let texts = corpus::Texts {
        plain: &args.text,
        column: &args.text_column,
        rows: &args.data,
        task: args.task.as_deref(),
        behind_init: args.behind_init,
        place: args.prompt_place,
        max_length: args.max_length,
        most: args.batch.saturating_mul(args.steps as usize),
        seed: args.seed.into(),
    };
    let corpus = corpus::read(&texts, &teacher, term)?;
    let of = Of {
        source,
        dtype: args.dtype,
    };
    let copies = others.iter().map(|device| teacher.lm.on(device));
    let teachers: Vec<Lm> = iter::once(Lm::clone(&teacher.lm)).chain(copies).collect();
    let states = {
        let place = (run, args.states.as_deref());
        states::of(&teachers, &of, &corpus, args.micro_batch, place, term)?
    };
    drop(teachers);
    let blocks = blocks(args, &teacher.lm);
    let tokenizer = teacher.tokenizer.clone();
    let exact = args.dtype.is_f32();
    let selected = exact.then(|| teacher.lm.select_blocks(&blocks));
    drop(teacher);
    let student = match selected {
        Some(student) => student?,
        // Rounded weights are no start for a training in f32.
        None => models::student(source, &blocks, first)?,
    };
    let checkpoint = run.checkpoint()?;
    let starting = Distiller::start(
        student,
        corpus,
        states,
        settings(args),
        checkpoint.as_deref(),
    );
    let distiller = pollster::block_on(starting)
        .hint("if a checkpoint is at fault, start anew with --force")?
        .shared_with(others);
    Ok((Run(distiller, args.steps), tokenizer, blocks))
}

/// Blocks where neither a list nor a number is given.
const BLOCKS: usize = 4;

fn blocks(args: &Args, teacher: &Lm) -> Vec<usize> {
    match args.blocks.is_empty() {
        true => default_blocks(teacher.blocks().len(), args.num_blocks.unwrap_or(BLOCKS)),
        false => args.blocks.clone(),
    }
}

fn settings(args: &Args) -> DistillConfig {
    let plateau = |patience| PlateauConfig {
        patience,
        min_improvement: args.min_improvement,
    };
    DistillConfig {
        weights: Weights {
            ce: args.ce,
            lm: args.lm,
            cos: args.cos,
            mse: args.mse,
        },
        temperature: args.temperature,
        rows: args.random_rows.map_or(Rows::All, Rows::Sampled),
        learning_rate: args.learning_rate,
        schedule: Schedule::Linear {
            warmup: args.warmup,
        },
        max_grad_norm: args.max_grad_norm,
        batch: args.batch,
        micro_batch: args.micro_batch,
        steps: args.steps,
        seed: args.seed.into(),
        plateau: args.patience.map(plateau),
        ..DistillConfig::default()
    }
}

/// Which teacher and blocks the student comes from, for `bundle`, and where prompts are tuned on it.
fn card(args: &Args, source: &ModelSource, blocks: &[usize]) -> Value {
    let mut card = json!({ "teacher": source, "blocks": blocks });
    if !args.prompt_place.is_before_bos() {
        card["prompt_place"] = json!(args.prompt_place);
    }
    card
}

fn release(student: &Lm, tokenizer: &Tokenizer, card: &Value, run: &RunFolder) -> Result<Value> {
    let tensors = pollster::block_on(student.named_tensors())?;
    let files = hf::folder(&tensors, student.config(), Some(tokenizer))?;
    for (name, bytes) in files {
        run.write(&format!("student/{name}"), &bytes)?;
    }
    let text = serde_json::to_vec_pretty(card).context("the student's card")?;
    run.write(&format!("student/{CARD}"), &text)?;
    Ok(json!({ "student": run.path("student"), "blocks": card["blocks"] }))
}

/// The distillation as a job, and how many steps it has at most.
struct Run(Distiller, u64);

impl Job for Run {
    type Report = DistillReport;

    const PHASE: &'static str = "distill";

    fn done(&self) -> u64 {
        self.0.steps_done()
    }

    fn total(&self) -> u64 {
        self.1
    }

    fn step(&mut self) -> Result<Option<DistillReport>> {
        Ok(pollster::block_on(self.0.step())?)
    }

    fn detail(report: &DistillReport) -> String {
        let DistillReport { loss, ce, cos, .. } = report;
        format!("loss {loss:.3} (ce {ce:.3}, cos {cos:.3})")
    }

    fn enough(report: &DistillReport) -> bool {
        report.plateau
    }

    fn checkpoint(&self) -> Result<Vec<u8>> {
        Ok(self.0.checkpoint())
    }
}
