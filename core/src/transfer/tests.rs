//! The transfer on tiny random models.
#![allow(clippy::unwrap_used)]

mod across;
mod open;
mod place;
mod since;

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData, activation};
use pollster::block_on;

use super::*;
use crate::model::testing::{furthest, llama, random};
use crate::model::{Lm, PromptPlace, TokenBatch};
use crate::optim::{Schedule, SplitMix64, StateError, read};
use crate::prompt::SoftPrompt;
use crate::task::Example;

const PROMPT: usize = 3;

/// A teacher of three blocks and its student of the outer two.
fn models() -> (Arc<Lm>, Arc<Lm>) {
    let teacher = random(&llama(), 1);
    let student = teacher.select_blocks(&[0, 2]).unwrap();
    (Arc::new(teacher), Arc::new(student))
}

fn examples(count: usize) -> Vec<Example> {
    let mut generator = SplitMix64::new(3);
    let mut example = || {
        let length = 2 + generator.below(6);
        let ids = (0..length).map(|_| generator.below(23) as u32).collect();
        Example {
            ids,
            answer: length - 1,
            label: None,
            removed: 0,
        }
    };
    (0..count).map(|_| example()).collect()
}

fn prompt(seed: u64) -> SoftPrompt {
    let mut generator = SplitMix64::new(seed);
    let values = (0..PROMPT * 20).map(|_| 2.0 * generator.unit() as f32 - 1.0);
    SoftPrompt::new(values.collect(), PROMPT, 20).unwrap()
}

fn constants(rows: usize) -> Constants {
    let (teacher, student) = models();
    let mut constants = Constants::new(&examples(14), &examples(14)).unwrap();
    while constants.done() < constants.len() {
        block_on(constants.extend(&student, &teacher, &prompt(8), rows)).unwrap();
    }
    constants
}

fn config() -> TransferConfig {
    TransferConfig {
        learning_rate: 0.05,
        batch: 6,
        micro_batch: 4,
        steps: 30,
        ..TransferConfig::default()
    }
}

fn start(config: TransferConfig, resume: Option<&[u8]>) -> Result<Transfer, TransferError> {
    start_with(None, config, resume)
}

fn start_with(
    words: Option<&[u32]>,
    config: TransferConfig,
    resume: Option<&[u8]>,
) -> Result<Transfer, TransferError> {
    let same = |words: &[u32]| Words::Some(words.iter().map(|&word| [word, word]).collect());
    start_over(constants(5), words.map_or(Words::All, same), config, resume)
}

fn start_over(
    constants: Constants,
    words: Words,
    config: TransferConfig,
    resume: Option<&[u8]>,
) -> Result<Transfer, TransferError> {
    let (teacher, student) = models();
    let initial = prompt(9);
    Transfer::new(teacher, student, constants, &initial, words, config, resume)
}

fn run(transfer: &mut Transfer) -> Vec<TransferReport> {
    std::iter::from_fn(|| block_on(transfer.step()).unwrap()).collect()
}

