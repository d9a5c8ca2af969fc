//! Distillation of a tiny random teacher.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData, activation};
use pollster::block_on;

use super::*;
use crate::model::testing::{furthest, gpt2, llama, random};
use crate::model::{Lm, TokenBatch};
use crate::optim::{Schedule, SplitMix64, State, StateError, read};

fn sequences(count: usize) -> Vec<Sequence> {
    let mut generator = SplitMix64::new(4);
    let mut sequence = || {
        let length = 1 + generator.below(7);
        let ids = (0..length).map(|_| generator.below(23) as u32).collect();
        let answer = (generator.unit() < 0.5).then_some(length - 1);
        Sequence { ids, answer }
    };
    (0..count).map(|_| sequence()).collect()
}

fn teacher() -> Lm {
    random(&llama(), 1)
}

fn states(teacher: &Lm, corpus: &Corpus, at_once: usize) -> TeacherStates {
    let bytes = states_by(std::slice::from_ref(teacher), corpus, at_once);
    TeacherStates::new(Arc::new(bytes), corpus, teacher.config().hidden_size).unwrap()
}

fn states_by(teachers: &[Lm], corpus: &Corpus, at_once: usize) -> Vec<u8> {
    let piece = |start| start..corpus.len().min(start + at_once);
    let pieces: Vec<_> = (0..corpus.len()).step_by(at_once).map(piece).collect();
    block_on(teacher_states(teachers, corpus, &pieces)).unwrap()
}

fn config() -> DistillConfig {
    DistillConfig {
        weights: Weights {
            ce: 5.0,
            lm: 2.0,
            cos: 1.0,
            mse: 0.5,
        },
        learning_rate: 5e-3,
        batch: 8,
        micro_batch: 3,
        steps: 30,
        ..DistillConfig::default()
    }
}

fn start(config: DistillConfig, resume: Option<&[u8]>) -> Result<Distiller, DistillError> {
    let teacher = teacher();
    let corpus = Corpus::causal(sequences(20)).unwrap();
    let states = states(&teacher, &corpus, 7);
    let student = teacher.select_blocks(&[0, 2]).unwrap();
    block_on(Distiller::start(student, corpus, states, config, resume))
}

fn run(distiller: &mut Distiller) -> Vec<DistillReport> {
    std::iter::from_fn(|| block_on(distiller.step()).unwrap()).collect()
}

fn blocks(distiller: &Distiller) -> Vec<f32> {
    block_on(parameters::values(distiller.student().blocks())).unwrap()
}

/// Losses ce, lm, cos, mse over all sequences as the paper writes them, with everything traced.
fn written_out(student: &Lm, teacher: &Lm, sequences: &[Sequence]) -> [Tensor<1>; 4] {
    let tokens: usize = sequences.iter().map(|sequence| sequence.ids.len()).sum();
    let targets = (tokens - sequences.len()) as f64;
    let mut sums: Option<[Tensor<1>; 4]> = None;
    for Sequence { ids, .. } in sequences {
        let input = teacher.embed(&TokenBatch::padded(&[ids], 0));
        let hidden = |lm: &Lm| lm.hidden_all(&input).squeeze_dim::<2>(0);
        let (s, t) = (hidden(student), hidden(teacher));
        let (z_s, z_t) = (student.logits(s.clone()), teacher.logits(t.clone()));
        let p = activation::softmax(z_t / 2.0, 1);
        let q = activation::log_softmax(z_s.clone() / 2.0, 1);
        let ce = (p.clone() * (p.log() - q)).sum() * (4.0 / tokens as f64);
        let next: Vec<i32> = ids[1..].iter().map(|&id| id as i32).collect();
        let log_p = activation::log_softmax(z_s, 1);
        let lm = if next.is_empty() {
            log_p.sum() * 0.0
        } else {
            let shape = [next.len(), 1];
            let next = Tensor::<2, Int>::from_data(TensorData::new(next, shape), teacher.device());
            log_p.narrow(0, 0, shape[0]).gather(1, next).sum() / -targets
        };
        let length = |x: Tensor<2>| x.square().sum_dim(1).sqrt();
        let cosine = (s.clone() * t.clone()).sum_dim(1) / (length(s.clone()) * length(t.clone()));
        let cos = (cosine.neg() + 1.0).sum() / tokens as f64;
        let mse = (s - t).square().sum() / (tokens * 20) as f64;
        let own = [ce, lm, cos, mse];
        sums = Some(match sums {
            None => own,
            Some(sums) => {
                let mut own = own.into_iter();
                sums.map(|sum| sum + own.next().unwrap())
            }
        });
    }
    sums.unwrap()
}

