//! The run: batch, forward, slopes, backward, clip, AdamW.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::Serialize;

use super::config::{DistillConfig, Rows};
use super::corpus::Corpus;
use super::loss::{Micro, Plan};
use super::plateau::Plateau;
use super::states::TeacherStates;
use super::{DistillError, parameters};
use crate::model::Lm;
use crate::optim::{Adam, Order, SplitMix64, State, read};
use crate::parallel;

const KIND: &str = "post.distill";

/// One step made. All of it is public.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DistillReport {
    /// Steps made so far, this one included.
    pub step: u64,
    /// Steps planned.
    pub steps: u64,
    /// Step size of this step.
    pub learning_rate: f64,
    /// The weighted sum of the losses before the step.
    pub loss: f64,
    /// T²·KL(teacher ‖ student).
    pub ce: f64,
    /// Cross-entropy with the text; 0 when it has no weight.
    pub lm: f64,
    /// 1 − cosine of the last hidden states.
    pub cos: f64,
    /// Squared difference of the last hidden states.
    pub mse: f64,
    /// L2 norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Whether the loss has been flat for as long as [`super::PlateauConfig`] says; the caller may stop.
    pub plateau: bool,
}

/// A run of distillation. The caller owns the loop, the files and the clock.
pub struct Distiller {
    /// The student, once on each device; the first is the one that is handed out.
    students: Vec<Lm>,
    corpus: Corpus,
    states: TeacherStates,
    config: DistillConfig,
    order: Order,
    /// The blocks' parameters, one after the other.
    values: Vec<f32>,
    adam: Adam,
    plateau: Plateau,
    steps: u64,
}

impl Distiller {
    /// Starts from `student` ([`Lm::select_blocks`] of the teacher), or from `resume`, a
    /// [`checkpoint`](Self::checkpoint) of a run with the same settings and corpus.
    ///
    /// # Errors
    /// Settings out of range, texts too long, a cache or checkpoint that does not fit.
    pub async fn start(
        student: Lm,
        corpus: Corpus,
        states: TeacherStates,
        config: DistillConfig,
        resume: Option<&[u8]>,
    ) -> Result<Self, DistillError> {
        config.check()?;
        let length = corpus.longest();
        if let Some(room) = student.room(0).filter(|&room| length > room) {
            return Err(DistillError::TooLong { length, room });
        }
        let values = parameters::values(student.blocks()).await?;
        let mut distiller = Self {
            order: Order::new(config.seed, corpus.len(), config.batch),
            adam: Adam::new(config.adam, values.len()),
            plateau: Plateau::new(config.plateau),
            students: vec![student],
            corpus,
            states,
            config,
            values,
            steps: 0,
        };
        if let Some(bytes) = resume {
            distiller.restore(bytes)?;
        }
        Ok(distiller)
    }

    /// Shares the micro-batches of each step out among the student's device and these. Results depend on
    /// their number by the order of sums alone.
    #[must_use]
    pub fn shared_with(mut self, devices: &[Device]) -> Self {
        let student = &self.students[0];
        let copies: Vec<Lm> = devices.iter().map(|device| student.on(device)).collect();
        self.students.extend(copies);
        self
    }

    /// Makes the next step; `None` once all are made.
    ///
    /// # Errors
    /// A failing device, or gradients that diverge. The student is then still the last step's.
    pub async fn step(&mut self) -> Result<Option<DistillReport>, DistillError> {
        if self.steps >= self.config.steps {
            return Ok(None);
        }
        let mut texts = self.order.batch(self.steps);
        // Neighbours are of like length.
        texts.sort_unstable();
        let (losses, gradients) = self.gradients(&texts).await?;
        let gradient_norm = norm(&gradients);
        if !gradient_norm.is_finite() {
            return Err(DistillError::Diverged(self.steps));
        }
        let scale = (self.config.max_grad_norm / gradient_norm).min(1.0) as f32;
        let factor = self.config.schedule.factor(self.steps, self.config.steps);
        let learning_rate = self.config.learning_rate * factor;
        self.adam
            .step_against(&mut self.values, &gradients, scale, learning_rate);
        self.put_values();
        self.steps += 1;
        Ok(Some(self.report(losses, learning_rate, gradient_norm)))
    }

    /// Mean losses ce, lm, cos, mse over the step's batch, and the gradient of their weighted sum in
    /// each parameter.
    async fn gradients(&self, texts: &[usize]) -> Result<(Vec<f32>, Vec<Vec<f32>>), DistillError> {
        let plan = self.plan(texts);
        let tracked: Vec<Lm> = self.students.iter().map(tracked).collect();
        let micro = self.config.micro_batch;
        let chunks: Vec<_> = texts.chunks(micro).zip(plan.rows.chunks(micro)).collect();
        let pass = |device: usize, &(texts, rows): &(&[usize], &[Vec<usize>])| {
            let micro = Micro {
                corpus: &self.corpus,
                states: &self.states,
                texts,
                rows,
                plan: &plan,
                config: &self.config,
            };
            let student = &tracked[device];
            let (surrogate, losses) = micro.losses(student);
            let mut grads = surrogate.backward();
            (losses, parameters::gradients(student.blocks(), &mut grads))
        };
        // Gradients are as large as the blocks.
        let devices: Vec<&Device> = tracked.iter().map(Lm::device).collect();
        let sums = parallel::sums(&devices, &chunks, pass, add);
        let mut total: Option<(Vec<f32>, Vec<Vec<f32>>)> = None;
        for (losses, gradients) in sums {
            let part = (read(losses).await?, parameters::each(gradients).await?);
            total = total.into_iter().chain([part]).reduce(add_on_host);
        }
        total.ok_or(DistillError::NoText)
    }