/// The loss as the paper writes it, everything traced by autodiff and nothing kept: its value and
/// gradient over all `places` at `at`, where both prompts stand. A place is a text, where in it, and what it
/// counts.
fn written_out_over(
    places: &[(Vec<u32>, usize, f64)],
    alpha: f64,
    words: Option<&[u32]>,
    at: &SoftPrompt,
) -> (f32, Vec<f32>) {
    let (teacher, student) = models();
    let leaf = TensorData::new(at.embeddings().to_vec(), [PROMPT, 20]);
    let leaf = Tensor::<2>::from_data(leaf, teacher.device())
        .autodiff()
        .require_grad();
    let theirs = TensorData::new(prompt(8).embeddings().to_vec(), [1, PROMPT, 20]);
    let theirs = Tensor::<3>::from_data(theirs, teacher.device());
    let softmax = |z: Tensor<2>| activation::softmax(z / 2.0, 1);
    let divergence = |p: Tensor<2>, q: Tensor<2>| {
        (softmax(p.clone()) * (softmax(p).log() - softmax(q).log())).sum() * 4.0
    };
    let mut total = Tensor::<1>::zeros([1], &teacher.device().clone().autodiff());
    for (text, place, share) in places {
        let tokens = TokenBatch::padded(&[text], 0);
        let logits = |lm: &Lm, prompt: Option<Tensor<3>>| {
            let input = match prompt {
                Some(prompt) => lm.embed_with_prompts(prompt, at.place(), &tokens),
                None => lm.embed(&tokens),
            };
            let all = lm.logits(lm.hidden_at(&input, &[*place]));
            let column = |&word: &u32| all.clone().narrow(1, word as usize, 1);
            match words {
                Some(words) => Tensor::cat(words.iter().map(column).collect(), 1),
                None => all,
            }
        };
        let (z_s, z_t) = (logits(&student, None), logits(&teacher, None));
        let z_sp = logits(&student, Some(theirs.clone()));
        let z_tp = logits(&teacher, Some(leaf.clone().unsqueeze()));
        let l1 = divergence(z_sp.clone(), z_tp.clone());
        let l2 = divergence(z_sp - z_s, z_tp - z_t);
        total = total + l1 * ((1.0 - alpha) * share) + l2 * (alpha * share);
    }
    let mut grads = total.backward();
    let gradient = leaf.grad_remove(&mut grads).unwrap();
    (
        block_on(read(total.inner())).unwrap()[0],
        block_on(read(gradient)).unwrap(),
    )
}

/// That of the examples, whose answers are one place each.
fn written_out(alpha: f64, words: Option<&[u32]>, at: &SoftPrompt) -> (f32, Vec<f32>) {
    let place = |example: Example| (example.ids, example.answer, 1.0 / 14.0);
    let places: Vec<_> = examples(14).into_iter().map(place).collect();
    written_out_over(&places, alpha, words, at)
}

/// Constants, written-down slopes and micro-batches change nothing about the paper's loss, over the
/// vocabulary or over a few words of it.
#[test]
fn loss_and_gradient_are_the_papers() {
    let some: &[u32] = &[3, 17, 4];
    for (alpha, words) in [(0.0, None), (0.3, None), (1.0, None), (0.4, Some(some))] {
        let (expected_loss, expected) = written_out(alpha, words, &prompt(9));
        // SGD by hand: Adam's first moment after one step is a tenth of the gradient.
        let config = TransferConfig {
            alpha,
            batch: 14,
            steps: 1,
            ..config()
        };
        let mut transfer = start_with(words, config, None).unwrap();
        let report = run(&mut transfer).remove(0);
        assert!((report.loss - f64::from(expected_loss)).abs() < 1e-5 * report.loss.max(1.0));
        let mut state =
            crate::optim::State::from_bytes(&transfer.checkpoint(), "post.transfer").unwrap();
        let moment = state.take("adam_first", PROMPT * 20).unwrap();
        let scale = expected.iter().fold(0f32, |scale, x| scale.max(x.abs()));
        assert!(scale > 1e-3);
        for (m, g) in moment.iter().zip(&expected) {
            assert!(
                (10.0 * m - g).abs() < 1e-4 * scale,
                "α {alpha}: {} instead of {g}",
                10.0 * m
            );
        }
    }
}

