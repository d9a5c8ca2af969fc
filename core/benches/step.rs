//! Time of one step of distilling, tuning (without and with privacy) and transferring, on SmolLM2's
//! shape: a student of six blocks, a teacher of thirty, a prompt of 20.
//!
//! `cargo bench -p post-core --bench step -- [repeats] [teacher's blocks] [names]`;
//! `benches/peer/step.py` does the same plainly in PyTorch. Prints one JSON line for each measurement.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use std::sync::Arc;

use common::{measure, smollm2};
use pollster::block_on;
use post_core::distill::{
    Corpus, DistillConfig, Distiller, Rows, Sequence, TeacherStates, Weights, default_blocks,
};
use post_core::dp::{
    Adjacency, Budget, Clipping, Entropy, Ledger, Length, Plan, PlanConfig, PrivacyUnit,
};
use post_core::model::Lm;
use post_core::prompt::SoftPrompt;
use post_core::task::Example;
use post_core::transfer::{Constants, Transfer, TransferConfig, Words};
use post_core::tune::{ClassHead, PlainTraining, Privacy, Setup, TuneConfig, Tuner};

/// Tokens of a text.
const TEXT: usize = 44;
const PROMPT: usize = 20;
/// Examples of a tuning step.
const BATCH: usize = 64;
const MICRO: usize = 16;
/// Sixteen texts in two passes, so that both cores have one.
const HALF: usize = 8;

fn ids(text: usize) -> Vec<u32> {
    (0..TEXT)
        .map(|i| ((text * TEXT + i) * 7919 % 49152) as u32)
        .collect()
}

fn examples(count: usize) -> Vec<Example> {
    let example = |text| Example {
        ids: ids(text),
        answer: TEXT - 1,
        label: Some(text % 2),
        removed: 0,
    };
    (0..count).map(example).collect()
}

fn prompt() -> SoftPrompt {
    SoftPrompt::new(vec![0.01; PROMPT * 576], PROMPT, 576).unwrap()
}

/// Every example in every step, so that both kinds of run do the same work.
fn private() -> Privacy {
    let plan = Plan::new(PlanConfig {
        budget: Budget::NoiseMultiplier(20.0),
        public_size: BATCH as u64,
        expected_batch: BATCH as f64,
        length: Length::Steps(1000),
        max_grad_norm: 0.1,
        clipping: Clipping::Threshold,
        target_delta: 1e-3,
        unit: PrivacyUnit::Row,
        adjacency: Adjacency::AddRemove,
    });
    let plan = plan.unwrap();
    let mut ledger = Ledger::new(f64::INFINITY, 1e-3, Entropy::from_os().unwrap());
    let data = ledger.identify(["bench"]);
    let reserved = ledger.reserve(&data, &plan).unwrap();
    Privacy::Private {
        plan,
        entropy: Entropy::from_os().unwrap(),
        reserved,
    }
}

fn tuner(student: &Arc<Lm>, privacy: Privacy) -> Tuner {
    let words: Vec<u32> = (0..8).map(|i| 1000 * i).collect();
    let classes = [&words[..4], &words[4..]];
    let setup = Setup {
        lm: student.clone(),
        head: ClassHead::of_classes(student, &classes),
        examples: examples(BATCH),
        initial: prompt(),
        config: TuneConfig {
            micro_batch: MICRO,
            ..TuneConfig::default()
        },
        privacy,
        helpers: None,
    };
    block_on(Tuner::start(setup, None)).unwrap()
}

fn distiller(student: Lm) -> Distiller {
    let sequence = |text| Sequence {
        ids: ids(text),
        answer: Some(TEXT - 1),
    };
    let corpus = Corpus::causal((0..64).map(sequence).collect()).unwrap();
    // Half-precision ones.
    let bytes = [0x00, 0x3c].repeat(corpus.tokens() * 576);
    let states = TeacherStates::new(Arc::new(bytes), &corpus, 576).unwrap();
    let config = DistillConfig {
        weights: Weights {
            ce: 5.0,
            lm: 0.0,
            cos: 1.0,
            mse: 1.0,
        },
        rows: Rows::Sampled(112),
        batch: 16,
        micro_batch: HALF,
        ..DistillConfig::default()
    };
    block_on(Distiller::start(student, corpus, states, config, None)).unwrap()
}

fn transfer(teacher: &Arc<Lm>, student: &Arc<Lm>) -> Transfer {
    let mut constants = Constants::new(&examples(16), &examples(16)).unwrap();
    block_on(constants.extend(student, teacher, &prompt(), 16)).unwrap();
    let config = TransferConfig {
        batch: 16,
        micro_batch: HALF,
        ..TransferConfig::default()
    };
    let (teacher, student) = (teacher.clone(), student.clone());
    Transfer::new(
        teacher,
        student,
        constants,
        &prompt(),
        Words::All,
        config,
        None,
    )
    .unwrap()
}

fn main() {
    let told: Vec<String> = std::env::args().skip(1).collect();
    let (numbers, names): (Vec<_>, Vec<_>) = told.iter().partition(|x| x.parse::<usize>().is_ok());
    let numbers: Vec<usize> = numbers.iter().filter_map(|x| x.parse().ok()).collect();
    let names: Vec<_> = names.iter().filter(|x| !x.starts_with("--")).collect();
    let wanted =
        |name: &str| names.is_empty() || names.iter().any(|x| name.starts_with(x.as_str()));
    let repeats = numbers.first().copied().unwrap_or(5);
    let blocks = numbers.get(1).copied().unwrap_or(30);
    let teacher = Arc::new(smollm2(blocks));
    let student = teacher.select_blocks(&default_blocks(blocks, 6)).unwrap();

    if wanted("distil") {
        let mut run = distiller(student.clone());
        measure("distil", 6, repeats, || {
            block_on(run.step()).unwrap().unwrap();
        });
    }
    let student = Arc::new(student);
    let plain = PlainTraining {
        batch: BATCH,
        steps: 1000,
        seed: 0,
    };
    for (name, privacy) in [
        ("tune, no privacy", Privacy::None(plain)),
        ("tune, private", private()),
    ] {
        if wanted(name) {
            let mut run = tuner(&student, privacy);
            measure(name, 6, repeats, || {
                block_on(run.step()).unwrap().unwrap();
            });
        }
    }
    if wanted("transfer") {
        let mut run = transfer(&teacher, &student);
        measure("transfer", blocks, repeats, || {
            block_on(run.step()).unwrap().unwrap();
        });
    }
}
