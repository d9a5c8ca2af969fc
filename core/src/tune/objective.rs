//! What an example's loss is: the only part of the private step that depends on the kind of task.

use burn::tensor::{Tensor, TensorData, activation};

use super::{ClassHead, TuneError};
use crate::model::{HeadRows, Lm};
use crate::optim::cross_entropy;
use crate::task::{Encoder, Example, Label, Spelled};

/// From last hidden states to what a task asks for.
#[derive(Clone, Debug)]
pub enum TaskHead {
    /// The logits of its classes, at one place.
    Classes(Box<ClassHead>),
    /// The logits of the whole vocabulary, at the place before each token of the answer.
    Open(Box<HeadRows>),
}

impl TaskHead {
    /// The head that a task needs on a model.
    #[must_use]
    pub fn new(lm: &Lm, encoder: &Encoder<'_>) -> Self {
        match encoder.spelled() {
            Spelled::Classes(words) => ClassHead::new(lm, words).into(),
            Spelled::Open(_) => Self::Open(Box::new(lm.whole_head())),
        }
    }
}

impl From<ClassHead> for TaskHead {
    fn from(head: ClassHead) -> Self {
        Self::Classes(Box::new(head))
    }
}

/// A head, and what each of a kernel's examples should answer.
pub(super) enum Objective {
    Classes {
        head: Box<ClassHead>,
        labels: Vec<usize>,
    },
    Open {
        head: Box<HeadRows>,
        /// Of each example the answer's tokens, its end's included; at least one.
        answers: Vec<Vec<u32>>,
    },
}

/// The losses of a micro-batch.
pub(super) struct Losses {
    /// A scalar whose backward pass leaves the gradient of the summed losses.
    pub(super) traced: Tensor<1>,
    /// `[b]`; each loss times its weight. Private.
    pub(super) each: Tensor<1>,
}

impl Objective {
    /// Of the examples in this `order`.
    ///
    /// # Errors
    /// [`TuneError::Unlabelled`] for an example without an answer of the head's kind.
    pub(super) fn new(
        head: TaskHead,
        examples: &[Example],
        order: &[usize],
    ) -> Result<Self, TuneError> {
        Ok(match head {
            TaskHead::Classes(head) => {
                let classes = head.classes();
                let class = |example: &Example| {
                    let class = example.label.as_ref().and_then(Label::class);
                    class.filter(|&class| class < classes)
                };
                let labels = in_order(examples, order, class)?;
                Self::Classes { head, labels }
            }
            TaskHead::Open(head) => {
                let answers = in_order(examples, order, |example| match &example.label {
                    Some(Label::Text(tokens)) if !tokens.is_empty() => Some(tokens.clone()),
                    _ => None,
                })?;
                Self::Open { head, answers }
            }
        })
    }

    /// Losses of the examples `indices` times their weights, from the hidden states `[places, d]` at
    /// their answers' places.
    pub(super) fn losses(&self, hidden: Tensor<2>, indices: &[usize], weights: &[f32]) -> Losses {
        match self {
            Self::Classes { head, labels } => {
                let labels = indices.iter().map(|&index| labels[index]);
                of_classes(head, hidden, labels, weights)
            }
            Self::Open { head, answers } => {
                let answers: Vec<&[u32]> = indices
                    .iter()
                    .map(|&index| answers[index].as_slice())
                    .collect();
                of_answers(head, hidden, &answers, weights)
            }
        }
    }
}

fn in_order<T>(
    examples: &[Example],
    order: &[usize],
    answer: impl Fn(&Example) -> Option<T>,
) -> Result<Vec<T>, TuneError> {
    order
        .iter()
        .map(|&index| answer(&examples[index]).ok_or(TuneError::Unlabelled(index)))
        .collect()
}

/// Cross-entropy over the class logits.
fn of_classes(
    head: &ClassHead,
    hidden: Tensor<2>,
    labels: impl Iterator<Item = usize>,
    weights: &[f32],
) -> Losses {
    let logits = head.class_logits(hidden);
    let (classes, device) = (head.classes(), logits.device());
    // The weight at the example's class, else 0.
    let mut targets = vec![0.0; weights.len() * classes];
    for (row, (label, &weight)) in labels.zip(weights).enumerate() {
        targets[row * classes + label] = weight;
    }
    let targets = TensorData::new(targets, [weights.len(), classes]);
    let targets = Tensor::<2>::from_data(targets, &device.inner());
    let losses = (activation::log_softmax(logits, 1) * targets)
        .sum_dim(1)
        .neg();
    Losses {
        traced: losses.clone().sum(),
        each: losses.inner().squeeze_dim(1),
    }
}

/// The mean over an answer's tokens of the cross-entropy over the whole vocabulary: a mean, so that
/// clipping treats long answers and short ones alike.
///
/// The vocabulary's logits are never traced: their slope is pulled back to the hidden states
/// ([`HeadRows::slope`]), whose product with it stands in for the losses.
fn of_answers(head: &HeadRows, hidden: Tensor<2>, answers: &[&[u32]], weights: &[f32]) -> Losses {
    let targets: Vec<Option<u32>> = answers.concat().into_iter().map(Some).collect();
    let here = hidden.clone().inner();
    let (rows, device) = (targets.len(), here.device());
    // What each place counts for its example, `[b, places]`.
    let mut shares = vec![0.0; answers.len() * rows];
    let mut place = 0;
    for (row, (answer, weight)) in answers.iter().zip(weights).enumerate() {
        let start = row * rows + place;
        shares[start..start + answer.len()].fill(weight / answer.len() as f32);
        place += answer.len();
    }
    let shares = TensorData::new(shares, [answers.len(), rows]);
    let shares = Tensor::<2>::from_data(shares, &device);
    let at_place = shares.clone().sum_dim(0).swap_dims(0, 1);
    let found = cross_entropy(head.logits(here.clone()), &targets);
    let slope = head.slope(here, found.slope) * at_place;
    Losses {
        traced: (hidden * slope).sum(),
        each: shares.matmul(found.value).squeeze_dim(1),
    }
}
