//! Per-example gradients of the prompt: one forward, one backward.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::Tensor;

use super::TuneError;
use super::objective::{Losses, Objective, TaskHead};
use crate::model::{Lm, PromptPlace, TokenBatch};
use crate::task::Example;

/// Frozen models, a task's heads on them and its examples.
pub(crate) struct Kernel {
    first: Judge,
    /// Whose losses count as much as the first's.
    others: Vec<Judge>,
    examples: Vec<Read>,
    place: PromptPlace,
}

/// A frozen model, and what the task asks for on it.
#[derive(Clone)]
pub struct Student {
    /// The model.
    pub lm: Arc<Lm>,
    /// The task's head on it.
    pub head: TaskHead,
}

/// A frozen model, and what it makes of an example.
struct Judge {
    lm: Arc<Lm>,
    objective: Objective,
}

/// What the model reads of an example, and the places of its answer.
struct Read {
    ids: Vec<u32>,
    places: Range<usize>,
}

/// What one pass over a micro-batch gives.
pub(crate) struct Gradients {
    /// `[b, n, d]`; row i is example i's own gradient, times its weight.
    pub(crate) per_example: Tensor<3>,
    /// `[b]`; each loss times its weight. Private.
    pub(crate) losses: Tensor<1>,
}

impl Kernel {
    /// Takes the examples in, shortest first, for prompts of so many tokens at that place.
    ///
    /// Batches come with ascending indices, so neighbours in a micro-batch are of like length and
    /// little is padded. The sampler treats every index alike, whatever their order.
    pub(crate) fn new(
        lm: Arc<Lm>,
        head: impl Into<TaskHead>,
        examples: &[Example],
        num_virtual_tokens: usize,
        place: PromptPlace,
    ) -> Result<Self, TuneError> {
        let head = head.into();
        Self::of_several(
            Student { lm, head },
            Vec::new(),
            examples,
            num_virtual_tokens,
            place,
        )
    }

    /// The same, with the mean of several students' losses for each example's loss. All of them read the same
    /// tokens.
    pub(crate) fn of_several(
        first: Student,
        others: Vec<Student>,
        examples: &[Example],
        num_virtual_tokens: usize,
        place: PromptPlace,
    ) -> Result<Self, TuneError> {
        let mut order: Vec<usize> = (0..examples.len()).collect();
        order.sort_by_key(|&index| examples[index].len());
        let longest = order.last().ok_or(TuneError::NoExamples)?;
        let longest = examples[*longest].len();
        let judge = |Student { lm, head }| {
            let objective = Objective::new(head, examples, &order)?;
            match lm.room(num_virtual_tokens) {
                Some(room) if longest > room => {
                    let n = num_virtual_tokens;
                    let (needed, room) = (longest + n, room + n);
                    Err(TuneError::TooLong { needed, room })
                }
                _ => Ok(Judge { lm, objective }),
            }
        };
        Ok(Self {
            first: judge(first)?,
            others: others.into_iter().map(judge).collect::<Result<_, _>>()?,
            examples: order.iter().map(|&i| Read::new(&examples[i])).collect(),
            place,
        })
    }

    /// Number of examples.
    pub(crate) fn len(&self) -> usize {
        self.examples.len()
    }

    /// The model; of several the first.
    pub(crate) fn lm(&self) -> &Lm {
        &self.first.lm
    }

    /// ∂(Σᵢ wᵢ·lossᵢ)/∂(prompt of example i), for the examples `indices` with weights w.
    ///
    /// The prompt `[n, d]` is expanded to one leaf row per example; examples do not see each other,
    /// so one backward pass of the *sum* leaves example i's gradient in row i (method §2). Loss:
    /// cross-entropy over the class logits at the answer position, or its mean over an answer's tokens.
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
        let Losses { traced, each } = self.losses(leaf.clone(), indices, weights);
        let mut grads = traced.backward();
        let per_example = leaf.grad_remove(&mut grads);
        Gradients {
            per_example: per_example.unwrap_or_else(|| leaf.inner().zeros_like()),
            losses: each,
        }
    }

    /// Of several students the mean.
    fn losses(&self, prompt: Tensor<3>, indices: &[usize], weights: &[f32]) -> Losses {
        let picked = || indices.iter().map(|&index| &self.examples[index]);
        let ids: Vec<&[u32]> = picked().map(|example| example.ids.as_slice()).collect();
        let places: Vec<Range<usize>> = picked().map(|example| example.places.clone()).collect();
        let tokens = TokenBatch::padded(&ids, 0);
        let students = 1 + self.others.len();
        let shares: Vec<f32> = weights.iter().map(|w| w / students as f32).collect();
        let of = |Judge { lm, objective }: &Judge| {
            let input = lm.embed_with_prompts(prompt.clone(), self.place, &tokens);
            let hidden = lm.hidden_within(&input, &places);
            objective.losses(hidden, indices, &shares)
        };
        let others = self.others.iter().map(of);
        others.fold(of(&self.first), |sum, losses| Losses {
            traced: sum.traced + losses.traced,
            each: sum.each + losses.each,
        })
    }
}

impl Read {
    fn new(example: &Example) -> Self {
        Self {
            ids: example.read(),
            places: example.places(),
        }
    }
}