    /// Chooses the rows of this step.
    fn plan(&self, texts: &[usize]) -> Plan {
        let lengths: Vec<usize> = texts
            .iter()
            .map(|&text| self.corpus.item(text).ids.len())
            .collect();
        let tokens = lengths.iter().sum();
        let rows: Vec<Vec<usize>> = match self.config.rows {
            Rows::All => lengths
                .iter()
                .map(|&length| (0..length).collect())
                .collect(),
            Rows::Sampled(random) => self.sampled(texts, &lengths, random.min(tokens)),
        };
        let target = |(&text, rows): (&usize, &Vec<usize>)| {
            let targets = &self.corpus.item(text).targets;
            rows.iter()
                .filter(|&&place| targets[place].is_some())
                .count()
        };
        Plan {
            chosen: rows.iter().map(Vec::len).sum(),
            targets: texts.iter().zip(&rows).map(target).sum(),
            tokens,
            rows,
        }
    }

    /// Each text's answer position and `random` tokens of the batch, all different.
    fn sampled(&self, texts: &[usize], lengths: &[usize], random: usize) -> Vec<Vec<usize>> {
        let mut generator = SplitMix64::new(self.config.seed ^ (self.steps + 1).rotate_left(32));
        let mut places: Vec<(usize, usize)> = lengths
            .iter()
            .enumerate()
            .flat_map(|(row, &length)| (0..length).map(move |place| (row, place)))
            .collect();
        generator.shuffle(&mut places);
        let mut rows: Vec<Vec<usize>> = texts
            .iter()
            .map(|&text| self.corpus.item(text).answer.into_iter().collect())
            .collect();
        for (row, place) in places.into_iter().take(random) {
            rows[row].push(place);
        }
        for row in &mut rows {
            row.sort_unstable();
            row.dedup();
        }
        rows
    }

    fn report(
        &mut self,
        losses: Vec<f32>,
        learning_rate: f64,
        gradient_norm: f64,
    ) -> DistillReport {
        let [ce, lm, cos, mse] =
            [0, 1, 2, 3].map(|i| losses.get(i).map_or(f64::NAN, |&x| x.into()));
        let weights = self.config.weights;
        let loss = weights.ce * ce + weights.lm * lm + weights.cos * cos + weights.mse * mse;
        let (step, steps) = (self.steps, self.config.steps);
        let plateau = self.plateau.hear(loss);
        DistillReport {
            step,
            steps,
            learning_rate,
            loss,
            ce,
            lm,
            cos,
            mse,
            gradient_norm,
            plateau,
        }
    }

    fn put_values(&mut self) {
        for student in &mut self.students {
            let blocks = parameters::replace(student.blocks(), &self.values);
            *student = student.with_blocks(blocks);
        }
    }

    /// The student as it stands.
    #[must_use]
    pub fn student(&self) -> &Lm {
        &self.students[0]
    }

    /// Steps made.
    #[must_use]
    pub fn steps_done(&self) -> u64 {
        self.steps
    }

    /// Blocks, moments, steps: three times the blocks' size.
    #[must_use]
    pub fn checkpoint(&self) -> Vec<u8> {
        let state = State::new(KIND)
            .with_settings(&self.settings())
            .with_field("steps", self.steps)
            .with_tensor("blocks", self.values.clone());
        self.plateau.save(self.adam.save(state)).to_bytes()
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), DistillError> {
        let mut state = State::from_bytes(bytes, KIND)?;
        state.check_settings(&self.settings())?;
        self.steps = state.field("steps")?;
        self.values = state.take("blocks", self.values.len())?;
        self.adam.restore(&mut state)?;
        self.plateau.restore(&state)?;
        self.put_values();
        Ok(())
    }

    fn settings(&self) -> (DistillConfig, String) {
        (self.config, self.corpus.fingerprint())
    }
}

/// The student with its blocks tracked by autodiff.
fn tracked(student: &Lm) -> Lm {
    let blocks = student.blocks().iter().cloned().map(Module::train);
    student.with_blocks(blocks.collect())
}

/// What two devices came to, together.
fn add_on_host(
    (mut losses, mut all): (Vec<f32>, Vec<Vec<f32>>),
    (more, others): (Vec<f32>, Vec<Vec<f32>>),
) -> (Vec<f32>, Vec<Vec<f32>>) {
    let plus = |a: &mut Vec<f32>, b: Vec<f32>| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    plus(&mut losses, more);
    let pairs = all.iter_mut().zip(others).collect();
    parallel::each(pairs, |(a, b)| plus(a, b));
    (losses, all)
}

/// Losses and gradients of some micro-batches.
type Sums = (Tensor<1>, Vec<Tensor<1>>);

fn add((losses, all): Sums, (more, others): Sums) -> Sums {
    let host = parallel::is_host(&losses.device());
    let pairs: Vec<_> = all.into_iter().zip(others).collect();
    let sum = |(a, b)| a + b;
    let sums = if host {
        parallel::each(pairs, sum)
    } else {
        pairs.into_iter().map(sum).collect()
    };
    (losses + more, sums)
}

/// L2 norm of all gradients together.
fn norm(gradients: &[Vec<f32>]) -> f64 {
    let pieces = gradients
        .iter()
        .flat_map(|gradient| gradient.chunks(1 << 16));
    // Sums side by side: one sum would wait for each addition.
    let square = |piece: &[f32]| {
        let mut lanes = [0.0; 8];
        for numbers in piece.chunks(lanes.len()) {
            for (lane, &g) in lanes.iter_mut().zip(numbers) {
                *lane += f64::from(g).powi(2);
            }
        }
        lanes.iter().sum::<f64>()
    };
    let squares: f64 = parallel::each(pieces.collect(), square).iter().sum();
    squares.sqrt()
}
