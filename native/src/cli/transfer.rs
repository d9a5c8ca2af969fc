//! `post-native transfer`: the provider's last step, with public text only.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use clap::{ArgMatches, ValueEnum};
use post_core::prompt::{SoftPrompt, peft};
use post_core::task::{Encoder, Labels, Task};
use post_core::transfer::{
    Constants, RelativeConfig, Transfer, TransferConfig, TransferReport, Words, relative,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::columns::PublicColumns;
use super::since::Since;
use super::values;
use crate::device::{Devices, Found};
use crate::drive::{Job, drive};
use crate::dtype::Dtype;
use crate::failure::Hint;
use crate::models::{self, Loaded};
use crate::progress::Progress;
use crate::run::{CONSTANTS, Opened, RunArgs, RunFolder};
use crate::source::ModelSource;
use crate::states::{self, Of};
use crate::term::{self, Terminal};
use crate::{config, data, files, prompts};

/// Carry a prompt over from the student to the teacher, with public text
///
/// Labels are not used; where a task's answers are text, the models are compared along the rows' own,
/// as far as the file has them. Nothing private is needed, so what the prompt's receipt guarantees holds for
/// the transferred prompt, too. It stands where the student's does, before BOS or behind it. Writes it as
/// a PEFT folder to RUN/prompt.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
#[command(after_help = "\
Example:
  post-native transfer --student student.post.safetensors --teacher SmolLM2.gguf \\
    --prompt prompt.zip --public reviews.csv --task sst2 --run runs/transfer

About a hundred public rows are enough. Killed? Run it again with --resume.

Of tasks with classes in minutes, without a GPU; the settings of docs/experiments.md:
  post-native transfer … --words classes --alpha 1 --change-since sentence --steps 100 --batch 16 \\
    --learning-rate 1e-2 --decay

Between models of two tokenizers or widths:
  post-native transfer --student small/ --teacher large/ --prompt prompt.zip --public reviews.csv \\
    --task sst2 --words labels --init relative
The same without training, as a baseline; no public rows are needed:
  post-native transfer … --init relative --steps 0")]
pub(crate) struct Args {
    /// The student that the prompt was tuned on: a folder, .gguf, .post.safetensors or hub:org/name
    #[arg(long, value_name = "MODEL")]
    student: Option<ModelSource>,
    /// The large model that shall get a prompt of its own; of another vocabulary only with --words labels or classes
    #[arg(long, value_name = "MODEL")]
    teacher: Option<ModelSource>,
    /// The student's prompt: a PEFT folder, the zip that the browser hands out, .npy, .safetensors, .pth
    #[arg(long, value_name = "PROMPT")]
    prompt: Option<PathBuf>,
    /// Public rows with the task's text columns: CSV, TSV, JSON lines or Parquet, also packed; several
    /// files, or a pattern in quotes. Not needed with --steps 0
    #[arg(long, value_name = "FILES", num_args = 1..)]
    #[serde(default, with = "values::paths", skip_serializing_if = "Vec::is_empty")]
    public: Vec<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    columns: PublicColumns,
    /// Use only so many of the public rows, drawn by --seed [default: all]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_rows: Option<u32>,
    /// A task file, or the name of a built-in task
    #[arg(long, value_name = "FILE|NAME")]
    task: Option<String>,

    /// Between copying the prompted student's answers (0) and copying what its prompt changes (1);
    /// not to be chosen by private data
    #[arg(long, value_name = "ALPHA", default_value_t = 0.5, help_heading = "Training", value_parser = values::fraction)]
    alpha: f64,
    /// What the change that α speaks of is counted from, for both models
    #[arg(long, value_enum, default_value_t = Since::ZeroShot, help_heading = "Training")]
    #[serde(default, skip_serializing_if = "Since::is_zero_shot")]
    change_since: Since,
    /// Softens both sides' answers
    #[arg(long, value_name = "T", default_value_t = 2.0, help_heading = "Training", value_parser = values::positive)]
    temperature: f64,
    /// Steps; 0 writes what the prompt would start from
    #[arg(
        long,
        value_name = "STEPS",
        default_value_t = 1000,
        help_heading = "Training"
    )]
    steps: u64,
    /// Public rows in a step
    #[arg(
        long,
        value_name = "ROWS",
        default_value_t = 32,
        help_heading = "Training"
    )]
    batch: usize,
    /// Step size of Adam
    #[arg(long, value_name = "LR", default_value_t = 1e-3, help_heading = "Training", value_parser = values::positive)]
    learning_rate: f64,
    /// Let the step size fall to 0 over the run, in a line
    #[arg(long, help_heading = "Training")]
    #[serde(default)]
    decay: bool,
    /// What is compared
    #[arg(long, value_enum, default_value_t = Compared::All, help_heading = "Training")]
    words: Compared,
    /// What the teacher's prompt starts from: the task's sentence; the student's prompt where both
    /// models are of one width; or that prompt's place among the words that both know (relative)
    #[arg(long, value_enum, default_value_t = Init::Text, help_heading = "Training")]
    init: Init,
    /// With --init relative: how many common words count for each virtual token, those most like it
    /// [default: all, up to 8192]
    #[arg(long, value_name = "WORDS", help_heading = "Training", value_parser = clap::value_parser!(u32).range(1..))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nearest: Option<u32>,
    /// Decides the order of the rows
    #[arg(
        long,
        value_name = "SEED",
        default_value_t = 0,
        help_heading = "Training"
    )]
    seed: u32,
    /// Rows per forward pass: memory, not results, depend on it
    #[arg(
        long,
        value_name = "ROWS",
        default_value_t = 4,
        help_heading = "Training"
    )]
    micro_batch: usize,

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
    /// What both models' frozen weights are kept in; prompt, losses and optimiser stay f32
    #[arg(long, value_enum, default_value_t = Dtype::F32, help_heading = "Running")]
    #[serde(default, skip_serializing_if = "Dtype::is_f32")]
    dtype: Dtype,
    /// Folder for the teacher's hidden states of the public rows, which transfers of several prompts to one teacher
    /// then share
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

