//! The prompt put to use by its owner: on a text, and on the rows that were held out.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use post_core::prompt::SoftPrompt;
use post_core::task::metrics::Confusion;
use post_core::task::{Example, Label, Row, argmax, probabilities};
use post_core::tune::{ClassHead, Classifier};

use super::port::Port;
use super::student::Student;
use super::tables::Data;
use crate::protocol::{Answer, Evaluation, Score, Tried};

/// Answers to a text without and with the prompt.
///
/// # Errors
/// When the text can't be encoded or the device fails.
pub(super) async fn attempt(
    student: &Student,
    data: &Data,
    prompt: Option<&SoftPrompt>,
    texts: Vec<String>,
) -> Result<Tried> {
    let fields = data.task.template().fields().len();
    ensure!(
        texts.len() == fields,
        "this task reads {fields} texts, and {} were given",
        texts.len()
    );
    ensure!(
        texts.iter().any(|text| !text.trim().is_empty()),
        "type a text to try"
    );
    let row = Row {
        line: 0,
        texts,
        label: None,
        group: None,
    };
    let mut with = None;
    if prompt.is_some() {
        let (logits, _) = ask(student, data, prompt, &row).await?;
        with = Some(probabilities(&logits));
    }
    let (logits, removed) = ask(student, data, None, &row).await?;
    Ok(Tried {
        classes: names(data)?,
        before: probabilities(&logits),
        with,
        removed,
    })
}

/// Accuracy on the held-out rows without and with the prompt.
///
/// # Errors
/// When none were held out or the device fails.
pub(super) async fn test(
    student: &Student,
    data: &Data,
    prompt: Option<&SoftPrompt>,
    port: &Port,
) -> Result<Evaluation> {
    let rows = data.test.len();
    ensure!(
        rows > 0,
        "no row was held out; choose a share for testing first"
    );
    let total = if prompt.is_some() { 2 * rows } else { rows };
    let testing = |done| port.say(&Answer::Testing { done, total });
    let before = score(student, data, None, testing).await?;
    let with = match prompt {
        None => None,
        Some(prompt) => {
            let testing = |done| testing(rows + done);
            Some(score(student, data, Some(prompt), testing).await?)
        }
    };
    Ok(Evaluation {
        classes: names(data)?,
        rows: rows as u64,
        before,
        with,
    })
}

fn names(data: &Data) -> Result<Vec<String>> {
    let classes = data.task.classes()?.iter();
    Ok(classes.map(|class| class.name.clone()).collect())
}

async fn ask(
    student: &Student,
    data: &Data,
    prompt: Option<&SoftPrompt>,
    row: &Row,
) -> Result<(Vec<f32>, usize)> {
    let (classifier, examples) = ready(student, data, prompt, std::slice::from_ref(row))?;
    let example = examples.first().context("the text has no tokens")?;
    let tokens = prompt.map_or(0, SoftPrompt::num_virtual_tokens);
    student.fits(example.ids.len() + tokens)?;
    let mut logits = classifier.class_logits(&[example]).await?;
    let logits = logits.pop().context("the model gave no answer")?;
    Ok((logits, example.removed))
}

async fn score(
    student: &Student,
    data: &Data,
    prompt: Option<&SoftPrompt>,
    testing: impl FnMut(usize),
) -> Result<Score> {
    let tokens = prompt.map_or(0, SoftPrompt::num_virtual_tokens);
    let (classifier, examples) = ready(student, data, prompt, &data.test)?;
    let longest = examples.iter().map(|example| example.ids.len()).max();
    let rows = student.micro_batch(longest.unwrap_or(0) + tokens)?;
    let logits = classifier.evaluate(&examples, rows, testing).await?;
    let mut confusion = Confusion::new(names(data)?);
    for (example, logits) in examples.iter().zip(&logits) {
        let actual = example.label.as_ref().and_then(Label::class);
        let actual = actual.context("a held-out row lost its label")?;
        confusion.add(actual, argmax(logits));
    }
    let accuracy = confusion.accuracy().context("no row was tested")?;
    Ok(Score {
        accuracy: accuracy.accuracy,
        low: accuracy.low,
        high: accuracy.high,
        counts: confusion.counts,
    })
}

fn ready(
    student: &Student,
    data: &Data,
    prompt: Option<&SoftPrompt>,
    rows: &[Row],
) -> Result<(Classifier, Vec<Example>)> {
    let tokens = prompt.map_or(0, SoftPrompt::num_virtual_tokens);
    let encoder = student.encoder(&data.task, tokens)?;
    let head = ClassHead::new(&student.lm, encoder.words()?);
    let classifier = Classifier::new(Arc::clone(&student.lm), head, prompt)?;
    Ok((classifier, encoder.encode_all(rows)?))
}
