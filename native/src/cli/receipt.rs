//! `post-native receipt`: `privacy.json` shown and checked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Subcommand;
use post_core::dp::Receipt;
use post_core::dp::receipt::{Hashes, INITIAL, of_students, sha256};
use post_core::prompt::peft;
use serde::Serialize;
use serde_json::json;

use crate::failure::Hint;
use crate::source::ModelSource;
use crate::term::{self, Terminal};
use crate::{data, files, models, prompts};

/// Show a prompt's privacy receipt, or recompute it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  post-native receipt show prompt/privacy.json
  post-native receipt verify prompt.zip --student student.post.safetensors --task sst2

`verify` recomputes ε from the plan and compares the hashes of what is at hand. That the run really
followed the plan only its owner knows: a receipt is not signed.")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print what is guaranteed, in plain words
    Show(Show),
    /// Recompute ε and every sentence, and compare hashes
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
struct Show {
    /// privacy.json, or the prompt's folder or zip
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// privacy.json, or the prompt's folder or zip, whose hash is then compared, too
    file: PathBuf,
    /// The prompt's folder or zip
    #[arg(long, value_name = "FOLDER|ZIP")]
    prompt: Option<PathBuf>,
    /// The student that the prompt was tuned on; again for each of several, in the run's order
    #[arg(long, value_name = "MODEL")]
    student: Vec<ModelSource>,
    /// The task that it was tuned for
    #[arg(long, value_name = "FILE|NAME")]
    task: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Shows or checks.
///
/// # Errors
/// When the file is no receipt, or doesn't hold.
pub(crate) fn run(args: &Args, term: &Terminal) -> Result<()> {
    match &args.action {
        Action::Show(args) => show(args),
        Action::Verify(args) => verify(args, term),
    }
}

fn show(args: &Show) -> Result<()> {
    let receipt = read(&args.file)?;
    if args.json {
        return term::json(&receipt);
    }
    Ok(term::data(text(&receipt)?)?)
}

fn verify(args: &Verify, term: &Terminal) -> Result<()> {
    let receipt = read(&args.file)?;
    let found = hashes(args)?;
    let name = args.file.display();
    receipt
        .verify(&found)
        .with_context(|| format!("{name} does not hold"))
        .hint("ask whoever tuned the prompt for the receipt that the run wrote")?;
    let compared: Vec<&str> = found.keys().map(String::as_str).collect();
    let mut left: BTreeSet<&str> = receipt.hashes.keys().map(String::as_str).collect();
    left.extend(["student", "task", "prompt"]);
    left.retain(|name| !["plan", INITIAL].contains(name) && !compared.contains(name));
    if !left.is_empty() {
        term.note(format!(
            "not compared, because not given: {}",
            Vec::from_iter(left).join(", ")
        ));
    }
    if !receipt.private {
        term.warn("this prompt is NOT PRIVATE: its noise came from a seeded generator");
    }
    if args.json {
        let (epsilon, delta) = (receipt.epsilon, receipt.delta);
        let (private, total) = (receipt.private, receipt.total_epsilon);
        return term::json(&json!({
            "holds": true, "private": private, "epsilon": epsilon, "delta": delta,
            "total_epsilon": total, "compared": compared,
        }));
    }
    let hashes = match compared.as_slice() {
        [] => "no hashes compared".to_owned(),
        names => format!("hashes of {} compared", names.join(", ")),
    };
    Ok(term::data(format!(
        "{name} holds: ε recomputed, {hashes}\n{}",
        receipt.statement
    ))?)
}

/// The receipt in `privacy.json`, or in the prompt that it lies beside.
fn read(path: &Path) -> Result<Receipt> {
    let bytes = match is_prompt(path) {
        true => prompts::read(path)?
            .remove(prompts::RECEIPT)
            .ok_or_else(|| anyhow!("{} has no {}", path.display(), prompts::RECEIPT))
            .hint("it was tuned without privacy, or elsewhere: nothing is guaranteed")?,
        false => files::read(path)?,
    };
    Receipt::from_json(&bytes).with_context(|| format!("could not read {}", path.display()))
}

fn is_prompt(path: &Path) -> bool {
    path.is_dir() || path.extension().is_some_and(|end| end == "zip")
}

fn hashes(args: &Verify) -> Result<Hashes> {
    let mut found = Hashes::new();
    let beside = is_prompt(&args.file).then_some(&args.file);
    if let Some(path) = args.prompt.as_ref().or(beside) {
        let files = prompts::read(path)?;
        let weights = files.get(peft::WEIGHTS);
        let weights =
            weights.with_context(|| format!("{} has no {}", path.display(), peft::WEIGHTS))?;
        found.insert("prompt".into(), sha256(weights));
    }
    let students = args.student.iter().map(models::hash);
    found.extend(of_students(&students.collect::<Result<Vec<_>>>()?));
    if let Some(task) = &args.task {
        found.insert("task".into(), data::task(task)?.hash());
    }
    Ok(found)
}

fn text(receipt: &Receipt) -> Result<String> {
    let (plan, event) = (&receipt.plan, &receipt.mechanism);
    let mut lines = vec![
        receipt.statement.clone(),
        String::new(),
        format!("ε                 {}", receipt.epsilon),
        format!("δ                 {:e}", receipt.delta),
        format!("noise multiplier  {}", event.noise_multiplier),
        format!("clipping norm     {}", plan.max_grad_norm),
        format!("clipping          {}", name(&plan.clipping)?),
        format!("sample rate       {}", event.sample_rate),
        format!("steps             {}", event.steps),
        format!("public N          {}", plan.public_size),
        format!("unit of privacy   {}", name(&plan.unit)?),
        format!("adjacency         {}", name(&plan.adjacency)?),
        format!("accountant        {}", receipt.accountant),
        format!("earlier runs      {}", receipt.earlier_runs.len()),
    ];
    for (name, hash) in &receipt.hashes {
        lines.push(format!("{:<18}{hash}", format!("sha256 of {name}")));
    }
    lines.push("\nNot covered:".to_owned());
    lines.extend(receipt.not_covered.iter().map(|line| format!("- {line}")));
    Ok(lines.join("\n"))
}

/// As the receipt itself spells it.
fn name(value: &impl Serialize) -> Result<String> {
    let name = serde_json::to_value(value)?;
    Ok(name
        .as_str()
        .map_or_else(|| name.to_string(), str::to_owned))
}
