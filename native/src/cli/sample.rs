//! `post-native sample`: text of a model's own, to distil on.

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::ArgMatches;
use post_core::distill::{Sampling, sample, whole_sentences};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::values;
use crate::device::DeviceChoice;
use crate::dtype::Dtype;
use crate::failure::{Hint, Usage};
use crate::models::{self, Loaded};
use crate::progress::Progress;
use crate::source::ModelSource;
use crate::term::{self, Terminal};
use crate::{config, files};

/// Have a model write passages to distil on, where no other text is free and of the domain
///
/// Each passage continues one of the beginnings, up to the end of the line, and is cut after its last
/// whole sentence. Prints JSON lines, {"text": …}, that `distill --data` reads.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
#[command(after_help = "\
Example:
  post-native sample --model SmolLM2.gguf --start 'A critic wrote about the film:' --count 2000 \\
    --output reviews.jsonl
  post-native distill --teacher SmolLM2.gguf --task sst2 --data reviews.jsonl

What a model writes is as free to use as its licence says.")]
pub(crate) struct Args {
    /// A folder, a .gguf file, a .post.safetensors bundle, or hub:org/name[/FILE.gguf][@revision]
    #[arg(long, value_name = "MODEL")]
    model: Option<ModelSource>,
    /// What the passages continue, without being part of them; may be given several times
    #[arg(long, value_name = "TEXT")]
    #[serde(default)]
    start: Vec<String>,
    /// Passages to write for each beginning; copies and those without a whole sentence are left out
    #[arg(long, value_name = "PASSAGES", default_value_t = 100)]
    count: usize,
    /// Most tokens of a passage
    #[arg(long, value_name = "TOKENS", default_value_t = 48)]
    max_new_tokens: usize,
    /// Shorter passages are left out
    #[arg(long, value_name = "WORDS", default_value_t = 6)]
    min_words: usize,
    /// Below 1 for what is likely, above 1 for what is not
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = values::positive)]
    temperature: f64,
    /// Draw from so many of the likeliest tokens
    #[arg(long, value_name = "TOKENS", default_value_t = 50)]
    top_k: usize,
    /// Decides what is drawn
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u32,
    /// Passages written side by side; what is drawn depends on it
    #[arg(long, value_name = "ROWS", default_value_t = 64)]
    batch: usize,
    /// auto, cpu, cuda[:i], wgpu[:i] or vulkan[:i]
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    /// What the weights are kept in; everything else stays f32
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    #[serde(default, skip_serializing_if = "Dtype::is_f32")]
    dtype: Dtype,
    /// Write here instead of to the standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Settings from a TOML file; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Samples and prints.
///
/// # Errors
/// When the model can't be loaded or can't continue a text.
pub(crate) fn run(typed: Args, matches: &ArgMatches, term: &Terminal) -> Result<()> {
    let file = typed.config.clone();
    let args = config::merge(typed, matches, file.as_deref())?;
    let source = config::required(args.model.clone(), "model")?;
    if args.start.is_empty() {
        return Err(Usage("there is nothing to continue".into()))
            .hint("give a beginning: --start 'A critic wrote about the film:'");
    }
    let model = models::load(&source, &args.device.open(term)?, args.dtype, term)?;
    let mut lines = String::new();
    for passage in passages(&args, &model, term)? {
        lines += &format!("{}\n", json!({ "text": passage }));
    }
    match &args.output {
        Some(path) => files::write_atomic(path, lines.as_bytes()),
        None => Ok(term::data(lines.trim_end())?),
    }
}

/// Distinct passages, in the order written.
fn passages(args: &Args, model: &Loaded, term: &Terminal) -> Result<Vec<String>> {
    let stop = ends(model);
    let total = args.start.len() * args.count;
    let mut progress = Progress::new(*term, "sample", total as u64, 0);
    let (mut seen, mut kept) = (HashSet::new(), Vec::new());
    let mut written = 0;
    for (beginning, start) in args.start.iter().enumerate() {
        let ids = encode(model, start)?;
        let mut left = args.count;
        while left > 0 {
            let rows = left.min(args.batch.max(1));
            let sampling = Sampling {
                max_new_tokens: args.max_new_tokens,
                temperature: args.temperature,
                top_k: args.top_k,
                // Another draw for each beginning and batch, the same in every run.
                seed: (u64::from(args.seed) << 40) + ((beginning as u64) << 24) + left as u64,
            };
            let texts = pollster::block_on(sample(&model.lm, &ids, rows, &stop, &sampling))?;
            for ids in texts {
                let text = decode(model, &ids)?;
                let whole = whole_sentences(&text).map(str::to_owned);
                let long = |text: &String| text.split_whitespace().count() >= args.min_words;
                kept.extend(whole.filter(|text| long(text) && seen.insert(text.clone())));
            }
            left -= rows;
            written += rows;
            progress.set(written as u64, &format!("{} kept", kept.len()));
        }
    }
    progress.finish();
    Ok(kept)
}

/// Tokens that end a passage: special ones, which decode to nothing, and those that end a line.
fn ends(model: &Loaded) -> HashSet<u32> {
    let ends = |id: &u32| {
        let text = model.tokenizer.decode(&[*id], true).unwrap_or_default();
        text.is_empty() || text.contains('\n')
    };
    (0..model.lm.config().vocab_size as u32)
        .filter(ends)
        .collect()
}

fn encode(model: &Loaded, text: &str) -> Result<Vec<u32>> {
    let encoding = model.tokenizer.encode(text, true);
    let encoding = encoding.map_err(|error| anyhow!("{text:?} can't be tokenised: {error}"))?;
    Ok(encoding.get_ids().to_vec())
}

fn decode(model: &Loaded, ids: &[u32]) -> Result<String> {
    let text = model.tokenizer.decode(ids, true);
    text.map_err(|error| anyhow!("what the model wrote can't be decoded: {error}"))
}