/// Of one word each, classes are words; of several, single words may do as they like.
#[test]
fn classes_are_compared_by_the_means_of_their_words() {
    let loss = |words| {
        let once = TransferConfig {
            steps: 1,
            batch: 14,
            ..config()
        };
        let mut transfer = start_over(constants(5), words, once, None).unwrap();
        run(&mut transfer).remove(0).loss
    };
    let same = |classes: &[&[u32]]| {
        let both = classes.iter().map(|words| [words.to_vec(), words.to_vec()]);
        Words::Classes(both.collect())
    };
    let single = loss(same(&[&[3], &[17]]));
    let words = loss(Words::Some(vec![[3, 3], [17, 17]]));
    assert!(
        (single - words).abs() < 1e-6 * words,
        "{single}, not {words}"
    );
    let several = loss(same(&[&[3, 4], &[17]]));
    assert!(several > 0.0 && (several - single).abs() > 1e-3 * single);
    // The mean over a class that has every word twice is that over the words.
    let twice = loss(same(&[&[3, 4, 3, 4], &[17, 17]]));
    assert!(
        (twice - several).abs() < 1e-5 * several,
        "{twice}, not {several}"
    );
}

#[test]
fn the_loss_falls() {
    let mut transfer = start(
        TransferConfig {
            batch: 14,
            ..config()
        },
        None,
    )
    .unwrap();
    let reports = run(&mut transfer);
    assert_eq!(reports.len(), 30);
    let (first, last) = (reports[0].loss, reports[29].loss);
    assert!(last < 0.7 * first, "{first} → {last}");
    assert_ne!(transfer.finish().unwrap(), prompt(9));
}

/// A teacher that is its own student has nothing to learn.
#[test]
fn a_model_transfers_to_itself_without_loss() {
    let (teacher, _) = models();
    let mut constants = Constants::new(&examples(6), &examples(6)).unwrap();
    block_on(constants.extend(&teacher, &teacher, &prompt(8), 6)).unwrap();
    let config = TransferConfig {
        steps: 1,
        ..config()
    };
    let own = prompt(8);
    let mut transfer = Transfer::new(
        teacher.clone(),
        teacher,
        constants,
        &own,
        Words::All,
        config,
        None,
    )
    .unwrap();
    let loss = run(&mut transfer)[0].loss;
    assert!(loss.abs() < 1e-5, "{loss}");
}

/// Three micro-batches or more on two devices.
#[test]
fn devices_that_share_the_work_come_to_the_same() {
    let config = TransferConfig {
        micro_batch: 2,
        ..config()
    };
    let devices = [models().1.device().clone()];
    let mut alone = start(config, None).unwrap();
    let mut shared = start(config, None).unwrap().shared_with(&devices).unwrap();
    let before = alone.prompt().unwrap().embeddings().to_vec();
    let [reports, others] = [&mut alone, &mut shared].map(run);
    for (one, other) in reports.iter().zip(&others) {
        assert!(
            (one.loss - other.loss).abs() < 1e-4 * one.loss,
            "{one:?} {other:?}"
        );
    }
    let [after, shared] = [alone, shared].map(|run| run.finish().unwrap().embeddings().to_vec());
    let (moved, off) = (furthest(&before, &after), furthest(&after, &shared));
    assert!(moved > 1e-3 && off < 1e-2 * moved, "{off} of {moved}");
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let config = TransferConfig {
        schedule: Schedule::Linear { warmup: 0.1 },
        ..config()
    };
    let mut straight = start(config, None).unwrap();
    run(&mut straight);
    let mut first = start(config, None).unwrap();
    for _ in 0..17 {
        block_on(first.step()).unwrap();
    }
    let bytes = first.checkpoint();
    assert!(matches!(
        first.finish(),
        Err(TransferError::Unfinished {
            done: 17,
            planned: 30
        })
    ));
    let mut second = start(config, Some(&bytes)).unwrap();
    assert_eq!(run(&mut second).len(), 13);
    assert_eq!(straight.finish().unwrap(), second.finish().unwrap());
    let other = TransferConfig {
        alpha: 0.25,
        ..config
    };
    let error = start(other, Some(&bytes)).err().unwrap();
    assert!(matches!(error, TransferError::State(StateError::Settings)));
}