/// Cached states, written-down slopes, chunks and accumulation change nothing about the losses or
/// their gradient, but for the half precision of the cache.
#[test]
fn losses_and_gradients_are_the_papers() {
    let config = DistillConfig {
        batch: 20,
        steps: 1,
        max_grad_norm: 1e9,
        ..config()
    };
    let mut distiller = start(config, None).unwrap();
    let report = run(&mut distiller).remove(0);

    let teacher = teacher();
    let student = teacher.select_blocks(&[0, 2]).unwrap();
    let blocks = student
        .blocks()
        .iter()
        .cloned()
        .map(Module::train)
        .collect();
    let student = student.with_blocks(blocks);
    let [ce, lm, cos, mse] = written_out(&student, &teacher, &sequences(20));
    let value = |x: &Tensor<1>| f64::from(block_on(read(x.clone().inner())).unwrap()[0]);
    let pairs = [
        (report.ce, &ce),
        (report.lm, &lm),
        (report.cos, &cos),
        (report.mse, &mse),
    ];
    for (found, expected) in pairs {
        let expected = value(expected);
        assert!(
            expected > 1e-3 && (found - expected).abs() < 2e-3 * expected,
            "{found} {expected}"
        );
    }
    let total = ce * 5.0 + lm * 2.0 + cos + mse * 0.5;
    assert!((report.loss - value(&total)).abs() < 2e-3 * report.loss);
    let mut grads = total.backward();
    let expected = block_on(parameters::each(parameters::gradients(
        student.blocks(),
        &mut grads,
    )));
    let expected = expected.unwrap().concat();
    // After one step Adam's first moment is a tenth of the gradient.
    let mut state = State::from_bytes(&distiller.checkpoint(), "post.distill").unwrap();
    let moment = state.take("adam_first", expected.len()).unwrap();
    let norm = |x: &[f32]| x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let off: Vec<f32> = moment
        .iter()
        .zip(&expected)
        .map(|(m, g)| 10.0 * m - g)
        .collect();
    assert!(
        norm(&off) < 3e-3 * norm(&expected),
        "{} of {}",
        norm(&off),
        norm(&expected)
    );
    assert!((report.gradient_norm - norm(&expected)).abs() < 3e-3 * report.gradient_norm);
}

/// Three micro-batches on two devices, so one device has more to do.
#[test]
fn devices_that_share_the_work_come_to_the_same() {
    let devices = [teacher().device().clone()];
    let mut alone = start(config(), None).unwrap();
    let mut shared = start(config(), None).unwrap().shared_with(&devices);
    let before = blocks(&alone);
    let [reports, others] = [&mut alone, &mut shared].map(run);
    for (one, other) in reports.iter().zip(&others) {
        assert!(
            (one.loss - other.loss).abs() < 1e-4 * one.loss,
            "{one:?} {other:?}"
        );
    }
    let (after, shared) = (blocks(&alone), blocks(&shared));
    let (moved, off) = (furthest(&before, &after), furthest(&after, &shared));
    assert!(moved > 1e-2 && off < 1e-2 * moved, "{off} of {moved}");
}

#[test]
fn teachers_share_the_texts() {
    let (teacher, corpus) = (teacher(), Corpus::causal(sequences(20)).unwrap());
    let teachers = [
        teacher.clone(),
        teacher.on(teacher.device()),
        teacher.clone(),
    ];
    let alone = states_by(&teachers[..1], &corpus, 3);
    assert_eq!(states_by(&teachers, &corpus, 3), alone);
}

#[test]
fn the_student_comes_nearer() {
    for rows in [Rows::All, Rows::Sampled(10)] {
        // Random text has nothing to teach, so the losses against the teacher stand alone.
        let weights = Weights {
            lm: 0.0,
            ..config().weights
        };
        let config = DistillConfig {
            rows,
            weights,
            steps: 60,
            ..config()
        };
        let reports = run(&mut start(config, None).unwrap());
        assert_eq!(reports.len(), 60);
        let mean = |reports: &[DistillReport], of: fn(&DistillReport) -> f64| {
            reports.iter().map(of).sum::<f64>() / reports.len() as f64
        };
        let each: [fn(&DistillReport) -> f64; 3] = [|r| r.ce, |r| r.cos, |r| r.loss];
        for of in each {
            let (first, last) = (mean(&reports[..8], of), mean(&reports[52..], of));
            assert!(last < 0.8 * first, "{rows:?}: {first} → {last}");
        }
    }
}

