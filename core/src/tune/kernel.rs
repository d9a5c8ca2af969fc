//! Per-example gradients of the prompt: one forward, one backward.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData, activation};

use super::{ClassHead, TuneError};
use crate::model::{Lm, TokenBatch};
use crate::task::Example;

/// A frozen model, a task's head and its examples.
pub(crate) struct Kernel {
    lm: Arc<Lm>,
    head: ClassHead,
    examples: Vec<Labelled>,
}

/// An example whose class is known.
struct Labelled {
    ids: Vec<u32>,
    answer: usize,
    label: usize,
}

/// What one pass over a micro-batch gives.
pub(crate) struct Gradients {
    /// `[b, n, d]`; row i is example i's own gradient, times its weight.
    pub(crate) per_example: Tensor<3>,
    /// `[b]`; each loss times its weight. Private.
    pub(crate) losses: Tensor<1>,
}

impl Kernel {
    /// Takes the examples in, shortest first.
    ///
    /// Batches come with ascending indices, so neighbours in a micro-batch are of like length and
    /// little is padded. The sampler treats every index alike, whatever their order.
    pub(crate) fn new(
        lm: Arc<Lm>,
        head: ClassHead,
        examples: &[Example],
        num_virtual_tokens: usize,
    ) -> Result<Self, TuneError> {
        let mut labelled = examples
            .iter()
            .enumerate()
            .map(|(index, example)| Labelled::new(index, example, head.classes()))
            .collect::<Result<Vec<_>, _>>()?;
        labelled.sort_by_key(|example| example.ids.len());
        let longest = labelled.last().ok_or(TuneError::NoExamples)?.ids.len();
        match lm.room(num_virtual_tokens) {
            Some(room) if longest > room => {
                let n = num_virtual_tokens;
                let (needed, room) = (longest + n, room + n);
                return Err(TuneError::TooLong { needed, room });
            }
            _ => {}
        }
        Ok(Self {
            lm,
            head,
            examples: labelled,
        })
    }

    /// Number of examples.
    pub(crate) fn len(&self) -> usize {
        self.examples.len()
    }

    /// The model.
    pub(crate) fn lm(&self) -> &Lm {
        &self.lm
    }

    /// ∂(Σᵢ wᵢ·lossᵢ)/∂(prompt of example i), for the examples `indices` with weights w.
    ///
    /// The prompt `[n, d]` is expanded to one leaf row per example; examples do not see each other,
    /// so one backward pass of the *sum* leaves example i's gradient in row i (method §2). Loss:
    /// cross-entropy over the class logits at the answer position.
    pub(crate) fn gradients(
        &self,
        prompt: &Tensor<2>,
        indices: &[usize],
        weights: &[f32],
    ) -> Gradients {
        let [n, d] = prompt.dims();
        let leaf = prompt
            .clone()
            .unsqueeze::<3>()
            .expand([indices.len(), n, d]);
        let leaf = leaf.autodiff().require_grad();
        let picked: Vec<&Labelled> = indices.iter().map(|&index| &self.examples[index]).collect();
        let losses = self.losses(leaf.clone(), &picked, weights);
        let mut grads = losses.clone().sum().backward();
        let per_example = leaf.grad_remove(&mut grads);
        Gradients {
            per_example: per_example.unwrap_or_else(|| leaf.inner().zeros_like()),
            losses: losses.inner().squeeze_dim(1),
        }
    }

    /// `[b, 1]`
    fn losses(&self, prompt: Tensor<3>, examples: &[&Labelled], weights: &[f32]) -> Tensor<2> {
        let ids: Vec<&[u32]> = examples
            .iter()
            .map(|example| example.ids.as_slice())
            .collect();
        let answers: Vec<usize> = examples.iter().map(|example| example.answer).collect();
        let input = self
            .lm
            .embed(&TokenBatch::padded(&ids, 0))
            .with_prompt(prompt);
        let logits = self.head.class_logits(self.lm.hidden_at(&input, &answers));
        let targets = self.targets(examples, weights);
        (activation::log_softmax(logits, 1) * targets)
            .sum_dim(1)
            .neg()
    }

    /// `[b, classes]`: the weight at the example's class, else 0.
    fn targets(&self, examples: &[&Labelled], weights: &[f32]) -> Tensor<2> {
        let classes = self.head.classes();
        let mut targets = vec![0.0; examples.len() * classes];
        for (row, (example, &weight)) in examples.iter().zip(weights).enumerate() {
            targets[row * classes + example.label] = weight;
        }
        let shape = [examples.len(), classes];
        Tensor::from_data(TensorData::new(targets, shape), self.lm.device())
    }
}

impl Labelled {
    fn new(index: usize, example: &Example, classes: usize) -> Result<Self, TuneError> {
        let label = example.label.filter(|&label| label < classes);
        Ok(Self {
            ids: example.ids.clone(),
            answer: example.answer,
            label: label.ok_or(TuneError::Unlabelled(index))?,
        })
    }
}
