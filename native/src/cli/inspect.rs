//! `post-native inspect`: what a file is.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use post_core::checkpoint::pytorch::Pytorch;
use post_core::checkpoint::{Safetensors, Tensors};
use post_core::dp::Receipt;
use post_core::prompt::{Format, SoftPrompt, sniff};
use post_core::task::{Answers, Task};
use serde_json::{Value, json};

use crate::failure::Hint;
use crate::source::{Located, ModelSource};
use crate::term;
use crate::weights::pickled;
use crate::{files, models, prompts};

/// Say what a model, bundle, prompt, receipt, task or table is
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  post-native inspect SmolLM2.gguf
  post-native inspect prompt.zip
  post-native inspect train.csv")]
pub(crate) struct Args {
    /// A model's folder or file, a bundle, weights, a prompt in any format, privacy.json, a task, a table
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
        term::data(format!("{name:<20} {}", plain(value)))?;
    }
    Ok(())
}

/// A value as a person writes it.
fn plain(value: &Value) -> String {
    let list = |parts: Vec<String>| match parts.is_empty() {
        true => "-".to_owned(),
        false => parts.join(", "),
    };
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => list(values.iter().map(plain).collect()),
        Value::Object(fields) => list(
            fields
                .iter()
                .map(|(name, value)| format!("{name} {}", plain(value)))
                .collect(),
        ),
        Value::Number(number) => number.to_string(),
    }
}

fn look(path: &Path) -> Result<Value> {
    let end = path
        .extension()
        .and_then(|end| end.to_str())
        .unwrap_or_default();
    if path.is_dir() {
        let is_model = path.join("config.json").is_file();
        return if is_model { model(path) } else { prompt(path) };
    }
    match end {
        "json" => receipt(path),
        "toml" => task(path),
        "csv" | "tsv" | "tab" | "jsonl" | "ndjson" | "parquet" | "gz" | "bz2" | "zst" => rows(path),
        "gguf" => model(path),
        _ if path.to_string_lossy().ends_with(".post.safetensors") => model(path),
        _ if !path.exists() => model(path),
        _ => tensors(path),
    }
}

/// A file of tensors: a prompt, or weights with their configuration beside them or without.
fn tensors(path: &Path) -> Result<Value> {
    let bytes = models::shared(path)?;
    match sniff(bytes.as_ref().as_ref()) {
        Some(Format::Peft) => prompt(path),
        Some(Format::Npy) => bare(path, "soft prompt (.npy)"),
        Some(kind) if path.with_file_name("config.json").is_file() => {
            let found = bare(path, named(kind));
            found.or_else(|_| model(path))
        }
        Some(kind) => {
            let found = bare(path, named(kind));
            found.or_else(|_| weights(path, kind))
        }
        None => model(path),
    }
}

fn named(kind: Format) -> &'static str {
    match kind {
        Format::Pytorch => "soft prompt (PyTorch)",
        _ => "soft prompt (safetensors)",
    }
}

/// A prompt's tensor without anything around it.
fn bare(path: &Path, kind: &str) -> Result<Value> {
    let prompt = prompts::soft(path)?;
    Ok(json!({
        "kind": kind,
        "num_virtual_tokens": prompt.num_virtual_tokens(),
        "token_dim": prompt.token_dim(),
        "prompt_place": prompt.place(),
        "length_of_a_row": lengths(&prompt),
        "receipt": "none: a bare tensor says nothing of privacy",
    }))
}

