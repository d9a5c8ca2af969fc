//! The losses of a micro-batch and their gradient in the blocks.

use burn::tensor::{Int, Tensor, TensorData};

use super::config::{DistillConfig, Weights};
use super::corpus::Corpus;
use super::states::TeacherStates;
use crate::model::{HeadRows, Lm, TokenBatch};
use crate::optim::{cross_entropy, divergence};

/// Rows whose logits over the whole vocabulary are held at once.
const CHUNK: usize = 128;

/// Rows at which a step takes the losses over the vocabulary, and what the losses are means over.
pub(super) struct Plan {
    /// For each text of the batch, its chosen places, ascending.
    pub(super) rows: Vec<Vec<usize>>,
    /// Chosen places of the whole batch.
    pub(super) chosen: usize,
    /// Those among them that have a target.
    pub(super) targets: usize,
    /// All tokens of the whole batch.
    pub(super) tokens: usize,
}

/// What a micro-batch is computed from.
pub(super) struct Micro<'a> {
    pub(super) corpus: &'a Corpus,
    pub(super) states: &'a TeacherStates,
    pub(super) texts: &'a [usize],
    /// Of the same texts.
    pub(super) rows: &'a [Vec<usize>],
    pub(super) plan: &'a Plan,
    pub(super) config: &'a DistillConfig,
}

/// Places in the flattened `[batch·width]` tokens, and among the real ones.
struct Places {
    /// Every real token.
    attended: Vec<usize>,
    /// Chosen rows, counted among the real tokens.
    chosen: Vec<usize>,
    targets: Vec<Option<u32>>,
}

impl Micro<'_> {
    /// A scalar whose backward pass leaves the losses' gradient in the student's blocks, and the
    /// micro-batch's share of the mean losses ce, lm, cos, mse (unweighted): `[4]`.
    ///
    /// The losses over the vocabulary enter through their slopes in the hidden states
    /// ([`HeadRows::slope`]); the others are traced.
    pub(super) fn losses(&self, student: &Lm) -> (Tensor<1>, Tensor<1>) {
        let ids: Vec<&[u32]> = self
            .texts
            .iter()
            .map(|&text| self.corpus.item(text).ids.as_slice())
            .collect();
        let tokens = TokenBatch::padded(&ids, 0);
        let places = self.places(tokens.width);
        let hidden = student.hidden_all(&student.embed(&tokens));
        let [batch, width, d] = hidden.dims();
        let device = student.device();
        let index = |places: &[usize]| {
            let places: Vec<i32> = places.iter().map(|&place| place as i32).collect();
            let len = places.len();
            Tensor::<1, Int>::from_data(TensorData::new(places, [len]), device)
        };
        let hidden = hidden
            .reshape([batch * width, d])
            .select(0, index(&places.attended));
        let teacher: Vec<f32> = self
            .texts
            .iter()
            .flat_map(|&text| self.states.text(self.corpus, text))
            .collect();
        let teacher =
            Tensor::<2>::from_data(TensorData::new(teacher, [places.attended.len(), d]), device);

        let (traced, [cos, mse]) = self.hidden_losses(hidden.clone(), teacher.clone());
        if places.chosen.is_empty() {
            let none = Tensor::zeros([1], device);
            return (traced, Tensor::cat(vec![none.clone(), none, cos, mse], 0));
        }
        let chosen = index(&places.chosen);
        let rows = hidden.select(0, chosen.clone());
        let teacher = teacher.select(0, chosen);
        let (slope, [ce, lm]) =
            self.vocabulary_losses(student, rows.clone().inner(), teacher, &places.targets);
        let surrogate = traced + (rows * slope).sum();
        (surrogate, Tensor::cat(vec![ce, lm, cos, mse], 0))
    }

    fn places(&self, width: usize) -> Places {
        let mut places = Places {
            attended: Vec::new(),
            chosen: Vec::new(),
            targets: Vec::new(),
        };
        for (row, (&text, chosen)) in self.texts.iter().zip(self.rows).enumerate() {
            let item = self.corpus.item(text);
            let start = places.attended.len();
            places
                .attended
                .extend((0..item.ids.len()).map(|place| row * width + place));
            places
                .chosen
                .extend(chosen.iter().map(|place| start + place));
            places
                .targets
                .extend(chosen.iter().map(|&place| item.targets[place]));
        }
        places
    }

    /// The weighted sum of 1 − cos(h_t, h_s) and of (h_t − h_s)², traced, and both unweighted.
    fn hidden_losses(&self, student: Tensor<2>, teacher: Tensor<2>) -> (Tensor<1>, [Tensor<1>; 2]) {
        let Weights {
            cos: cos_weight,
            mse: mse_weight,
            ..
        } = self.config.weights;
        let [_, d] = student.dims();
        let tokens = self.plan.tokens as f64;
        let norm = |x: Tensor<2>| x.square().sum_dim(1).sqrt().clamp_min(1e-8);
        let product = (student.clone() * teacher.clone()).sum_dim(1);
        let cosine = product / (norm(student.clone()) * norm(teacher.clone()));
        let cos = (cosine.neg() + 1.0).sum() / tokens;
        let mse = (student - teacher).square().sum() / (tokens * d as f64);
        let total = cos.clone() * cos_weight + mse.clone() * mse_weight;
        (total, [cos.inner(), mse.inner()])
    }

    /// Slope of the weighted losses over the vocabulary in the chosen hidden states, `[rows, d]`,
    /// and both losses unweighted. A chunk of logits at a time.
    fn vocabulary_losses(
        &self,
        lm: &Lm,
        student: Tensor<2>,
        teacher: Tensor<2>,
        targets: &[Option<u32>],
    ) -> (Tensor<2>, [Tensor<1>; 2]) {
        let head = lm.whole_head();
        let mut slopes = Vec::new();
        let mut sums = [0, 1].map(|_| Tensor::<1>::zeros([1], lm.device()));
        for (at, targets) in (0..).step_by(CHUNK).zip(targets.chunks(CHUNK)) {
            let part = |all: &Tensor<2>| all.clone().narrow(0, at, targets.len());
            let (slope, values) = self.both(&head, part(&student), part(&teacher), targets);
            slopes.push(slope);
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum = sum.clone() + value;
            }
        }
        (Tensor::cat(slopes, 0), sums)
    }

    /// Both losses over the vocabulary for some rows: their weighted slope in the student's hidden
    /// states, and their unweighted values.
    fn both(
        &self,
        head: &HeadRows,
        student: Tensor<2>,
        teacher: Tensor<2>,
        targets: &[Option<u32>],
    ) -> (Tensor<2>, [Tensor<1>; 2]) {
        let Weights { ce, lm, .. } = self.config.weights;
        let (per_row, per_target) = (self.plan.chosen as f64, self.plan.targets.max(1) as f64);
        let [goal, logits] = head.logits_of_each([teacher, student.clone()]);
        let soft = divergence(goal, logits.clone(), self.config.temperature);
        let ce_value = soft.value.sum() / per_row;
        if lm == 0.0 {
            let none = ce_value.zeros_like();
            // Weighted where it is smallest.
            let slope = head.slope(student, soft.slope) * (ce / per_row);
            return (slope, [ce_value, none]);
        }
        let hard = cross_entropy(logits, targets);
        let lm_value = hard.value.sum() / per_target;
        let slope = soft.slope * (ce / per_row) + hard.slope * (lm / per_target);
        (head.slope(student, slope), [ce_value, lm_value])
    }
}
