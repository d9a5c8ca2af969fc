//! `post-native inspect`: what a file is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use post_core::checkpoint::gguf::Kind;
use post_core::checkpoint::pytorch::Pytorch;
use post_core::checkpoint::{CheckpointError, Gguf, Numbers, Safetensors, Tensors};
use post_core::dp::Receipt;
use post_core::model::Config;
use post_core::model::rotary::RopeScaling;
use post_core::prompt::{Format, SoftPrompt, sniff};
use post_core::task::{Answers, Task};
use serde_json::{Map, Value, json};

use crate::dtype::Dtype;
use crate::failure::Hint;
use crate::source::{Located, ModelSource};
use crate::term;
use crate::weights::{Weights, pickled};
use crate::{files, models, prompts};

/// Say what a model, bundle, prompt, receipt, task or table is
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  post-native inspect SmolLM2.gguf
  post-native inspect hub:HuggingFaceTB/SmolLM2-135M
  post-native inspect prompt.zip
  post-native inspect train.csv")]
pub(crate) struct Args {
    /// A model's folder or file, hub:org/name[/FILE.gguf][@revision], a bundle, weights, a prompt in any format,
    /// privacy.json, a task, a table
    path: ModelSource,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Looks and prints.
///
/// # Errors
/// When the file can't be read, or is none of these.
pub(crate) fn run(args: &Args) -> Result<()> {
    let found = match &args.path {
        ModelSource::Path(path) => look(path)?,
        hub => model(hub)?,
    };
    if args.json {
        return term::json(&found);
    }
    for line in lines(&found) {
        term::data(line)?;
    }
    Ok(())
}

/// What was found, as a person reads it.
fn lines(found: &Value) -> Vec<String> {
    let fields = found.as_object().into_iter().flatten();
    let line = |(name, value)| format!("{name:<20} {}", plain(value));
    fields.map(line).collect()
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
        return if is_model { local(path) } else { prompt(path) };
    }
    match end {
        "json" => receipt(path),
        "toml" => task(path),
        "csv" | "tsv" | "tab" | "jsonl" | "ndjson" | "parquet" | "gz" | "bz2" | "zst" => rows(path),
        "gguf" => local(path),
        _ if path.to_string_lossy().ends_with(".post.safetensors") => local(path),
        _ if !path.exists() => local(path),
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
            found.or_else(|_| local(path))
        }
        Some(kind) => {
            let found = bare(path, named(kind));
            found.or_else(|_| weights(path, kind))
        }
        None => local(path),
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
        "stored_as": stored_as(found.as_ref())?,
        "bytes": on_disk(&[path.to_owned()])?,
        "first": first.map(|name| format!("{name} {:?}", shape(name))).collect::<Vec<_>>(),
        "way_on": "put the model's config.json beside it, and it is a model",
    }))
}

fn local(path: &Path) -> Result<Value> {
    model(&ModelSource::Path(path.to_owned()))
}

fn model(source: &ModelSource) -> Result<Value> {
    let located = source.locate()?;
    let (kind, files) = match &located {
        Located::Folder(folder) => {
            let names = Weights::find(folder)?.names;
            let files = names.iter().map(|name| folder.join(name)).collect();
            ("model folder", files)
        }
        Located::Weights(file) => ("weights of a model folder", vec![file.clone()]),
        Located::Gguf(file) => ("GGUF model", vec![file.clone()]),
        Located::Bundle(file) => return bundle(file),
    };
    let model = models::open(source)?;
    let tensors = model.tensors.names();
    let size = |name: &String| {
        model
            .tensors
            .shape(name)
            .map_or(0, |s| s.iter().product::<usize>())
    };
    let stored_as = match &located {
        Located::Gguf(file) => kinds(file)?,
        _ => stored_as(model.tensors.as_ref())?,
    };
    let config = &model.config;
    let about = json!({
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
        "stored_as": stored_as,
        "bytes": on_disk(&files)?,
        "hash": models::hash(source)?,
    });
    Ok(with_attention(about, config))
}

/// How many bytes the files have together.
fn on_disk(files: &[PathBuf]) -> Result<u64> {
    let size = |file: &PathBuf| {
        let about = fs::metadata(file);
        let about = about.with_context(|| format!("could not read {}", file.display()))?;
        Ok(about.len())
    };
    files.iter().map(size).sum()
}

