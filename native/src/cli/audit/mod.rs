//! `post-native audit`: does tuning keep what it claims, and what does a model give away?

mod canaries;
mod lira;
mod min_k;

use anyhow::Result;
use clap::{ArgMatches, Subcommand};
use post_core::dp::{Entropy, Ledger, Plan};
use post_core::optim::SplitMix64;
use post_core::task::Example;
use post_core::tune::Privacy;
use toml::Table;

use super::{tune, values};
use crate::config;
use crate::term::Terminal;

/// Attack a tuning run, or a model, to see what it gives away
///
/// `canaries` bounds a run's ε from below; `lira` infers which rows a prompt was tuned on; `min-k` infers
/// which texts a model was trained on. A successful attack refutes a claim; a failed one proves nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  post-native audit canaries --student student.post.safetensors --task sst2 --data train.csv \\
    --target-epsilon 1 --steps 200
  post-native audit lira --student student.post.safetensors --task sst2 --data train.csv --no-dp
  post-native audit min-k --model student --members distilled-on.txt --others fresh.txt")]
pub(crate) struct Args {
    #[command(subcommand)]
    attack: Attack,
}

#[derive(Debug, Subcommand)]
enum Attack {
    Canaries(canaries::Args),
    Lira(lira::Args),
    MinK(min_k::Args),
}

/// Attacks and prints what was found.
///
/// # Errors
/// When an input is bad, or tuning fails.
pub(crate) fn run(args: Args, matches: &ArgMatches, term: &Terminal) -> Result<()> {
    let typed = matches.subcommand().map_or(matches, |(_, own)| own);
    match args.attack {
        Attack::Canaries(args) => canaries::run(args, typed, term),
        Attack::Lira(args) => lira::run(args, typed, term),
        Attack::MinK(args) => min_k::run(args, typed, term),
    }
}

/// Whether the attack (`audit lira`) would take these settings.
///
/// # Errors
/// When a setting is none of its, or of a wrong type.
pub(crate) fn check(attack: &str, settings: &Table) -> Result<()> {
    match attack {
        "audit canaries" => config::check::<canaries::Args>(settings),
        "audit lira" => config::check::<lira::Args>(settings),
        _ => config::check::<min_k::Args>(settings),
    }
}

/// At most `most` of the examples, drawn by `seed`; all where nothing is said.
fn draw(examples: &mut Vec<Example>, most: Option<usize>, seed: u32) {
    if let Some(most) = most {
        SplitMix64::new(seed.into()).shuffle(examples);
        examples.truncate(most);
    }
}

/// A private run's privacy, entered in a ledger that is thrown away with the prompt.
fn thrown_away(plan: Plan) -> Result<Privacy> {
    let mut ledger = Ledger::new(f64::MAX, plan.delta(), Entropy::from_os()?);
    let data = ledger.identify(["the audit's own"]);
    let reserved = ledger.reserve(&data, &plan)?;
    Ok(Privacy::Private {
        plan,
        entropy: Entropy::from_os()?,
        reserved,
    })
}
