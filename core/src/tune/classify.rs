//! A prompt put to use: class logits for examples.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::prompted::Prompted;
use super::{ClassHead, TuneError};
use crate::model::Lm;
use crate::optim::{DeviceError, read};
use crate::prompt::SoftPrompt;
use crate::task::Example;

/// A frozen model with a task's head, with or without a prompt.
#[derive(Clone)]
pub struct Classifier {
    model: Prompted,
    head: ClassHead,
}

impl Classifier {
    /// Without a prompt it is the model's zero-shot answer.
    ///
    /// # Errors
    /// [`TuneError::Prompt`] when the prompt belongs to a model of another width.
    pub fn new(
        lm: Arc<Lm>,
        head: ClassHead,
        prompt: Option<&SoftPrompt>,
    ) -> Result<Self, TuneError> {
        let model = Prompted::new(lm, prompt)?;
        Ok(Self { model, head })
    }

    /// Class logits of one batch: `classes` numbers for each example.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub async fn class_logits(&self, examples: &[&Example]) -> Result<Vec<Vec<f32>>, DeviceError> {
        if examples.is_empty() {
            return Ok(Vec::new());
        }
        let values = read(self.logits(examples)).await?;
        Ok(values
            .chunks(self.head.classes())
            .map(<[f32]>::to_vec)
            .collect())
    }

    /// `[examples, classes]`, on the device.
    fn logits(&self, examples: &[&Example]) -> Tensor<2> {
        let ids: Vec<&[u32]> = examples
            .iter()
            .map(|example| example.ids.as_slice())
            .collect();
        let answers: Vec<usize> = examples.iter().map(|example| example.answer).collect();
        let input = self.model.input(&ids);
        self.head
            .class_logits(self.model.lm().hidden_at(&input, &answers))
    }

    /// Class logits of all examples, in their order, `rows` at a time and like lengths together.
    /// `progress` hears how many are done.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub async fn evaluate(
        &self,
        examples: &[Example],
        rows: usize,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Vec<f32>>, DeviceError> {
        let lengths: Vec<usize> = examples.iter().map(|example| example.ids.len()).collect();
        let mut logits = vec![Vec::new(); examples.len()];
        let mut done = 0;
        let pass = |group: &[usize]| {
            let batch: Vec<&Example> = group.iter().map(|&index| &examples[index]).collect();
            self.logits(&batch)
        };
        let take = |group: &[usize], values: Vec<f32>| {
            for (&index, row) in group.iter().zip(values.chunks(self.head.classes())) {
                logits[index] = row.to_vec();
            }
            done += group.len();
            progress(done);
        };
        self.model.in_groups(&lengths, rows, pass, take).await?;
        Ok(logits)
    }
}

/// Logit arithmetic, a baseline without transfer: what the prompt changes in the student's class
/// logits, added to the teacher's own, z_t + (z_s^p − z_s), row by row.
///
/// `teacher` and `before` are zero-shot, `behind` is the student behind its prompt. Class logits are
/// means of raw logits, so adding them is adding the logits. Whoever answers this way must run the
/// student beside the teacher for every text. The prompt's (ε, δ) holds for the answers, too.
#[must_use]
pub fn logit_arithmetic(
    teacher: &[Vec<f32>],
    before: &[Vec<f32>],
    behind: &[Vec<f32>],
) -> Vec<Vec<f32>> {
    let rows = teacher.iter().zip(before.iter().zip(behind));
    let row = |(teacher, (before, behind)): (&Vec<f32>, (&Vec<f32>, &Vec<f32>))| {
        let numbers = teacher.iter().zip(before.iter().zip(behind));
        numbers.map(|(t, (s, p))| t + (p - s)).collect()
    };
    rows.map(row).collect()
}

/// Batch calibration (Zhou et al. 2024): turns class logits into log-probabilities less their means
/// over public rows, so that a class which the model favours whatever the text loses its lead.
///
/// `public` are class logits of public rows by the same model and prompt. Nothing private is used,
/// so a prompt's (ε, δ) holds for calibrated answers, too. What it takes for granted is that the
/// public rows' classes are about as frequent as those of the rows to be answered.
pub fn calibrate(logits: &mut [Vec<f32>], public: &[Vec<f32>]) {
    let Some(classes) = public.first().map(Vec::len) else {
        return;
    };
    let mut means = vec![0.0f64; classes];
    for row in public {
        let sum = log_sum_exp(row);
        for (mean, &logit) in means.iter_mut().zip(row) {
            *mean += (f64::from(logit) - sum) / public.len() as f64;
        }
    }
    for row in logits {
        let sum = log_sum_exp(row);
        for (logit, mean) in row.iter_mut().zip(&means) {
            *logit = (f64::from(*logit) - sum - mean) as f32;
        }
    }
}

fn log_sum_exp(row: &[f32]) -> f64 {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|&x| f64::from(x - largest).exp()).sum();
    sum.ln() + f64::from(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_everything_is_taken_off() {
        // Both lean to class 1; log-odds on public rows are 2 on the mean.
        let public = [vec![0.0, 1.0], vec![-1.0, 2.0]];
        let mut rows = [vec![0.0, 1.5], vec![1.0, 3.5]];
        calibrate(&mut rows, &public);
        let odds = rows.map(|row| row[1] - row[0]);
        assert!(
            (odds[0] + 0.5).abs() < 1e-6 && (odds[1] - 0.5).abs() < 1e-6,
            "{odds:?}"
        );
        calibrate(&mut [vec![1.0]], &[]);
    }

    #[test]
    fn the_students_shift_is_added_to_the_teachers_logits() {
        let rows = |values: [f32; 2]| vec![values.to_vec(), vec![0.0, 1.0]];
        let shifted = logit_arithmetic(&rows([1.0, 2.0]), &rows([0.5, 0.0]), &rows([2.0, -1.0]));
        assert_eq!(shifted, [vec![2.5, 1.0], vec![0.0, 1.0]]);
    }
}
