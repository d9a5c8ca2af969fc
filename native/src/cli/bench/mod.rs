//! `post-native bench`: how fast this device is with a pair of models, and what the steps cost.

mod memory;
mod phases;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::ArgMatches;
use post_core::cost::{self, Shape};
use serde::{Deserialize, Serialize};

use super::values;
use crate::config;
use crate::device::DeviceChoice;
use crate::dtype::Dtype;
use crate::failure::Hint;
use crate::findings::{Costs, Measured, Run};
use crate::models;
use crate::source::ModelSource;
use crate::term::{self, Terminal};

/// Measure a pair of models on this device, and work out what distilling, tuning and transferring cost
///
/// Times single steps on made-up texts of one length: examples and floating-point operations a second,
/// also as a share of the device's own best matrix product measured beside them, and the host's memory. The cost
/// table then says what whole runs take, and what tuning on the teacher itself would. A student of another width
/// or vocabulary than the teacher's is not distilled from it, and their label words alone are compared.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
#[command(after_help = "\
Example:
  post-native bench --student student.post.safetensors --teacher teacher --text 44 \\
    --num-virtual-tokens 20 --rows 10000 --epochs 20 --transfer-steps 1000

Operations are counted from the models' configurations (what the mathematics needs, not what is computed
twice), so a share says how much of the device's speed is put to use.")]
pub(crate) struct Args {
    /// The student: a folder, a .gguf file, a .post.safetensors bundle, or hub:org/name[/FILE.gguf][@revision]
    #[arg(long, value_name = "MODEL")]
    student: Option<ModelSource>,
    /// The teacher
    #[arg(long, value_name = "MODEL")]
    teacher: Option<ModelSource>,

    /// Tokens of a text
    #[arg(
        long,
        value_name = "TOKENS",
        default_value_t = 64,
        help_heading = "Task"
    )]
    text: usize,
    /// Length of the prompt, in virtual tokens
    #[arg(
        long,
        value_name = "TOKENS",
        default_value_t = 100,
        help_heading = "Task"
    )]
    num_virtual_tokens: usize,
    /// Label words of all classes together
    #[arg(long, value_name = "WORDS", default_value_t = 8, help_heading = "Task")]
    label_words: usize,

    /// Private rows to tune on
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10_000,
        help_heading = "Runs"
    )]
    rows: usize,
    /// Passes over them
    #[arg(long, value_name = "E", default_value_t = 20.0, help_heading = "Runs", value_parser = values::positive)]
    epochs: f64,
    /// Public texts to transfer with
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 128,
        help_heading = "Runs"
    )]
    public: usize,
    /// Steps of transferring
    #[arg(long, value_name = "T", default_value_t = 1000, help_heading = "Runs")]
    transfer_steps: usize,
    /// Texts in a step of transferring
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 16,
        help_heading = "Runs"
    )]
    transfer_batch: usize,
    /// Texts to distil on
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 10_000,
        help_heading = "Runs"
    )]
    distil_texts: usize,
    /// Passes over them
    #[arg(long, value_name = "E", default_value_t = 3.0, help_heading = "Runs", value_parser = values::positive)]
    distil_epochs: f64,
    /// Places of a text at which distilling compares the whole vocabulary
    #[arg(long, value_name = "COUNT", default_value_t = 7, help_heading = "Runs")]
    distil_rows: usize,

    /// Examples of a measured step
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 16,
        help_heading = "Measuring"
    )]
    batch: usize,
    /// Examples per forward pass
    #[arg(
        long,
        value_name = "ROWS",
        default_value_t = 8,
        help_heading = "Measuring"
    )]
    micro_batch: usize,
    /// Steps of each kind; the fastest counts
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 3,
        help_heading = "Measuring"
    )]
    repeats: usize,
    /// auto, cpu, cuda[:i], wgpu[:i] or vulkan[:i]
    #[arg(
        long,
        value_name = "DEVICE",
        default_value = "auto",
        help_heading = "Measuring"
    )]
    device: DeviceChoice,
    /// Settings from a TOML file; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What the weights of both models are kept in; everything else stays f32, as does a student that is distilled
    #[arg(long, value_enum, default_value_t = Dtype::F32, help_heading = "Measuring")]
    #[serde(default, skip_serializing_if = "Dtype::is_f32")]
    dtype: Dtype,
    /// Print JSON
    #[arg(long)]
    #[serde(default)]
    json: bool,
}

