//! Single steps of each kind on made-up texts, and the clock around them.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::Device;
use post_core::cost::Product;
use post_core::distill::{
    Corpus, DistillConfig, Distiller, Rows, Sequence, TeacherStates, Weights,
};
use post_core::model::{Lm, TokenBatch};
use post_core::prompt::SoftPrompt;
use post_core::task::{Example, Label};
use post_core::transfer::{Constants, Transfer, TransferConfig, Words};
use post_core::tune::{ClassHead, PlainTraining, Privacy, Setup, TuneConfig, Tuner};

use super::Args;

/// Sides of the square products that are tried.
const SIDES: [usize; 4] = [512, 1024, 2048, 4096];

/// Seconds that a device may take for the sides before the next is not tried.
const PATIENCE: f64 = 1.0;

/// Floating-point operations a second of the fastest square product in f32.
pub(super) fn best_matmul(device: &Device) -> Result<f64> {
    let mut best: f64 = 0.0;
    for side in SIDES {
        let product = Product::new(side, device);
        let seconds = fastest(3, || {
            pollster::block_on(product.run())?;
            Ok(())
        })?;
        best = best.max(product.flops() / seconds);
        if seconds > PATIENCE {
            break;
        }
    }
    Ok(best)
}

/// The models, and what is made up for them.
pub(super) struct Pair<'a> {
    args: &'a Args,
    pub(super) student: Arc<Lm>,
    pub(super) teacher: Arc<Lm>,
    /// The student as it is distilled, in f32; none where it can't be one of this teacher's.
    trained: Option<Lm>,
}

impl<'a> Pair<'a> {
    pub(super) fn new(args: &'a Args, student: Lm, teacher: Lm, trained: Option<Lm>) -> Self {
        let (student, teacher) = (Arc::new(student), Arc::new(teacher));
        Self {
            args,
            student,
            teacher,
            trained,
        }
    }

    /// Whether the student has the teacher's width and vocabulary, as one distilled from it has.
    pub(super) fn alike(student: &Lm, teacher: &Lm) -> bool {
        let size = |lm: &Lm| (lm.config().embedding_size, lm.config().vocab_size);
        size(student) == size(teacher)
    }

    /// Whether the whole vocabulary is compared, or the label words alone.
    pub(super) fn compares_all(&self) -> bool {
        Self::alike(&self.student, &self.teacher)
    }

    pub(super) fn can_be_distilled(&self) -> bool {
        self.trained.is_some()
    }

    pub(super) fn device(&self) -> &Device {
        self.teacher.device()
    }

    /// The fastest step of a phase, after one that warms up.
    pub(super) fn seconds(&self, phase: &str) -> Result<f64> {
        match phase {
            "teacher's states" => self.states(),
            "distil" => self.distil(),
            "tune on the student" => self.tune(&self.student),
            "constants of transfer" => self.constants(),
            "transfer" => self.transfer(),
            _ => self.tune(&self.teacher),
        }
        .with_context(|| format!("could not measure: {phase}"))
    }

    fn ids(&self, text: usize) -> Vec<u32> {
        let vocabularies = [&self.student, &self.teacher].map(|lm| lm.config().vocab_size);
        let words = vocabularies[0].min(vocabularies[1]);
        let length = self.args.text;
        (0..length)
            .map(|place| ((text * length + place) * 7919 % words) as u32)
            .collect()
    }

    fn examples(&self) -> Vec<Example> {
        let example = |text| Example {
            ids: self.ids(text),
            answer: self.args.text - 1,
            label: Some(Label::Class(text % 2)),
            removed: 0,
        };
        (0..self.args.batch).map(example).collect()
    }

    fn prompt(&self, lm: &Lm) -> Result<SoftPrompt> {
        let (n, d) = (self.args.num_virtual_tokens, lm.config().embedding_size);
        Ok(SoftPrompt::new(vec![0.01; n * d], n, d)?)
    }

    fn states(&self) -> Result<f64> {
        let ids: Vec<Vec<u32>> = (0..self.args.batch).map(|text| self.ids(text)).collect();
        fastest(self.args.repeats, || {
            for ids in ids.chunks(self.args.micro_batch) {
                let tokens = TokenBatch::padded(ids, self.args.text);
                let hidden = self.teacher.hidden_all(&self.teacher.embed(&tokens));
                pollster::block_on(hidden.into_data_async())?;
            }
            Ok(())
        })
    }

