//! Accuracy at a task with classes: a model, a student beside it, public rows to be fair by.

use anyhow::{Context, Result};
use post_core::prompt::SoftPrompt;
use post_core::report::{Align, Table, percent};
use post_core::task::metrics::Confusion;
use post_core::task::{Class, Label, Labels, Row, argmax};
use post_core::tune::{calibrate, logit_arithmetic};
use serde_json::json;

use super::{Args, Measured, with_interval};
use crate::classify::class_logits;
use crate::data::Rows;
use crate::failure::{Hint, Usage};
use crate::models::{self, Loaded};
use crate::term;
use crate::{data, files};

/// Refuses settings that don't go together.
///
/// # Errors
/// For a student without a prompt.
pub(super) fn check(args: &Args) -> Result<()> {
    if args.student.is_some() && args.prompt.is_none() {
        return Err(Usage(
            "a --student answers behind a prompt, and there is none".into(),
        ))
        .hint("give the --prompt that was tuned on it, or leave --student out");
    }
    if args.student.is_none() && !args.change_since.is_zero_shot() {
        return Err(Usage(
            "there is no --student whose prompt's change could be counted".into(),
        ))
        .hint("give the --student that the prompt was tuned on, or leave --change-since out");
    }
    Ok(())
}

/// Measures accuracy and prints it.
///
/// # Errors
/// When a model can't be loaded, or task or prompt don't fit it.
pub(super) fn run(measured: &Measured<'_>, classes: &[Class]) -> Result<()> {
    let Measured {
        args,
        task,
        source,
        rows,
        term,
        ..
    } = measured;
    let known = |row: &Row| {
        let class = row.label.as_ref().and_then(Label::class);
        class.context("a row without a label was evaluated")
    };
    let labels = rows.rows.iter().map(known).collect::<Result<Vec<_>>>()?;
    let device = args.device.open(term)?;
    let model = models::load(source, &device, args.dtype, term)?;
    let answering = Answering {
        prompt: measured.behind(&model)?,
        model,
        student: args
            .student
            .as_ref()
            .map(|student| models::load(student, &device, args.dtype, term))
            .transpose()?,
        measured,
    };
    let mut logits = answering.answer(rows)?;
    if !args.calibrate.is_empty() {
        let public = data::rows(
            &args.calibrate,
            &args.columns.of(task)?,
            Labels::Unused,
            term,
        )?;
        calibrate(&mut logits, &answering.answer(&public)?);
    }
    if let Some(path) = &args.answers {
        files::write_atomic(path, answers(classes, &labels, &logits)?.as_bytes())?;
    }
    say(&confusion(classes, &labels, &logits), args.json)
}

/// What answers, and how.
struct Answering<'a> {
    model: Loaded,
    prompt: Option<SoftPrompt>,
    /// Where the prompt stays before the student.
    student: Option<Loaded>,
    measured: &'a Measured<'a>,
}

impl Answering<'_> {
    /// Class logits of every row.
    fn answer(&self, rows: &Rows) -> Result<Vec<Vec<f32>>> {
        match (&self.student, &self.prompt) {
            (Some(student), Some(prompt)) => {
                let Measured { args, task, .. } = self.measured;
                let before = |model| {
                    let base = args.change_since.base(model, task, prompt)?;
                    self.logits(model, base.as_ref(), rows)
                };
                Ok(logit_arithmetic(
                    &before(&self.model)?,
                    &before(student)?,
                    &self.logits(student, Some(prompt), rows)?,
                ))
            }
            (_, prompt) => self.logits(&self.model, prompt.as_ref(), rows),
        }
    }

    /// Class logits by a model, behind a prompt or zero-shot.
    fn logits(
        &self,
        model: &Loaded,
        prompt: Option<&SoftPrompt>,
        rows: &Rows,
    ) -> Result<Vec<Vec<f32>>> {
        let Measured {
            args, task, term, ..
        } = self.measured;
        class_logits(model, prompt, task, rows, args.micro_batch, term)
    }
}

fn confusion(classes: &[Class], labels: &[usize], logits: &[Vec<f32>]) -> Confusion {
    let names = classes.iter().map(|class| class.name.clone());
    let mut confusion = Confusion::new(names.collect());
    for (&label, logits) in labels.iter().zip(logits) {
        confusion.add(label, argmax(logits));
    }
    confusion
}

/// One JSON object for each row, in the order of the file.
fn answers(classes: &[Class], labels: &[usize], logits: &[Vec<f32>]) -> Result<String> {
    let name = |class: usize| &classes[class].name;
    let mut lines = String::new();
    for (&label, logits) in labels.iter().zip(logits) {
        let line =
            json!({ "label": name(label), "answer": name(argmax(logits)), "logits": logits });
        lines += &serde_json::to_string(&line)?;
        lines.push('\n');
    }
    Ok(lines)
}

fn say(confusion: &Confusion, as_json: bool) -> Result<()> {
    let accuracy = confusion
        .accuracy()
        .context("there is not one row to evaluate")?;
    if as_json {
        let mut value = serde_json::to_value(accuracy)?;
        value["per_class"] = json!(confusion.per_class());
        value["confusion"] = json!(confusion);
        return term::json(&value);
    }
    term::data(format!("accuracy {}\n", with_interval(&accuracy)))?;
    term::data(per_class(confusion).to_text())?;
    term::data("")?;
    Ok(term::data(counts(confusion).to_text())?)
}

fn per_class(confusion: &Confusion) -> Table {
    let headers = ["class", "rows", "precision", "recall", "F1"];
    let mut table = Table::new(headers.map(|title| (title, align(title == "class"))));
    for figures in confusion.per_class() {
        let ratio = |x: Option<f64>| x.map_or("-".to_owned(), percent);
        table.push([
            figures.class,
            figures.rows.to_string(),
            ratio(figures.precision),
            ratio(figures.recall),
            ratio(figures.f1),
        ]);
    }
    table
}

/// Rows: what the example is; columns: what the model says.
fn counts(confusion: &Confusion) -> Table {
    let said = confusion
        .classes
        .iter()
        .map(|class| (format!("said {class}"), Align::Right));
    let mut table = Table::new([("is".to_owned(), Align::Left)].into_iter().chain(said));
    for (class, counts) in confusion.classes.iter().zip(&confusion.counts) {
        let counts = counts.iter().map(u64::to_string);
        table.push([class.clone()].into_iter().chain(counts));
    }
    table
}

fn align(words: bool) -> Align {
    if words { Align::Left } else { Align::Right }
}
