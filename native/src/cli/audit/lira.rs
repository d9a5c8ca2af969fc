//! `post-native audit lira`: which rows was a prompt tuned on?

use std::path::Path;

use anyhow::{Context, Result};
use clap::ArgMatches;
use post_core::audit::{lira, roc};
use post_core::dp::Plan;
use post_core::dp::receipt::sha256;
use post_core::prompt::SoftPrompt;
use post_core::task::{Encoder, Example, Label, Labels};
use post_core::tune::{ClassHead, Classifier, PlainTraining, Privacy, Setup, Student, Tuner};
use serde::{Deserialize, Serialize};

use super::{draw, thrown_away, tune};
use crate::failure::{Hint, Usage};
use crate::findings::{Allowed, Lira, with_interval};
use crate::models::Loaded;
use crate::progress::Progress;
use crate::run::{Opened, RunFolder};
use crate::term::{self, Terminal};
use crate::{config, data, files};

/// Infer which rows a prompt was tuned on, by shadow prompts (LiRA)
///
/// Tunes prompts on random halves of the rows and attacks each by the others (Carlini et al., 2022):
/// AUC, and the share of the members found while few others are taken for members. 95 % intervals are
/// over rows and pairs of prompts. The settings are those of `tune`.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
#[command(after_help = "\
Examples:
  What leaks without privacy, and what with:
    post-native audit lira --student student.post.safetensors --task sst2 --data train.csv --no-dp --run lira-none
    post-native audit lira --student student.post.safetensors --task sst2 --data train.csv \\
      --target-epsilon 8 --run lira-8
  Killed? It goes on with the prompt that it was at:
    post-native audit lira --config lira-8/config.toml --resume

The run folder holds, for every row, what prompts said of it that nobody is to get: it is as private as the rows.")]
pub(super) struct Args {
    /// Prompts to tune; an even number, and at least 4
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 16,
        help_heading = "Audit"
    )]
    shadows: usize,
    /// Rows to attack, drawn from the data by --seed [default: all]
    #[arg(long, value_name = "COUNT", help_heading = "Audit")]
    rows: Option<usize>,
    #[command(flatten)]
    #[serde(flatten)]
    tune: tune::Args,
}

/// A shadow's file: what it says of every row, and which rows those are.
#[derive(Serialize, Deserialize)]
struct Shadow {
    rows: String,
    confidences: Vec<f64>,
}

/// Tunes the shadows that are missing, attacks and prints.
///
/// # Errors
/// When an input is bad, tuning fails, or the run folder can't be used.
pub(super) fn run(typed: Args, matches: &ArgMatches, term: &Terminal) -> Result<()> {
    let file = typed.tune.config.clone();
    let mut args = config::merge(typed, matches, file.as_deref())?;
    if args.shadows < 4 || args.shadows % 2 == 1 {
        return Err(Usage(format!(
            "--shadows {} leaves nothing to compare",
            args.shadows
        )))
        .hint("give an even number, at least 4; 16 or more for narrow intervals");
    }
    let path = args.tune.run.settle("lira");
    let task = data::task(&config::required(args.tune.task.clone(), "task")?)?;
    task.classes()?;
    let source = config::required(args.tune.student.clone(), "student")?;
    let files = config::some(&args.tune.data, "data")?;
    tune::budget(&args.tune)?;
    let run = match RunFolder::open(&path, &config::table(&args)?, &args.tune.run)? {
        Opened::Ready(run) => run,
        Opened::Finished(run) => {
            term.note("this audit had finished; nothing is done again");
            return say(&serde_json::from_value(run.summary()?)?, args.tune.json);
        }
    };
    let rows = data::rows(files, &task, Labels::Required, term)?;
    let student = tune::load(&args.tune, &source, term)?;
    let encoder = student.encoder(&task, args.tune.num_virtual_tokens)?;
    let mut examples = rows.encode(&encoder)?;
    let others = tune::others(&args.tune, &task, &student, term)?;
    draw(&mut examples, args.rows, args.tune.seed);
    let attack = Shadows {
        args: &args,
        student: &student,
        others,
        encoder: &encoder,
        seen: lira::halves(examples.len(), args.shadows, args.tune.seed.into()),
        rows: fingerprint(&examples),
        examples,
    };
    let found = attack.found(&run, term)?;
    run.finish(&serde_json::to_value(&found)?)?;
    say(&found, args.tune.json)
}

/// Which rows these are, in this order.
fn fingerprint(examples: &[Example]) -> String {
    let mut text = String::new();
    for example in examples {
        let class = example.label.as_ref().and_then(Label::class);
        text.push_str(&format!("{:?} {class:?}\n", example.ids));
    }
    sha256(text.as_bytes())
}

struct Shadows<'a> {
    args: &'a Args,
    student: &'a Loaded,
    others: Vec<Student>,
    encoder: &'a Encoder<'a>,
    examples: Vec<Example>,
    seen: Vec<Vec<bool>>,
    rows: String,
}

