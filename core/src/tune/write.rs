//! A prompt put to use: answers of text for examples.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::Tensor;

use super::TuneError;
use super::prompted::Prompted;
use crate::model::{Lm, Writing};
use crate::optim::{DeviceError, cross_entropy, read};
use crate::prompt::SoftPrompt;
use crate::task::{Example, Label};

/// A frozen causal model that answers with text, with or without a prompt.
pub struct Writer {
    model: Prompted,
}

impl Writer {
    /// Without a prompt it is the model's zero-shot answer.
    ///
    /// # Errors
    /// [`TuneError::Prompt`] when the prompt belongs to a model of another width.
    pub fn new(lm: Arc<Lm>, prompt: Option<&SoftPrompt>) -> Result<Self, TuneError> {
        let model = Prompted::new(lm, prompt)?;
        Ok(Self { model })
    }

    /// The likeliest token behind each text and behind all that was written there, at most `most` of
    /// them and up to where `ended` says that a text is over: the tokens of each example, in their order.
    /// `rows` texts are written side by side. `progress` hears how many are done.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub async fn write(
        &self,
        examples: &[Example],
        most: usize,
        ended: impl Fn(&[u32]) -> bool,
        rows: usize,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Vec<u32>>, DeviceError> {
        let mut written = vec![Vec::new(); examples.len()];
        let mut done = 0;
        for group in equal_lengths(examples, rows) {
            let texts: Vec<&[u32]> = group.iter().map(|&i| examples[i].ids.as_slice()).collect();
            let found = self.greedy(&texts, most, &ended).await?;
            for (&index, tokens) in group.iter().zip(found) {
                written[index] = tokens;
            }
            done += group.len();
            progress(done);
        }
        Ok(written)
    }

    /// Continues texts of one length.
    async fn greedy(
        &self,
        texts: &[&[u32]],
        most: usize,
        ended: impl Fn(&[u32]) -> bool,
    ) -> Result<Vec<Vec<u32>>, DeviceError> {
        let lm = self.model.lm();
        let (hidden, past) = lm.pass(&self.model.input(texts));
        let width = hidden.dims()[1];
        let last = hidden.narrow(1, width - 1, 1).squeeze_dim(1);
        let mut writing = Writing::behind(past, texts.len());
        writing.take(&likeliest(lm.logits(last)).await?, &ended);
        for _ in 1..most {
            if writing.open() == 0 {
                break;
            }
            let logits = writing.logits(lm);
            writing.take(&likeliest(logits).await?, &ended);
        }
        Ok(writing.into_texts())
    }

    /// The loss of each example, in their order: the mean over its answer's tokens, as in tuning; none
    /// where there is no answer of text. `progress` hears how many are done.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub async fn losses(
        &self,
        examples: &[Example],
        rows: usize,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Option<f64>>, DeviceError> {
        let read: Vec<Vec<u32>> = examples.iter().map(Example::read).collect();
        let lengths: Vec<usize> = examples.iter().map(Example::len).collect();
        let mut losses = vec![None; examples.len()];
        let mut done = 0;
        let pass = |group: &[usize]| {
            let texts: Vec<&[u32]> = group.iter().map(|&index| read[index].as_slice()).collect();
            let places: Vec<Range<usize>> = group.iter().map(|&i| examples[i].places()).collect();
            let targets: Vec<Option<u32>> = group
                .iter()
                .flat_map(|&index| targets(&examples[index]))
                .collect();
            let lm = self.model.lm();
            let hidden = lm.hidden_within(&self.model.input(&texts), &places);
            cross_entropy(lm.logits(hidden), &targets).value
        };
        let take = |group: &[usize], values: Vec<f32>| {
            let mut rest = values.as_slice();
            for &index in group {
                let (own, others) = rest.split_at(examples[index].places().len());
                let sum: f64 = own.iter().copied().map(f64::from).sum();
                let answered = matches!(examples[index].label, Some(Label::Text(_)));
                losses[index] = answered.then(|| sum / own.len() as f64);
                rest = others;
            }
            done += group.len();
            progress(done);
        };
        self.model.in_groups(&lengths, rows, pass, take).await?;
        Ok(losses)
    }
}

/// What each of an example's places should say.
fn targets(example: &Example) -> Vec<Option<u32>> {
    match &example.label {
        Some(Label::Text(tokens)) => tokens.iter().copied().map(Some).collect(),
        _ => vec![None; example.places().len()],
    }
}

/// Indices in groups of at most `rows` texts of one length, longest first: what follows a text must
/// stand at the same place in all rows.
fn equal_lengths(examples: &[Example], rows: usize) -> Vec<Vec<usize>> {
    let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, example) in examples.iter().enumerate() {
        by_length.entry(example.ids.len()).or_default().push(index);
    }
    let groups = by_length.values().rev();
    groups
        .flat_map(|group| group.chunks(rows.max(1)).map(<[usize]>::to_vec))
        .collect()
}

async fn likeliest(logits: Tensor<2>) -> Result<Vec<u32>, DeviceError> {
    let best = read(logits.argmax(1).float()).await?;
    Ok(best.into_iter().map(|id| id as u32).collect())
}