#[derive(Debug, Clone, Copy, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Init {
    Text,
    Prompt,
    Relative,
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Compared {
    /// Every word of the vocabulary, as the paper has it: for any task, in a thousand steps or more
    All,
    /// The task's label words alone, in far fewer steps; needs no common vocabulary
    Labels,
    /// The task's classes, each by the mean of its words, as answers are judged; otherwise as labels
    Classes,
}

/// Everything opened.
struct Inputs {
    student: Loaded,
    teacher: Loaded,
    prompt: SoftPrompt,
    task: Task,
}

/// Transfers and writes the prompt.
///
/// # Errors
/// When an input is bad, the models don't go together, or the run folder can't be used.
pub(crate) fn run(typed: Args, matches: &ArgMatches, term: &Terminal) -> Result<()> {
    let file = typed.config.clone();
    let mut args = config::merge(typed, matches, file.as_deref())?;
    let path = args.run.settle("transfer");
    let task = data::task(&config::required(args.task.clone(), "task")?)?;
    let [student, teacher] = [
        config::required(args.student.clone(), "student")?,
        config::required(args.teacher.clone(), "teacher")?,
    ];
    if args.steps > 0 {
        config::some(&args.public, "public")?;
    }
    let from = config::required(args.prompt.clone(), "prompt")?;
    let prompt = prompts::soft(&from)?;
    let run = match RunFolder::open(&path, &config::table(&args)?, &args.run)? {
        Opened::Ready(run) => run,
        Opened::Finished(run) => {
            term.note("this run had finished; nothing is done again");
            return say(&run.summary()?, args.json);
        }
    };
    let devices = args.device.open(term)?;
    let models = [&student, &teacher];
    let (prompt, inputs) = work(&args, models, (prompt, task), &devices, &run, term)
        .map_err(|error| devices.blame(error))?;
    let summary = release(&prompt, &inputs, &from, &run.path("prompt"))?;
    run.finish(&summary)?;
    say(&summary, args.json)
}

