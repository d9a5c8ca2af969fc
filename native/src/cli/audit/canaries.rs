//! `post-native audit canaries`: does tuning keep what it claims?

use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{ArgMatches, ValueEnum};
use post_core::audit::{Attack, Claim, Planted, Verdict, flipped, random_sequences};
use post_core::dp::Plan;
use post_core::task::{Encoder, Example, Labels};
use post_core::tune::{Optimizer, Privacy, Tuner};
use serde::{Deserialize, Serialize};

use super::{draw, thrown_away, tune, values};
use crate::failure::{Hint, Usage};
use crate::models::Loaded;
use crate::progress::Progress;
use crate::term::{self, Terminal};
use crate::{config, data};

/// Bound a tuning run's ε from below, with planted canaries
///
/// Tunes once on the data with canaries in it, about half of them by coin toss, and guesses afterwards
/// which ones were in (Steinke, Nasr and Jagielski, 2023). A bound above the claimed ε refutes the
/// claim; one below it proves nothing. The audited prompt is thrown away.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
#[command(after_help = "\
Examples:
  A private run must stay below its claim:
    post-native audit canaries --student student.post.safetensors --task sst2 --data train.csv \\
      --target-epsilon 1 --steps 200
  Without privacy, leakage must show:
    post-native audit canaries --student student.post.safetensors --task sst2 --data train.csv --no-dp")]
pub(super) struct Args {
    /// How many canaries; more can prove a larger ε
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 500,
        help_heading = "Audit"
    )]
    canaries: usize,
    /// Random tokens with random labels, or rows of the data with a wrong label
    #[arg(long, value_enum, default_value_t = Kind::Random, help_heading = "Audit")]
    canary: Kind,
    /// Rows to tune on beside the canaries, drawn from the data by --seed; the fewer, the more a canary shows [default: all]
    #[arg(long, value_name = "COUNT", help_heading = "Audit")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<usize>,
    /// Probability that the bound holds
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, help_heading = "Audit", value_parser = values::probability)]
    confidence: f64,
    #[command(flatten)]
    #[serde(flatten)]
    tune: tune::Args,
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Random,
    Flipped,
}

/// Tokens of a random canary, as many as a short review has.
const CANARY_LENGTH: usize = 24;

/// Audits and prints the verdict.
///
/// # Errors
/// When an input is bad, or tuning fails.
pub(super) fn run(typed: Args, matches: &ArgMatches, term: &Terminal) -> Result<()> {
    let file = typed.tune.config.clone();
    let args = config::merge(typed, matches, file.as_deref())?;
    let task = data::task(&config::required(args.tune.task.clone(), "task")?)?;
    let classes = task.classes()?.len();
    if !args.tune.also_student.is_empty() {
        return Err(Usage("canaries are scored on one student".into()))
            .hint("leave --also-student out: what bounds ε is the same for any number of them");
    }
    let source = config::required(args.tune.student.clone(), "student")?;
    let files = config::some(&args.tune.data, "data")?;
    tune::budget(&args.tune)?;
    if args.tune.rank.is_some() {
        return Err(Usage(
            "this attack reads steps of the prompt itself, not of factors".into(),
        ))
        .hint("leave --rank out: the guarantee does not depend on it");
    }
    let rows = data::rows(files, &task, Labels::Required, term)?;
    let student = tune::load(&args.tune, &source, term)?;
    let encoder = student.encoder(&task, args.tune.num_virtual_tokens)?;
    let (planted, mut others) = plant(&args, &student, classes, rows.encode(&encoder)?)?;
    draw(&mut others, args.rows, args.tune.seed);
    term.note(format!(
        "{} canaries, about half of them planted among {} rows",
        args.canaries,
        others.len()
    ));
    let examples = planted.with(others);
    let verdict = attack(&args, &student, &encoder, &planted, examples, term)?;
    say(&verdict, args.tune.json)
}

