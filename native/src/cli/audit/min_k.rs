//! `post-native audit min-k`: which texts was a model trained on?

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::ArgMatches;
use post_core::audit::min_k::{SHARE, log_probabilities, min_k};
use post_core::audit::roc::{self, Scored};
use serde::{Deserialize, Serialize};

use super::values;
use crate::config;
use crate::device::DeviceChoice;
use crate::dtype::Dtype;
use crate::failure::{Hint, Usage};
use crate::findings::{MinK, with_interval};
use crate::models::{self, Loaded};
use crate::progress::Progress;
use crate::source::ModelSource;
use crate::term::{self, Terminal};

/// Infer which texts a model was trained on, by its least probable tokens (Min-K%)
///
/// Of each text the mean log-probability of its least probable tokens is taken (Shi et al., 2024): texts
/// that a model was trained on have few surprises. AUC between members and others, with 95 % intervals
/// over texts. Members and others must be of one kind, or the attack tells the kinds apart.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
#[command(after_help = "\
Example:
  Does a student give away what it was distilled on?
    post-native audit min-k --model student.post.safetensors --members distilled-on.txt --others fresh.txt")]
pub(super) struct Args {
    /// A causal model: a folder, a .gguf file, a .post.safetensors bundle, or hub:org/name[/FILE.gguf][@revision]
    #[arg(long, value_name = "MODEL")]
    model: Option<ModelSource>,
    /// Texts that it was trained on: lines, or a column of CSV, TSV, JSON lines or Parquet; also packed
    #[arg(long, value_name = "FILES", num_args = 1..)]
    #[serde(default)]
    members: Vec<PathBuf>,
    /// Texts of the same kind that it never saw
    #[arg(long, value_name = "FILES", num_args = 1..)]
    #[serde(default)]
    others: Vec<PathBuf>,
    /// The column of text, where a file has columns
    #[arg(long, value_name = "COLUMN", default_value = "text")]
    text_column: String,
    /// Share of the tokens to look at
    #[arg(long, value_name = "SHARE", default_value_t = SHARE, value_parser = values::fraction)]
    share: f64,
    /// Tokens of a text to look at, from its beginning
    #[arg(long, value_name = "TOKENS", default_value_t = 512)]
    max_length: usize,
    /// auto, cpu, cuda[:i], wgpu[:i] or vulkan[:i]
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    /// What the weights are kept in; everything else stays f32
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    #[serde(default, skip_serializing_if = "Dtype::is_f32")]
    dtype: Dtype,
    /// Decides the resamples behind the intervals
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u32,
    /// Settings from a TOML file; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    #[serde(default)]
    json: bool,
}

/// Scores all texts and prints how well the scores tell them apart.
///
/// # Errors
/// When an input is bad, or the model is not causal.
pub(super) fn run(typed: Args, matches: &ArgMatches, term: &Terminal) -> Result<()> {
    let file = typed.config.clone();
    let args = &config::merge(typed, matches, file.as_deref())?;
    let source = config::required(args.model.clone(), "model")?;
    config::some(&args.members, "members")?;
    config::some(&args.others, "others")?;
    let texts = [(true, &args.members), (false, &args.others)]
        .into_iter()
        .map(|(member, files)| Ok((member, texts(files, &args.text_column)?)))
        .collect::<Result<Vec<_>>>()?;
    let count: usize = texts.iter().map(|(_, texts)| texts.len()).sum();
    let texts = texts
        .iter()
        .flat_map(|(member, texts)| texts.iter().map(move |text| (*member, text)));
    let model = models::load(&source, &args.device.open(term)?, args.dtype, term)?;
    if !model.lm.config().causal {
        return Err(Usage(format!("{source} predicts no next token")))
            .hint("Min-K% needs a causal model, as GPT-2 or Llama are");
    }
    let mut progress = Progress::new(*term, "min-k", count as u64, 0);
    let mut scores: Vec<Scored> = Vec::new();
    for (done, (member, text)) in texts.enumerate() {
        progress.set(done as u64 + 1, "");
        let score = score(args, &model, text)?;
        // One token is nothing that could surprise.
        if !score.is_nan() {
            let row = scores.len();
            scores.push(Scored {
                score,
                member,
                row,
                run: 0,
            });
        }
    }
    progress.finish();
    let reached = roc::reached(&scores, args.seed.into())
        .context("there are no texts of two tokens and more on both sides")?;
    let members = scores.iter().filter(|scored| scored.member).count();
    let others = scores.len() - members;
    let found = MinK {
        members,
        others,
        share: args.share,
        reached,
    };
    if args.json {
        return term::json(&found);
    }
    Ok(term::data(format!(
        "{members} members, {others} others, the least probable {:.0} % of their tokens\n\
         AUC               {}\n\
         TPR at 1 % FPR    {}\n\
         TPR at 0.1 % FPR  {}",
        100.0 * args.share,
        with_interval(&found.reached.auc),
        with_interval(&found.reached.tpr_at_1_percent),
        with_interval(&found.reached.tpr_at_01_percent),
    ))?)
}

fn texts(files: &[PathBuf], column: &str) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for path in post_data::files::expand(files)? {
        for passage in post_data::passages(&path, column)? {
            // A line that can't be read is no text of either side.
            if let Ok(passage) = passage? {
                texts.push(passage.text);
            }
        }
    }
    Ok(texts)
}

fn score(args: &Args, model: &Loaded, text: &str) -> Result<f64> {
    let encoding = model.tokenizer.encode(text, true);
    let encoding = encoding.map_err(|reason| anyhow!("{reason}"))?;
    let most = model
        .lm
        .room(0)
        .map_or(args.max_length, |room| room.min(args.max_length));
    let ids = encoding.get_ids();
    let ids = &ids[..ids.len().min(most)];
    let found = pollster::block_on(log_probabilities(&model.lm, ids))
        .context("could not pass a text through the model")?;
    Ok(min_k(&found, args.share))
}