/// Makes the teacher's prompt.
fn work(
    args: &Args,
    [student, teacher]: [&ModelSource; 2],
    (prompt, task): (SoftPrompt, Task),
    devices: &Found,
    run: &RunFolder,
    term: &Terminal,
) -> Result<(SoftPrompt, Inputs)> {
    let Found { first, others, .. } = devices;
    let student = models::load(student, first, args.dtype, term)?;
    student.fits(&prompt)?;
    let teacher = models::load(teacher, first, args.dtype, term)?;
    teacher.has_place(prompt.place())?;
    let inputs = Inputs {
        student,
        teacher,
        prompt,
        task,
    };
    let initial = inputs.initial(args, term)?;
    let prompt = match args.steps {
        0 => initial,
        _ => {
            let words = inputs.words(args.words)?;
            let constants = constants(args, &inputs, run, term)?;
            let transfer = start(args, &inputs, constants, &initial, words, run)?;
            let mut job = Run(transfer.shared_with(others)?, args.steps);
            drive(&mut job, run, term)?;
            job.0.finish()?
        }
    };
    Ok((prompt, inputs))
}

fn say(summary: &Value, json: bool) -> Result<()> {
    match json {
        true => term::json(summary),
        false => Ok(term::data(summary["prompt"].as_str().unwrap_or_default())?),
    }
}

impl Inputs {
    /// What the teacher's prompt starts from.
    fn initial(&self, args: &Args, term: &Terminal) -> Result<SoftPrompt> {
        let (prompt, teacher) = (&self.prompt, &self.teacher);
        match args.init {
            Init::Prompt => {
                prompt
                    .fits(&teacher.name, teacher.lm.config().embedding_size)
                    .hint("start from its place among common words instead: --init relative")?;
                Ok(prompt.clone())
            }
            Init::Text => teacher.sentence(&self.task, prompt.num_virtual_tokens(), prompt.place()),
            Init::Relative => {
                let config = RelativeConfig {
                    nearest: args.nearest.map(|words| words as usize),
                    ..RelativeConfig::default()
                };
                let models = [&*self.student.lm, &*self.teacher.lm];
                let tokenizers = [&self.student.tokenizer, &self.teacher.tokenizer];
                let anchors = relative::anchors(models, tokenizers, &config)?;
                term.note(format!(
                    "both models have {} words in common to find the prompt's place by",
                    anchors.len()
                ));
                Ok(pollster::block_on(relative(
                    prompt, models, &anchors, config,
                ))?)
            }
        }
    }

    /// The words whose answers are compared.
    fn words(&self, compared: Compared) -> Result<Words> {
        let (student, teacher) = (&self.student, &self.teacher);
        match compared {
            Compared::All => Words::all(&student.tokenizer, &teacher.tokenizer)
                .hint("compare the task's label words alone: --words labels, or --words classes"),
            Compared::Labels => {
                let [student, teacher] = self.encoders()?;
                Ok(Words::labels(&student, &teacher)?)
            }
            Compared::Classes => {
                let [student, teacher] = self.encoders()?;
                Ok(Words::classes(&student, &teacher)?)
            }
        }
    }

    /// Rows as the student and as the teacher reads them.
    fn encoders(&self) -> Result<[Encoder<'_>; 2]> {
        let length = self.prompt.num_virtual_tokens();
        Ok([
            self.student.encoder(&self.task, length)?,
            self.teacher.encoder(&self.task, length)?,
        ])
    }
}