/// How many tensors are stored as what.
fn stored_as(tensors: &dyn Tensors) -> Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for name in tensors.names() {
        let mut kind = "";
        let shown = tensors.show(&name, &mut |numbers| {
            let dtype = match numbers {
                Numbers::F32(_) => Dtype::F32,
                Numbers::F16(_) => Dtype::F16,
                Numbers::BF16(_) => Dtype::Bf16,
            };
            kind = dtype.name();
        });
        let kind = match shown {
            Ok(()) => kind.to_owned(),
            // Nothing is computed with it as it is: a bundle's int8, masks in old files.
            Err(CheckpointError::Dtype { dtype, .. }) => dtype.to_lowercase(),
            Err(error) => return Err(error.into()),
        };
        *counts.entry(kind).or_default() += 1;
    }
    Ok(counts)
}

/// As [`stored_as`], by ggml's names.
fn kinds(gguf: &Path) -> Result<BTreeMap<String, usize>> {
    let gguf = Gguf::parse(models::shared(gguf)?)?;
    let mut counts = BTreeMap::new();
    for tensor in gguf.tensors().values() {
        let name = match tensor.kind {
            Kind::F32 => "f32".to_owned(),
            Kind::F16 => "f16".to_owned(),
            Kind::BF16 => "bf16".to_owned(),
            Kind::Q2K => "Q2_K".to_owned(),
            Kind::Q3K => "Q3_K".to_owned(),
            Kind::Q4K => "Q4_K".to_owned(),
            Kind::Q5K => "Q5_K".to_owned(),
            Kind::Q6K => "Q6_K".to_owned(),
            Kind::IQ4NL => "IQ4_NL".to_owned(),
            Kind::IQ4XS => "IQ4_XS".to_owned(),
            // The others are called as ggml calls them.
            kind => format!("{kind:?}"),
        };
        *counts.entry(name).or_default() += 1;
    }
    Ok(counts)
}

/// Adds windows, stretched angles and soft caps, where there are any.
fn with_attention(mut about: Value, config: &Config) -> Value {
    let layers = config.layers.iter();
    let windows = layers.clone().filter_map(|layer| layer.window);
    let angles = layers.filter_map(|layer| stretched(layer.rope?.scaling));
    let caps = [
        ("scores", config.attn_logit_softcapping),
        ("logits", config.final_logit_softcapping),
    ];
    let caps = caps
        .into_iter()
        .filter_map(|(of, cap)| Some((of.to_owned(), cap?.into())));
    let caps: Map<String, Value> = caps.collect();
    let found = [
        (
            "windows",
            in_blocks(windows.map(|places| json!({ "places": places }))),
        ),
        ("angle_scaling", in_blocks(angles)),
        ("soft_caps", (!caps.is_empty()).then(|| caps.into())),
    ];
    for (name, value) in found {
        if let Some(value) = value {
            about[name] = value;
        }
    }
    about
}

/// Each thing once, with the number of blocks that have it.
fn in_blocks(things: impl Iterator<Item = Value>) -> Option<Value> {
    let mut counted: Vec<(Value, usize)> = Vec::new();
    for thing in things {
        match counted.iter_mut().find(|(known, _)| *known == thing) {
            Some((_, blocks)) => *blocks += 1,
            None => counted.push((thing, 1)),
        }
    }
    let counted = counted.into_iter().map(|(mut thing, blocks)| {
        thing["blocks"] = blocks.into();
        thing
    });
    let counted: Vec<Value> = counted.collect();
    (!counted.is_empty()).then(|| counted.into())
}

