//! Prompts out of the tab and into it.

use anyhow::Result;
use post_core::dp::Receipt;
use post_core::prompt::archive;
use post_core::tune::Earlier;

use super::student::Student;

/// A name for the zip: the task's, as far as file systems like it.
pub(super) fn file_name(task: &str) -> String {
    let kept = |c: char| {
        if c.is_alphanumeric() || c == '-' {
            c
        } else {
            '-'
        }
    };
    format!("prompt-{}.zip", task.chars().map(kept).collect::<String>())
}

/// Reads a prompt from a zip; its receipt, if it has one, holds.
///
/// # Errors
/// When it is no prompt, or has another prompt's receipt.
pub(super) fn unpack(bytes: &[u8]) -> Result<Earlier> {
    Ok(Earlier::read(&archive::unpack(bytes)?)?)
}

/// Reads a prompt from a zip, and says what it is.
///
/// # Errors
/// As [`unpack`], and when it belongs to a model of another width.
pub(super) fn import(bytes: &[u8], student: &Student) -> Result<(Earlier, String)> {
    let earlier = unpack(bytes)?;
    let adapter = &earlier.adapter;
    adapter
        .prompt
        .fits(&student.card.name, student.lm.config().embedding_size)?;
    let tokens = adapter.prompt.num_virtual_tokens();
    let model = adapter.config.base_model_name_or_path.as_deref();
    let model = model.unwrap_or("an unnamed model");
    let promise = match &earlier.receipt {
        None => "it has no privacy receipt, so nothing is known of what it reveals".to_owned(),
        Some(receipt) => promise(receipt, student),
    };
    let summary = format!("{tokens} virtual tokens, made for {model}; {promise}");
    Ok((earlier, summary))
}

fn promise(receipt: &Receipt, student: &Student) -> String {
    let other = if receipt.hashes.get("student") == Some(&student.card.hash) {
        ""
    } else {
        " It was tuned on another student than the loaded one."
    };
    format!("its receipt holds: {}{other}", receipt.statement)
}