    fn distil(&self) -> Result<f64> {
        let sequence = |text| Sequence {
            ids: self.ids(text),
            answer: Some(self.args.text - 1),
        };
        let corpus = Corpus::causal((0..self.args.batch).map(sequence).collect())?;
        let student = self.trained.clone();
        let student = student.context("this student is none of the teacher's")?;
        let d = student.config().embedding_size;
        // Ones, in half precision.
        let bytes = [0x00, 0x3c].repeat(corpus.tokens() * d);
        let states = TeacherStates::new(Arc::new(bytes), &corpus, d)?;
        let rows = self.args.distil_rows.min(self.args.text) * self.args.batch;
        let config = DistillConfig {
            weights: Weights {
                ce: 5.0,
                lm: 0.0,
                cos: 1.0,
                mse: 1.0,
            },
            rows: Rows::Sampled(rows),
            batch: self.args.batch,
            micro_batch: self.args.micro_batch,
            ..DistillConfig::default()
        };
        let start = Distiller::start(student, corpus, states, config, None);
        let mut run = pollster::block_on(start)?;
        fastest(self.args.repeats, || {
            pollster::block_on(run.step())?;
            Ok(())
        })
    }

    fn tune(&self, lm: &Arc<Lm>) -> Result<f64> {
        let words: Vec<u32> = (0..self.args.label_words.max(2) as u32).collect();
        let (first, second) = words.split_at(words.len() / 2);
        let setup = Setup {
            lm: Arc::clone(lm),
            head: ClassHead::of_classes(lm, &[first, second]).into(),
            others: Vec::new(),
            examples: self.examples(),
            initial: self.prompt(lm)?.into(),
            config: TuneConfig {
                micro_batch: self.args.micro_batch,
                ..TuneConfig::default()
            },
            // Clipping and noise take no time that was noticed (docs/performance.md), and a Poisson batch
            // has no fixed size.
            privacy: Privacy::None(PlainTraining {
                batch: self.args.batch,
                steps: 1_000_000,
                seed: 0,
            }),
            helpers: None,
        };
        let mut run = pollster::block_on(Tuner::start(setup, None))?;
        fastest(self.args.repeats, || {
            pollster::block_on(run.step())?;
            Ok(())
        })
    }

    fn constants(&self) -> Result<f64> {
        let (examples, prompt) = (self.examples(), self.prompt(&self.student)?);
        fastest(self.args.repeats, || {
            self.constants_of(&examples, &prompt).map(drop)
        })
    }

    fn constants_of(&self, examples: &[Example], prompt: &SoftPrompt) -> Result<Constants> {
        let mut constants = Constants::new(examples, examples)?;
        while constants.done() < constants.len() {
            let rows = self.args.micro_batch;
            let more = constants.extend(&self.student, &self.teacher, prompt, rows);
            pollster::block_on(more)?;
        }
        Ok(constants)
    }

    fn transfer(&self) -> Result<f64> {
        let constants = self.constants_of(&self.examples(), &self.prompt(&self.student)?)?;
        let label_words = 0..self.args.label_words as u32;
        let words = match self.compares_all() {
            true => Words::All,
            false => Words::Some(label_words.map(|word| [word, word]).collect()),
        };
        let config = TransferConfig {
            batch: self.args.batch,
            micro_batch: self.args.micro_batch,
            steps: 1_000_000,
            ..TransferConfig::default()
        };
        let (teacher, student) = (Arc::clone(&self.teacher), Arc::clone(&self.student));
        let mut run = Transfer::new(
            teacher,
            student,
            constants,
            &self.prompt(&self.teacher)?,
            words,
            config,
            None,
        )?;
        fastest(self.args.repeats, || {
            pollster::block_on(run.step())?;
            Ok(())
        })
    }
}

/// Seconds of the fastest of `repeats`, after one that isn't counted.
fn fastest(repeats: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    work()?;
    let mut best = f64::INFINITY;
    for _ in 0..repeats {
        let begun = Instant::now();
        work()?;
        best = best.min(begun.elapsed().as_secs_f64());
    }
    Ok(best)
}
