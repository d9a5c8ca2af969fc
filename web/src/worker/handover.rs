//! Prompts out of the tab and into it.

use std::collections::BTreeMap;

use anyhow::Result;
use post_core::dp::Receipt;
use post_core::dp::receipt::sha256;
use post_core::prompt::{SoftPrompt, archive, peft};
use post_core::tune::RECEIPT;

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

/// Reads a prompt from a zip, and says what it is.
///
/// # Errors
/// When it is no prompt, or belongs to a model of another width.
pub(super) fn import(bytes: &[u8], student: &Student) -> Result<(SoftPrompt, String)> {
    let files = archive::unpack(bytes)?;
    let adapter = peft::read(&files)?;
    adapter
        .prompt
        .fits(&student.card.name, student.lm.config().hidden_size)?;
    let model = adapter.config.base_model_name_or_path;
    let tokens = adapter.prompt.num_virtual_tokens();
    let promise = match files.get(RECEIPT) {
        None => "it has no privacy receipt, so nothing is known of what it reveals".to_owned(),
        Some(receipt) => promise(receipt, &files[peft::WEIGHTS], student)?,
    };
    let model = model.unwrap_or_else(|| "an unnamed model".to_owned());
    let summary = format!("{tokens} virtual tokens, made for {model}; {promise}");
    Ok((adapter.prompt, summary))
}

fn promise(receipt: &[u8], weights: &[u8], student: &Student) -> Result<String> {
    let receipt = Receipt::from_json(receipt)?;
    let found = BTreeMap::from([("prompt".to_owned(), sha256(weights))]);
    receipt.verify(&found)?;
    let other = if receipt.hashes.get("student") == Some(&student.card.hash) {
        ""
    } else {
        " It was tuned on another student than the loaded one."
    };
    Ok(format!("its receipt holds: {}{other}", receipt.statement))
}
