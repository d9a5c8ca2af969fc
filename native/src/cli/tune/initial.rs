//! Where a tuned prompt starts: at the task's sentence, or where an earlier run left it.

use std::path::Path;

use anyhow::{Result, anyhow};
use post_core::task::Encoder;
use post_core::tune::Initial;

use super::Args;
use crate::failure::Hint;
use crate::models::Loaded;
use crate::prompts;
use crate::term::Terminal;

/// Where the prompt starts.
pub(in crate::cli) fn of(args: &Args, student: &Loaded, encoder: &Encoder<'_>) -> Result<Initial> {
    let initial = match &args.initial_prompt {
        Some(path) => earlier(args, path)?,
        None => {
            let place = args.prompt_place.unwrap_or(student.prompt_place);
            let sentence = student.text_init(encoder, args.num_virtual_tokens)?;
            sentence.with_place(place).into()
        }
    };
    student.fits(initial.prompt())?;
    Ok(initial)
}

/// The prompt that an earlier run left, at its own place.
fn earlier(args: &Args, path: &Path) -> Result<Initial> {
    let earlier = prompts::earlier(path)?;
    let (prompt, path) = (&earlier.adapter.prompt, path.display());
    let (found, tokens) = (prompt.num_virtual_tokens(), args.num_virtual_tokens);
    if found != tokens {
        return Err(anyhow!(
            "{path} has {found} virtual tokens, and the run {tokens}"
        ))
        .hint(format!("add --num-virtual-tokens {found}"));
    }
    let stands = prompt.place();
    if let Some(asked) = args.prompt_place.filter(|asked| *asked != stands) {
        return Err(anyhow!(
            "{path} was tuned {stands}, and --prompt-place says {asked}"
        ))
        .hint("leave --prompt-place out: a prompt goes on where it stood");
    }
    Ok(earlier.into())
}

/// What whoever goes on from a prompt must know of it.
pub(super) fn about(args: &Args, term: &Terminal) -> Result<()> {
    let Some(path) = &args.initial_prompt else {
        return Ok(());
    };
    let earlier = prompts::earlier(path)?;
    let path = path.display();
    match &earlier.receipt {
        Some(receipt) if earlier.is_private() => term.note(format!(
            "starts from {path}, whose receipt holds: {}",
            receipt.statement
        )),
        _ => term.warn(format!(
            "{path} has no guarantee, and this run's does not cover what it tells: start from it only if \
             it was not tuned on any row of this data"
        )),
    }
    Ok(())
}
