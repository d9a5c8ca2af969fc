//! `post-native export`: a prompt in the format that another tool wants.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use post_core::prompt::{Files, archive, npy, peft, raw};
use serde_json::json;

use crate::failure::Hint;
use crate::source::ModelSource;
use crate::term::{self, Terminal};
use crate::{files, models, prompts};

/// Write a prompt as PEFT's folder or zip, as .npy, or as the bare tensor that vLLM takes
///
/// --out decides: a name that ends in .npy, .safetensors or .zip is that file, any other a folder as PEFT
/// reads it. Numbers stay as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  For vLLM, as the tensor prompt_embeds:
    post-native export --prompt runs/transfer/prompt --out prompt.safetensors
  For PEFT, from what POST's public code saved:
    post-native export --prompt prompt.pth --model gpt2/ --out prompt

How other tools load these is in docs/interop.md.")]
pub(crate) struct Args {
    /// PEFT's folder or zip, .npy, .safetensors, .pth
    #[arg(long, value_name = "PROMPT")]
    prompt: PathBuf,
    /// What to write
    #[arg(long, value_name = "FILE|FOLDER")]
    out: PathBuf,
    /// The model that the prompt belongs to, which PEFT wants to know; a prompt of PEFT's names its own
    #[arg(long, value_name = "MODEL")]
    model: Option<ModelSource>,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
}

/// Reads, converts, writes.
///
/// # Errors
/// When the prompt can't be read, PEFT would lack the model, or the file can't be written.
pub(crate) fn run(args: &Args, term: &Terminal) -> Result<()> {
    let prompt = prompts::soft(&args.prompt)?;
    let end = args.out.extension().and_then(|end| end.to_str());
    let bytes = match end {
        Some("npy") => Some(npy::write(&prompt)),
        Some("safetensors") => Some(raw::write(&prompt)?),
        Some("zip") => Some(archive::pack(&folder(args)?)?),
        _ => None,
    };
    match &bytes {
        Some(bytes) => files::write_atomic(&args.out, bytes)?,
        None => prompts::write(&args.out, &folder(args)?)?,
    }
    let bare = matches!(end, Some("npy" | "safetensors"));
    if bare && prompts::receipt(&args.prompt)?.is_some() {
        let receipt = prompts::RECEIPT;
        term.note(format!(
            "{receipt} is not part of such a file: hand it on beside it"
        ));
    }
    if bare && !prompt.place().is_before_bos() {
        term.warn(format!(
            "such a file does not say that the prompt stands {}: read again, it stands before the text; a folder \
             or zip says so",
            prompt.place()
        ));
    }
    if args.json {
        let (tokens, width) = (prompt.num_virtual_tokens(), prompt.token_dim());
        return term::json(
            &json!({ "prompt": args.out, "num_virtual_tokens": tokens, "token_dim": width }),
        );
    }
    Ok(term::data(args.out.display().to_string())?)
}

/// PEFT's files: those that the prompt came in, or new ones for the model that is named.
fn folder(args: &Args) -> Result<Files> {
    let Some(source) = &args.model else {
        return kept(&args.prompt);
    };
    let config = models::open(source)?.config;
    let prompt = prompts::soft(&args.prompt)?;
    prompt.fits(&source.to_string(), config.embedding_size)?;
    let name = models::public_name(&source.to_string());
    let model = peft::BaseModel::of(name, &config);
    let mut files = peft::write(&prompt, &model, None, "")?;
    let receipt = prompts::receipt(&args.prompt)?;
    files.extend(receipt.map(|bytes| (prompts::RECEIPT.to_owned(), bytes)));
    Ok(files)
}

fn kept(path: &Path) -> Result<Files> {
    let is_peft = path.is_dir()
        || prompts::format(path, &files::read(path)?)? == post_core::prompt::Format::Peft;
    match is_peft {
        true => prompts::read(path),
        false => Err(anyhow!(
            "{} does not say which model it belongs to, and PEFT wants to know",
            path.display()
        ))
        .hint("name the model with --model"),
    }
}
