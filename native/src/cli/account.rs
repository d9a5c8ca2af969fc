//! `post-native account`: from noise to ε, or from ε to noise.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::{ArgGroup, ValueEnum};
use post_core::dp::account::{self, Event};
use post_core::report::{Axis, LineChart, STYLE, Series};
use serde_json::json;

use super::values;
use crate::failure::{Hint, Usage};
use crate::{files, term};

/// Say what ε a run costs, or what noise an ε needs
///
/// Poisson sampling, Gaussian noise, add/remove adjacency: the setting of `tune`.
#[derive(Debug, clap::Args)]
#[command(
    group(ArgGroup::new("given").required(true).args(["noise_multiplier", "target_epsilon"])),
    after_help = "\
Examples:
  What does a run cost?
    post-native account --sample-rate 0.01 --noise-multiplier 1.0 --steps 2000 --target-delta 1e-5
  What noise does ε = 8 need?
    post-native account --target-epsilon 8 --sample-rate 0.01 --steps 2000 --target-delta 1e-5

With --json: {\"epsilon\": …} or {\"noise_multiplier\": …}; an infinite ε is null."
)]
pub(crate) struct Args {
    /// Probability with which each example is drawn into a step: expected batch / data set size
    #[arg(long, value_name = "Q", value_parser = values::fraction)]
    sample_rate: f64,
    /// Standard deviation of the noise in units of the clipping norm
    #[arg(long, value_name = "SIGMA", value_parser = values::not_negative)]
    noise_multiplier: Option<f64>,
    /// The ε that the whole run may cost
    #[arg(long, value_name = "EPSILON", value_parser = values::positive)]
    target_epsilon: Option<f64>,
    /// Number of steps
    #[arg(long, value_name = "T")]
    steps: u64,
    /// The δ of (ε, δ); public, and well below 1 / data set size
    #[arg(long, value_name = "DELTA", value_parser = values::probability)]
    target_delta: f64,
    /// How to compose: privacy loss distributions (tight), or Rényi DP (the older upper bound)
    #[arg(long, value_enum, default_value_t = Accountant::Pld)]
    accountant: Accountant,
    /// Also draw δ against ε into an SVG file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Accountant {
    Pld,
    Rdp,
}

/// Computes and prints.
///
/// # Errors
/// When no noise reaches the ε, or the plot can't be written.
pub(crate) fn run(args: &Args) -> Result<()> {
    let event = event(args)?;
    let epsilon = match args.accountant {
        Accountant::Pld => account::epsilon(&[event], args.target_delta)?,
        Accountant::Rdp => account::rdp::epsilon(&[event], args.target_delta)?.epsilon,
    };
    say(args, event, epsilon)?;
    match &args.plot {
        Some(path) => plot(path, event, epsilon),
        None => Ok(()),
    }
}

/// The run that is asked about; its noise is found where an ε is given.
fn event(args: &Args) -> Result<Event> {
    let (sample_rate, steps) = (args.sample_rate, args.steps);
    let noise_multiplier = match (args.noise_multiplier, args.target_epsilon, args.accountant) {
        (Some(sigma), ..) => sigma,
        (None, Some(target), Accountant::Pld) => {
            account::calibrate_noise(target, args.target_delta, sample_rate, steps)?
        }
        (None, ..) => {
            return Err(Usage("noise is found with the pld accountant only".into()))
                .hint("leave --accountant away, or give --noise-multiplier instead");
        }
    };
    Ok(Event {
        sample_rate,
        noise_multiplier,
        steps,
    })
}

fn say(args: &Args, event: Event, epsilon: f64) -> Result<()> {
    let (sigma, delta) = (event.noise_multiplier, args.target_delta);
    let epsilon_shown = match epsilon.is_finite() {
        true => format!("ε = {epsilon:.4} at δ = {delta:e}"),
        false => "ε = ∞ (no privacy at all)".to_owned(),
    };
    match (args.target_epsilon, args.json) {
        (None, true) => term::json(&json!({ "epsilon": epsilon })),
        (Some(_), true) => term::json(&json!({ "noise_multiplier": sigma })),
        (None, false) => Ok(term::data(epsilon_shown)?),
        (Some(_), false) => Ok(term::data(format!(
            "noise multiplier = {sigma:.4}, which gives {epsilon_shown}"
        ))?),
    }
}

/// As many points as make the curve smooth.
const POINTS: u32 = 200;

/// δ against ε, to half past the ε that was asked for.
fn plot(path: &Path, event: Event, epsilon: f64) -> Result<()> {
    if !epsilon.is_finite() {
        return Err(anyhow!("there is no curve to draw: ε is infinite"))
            .hint("raise --noise-multiplier above 0");
    }
    let last = (1.5 * epsilon).max(0.1);
    let at = |i| last * f64::from(i) / f64::from(POINTS);
    let epsilons: Vec<f64> = (0..=POINTS).map(at).collect();
    let deltas = account::curve(&[event], &epsilons)?;
    let axis = |label: &str, log| Axis {
        label: label.to_owned(),
        log,
        ..Axis::default()
    };
    let chart = LineChart {
        id: "privacy-curve".to_owned(),
        title: "What the run costs: every (ε, δ) that holds lies on or above the line".to_owned(),
        x: axis("ε", false),
        y: axis("δ", true),
        series: vec![Series {
            points: epsilons.into_iter().zip(deltas).collect(),
            ..Series::default()
        }],
    };
    // Alone in a file, the plot has no page to take its colours from.
    let styled = format!(">\n<style>{STYLE}</style>\n");
    files::write_atomic(path, chart.to_svg().replacen(">\n", &styled, 1).as_bytes())
}
