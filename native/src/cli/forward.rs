//! `post-native forward`: a model's logits at one place, for comparison with another implementation.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use post_core::checkpoint::Checkpoint;
use post_core::prompt::logits_at;
use post_core::report::{Align, Table};
use serde_json::json;

use crate::device::DeviceChoice;
use crate::dtype::Dtype;
use crate::failure::Hint;
use crate::source::ModelSource;
use crate::term::{self, Terminal};
use crate::{models, prompts};

/// How many of the likeliest tokens are shown.
const SHOWN: usize = 10;

/// Pass one text through a model, with a prompt or without, and print the logits
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  The ten likeliest next tokens:
    post-native forward --model SmolLM2.gguf --text \"The capital of France is\"
  All logits behind a prompt, to be compared with another implementation:
    post-native forward --model gpt2/ --ids 464,3139,286 --prompt prompt.zip --json

With --json: {\"ids\": […], \"position\": …, \"logits\": […]}: the whole vocabulary at the last token, or at
--position, which counts from the text's first token. --ids needs no tokenizer; --text is encoded with the
tokens that the model's tokenizer puts around a text. A prompt stands where it was tuned; one that stands
behind BOS is put behind the first id.")]
pub(crate) struct Args {
    /// A folder, a .gguf file, a .post.safetensors bundle, or hub:org/name[/FILE.gguf][@revision]
    #[arg(long, value_name = "MODEL")]
    model: ModelSource,
    /// Token ids, with commas between them
    #[arg(
        long,
        value_name = "IDS",
        value_delimiter = ',',
        required_unless_present = "text"
    )]
    ids: Vec<u32>,
    /// A text, which needs the model's tokenizer
    #[arg(long, value_name = "TEXT", conflicts_with = "ids")]
    text: Option<String>,
    /// A prompt to put into it: PEFT's folder or zip, .npy, .safetensors, .pth
    #[arg(long, value_name = "PROMPT")]
    prompt: Option<PathBuf>,
    /// Where to look, counted from the text's first token, which is 0 [default: the last]
    #[arg(long, value_name = "POSITION")]
    position: Option<usize>,
    /// auto, cpu, cuda[:i], wgpu[:i] or vulkan[:i]
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    /// What the weights are kept in; everything else stays f32. Two bytes a number halve the memory
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    dtype: Dtype,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Passes the text and prints.
///
/// # Errors
/// When an input is bad, or the prompt belongs to another model.
pub(crate) fn run(args: &Args, term: &Terminal) -> Result<()> {
    let prompt = args.prompt.as_deref().map(prompts::soft).transpose()?;
    let checkpoint = models::open(&args.model)?;
    let ids = match &args.text {
        None => args.ids.clone(),
        Some(text) => encode(&checkpoint, text)
            .with_context(|| format!("could not encode --text for {}", args.model))
            .hint("give token ids instead: --ids 1,2,3")?,
    };
    if let (Some(prompt), Some(_)) = (&prompt, &args.text) {
        let tokenizer = checkpoint.tokenizer()?;
        models::has_place(tokenizer, prompt.place(), &args.model.to_string())?;
    }
    let position = args.position.unwrap_or(ids.len().saturating_sub(1));
    let device = args.device.open(term)?;
    let lm = models::place(&checkpoint, &args.model, &device, args.dtype, term)?;
    let logits = pollster::block_on(logits_at(&lm, &ids, position, prompt.as_ref()))
        .with_context(|| format!("could not pass the text through {}", args.model))?;
    if args.json {
        return term::json(&json!({ "ids": ids, "position": position, "logits": logits }));
    }
    term::data(format!("likeliest behind token {position}:\n"))?;
    Ok(term::data(likeliest(&checkpoint, &logits).to_text())?)
}

fn encode(checkpoint: &Checkpoint, text: &str) -> Result<Vec<u32>> {
    let encoding = checkpoint.tokenizer()?.encode(text, true);
    let encoding = encoding.map_err(|reason| anyhow!("{reason}"))?;
    Ok(encoding.get_ids().to_vec())
}

fn likeliest(checkpoint: &Checkpoint, logits: &[f32]) -> Table {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    let mut table = Table::new([
        ("id", Align::Right),
        ("token", Align::Left),
        ("logit", Align::Right),
    ]);
    for &id in order.iter().take(SHOWN) {
        let token = checkpoint.tokenizer.as_ref().and_then(|tokenizer| {
            let decoded = tokenizer.decode(&[id as u32], false).ok()?;
            Some(format!("{decoded:?}"))
        });
        let token = token.unwrap_or_else(|| "-".to_owned());
        table.push([id.to_string(), token, format!("{:.4}", logits[id])]);
    }
    table
}