/// By Hugging Face's names of the ways.
fn stretched(scaling: RopeScaling) -> Option<Value> {
    let (way, factor, original) = match scaling {
        RopeScaling::Default => return None,
        RopeScaling::Linear { factor } => ("linear", factor, None),
        RopeScaling::Dynamic { factor } => ("dynamic", factor, None),
        RopeScaling::Llama3 {
            factor, original, ..
        } => ("llama3", factor, Some(original)),
        RopeScaling::Yarn {
            factor, original, ..
        } => ("yarn", factor, Some(original)),
    };
    let mut found = json!({ "rope_type": way, "factor": factor });
    if let Some(original) = original {
        found["original_positions"] = original.into();
    }
    Some(found)
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
    let stored = Safetensors::open(vec![(card.name.clone(), models::shared(path)?)])?;
    let about = json!({
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
        "stored_as": stored_as(&stored)?,
        "bytes": on_disk(&[path.to_owned()])?,
        "hash": bundle.hash(),
    });
    Ok(with_attention(about, config))
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/fixtures")
            .join(name)
    }

    /// Looks at a file, of which the screen must hold what is said, and compares these fields.
    #[track_caller]
    fn says(path: &Path, said: &Value) {
        let found = look(path).unwrap();
        assert!(lines(&found).len() <= 24, "{found}");
        for (name, value) in said.as_object().unwrap() {
            assert_eq!(&found[name], value, "{name} in {found}");
        }
    }

    #[test]
    fn windows_angles_and_caps_are_said_where_there_are_any() {
        let gemma2 = json!({
            "windows": [{ "places": 4, "blocks": 1 }], "angle_scaling": null,
            "soft_caps": { "scores": 2.0, "logits": 3.0 },
        });
        says(&fixture("gguf/gemma2.gguf"), &gemma2);
        let yarn = json!({
            "windows": null, "soft_caps": null, "angle_scaling": [
                { "rope_type": "yarn", "factor": 4.0, "original_positions": 16, "blocks": 2 },
            ],
        });
        says(&fixture("gguf/yarn.gguf"), &yarn);
        let gemma3 = json!({
            "windows": [{ "places": 4, "blocks": 3 }],
            "angle_scaling": [{ "rope_type": "linear", "factor": 2.0, "blocks": 1 }],
        });
        says(&fixture("models/gemma3"), &gemma3);
        let shown = lines(&look(&fixture("models/gemma3")).unwrap());
        let window = format!("{:<20} blocks 3, places 4", "windows");
        assert!(shown.contains(&window), "{shown:?}");
        for (name, way) in [
            ("llama3", "llama3"),
            ("llama-linear", "linear"),
            ("llama-dynamic", "dynamic"),
        ] {
            let found = look(&fixture("models").join(name)).unwrap();
            assert_eq!(found["angle_scaling"][0]["rope_type"], way, "{found}");
        }
    }

    /// Of folders, in one file and in several, and of weights in both formats.
    #[test]
    fn stored_types_and_sizes_are_said() {
        let size = |path: &Path| fs::metadata(path).unwrap().len();
        let llama = fixture("models/llama");
        let weights = llama.join("model.safetensors");
        let said = json!({ "stored_as": { "f32": 30 }, "bytes": size(&weights) });
        says(&llama, &said);
        let folder = tempfile::tempdir().unwrap();
        let bare = folder.path().join("bare.safetensors");
        fs::copy(weights, &bare).unwrap();
        says(&bare, &said);
        for (name, dtype) in [
            ("bf16.safetensors", "bf16"),
            ("bf16.bin", "bf16"),
            ("f16.bin", "f16"),
        ] {
            let path = fixture("halves").join(name);
            says(
                &path,
                &json!({ "stored_as": { dtype: 21 }, "bytes": size(&path) }),
            );
        }
        let sharded = folder.path().join("sharded");
        fs::create_dir(&sharded).unwrap();
        fs::copy(llama.join("config.json"), sharded.join("config.json")).unwrap();
        let mut bytes = 0;
        for entry in fs::read_dir(fixture("prompts/sharded")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), sharded.join(entry.file_name())).unwrap();
            bytes += match entry.path().extension() {
                Some(end) if end == "bin" => entry.metadata().unwrap().len(),
                _ => 0,
            };
        }
        says(
            &sharded,
            &json!({ "stored_as": { "f32": 30 }, "bytes": bytes }),
        );
    }

    #[test]
    fn ggmls_types_are_called_as_ggml_calls_them() {
        let found = kinds(&fixture("gguf/kinds.gguf")).unwrap();
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        let expected = [
            "IQ4_NL", "IQ4_XS", "Q2_K", "Q3_K", "Q4_0", "Q4_1", "Q4_K", "Q5_0", "Q5_1", "Q5_K",
            "Q6_K", "Q8_0", "bf16", "f16", "f32",
        ];
        assert_eq!(names, expected);
        let gemma = fixture("gguf/gemma2.gguf");
        let size = fs::metadata(&gemma).unwrap().len();
        says(
            &gemma,
            &json!({ "stored_as": { "f32": 24 }, "bytes": size }),
        );
    }
}