impl Shadows<'_> {
    fn found(&self, run: &RunFolder, term: &Terminal) -> Result<Lira> {
        let mut confidences = Vec::new();
        for shadow in 0..self.seen.len() {
            let path = run.path(&format!("shadow-{shadow:03}.json"));
            let said = match self.kept(&path)? {
                Some(said) => said,
                None => {
                    let said = self.tune(shadow, term)?;
                    files::write_atomic(&path, &serde_json::to_vec(&said)?)?;
                    run.note_time()?;
                    said
                }
            };
            confidences.push(said.confidences);
        }
        let scores = lira::scores(&confidences, &self.seen);
        let reached = roc::reached(&scores, self.args.tune.seed.into())
            .context("the prompts gave no numbers, or there are too few rows")
            .hint("give more rows; without privacy, lower --learning-rate")?;
        let plan = self.plan()?;
        let claim = plan.as_ref().map(|plan| (plan.epsilon(), plan.delta()));
        Ok(Lira {
            rows: self.examples.len(),
            shadows: self.seen.len(),
            epsilon: claim.map(|claim| claim.0),
            delta: claim.map(|claim| claim.1),
            reached,
            allowed: claim.map(|(epsilon, delta)| {
                let [auc, tpr_at_1_percent, tpr_at_01_percent] = lira::allowed(epsilon, delta);
                Allowed {
                    auc,
                    tpr_at_1_percent,
                    tpr_at_01_percent,
                }
            }),
        })
    }

    /// What a shadow of an earlier call said of the same rows; with `--force` nothing is kept.
    fn kept(&self, path: &Path) -> Result<Option<Shadow>> {
        if !self.args.tune.run.resume || !path.is_file() {
            return Ok(None);
        }
        let said: Shadow = serde_json::from_slice(&files::read(path)?)
            .with_context(|| format!("{} is damaged", path.display()))
            .hint("remove it, and its prompt is tuned again")?;
        Ok((said.rows == self.rows).then_some(said))
    }

    /// One plan for all shadows: how many rows a half came to have enters nowhere.
    fn plan(&self) -> Result<Option<Plan>> {
        let budget = tune::budget(&self.args.tune)?;
        let plan = |budget| tune::plan(&self.args.tune, budget, self.examples.len() / 2);
        budget.map(plan).transpose()
    }

    fn tune(&self, shadow: usize, term: &Terminal) -> Result<Shadow> {
        let rows = self.examples.iter().zip(&self.seen[shadow]);
        let half: Vec<Example> = rows
            .filter(|(_, seen)| **seen)
            .map(|(row, _)| row.clone())
            .collect();
        let privacy = match self.plan()? {
            Some(plan) => thrown_away(plan)?,
            None => {
                let plain = tune::plain(&self.args.tune, self.examples.len() / 2);
                let seed = plain.seed ^ ((shadow as u64 + 1) << 32);
                Privacy::None(PlainTraining { seed, ..plain })
            }
        };
        let args = &self.args.tune;
        let initial = tune::initial::of(args, self.student, self.encoder)?;
        let setup = Setup {
            others: self.others.clone(),
            ..tune::setup(args, self.student, self.encoder, half, initial, privacy)?
        };
        let mut tuner = pollster::block_on(Tuner::start(setup, None))?;
        let phase = format!("shadow {} of {}", shadow + 1, self.seen.len());
        let mut progress = Progress::new(*term, &phase, tuner.steps(), 0);
        while let Some(report) = pollster::block_on(tuner.step())? {
            progress.set(report.step, "");
        }
        progress.finish();
        let prompt = tuner.finish()?.prompt;
        let logits = self.logits(&prompt)?;
        let labels = self
            .examples
            .iter()
            .map(|row| row.label.as_ref().and_then(Label::class));
        let said = logits.iter().zip(labels);
        Ok(Shadow {
            rows: self.rows.clone(),
            confidences: said
                .map(|(logits, class)| lira::confidence(logits, class.unwrap_or(usize::MAX)))
                .collect(),
        })
    }

    /// Class logits of every row behind a prompt: of all students the sums, which is all that they were tuned to.
    fn logits(&self, prompt: &SoftPrompt) -> Result<Vec<Vec<f32>>> {
        let words = self.encoder.words()?;
        let others = self.others.iter().map(|other| &other.lm);
        let mut sums: Vec<Vec<f32>> = Vec::new();
        for lm in [&self.student.lm].into_iter().chain(others) {
            let classifier = Classifier::new(lm.clone(), ClassHead::new(lm, words), Some(prompt))?;
            let rows = self.args.tune.micro_batch;
            let logits = pollster::block_on(classifier.evaluate(&self.examples, rows, |_| {}))?;
            if sums.is_empty() {
                sums = logits;
                continue;
            }
            for (sum, logit) in sums.iter_mut().flatten().zip(logits.into_iter().flatten()) {
                *sum += logit;
            }
        }
        Ok(sums)
    }
}

fn say(found: &Lira, json: bool) -> Result<()> {
    if json {
        return term::json(found);
    }
    let privacy = match (found.epsilon, found.delta) {
        (Some(epsilon), Some(delta)) => format!("ε = {epsilon:.3}, δ = {delta:e}"),
        _ => "no privacy".to_owned(),
    };
    let allowed = |of: fn(&Allowed) -> f64| match &found.allowed {
        Some(allowed) => format!("; at most {:.3} by ε and δ", of(allowed)),
        None => String::new(),
    };
    let reached = &found.reached;
    Ok(term::data(format!(
        "{} rows, {} shadow prompts, {privacy}\n\
         AUC               {}{}\n\
         TPR at 1 % FPR    {}{}\n\
         TPR at 0.1 % FPR  {}{}",
        found.rows,
        found.shadows,
        with_interval(&reached.auc),
        allowed(|allowed| allowed.auc),
        with_interval(&reached.tpr_at_1_percent),
        allowed(|allowed| allowed.tpr_at_1_percent),
        with_interval(&reached.tpr_at_01_percent),
        allowed(|allowed| allowed.tpr_at_01_percent),
    ))?)
}
