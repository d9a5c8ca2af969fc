//! Time of one step of distilling, tuning (without and with privacy) and transferring, on SmolLM2's
//! shape: a student of six blocks, a teacher of thirty, a prompt of 20.
//!
//! `cargo bench -p post-core --bench step -- [repeats] [teacher's blocks] [names]`;
//! `benches/peer/step.py` does the same plainly in PyTorch. Prints one JSON line for each measurement.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use std::sync::Arc;

use burn::tensor::Device;
use common::measure;
use common::model::smollm2;
use common::tuning::{BATCH, MICRO, TEXT, examples, ids, private, prompt, tuner};
use pollster::block_on;
use post_core::distill::{
    Corpus, DistillConfig, Distiller, Rows, Sequence, TeacherStates, Weights, default_blocks,
};
use post_core::model::Lm;
use post_core::transfer::{Constants, Transfer, TransferConfig, Words};
use post_core::tune::{PlainTraining, Privacy};

/// Sixteen texts in two passes, so that both cores have one.
const HALF: usize = 8;

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
    let teacher = Arc::new(smollm2(blocks, &Device::default()));
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
        ("tune, private", private(BATCH)),
    ] {
        if wanted(name) {
            let mut run = block_on(tuner(&student, BATCH, MICRO, privacy));
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
