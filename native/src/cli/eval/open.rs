//! Exact match at a task whose answers are text: written greedily, compared with the rows' own.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use post_core::prompt::SoftPrompt;
use post_core::task::metrics::Accuracy;
use post_core::task::{AnswerTokens, Example, Label, Spelled};
use post_core::tune::Writer;
use serde::Serialize;
use serde_json::json;

use super::{Args, Measured, with_interval};
use crate::failure::{Hint, Usage};
use crate::files;
use crate::models;
use crate::progress::Progress;
use crate::term;

/// What a model wrote for a row.
#[derive(Serialize)]
struct Written {
    /// The row's own answer, as the tokenizer spells it.
    label: String,
    answer: String,
    /// Mean over the tokens of the row's own answer.
    loss: f64,
}

/// Refuses settings that only classes have a use for.
///
/// # Errors
/// For a student beside the model, what its prompt's change is counted from, and rows to calibrate by.
pub(super) fn check(args: &Args) -> Result<()> {
    let asked = [
        ("--student", args.student.is_some()),
        ("--change-since", !args.change_since.is_zero_shot()),
        ("--calibrate", !args.calibrate.is_empty()),
    ];
    let Some((unfit, _)) = asked.into_iter().find(|(_, asked)| *asked) else {
        return Ok(());
    };
    Err(Usage(format!(
        "{unfit} works on class logits, and this task is answered with text of its own"
    )))
    .hint(format!(
        "leave {unfit} out, or give a task with [[classes]]"
    ))
}

/// Measures exact match and prints it.
///
/// # Errors
/// When the model can't be loaded or write, or task or prompt don't fit it.
pub(super) fn run(measured: &Measured<'_>) -> Result<()> {
    let args = measured.args;
    let written = written(measured)?;
    if let Some(path) = &args.answers {
        let lines = written.iter().map(|row| Ok(serde_json::to_string(row)?));
        let lines = lines.collect::<Result<Vec<_>>>()?.join("\n") + "\n";
        files::write_atomic(path, lines.as_bytes())?;
    }
    let right = written.iter().filter(|row| row.answer == row.label).count();
    let found = Accuracy::of(right as u64, written.len() as u64)
        .context("there is not one row to evaluate")?;
    let loss = written.iter().map(|row| row.loss).sum::<f64>() / written.len() as f64;
    if args.json {
        return term::json(&json!({
            "exact_match": found.accuracy,
            "low": found.low,
            "high": found.high,
            "n": found.n,
            "loss": loss,
        }));
    }
    Ok(term::data(format!(
        "exact match {}\nloss per token of the rows' own answers {loss:.3}",
        with_interval(&found)
    ))?)
}

/// What the model writes for every row.
fn written(measured: &Measured<'_>) -> Result<Vec<Written>> {
    let Measured {
        args,
        task,
        source,
        rows,
        term,
        ..
    } = measured;
    let model = models::load(source, &args.device.open(term)?, args.dtype, term)?;
    let prompt = measured.behind(&model)?;
    if let Some(prompt) = &prompt {
        model.fits(prompt)?;
    }
    let virtual_tokens = prompt.as_ref().map_or(0, SoftPrompt::num_virtual_tokens);
    let encoder = model.encoder(task, virtual_tokens)?;
    let Spelled::Open(answers) = encoder.spelled() else {
        return Err(anyhow!("the task's answers are no text"));
    };
    let examples = rows.encode(&encoder)?;
    let writer = Writer::new(Arc::clone(&model.lm), prompt.as_ref())?;
    let count = examples.len() as u64;
    let mut progress = Progress::new(**term, "rows answered", count, 0);
    let heard = |done| progress.set(done as u64, "");
    let micro = args.micro_batch;
    let (most, ended) = (answers.most_tokens(), |text: &[u32]| answers.ended(text));
    let said = pollster::block_on(writer.write(&examples, most, ended, micro, heard))?;
    let losses = pollster::block_on(writer.losses(&examples, micro, |_| {}))?;
    progress.finish();
    let rows = examples.iter().zip(said.iter().zip(losses));
    rows.map(|(example, (said, loss))| compared(answers, example, said, loss))
        .collect()
}

/// A row's own answer goes through the tokenizer, too: what that can't keep is no one's mistake.
fn compared(
    answers: &AnswerTokens<'_>,
    example: &Example,
    said: &[u32],
    loss: Option<f64>,
) -> Result<Written> {
    let (Some(Label::Text(own)), Some(loss)) = (&example.label, loss) else {
        return Err(anyhow!("a row without an answer was evaluated"));
    };
    Ok(Written {
        label: answers.text(own)?,
        answer: answers.text(said)?,
        loss,
    })
}