/// What stays the same for every public row, computed once and kept in the run folder.
fn constants(args: &Args, inputs: &Inputs, run: &RunFolder, term: &Terminal) -> Result<Constants> {
    let Inputs {
        student,
        teacher,
        prompt,
        task,
    } = inputs;
    let mut rows = data::rows(&args.public, &args.columns.of(task)?, Labels::IfThere, term)?;
    if let Some(most) = args.max_rows {
        rows.draw(most as usize, args.seed.into());
    }
    let [for_student, for_teacher] = inputs.encoders()?;
    let mut constants = Constants::new(&rows.encode(&for_student)?, &rows.encode(&for_teacher)?)?;
    let base = |model| args.change_since.base(model, task, prompt);
    if let (Some(small), Some(large)) = (base(student)?, base(teacher)?) {
        constants = constants.since(small, large);
    }
    let kept = run.path(CONSTANTS);
    if kept.is_file() {
        let widths = [student, teacher].map(|model| model.lm.config().embedding_size);
        constants
            .resume(&files::read(&kept)?, widths)
            .hint("start anew with --force")?;
    }
    let source = config::required(args.teacher.clone(), "teacher")?;
    let of = Of {
        source: &source,
        dtype: args.dtype,
    };
    if let Some(folder) = &args.states {
        states::recall(
            &mut constants,
            &of,
            teacher.lm.config().embedding_size,
            folder,
        )?;
    }
    let total = constants.len() as u64;
    let mut progress = Progress::new(*term, "public rows", total, constants.done() as u64);
    let mut since = Instant::now();
    while constants.done() < constants.len() {
        let (small, large, rows) = (&student.lm, &teacher.lm, args.micro_batch.max(1));
        pollster::block_on(constants.extend(small, large, prompt, rows))?;
        progress.set(constants.done() as u64, "");
        if since.elapsed().as_secs() >= 30 {
            files::write_atomic(&kept, &constants.checkpoint())?;
            since = Instant::now();
        }
    }
    progress.finish();
    files::write_atomic(&kept, &constants.checkpoint())?;
    if let Some(folder) = &args.states {
        states::leave(&constants, &of, folder)?;
    }
    Ok(constants)
}

fn start(
    args: &Args,
    inputs: &Inputs,
    constants: Constants,
    initial: &SoftPrompt,
    words: Words,
    run: &RunFolder,
) -> Result<Transfer> {
    let settings = TransferConfig {
        alpha: args.alpha,
        temperature: args.temperature,
        learning_rate: args.learning_rate,
        schedule: values::schedule(args.decay),
        batch: args.batch,
        steps: args.steps,
        seed: args.seed.into(),
        micro_batch: args.micro_batch,
        ..TransferConfig::default()
    };
    let checkpoint = run.checkpoint()?;
    let [large, small] = [&inputs.teacher, &inputs.student].map(|model| Arc::clone(&model.lm));
    Transfer::new(
        large,
        small,
        constants,
        initial,
        words,
        settings,
        checkpoint.as_deref(),
    )
    .hint("if a checkpoint is at fault, start anew with --force")
}

/// Writes PEFT's folder; the student's receipt goes along under a name of its own, since the hash in
/// it is the student's prompt's.
fn release(prompt: &SoftPrompt, inputs: &Inputs, from: &Path, folder: &Path) -> Result<Value> {
    let receipt = prompts::receipt(from)?;
    let notes = match receipt {
        Some(_) => {
            "Transferred with public text only from a prompt whose receipt is \
                    `student-privacy.json`: its (ε, δ) holds here, too."
        }
        None => "**NOT PRIVATE**, or unknown: the prompt it was transferred from has no receipt.",
    };
    let sentence = Some(inputs.task.init_text());
    let mut files = peft::write(prompt, &inputs.teacher.base(), sentence, notes)?;
    let covered = receipt.is_some();
    files.extend(receipt.map(|bytes| ("student-privacy.json".to_owned(), bytes)));
    prompts::write(folder, &files)?;
    Ok(json!({ "prompt": folder, "receipt": covered }))
}

/// The transfer as a job, and how many steps it has.
struct Run(Transfer, u64);

impl Job for Run {
    type Report = TransferReport;

    const PHASE: &'static str = "transfer";

    fn done(&self) -> u64 {
        self.0.steps_done()
    }

    fn total(&self) -> u64 {
        self.1
    }

    fn step(&mut self) -> Result<Option<TransferReport>> {
        Ok(pollster::block_on(self.0.step())?)
    }

    fn detail(report: &TransferReport) -> String {
        format!("loss {:.4}", report.loss)
    }

    fn checkpoint(&self) -> Result<Vec<u8>> {
        Ok(self.0.checkpoint())
    }
}
