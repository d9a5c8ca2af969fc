//! A model's answers to rows.

use std::sync::Arc;

use anyhow::Result;
use post_core::prompt::SoftPrompt;
use post_core::task::Task;
use post_core::tune::{ClassHead, Classifier};

use crate::data::Rows;
use crate::models::Loaded;
use crate::progress::Progress;
use crate::term::Terminal;

/// Class logits of all rows by a model, behind a prompt or zero-shot, `micro_batch` rows a pass.
///
/// # Errors
/// When the task has no classes, prompt or task don't fit the model, a row can't be encoded, or the device fails.
pub(crate) fn class_logits(
    model: &Loaded,
    prompt: Option<&SoftPrompt>,
    task: &Task,
    rows: &Rows,
    micro_batch: usize,
    term: &Terminal,
) -> Result<Vec<Vec<f32>>> {
    if let Some(prompt) = prompt {
        model.fits(prompt)?;
    }
    let virtual_tokens = prompt.map_or(0, SoftPrompt::num_virtual_tokens);
    let encoder = model.encoder(task, virtual_tokens)?;
    let examples = rows.encode(&encoder)?;
    let head = ClassHead::new(&model.lm, encoder.words()?);
    let classifier = Classifier::new(Arc::clone(&model.lm), head, prompt)?;
    let mut progress = Progress::new(*term, "rows answered", examples.len() as u64, 0);
    let evaluation = classifier.evaluate(&examples, micro_batch.max(1), |done| {
        progress.set(done as u64, "");
    });
    let logits = pollster::block_on(evaluation)?;
    progress.finish();
    Ok(logits)
}
