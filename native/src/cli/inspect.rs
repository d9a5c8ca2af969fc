//! `post-native inspect`: what a file is.

use std::path::{Path, PathBuf};

use anyhow::Result;
use post_core::dp::Receipt;
use post_core::task::Task;
use serde_json::{Value, json};

use crate::source::{Located, ModelSource};
use crate::term;
use crate::{files, models, prompts};

/// Say what a model, prompt, receipt, task or table is
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  post-native inspect SmolLM2.gguf
  post-native inspect prompt.zip
  post-native inspect train.csv")]
pub(crate) struct Args {
    /// A model's folder or file, a prompt's folder or zip, privacy.json, a task file, a table
    path: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Looks and prints.
///
/// # Errors
/// When the file can't be read, or is none of these.
pub(crate) fn run(args: &Args) -> Result<()> {
    let found = look(&args.path)?;
    if args.json {
        return term::json(&found);
    }
    for (name, value) in found.as_object().into_iter().flatten() {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        term::data(format!("{name:<20} {value}"))?;
    }
    Ok(())
}

fn look(path: &Path) -> Result<Value> {
    let end = path
        .extension()
        .and_then(|end| end.to_str())
        .unwrap_or_default();
    let is_prompt = path.is_dir() && !path.join("config.json").is_file();
    match end {
        "zip" => prompt(path),
        _ if is_prompt => prompt(path),
        "json" => receipt(path),
        "toml" => task(path),
        "csv" | "tsv" | "tab" | "jsonl" | "ndjson" | "parquet" | "gz" | "bz2" | "zst" => rows(path),
        _ => model(path),
    }
}

fn model(path: &Path) -> Result<Value> {
    let source = ModelSource::Path(path.to_owned());
    let kind = match source.locate()? {
        Located::Folder(_) => "model folder",
        Located::Gguf(_) => "GGUF model",
        Located::Bundle(file) => return bundle(&file),
    };
    let model = models::open(&source)?;
    let tensors = model.tensors.names();
    let size = |name: &String| {
        model
            .tensors
            .shape(name)
            .map_or(0, |s| s.iter().product::<usize>())
    };
    Ok(json!({
        "kind": kind,
        "name": model.about.name,
        "license": model.about.license,
        "family": model.config.family,
        "blocks": model.config.num_hidden_layers(),
        "hidden_size": model.config.hidden_size,
        "vocab_size": model.config.vocab_size,
        "positions": model.config.max_position_embeddings,
        "causal": model.config.causal,
        "tokenizer": model.tokenizer.is_some(),
        "tensors": tensors.len(),
        "parameters": tensors.iter().map(size).sum::<usize>(),
        "hash": models::hash(&source)?,
    }))
}

/// A bundle says what it is even when it lacks what its teacher would complete it with.
fn bundle(path: &Path) -> Result<Value> {
    let bundle = models::open_bundle(path)?;
    let kind = match bundle.needs_teacher() {
        true => "blocks of a student, which its teacher completes",
        false => "student bundle",
    };
    let (card, config) = (bundle.card(), bundle.config());
    let tasks = card.tasks.iter().map(|text| Task::from_toml(text));
    let tasks = tasks.map(|task| Ok(task?.name().to_owned()));
    Ok(json!({
        "kind": kind,
        "name": card.name,
        "license": card.license,
        "teacher": card.teacher,
        "teacher_blocks": card.blocks,
        "tasks": tasks.collect::<Result<Vec<String>>>()?,
        "family": config.family,
        "blocks": config.num_hidden_layers(),
        "hidden_size": config.hidden_size,
        "vocab_size": config.vocab_size,
        "hash": bundle.hash(),
    }))
}

fn prompt(path: &Path) -> Result<Value> {
    let adapter = prompts::adapter(path)?;
    let receipt = prompts::read(path)?.remove(prompts::RECEIPT);
    let receipt = receipt
        .map(|bytes| Receipt::from_json(&bytes))
        .transpose()?;
    Ok(json!({
        "kind": "soft prompt (PEFT)",
        "num_virtual_tokens": adapter.prompt.num_virtual_tokens(),
        "token_dim": adapter.prompt.token_dim(),
        "model": adapter.config.base_model_name_or_path,
        "receipt": receipt.map_or("none".to_owned(), |receipt| receipt.statement),
    }))
}

fn receipt(path: &Path) -> Result<Value> {
    let receipt = Receipt::from_json(&files::read(path)?)?;
    Ok(
        json!({ "kind": "privacy receipt", "statement": receipt.statement, "hashes": receipt.hashes }),
    )
}

fn task(path: &Path) -> Result<Value> {
    let task = Task::from_toml(&files::read_text(path)?)?;
    let classes: Vec<&str> = task
        .classes()
        .iter()
        .map(|class| class.name.as_str())
        .collect();
    let columns: Vec<&str> = task.text_columns().chain([task.label_column()]).collect();
    Ok(json!({
        "kind": "task",
        "name": task.name(),
        "description": task.description(),
        "columns": columns,
        "classes": classes,
        "hash": task.hash(),
    }))
}

fn rows(path: &Path) -> Result<Value> {
    let table = post_data::table(path)?;
    let first = table.bad.first().map(ToString::to_string);
    Ok(json!({
        "kind": "table",
        "columns": table.columns,
        "rows": table.rows.len(),
        "bad_rows": table.bad.len(),
        "first_bad_row": first,
    }))
}