/// Measures, works out and prints.
///
/// # Errors
/// When a model can't be loaded, or a text doesn't fit.
pub(crate) fn run(typed: Args, matches: &ArgMatches, term: &Terminal) -> Result<()> {
    let file = typed.config.clone();
    let args = &config::merge(typed, matches, file.as_deref())?;
    let [student, teacher] = [(&args.student, "student"), (&args.teacher, "teacher")]
        .map(|(source, flag)| config::required(source.clone(), flag));
    let (student, teacher) = (student?, teacher?);
    let device = args.device.open(term)?;
    let load = |source, dtype| {
        let model = models::open(source)?;
        models::place(&model, source, &device, dtype, term)
    };
    let (small, large) = (load(&student, args.dtype)?, load(&teacher, args.dtype)?);
    let trained = match (phases::Pair::alike(&small, &large), args.dtype) {
        (false, _) => None,
        (true, Dtype::F32) => Some(small.clone()),
        (true, _) => Some(load(&student, Dtype::F32)?),
    };
    let counts = [
        args.text,
        args.batch,
        args.micro_batch,
        args.repeats,
        args.label_words,
    ];
    ensure!(
        !counts.contains(&0),
        "texts, batches, repeats and label words must be at least 1"
    );
    let room = large.text_room(args.num_virtual_tokens);
    if args.text > room {
        return Err(anyhow::anyhow!(
            "prompt and text take {} places, more than the teacher has",
            args.num_virtual_tokens + args.text
        ))
        .hint("give a smaller --text or --num-virtual-tokens");
    }
    let pair = phases::Pair::new(args, small, large, trained);
    let found = found(args, &pair, term)?;
    if args.json {
        return term::json(&found);
    }
    Ok(term::data(text(&found))?)
}

fn shape(args: &Args) -> Shape {
    Shape {
        num_virtual_tokens: args.num_virtual_tokens,
        text: args.text,
        label_words: args.label_words,
    }
}

fn found(args: &Args, pair: &phases::Pair<'_>, term: &Terminal) -> Result<Costs> {
    term.note("measuring: matrix products");
    let best_matmul = phases::best_matmul(pair.device())?;
    let (student, teacher) = (pair.student.config(), pair.teacher.config());
    let shape = shape(args);
    let compared = match pair.compares_all() {
        true => teacher.vocab_size,
        false => args.label_words,
    };
    let micro = args.micro_batch.min(args.batch);
    let costs = [
        cost::states(teacher, args.text),
        cost::distill(student, args.text, args.distil_rows.min(args.text)),
        cost::tune(student, &shape),
        cost::constants(student, teacher, &shape),
        cost::transfer(teacher, &shape, compared, micro),
        cost::tune(teacher, &shape),
    ];
    let tuned = args.rows as f64 * args.epochs;
    let runs = [
        (
            "teacher's states",
            "provider, once",
            args.distil_texts as f64,
        ),
        (
            "distil",
            "provider, once",
            args.distil_texts as f64 * args.distil_epochs,
        ),
        ("tune on the student", "data owner", tuned),
        ("constants of transfer", "provider", args.public as f64),
        (
            "transfer",
            "provider",
            (args.transfer_steps * args.transfer_batch) as f64,
        ),
        ("tune on the teacher", "instead", tuned),
    ];
    let (mut measured, mut whole) = (Vec::new(), Vec::new());
    for ((phase, who, examples), cost) in runs.into_iter().zip(costs) {
        if ["teacher's states", "distil"].contains(&phase) && !pair.can_be_distilled() {
            continue;
        }
        term.note(format!("measuring: {phase}"));
        memory::begin();
        let seconds = pair.seconds(phase)?;
        let per_example = seconds / args.batch as f64;
        measured.push(Measured {
            phase: phase.to_owned(),
            seconds,
            examples_per_second: 1.0 / per_example,
            flops_per_second: cost.flops / per_example,
            share_of_matmul: cost.flops / per_example / best_matmul,
            peak_bytes: memory::peak(),
        });
        whole.push(Run {
            phase: phase.to_owned(),
            who: who.to_owned(),
            examples,
            flops: cost.flops * examples,
            bytes: cost.weight_bytes * (examples / micro as f64).ceil(),
            seconds: per_example * examples,
        });
    }
    Ok(Costs {
        best_matmul,
        measured,
        runs: whole,
    })
}

fn text(found: &Costs) -> String {
    format!(
        "best matrix product: {:.1} GFLOP/s\n\n{}\n{}",
        found.best_matmul / 1e9,
        found.speed().to_text(),
        found.cost().to_text()
    )
}