#[test]
fn constants_go_on_where_they_were() {
    let (teacher, student) = models();
    let mut first = Constants::new(&examples(14), &examples(14)).unwrap();
    block_on(first.extend(&student, &teacher, &prompt(8), 5)).unwrap();
    let mut second = Constants::new(&examples(14), &examples(14)).unwrap();
    second.resume(&first.checkpoint(), [20, 20]).unwrap();
    assert_eq!(second.done(), 5);
    let missing = Transfer::new(
        teacher.clone(),
        student.clone(),
        first,
        &prompt(9),
        Words::All,
        config(),
        None,
    );
    assert!(matches!(
        missing.err().unwrap(),
        TransferError::Incomplete { missing: 9 }
    ));
    while second.done() < second.len() {
        block_on(second.extend(&student, &teacher, &prompt(8), 5)).unwrap();
    }
    assert_eq!(second.checkpoint(), constants(5).checkpoint());
    let mut other = Constants::new(&examples(13), &examples(13)).unwrap();
    assert!(other.resume(&second.checkpoint(), [20, 20]).is_err());
}

#[test]
fn what_the_teacher_said_of_the_rows_serves_other_prompts() {
    let (teacher, student) = models();
    let whole = |mut constants: Constants, teacher: &Lm, seed: u64| {
        while constants.done() < constants.len() {
            block_on(constants.extend(&student, teacher, &prompt(seed), 5)).unwrap();
        }
        constants.checkpoint()
    };
    let rows = || Constants::new(&examples(14), &examples(14)).unwrap();
    let mut partly = rows();
    block_on(partly.extend(&student, &teacher, &prompt(8), 5)).unwrap();
    assert!(partly.teacher_states().is_none(), "nine are missing");
    let states = constants(5).teacher_states().unwrap();
    let mut recalling = rows();
    recalling.recall(&states, 20).unwrap();
    // Another teacher would say something else: it is not asked.
    let other = random(&llama(), 2);
    assert_eq!(whole(recalling, &other, 9), whole(rows(), &teacher, 9));
    assert_ne!(whole(rows(), &other, 9), whole(rows(), &teacher, 9));
    let mut fewer = Constants::new(&examples(13), &examples(13)).unwrap();
    assert!(matches!(
        fewer.recall(&states, 20),
        Err(TransferError::State(StateError::Settings))
    ));
    assert!(rows().recall(&states, 19).is_err());
    assert!(rows().recall(&constants(5).checkpoint(), 20).is_err());
}

#[test]
fn what_cannot_be_transferred_is_said() {
    assert!(matches!(
        Constants::new(&[], &[]),
        Err(TransferError::NoExamples)
    ));
    for bad in [
        TransferConfig {
            alpha: 1.5,
            ..config()
        },
        TransferConfig {
            temperature: f64::NAN,
            ..config()
        },
        TransferConfig {
            batch: 0,
            ..config()
        },
        TransferConfig {
            steps: 0,
            ..config()
        },
    ] {
        assert!(matches!(start(bad, None), Err(TransferError::Range { .. })));
    }
    let (teacher, student) = models();
    let narrow = SoftPrompt::new(vec![0.0; 4], 2, 2).unwrap();
    let error = Transfer::new(
        teacher.clone(),
        student.clone(),
        constants(9),
        &narrow,
        Words::All,
        config(),
        None,
    );
    assert!(matches!(error.err().unwrap(), TransferError::Prompt(_)));
    let smaller = random(
        &crate::model::Config {
            vocab_size: 22,
            ..llama()
        },
        1,
    );
    let error = Transfer::new(
        teacher,
        Arc::new(smaller),
        constants(9),
        &prompt(9),
        Words::All,
        config(),
        None,
    );
    let error = error.err().unwrap();
    assert!(matches!(
        error,
        TransferError::Vocabulary {
            student: 22,
            teacher: 23
        }
    ));
    assert!(
        error
            .to_string()
            .contains("can only be compared where both have the same")
    );
    assert!(matches!(
        Constants::new(&examples(3), &examples(4)),
        Err(TransferError::Pairs {
            student: 3,
            teacher: 4
        })
    ));
}