#[test]
fn the_teacher_itself_is_left_as_it_was() {
    let teacher = teacher();
    let corpus = Corpus::causal(sequences(20)).unwrap();
    let states = states(&teacher, &corpus, 20);
    let student = teacher.select_blocks(&[0, 2]).unwrap();
    let before = block_on(parameters::values(teacher.blocks())).unwrap();
    let distiller = Distiller::start(student, corpus, states, config(), None);
    let mut distiller = block_on(distiller).unwrap();
    block_on(distiller.step()).unwrap();
    assert_eq!(
        before,
        block_on(parameters::values(teacher.blocks())).unwrap()
    );
    let own = block_on(parameters::values(distiller.student().blocks())).unwrap();
    let third = before.len() / 3;
    assert!(
        own[..third]
            .iter()
            .zip(&before)
            .any(|(a, b)| (a - b).abs() > 1e-4)
    );
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let config = DistillConfig {
        rows: Rows::Sampled(6),
        schedule: Schedule::Linear { warmup: 0.2 },
        plateau: Some(PlateauConfig {
            patience: 3,
            min_improvement: 0.5,
        }),
        steps: 12,
        ..config()
    };
    let mut straight = start(config, None).unwrap();
    let all = run(&mut straight);
    let mut first = start(config, None).unwrap();
    for _ in 0..7 {
        block_on(first.step()).unwrap();
    }
    let bytes = first.checkpoint();
    let mut second = start(config, Some(&bytes)).unwrap();
    assert_eq!(run(&mut second), all[7..]);
    assert_eq!(straight.checkpoint(), second.checkpoint());
    let other = DistillConfig {
        temperature: 3.0,
        ..config
    };
    let error = start(other, Some(&bytes)).err().unwrap();
    assert!(matches!(error, DistillError::State(StateError::Settings)));
}

#[test]
fn blocks_without_decay_and_gradient_do_not_move() {
    let still = Weights {
        ce: 0.0,
        lm: 0.0,
        cos: 0.0,
        mse: 1e-30,
    };
    let adam = crate::optim::AdamConfig {
        epsilon: 1.0,
        ..config().adam
    };
    let mut distiller = start(
        DistillConfig {
            weights: still,
            adam,
            ..config()
        },
        None,
    )
    .unwrap();
    let before = block_on(parameters::values(distiller.student().blocks())).unwrap();
    block_on(distiller.step()).unwrap();
    assert_eq!(
        before,
        block_on(parameters::values(distiller.student().blocks())).unwrap()
    );
}

#[test]
fn what_cannot_be_distilled_is_said() {
    for bad in [
        DistillConfig {
            temperature: 0.0,
            ..config()
        },
        DistillConfig {
            weights: Weights {
                ce: 0.0,
                lm: 0.0,
                cos: 0.0,
                mse: 0.0,
            },
            ..config()
        },
        DistillConfig {
            learning_rate: f64::INFINITY,
            ..config()
        },
        DistillConfig {
            micro_batch: 0,
            ..config()
        },
    ] {
        assert!(matches!(start(bad, None), Err(DistillError::Range { .. })));
    }
    let corpus = Corpus::causal(sequences(4)).unwrap();
    let short = TeacherStates::new(Arc::new(vec![0u8; 10]), &corpus, 20);
    assert!(matches!(short, Err(DistillError::States { found: 10, .. })));
    let long = Corpus::causal(vec![Sequence {
        ids: vec![1; 65],
        answer: None,
    }])
    .unwrap();
    let learned = random(&gpt2(), 1);
    let states = TeacherStates::new(Arc::new(vec![0u8; 65 * 20 * 2]), &long, 20).unwrap();
    let error = block_on(Distiller::start(learned, long, states, config(), None))
        .err()
        .unwrap();
    assert!(matches!(
        error,
        DistillError::TooLong {
            length: 65,
            room: 64
        }
    ));
}