/// Canaries, and the rows that are none.
fn plant(
    args: &Args,
    student: &Loaded,
    classes: usize,
    rows: Vec<Example>,
) -> Result<(Planted, Vec<Example>)> {
    let count = args.canaries;
    let (canaries, rest) = match args.canary {
        Kind::Flipped => flipped(rows, count, classes, seed()?),
        Kind::Random => {
            let vocabulary = student.lm.config().vocab_size;
            (
                random_sequences(count, CANARY_LENGTH, vocabulary, classes, seed()?),
                rows,
            )
        }
    };
    Ok((Planted::new(canaries, seed()?), rest))
}

/// The audit's confidence rests on coins that nothing else knows.
fn seed() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system gives no randomness: {error}"))?;
    Ok(u64::from_le_bytes(bytes))
}

/// Tunes by plain SGD, whose steps show the gradients they were made of. The guarantee does not
/// depend on the optimiser, so what is found this way counts for all of them.
fn attack(
    args: &Args,
    student: &Loaded,
    encoder: &Encoder<'_>,
    planted: &Planted,
    examples: Vec<Example>,
    term: &Terminal,
) -> Result<Verdict> {
    let (privacy, claim) = privacy(args, examples.len())?;
    let clip = match &privacy {
        Privacy::Private { plan, .. } => Some(plan.clip()),
        Privacy::None(_) => None,
    };
    let initial = tune::initial::of(&args.tune, student, encoder)?;
    let mut setup = tune::setup(&args.tune, student, encoder, examples, initial, privacy)?;
    setup.config.optimizer = Optimizer::Sgd { momentum: 0.0 };
    let mut before = setup.initial.prompt().clone();
    let (lm, head) = (Arc::clone(&setup.lm), setup.head.clone());
    let mut attack = Attack::new(planted, lm, head, &before, clip)?;
    let mut tuner = pollster::block_on(Tuner::start(setup, None))?;
    let mut progress = Progress::new(*term, "audit", tuner.steps(), 0);
    while let Some(report) = pollster::block_on(tuner.step())? {
        let after = tuner.prompt()?;
        pollster::block_on(attack.observe(&before, &after))
            .context("could not score the canaries")?;
        before = after;
        progress.set(report.step, "");
    }
    progress.finish();
    Ok(planted.judge(&attack.scores(), claim, args.confidence))
}

/// δ of a run that claims nothing: the bound is then on pure ε, or nearly.
const NO_CLAIM_DELTA: f64 = 1e-9;

/// The run's privacy, and what it claims.
fn privacy(args: &Args, rows: usize) -> Result<(Privacy, Claim)> {
    let Some(budget) = tune::budget(&args.tune)? else {
        let claim = Claim {
            epsilon: None,
            delta: NO_CLAIM_DELTA,
        };
        return Ok((Privacy::None(tune::plain(&args.tune, rows)), claim));
    };
    let plan: Plan = tune::plan(&args.tune, budget, rows)?;
    let claim = Claim {
        epsilon: Some(plan.epsilon()),
        delta: plan.delta(),
    };
    Ok((thrown_away(plan)?, claim))
}

fn say(verdict: &Verdict, json: bool) -> Result<()> {
    if json {
        return term::json(verdict);
    }
    let Verdict {
        guesses,
        epsilon_lower_bound: bound,
        confidence,
        claim,
        refuted,
    } = verdict;
    term::data(format!(
        "{} canaries, {} guessed, {} right: ε is at least {bound:.3} (confidence {confidence}, δ = {:e})",
        guesses.canaries, guesses.guessed, guesses.right, claim.delta
    ))?;
    let judged = match (claim.epsilon, refuted) {
        (None, _) => "the run claims nothing".to_owned(),
        (Some(claim), true) => format!("the claim ε = {claim:.3} is REFUTED"),
        (Some(claim), false) => format!("the claim ε = {claim:.3} is not refuted"),
    };
    Ok(term::data(judged)?)
}