/// Least, mean and greatest L2 norm of the rows: what a prompt that diverged shows at once.
fn lengths(prompt: &SoftPrompt) -> Value {
    let rows = prompt.embeddings().chunks(prompt.token_dim());
    let norm = |row: &[f32]| {
        row.iter()
            .map(|x| f64::from(*x).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let norms: Vec<f64> = rows.map(norm).collect();
    let round = |x: f64| (x * 1e4).round() / 1e4;
    let mean = norms.iter().sum::<f64>() / norms.len() as f64;
    json!({
        "least": round(norms.iter().copied().fold(f64::INFINITY, f64::min)),
        "mean": round(mean),
        "greatest": round(norms.iter().copied().fold(0.0, f64::max)),
    })
}

/// Weights without a configuration: which tensors there are.
fn weights(path: &Path, kind: Format) -> Result<Value> {
    let name = path.to_string_lossy();
    let found: Box<dyn Tensors> = match kind {
        Format::Pytorch => Box::new(Pytorch::new(vec![pickled(path, &name)?])?),
        _ => Box::new(Safetensors::open(vec![(
            name.into(),
            models::shared(path)?,
        )])?),
    };
    let names = found.names();
    let shape = |name: &String| found.shape(name).unwrap_or_default();
    let first = names.iter().take(8);
    Ok(json!({
        "kind": match kind {
            Format::Pytorch => "weights (PyTorch), without a configuration",
            _ => "weights (safetensors), without a configuration",
        },
        "tensors": names.len(),
        "parameters": names.iter().map(|name| shape(name).iter().product::<usize>()).sum::<usize>(),
        "first": first.map(|name| format!("{name} {:?}", shape(name))).collect::<Vec<_>>(),
        "way_on": "put the model's config.json beside it, and it is a model",
    }))
}

fn model(path: &Path) -> Result<Value> {
    let source = ModelSource::Path(path.to_owned());
    let kind = match source.locate()? {
        Located::Folder(_) => "model folder",
        Located::Weights(_) => "weights of a model folder",
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
    let config = &model.config;
    Ok(json!({
        "kind": kind,
        "name": model.about.name,
        "license": model.about.license,
        "family": config.family,
        "blocks": config.num_hidden_layers(),
        "hidden_size": config.hidden_size,
        "heads": config.num_attention_heads,
        "key_value_heads": config.num_key_value_heads,
        "vocab_size": config.vocab_size,
        "positions": config.max_position_embeddings,
        "causal": config.causal,
        "head_is_embedding": config.tie_word_embeddings,
        "tokenizer": model.tokenizer.as_ref().map(|t| format!("{} tokens", t.get_vocab_size(true))),
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
        "prompt_place": card.prompt_place,
        "family": config.family,
        "blocks": config.num_hidden_layers(),
        "hidden_size": config.hidden_size,
        "vocab_size": config.vocab_size,
        "hash": bundle.hash(),
    }))
}

fn prompt(path: &Path) -> Result<Value> {
    let adapter = prompts::adapter(path)?;
    let receipt = prompts::receipt(path)?;
    let receipt = receipt
        .map(|bytes| Receipt::from_json(&bytes))
        .transpose()
        .with_context(|| format!("{} in {}", prompts::RECEIPT, path.display()))?;
    let config = adapter.config;
    Ok(json!({
        "kind": "soft prompt (PEFT)",
        "num_virtual_tokens": adapter.prompt.num_virtual_tokens(),
        "token_dim": adapter.prompt.token_dim(),
        "prompt_place": adapter.prompt.place(),
        "length_of_a_row": lengths(&adapter.prompt),
        "model": config.base_model_name_or_path,
        "task_type": config.task_type,
        "started_from": config.prompt_tuning_init_text.unwrap_or(config.prompt_tuning_init),
        "epsilon": receipt.as_ref().map(|receipt| receipt.epsilon),
        "delta": receipt.as_ref().map(|receipt| receipt.delta),
        "receipt": receipt.map_or("none".to_owned(), |receipt| receipt.statement),
    }))
}

fn receipt(path: &Path) -> Result<Value> {
    let receipt = Receipt::from_json(&files::read(path)?)
        .with_context(|| format!("could not read {}", path.display()))
        .hint("of JSON files, receipts are known: privacy.json")?;
    Ok(json!({
        "kind": "privacy receipt",
        "private": receipt.private,
        "epsilon": receipt.epsilon,
        "delta": receipt.delta,
        "total_epsilon": receipt.total_epsilon,
        "earlier_runs": receipt.earlier_runs.len(),
        "statement": receipt.statement,
        "hashes": receipt.hashes,
    }))
}

fn task(path: &Path) -> Result<Value> {
    let task = Task::from_toml(&files::read_text(path)?)?;
    let columns: Vec<&str> = task.text_columns().chain([task.label_column()]).collect();
    let mut about = json!({
        "kind": "task",
        "name": task.name(),
        "description": task.description(),
        "columns": columns,
    });
    match task.answers() {
        Answers::Classes(classes) => {
            let names: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
            about["classes"] = json!(names);
        }
        Answers::Open(open) => about["answer"] = json!(open),
    }
    about["hash"] = json!(task.hash());
    Ok(about)
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
