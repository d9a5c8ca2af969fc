//! The private step on a tiny random model.
#![allow(clippy::unwrap_used)]

mod open;
mod place;
mod several;

use burn::tensor::{Device, Tensor, TensorData};
use pollster::block_on;

use super::testing::{PROMPT, examples, head, lm, plain, private, prompt, setup};
use super::*;
use crate::model::PromptPlace;
use crate::optim::{Schedule, StateError, read};
use crate::task::{Example, Label};

fn config() -> TuneConfig {
    TuneConfig {
        learning_rate: 0.1,
        micro_batch: 5,
        ..TuneConfig::default()
    }
}

fn low_rank() -> TuneConfig {
    TuneConfig {
        low_rank: Some(LowRank { rank: 2, seed: 4 }),
        ..config()
    }
}

/// All reports of a run.
fn run(tuner: &mut Tuner) -> Vec<StepReport> {
    std::iter::from_fn(|| block_on(tuner.step()).unwrap()).collect()
}

fn start(setup: Setup, resume: Option<&[u8]>) -> Result<Tuner, TuneError> {
    block_on(Tuner::start(setup, resume))
}

fn class(example: &Example) -> usize {
    example.label.as_ref().and_then(Label::class).unwrap()
}

fn loss(prompt: Option<&crate::prompt::SoftPrompt>, examples: &[Example]) -> f64 {
    let lm = lm(1);
    let classifier = Classifier::new(lm.clone(), head(&lm), prompt).unwrap();
    let logits = block_on(classifier.evaluate(examples, 7, |_| {})).unwrap();
    let each = logits.iter().zip(examples).map(|(logits, example)| {
        let sum: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
        sum.ln() - f64::from(logits[class(example)])
    });
    each.sum::<f64>() / examples.len() as f64
}

#[test]
fn this_device_gives_the_known_answer() {
    let (live, reference) = block_on(known_answer(&Device::default())).unwrap();
    assert_eq!(live.len(), 2 * 3 * 16 + 2);
    for (a, b) in live.iter().zip(&reference) {
        assert!(
            (a - b).abs() <= 2e-5 * b.abs().max(0.1),
            "{a} instead of {b}"
        );
    }
}

#[test]
fn the_loss_falls_without_privacy() {
    for config in [config(), low_rank()] {
        falls_without_privacy(config);
    }
}

fn falls_without_privacy(config: TuneConfig) {
    let mut tuner = start(setup(config, plain(40)), None).unwrap();
    let reports = run(&mut tuner);
    assert_eq!(reports.len(), 40);
    assert_eq!(reports[39].step, 40);
    assert!(!tuner.is_private());
    let tuned = tuner.finish().unwrap();
    assert!(matches!(tuned.released, Released::NotPrivate));
    let (before, after) = (
        loss(None, &examples(48, 2)),
        loss(Some(&tuned.prompt), &examples(48, 2)),
    );
    assert!(after < 0.9 * before, "{before} → {after}");
}

#[test]
fn the_loss_falls_with_little_noise() {
    for config in [config(), low_rank()] {
        falls_with_little_noise(config);
    }
}

fn falls_with_little_noise(config: TuneConfig) {
    let mut tuner = start(setup(config, private(48, 0.7, 0.3, 40)), None).unwrap();
    assert!(tuner.is_private());
    let reports = run(&mut tuner);
    assert_eq!(reports.len(), 40);
    let drawn: usize = reports.iter().map(|report| report.private.examples).sum();
    // 40 batches of 12 expected; 480 ± 19, so seven standard deviations.
    assert!((347..613).contains(&drawn), "{drawn}");
    let tuned = tuner.finish().unwrap();
    assert!(matches!(tuned.released, Released::Private(_)));
    let (before, after) = (
        loss(None, &examples(48, 2)),
        loss(Some(&tuned.prompt), &examples(48, 2)),
    );
    assert!(after < 0.95 * before, "{before} → {after}");
}

/// As a tab does whose owner stops the run: nothing of the step is kept, and the checkpoint goes on.
#[test]
fn a_step_that_is_given_up_leaves_nothing_behind() {
    let begin = || setup(config(), private(48, 0.7, 0.3, 2));
    let mut tuner = start(begin(), None).unwrap();
    block_on(tuner.step()).unwrap().unwrap();
    let before = tuner.checkpoint();
    let mut heard = Vec::new();
    {
        let step = tuner.step_with(async |within| {
            heard.push(within);
            std::future::pending().await
        });
        let waker = std::task::Waker::noop();
        let polled = std::pin::pin!(step).poll(&mut std::task::Context::from_waker(waker));
        assert!(polled.is_pending());
    }
    assert!(heard[0].done > 0 && heard[0].done <= heard[0].drawn);
    assert_eq!(tuner.checkpoint(), before);
    // The drawn batch is lost, so this tuner makes no step out of it.
    assert!(block_on(tuner.step()).is_err());
    let mut resumed = start(begin(), Some(&before)).unwrap();
    assert_eq!(block_on(resumed.step()).unwrap().unwrap().step, 2);
}

#[test]
fn the_reported_loss_is_the_mean_over_the_drawn_examples() {
    let mut plain_setup = setup(config(), plain(1));
    plain_setup.privacy = Privacy::None(PlainTraining {
        batch: 48,
        steps: 1,
        seed: 0,
    });
    let initial = plain_setup.initial.clone();
    let mut tuner = start(plain_setup, None).unwrap();
    let report = block_on(tuner.step()).unwrap().unwrap();
    assert_eq!(report.private.examples, 48);
    let expected = loss(Some(&initial.prompt), &examples(48, 2));
    assert!((report.private.loss.unwrap() - expected).abs() < 1e-5);
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let sgd = Optimizer::Sgd { momentum: 0.9 };
    let low_rank = low_rank().low_rank;
    for (optimizer, low_rank) in [
        (config().optimizer, None),
        (sgd, None),
        (config().optimizer, low_rank),
        (sgd, low_rank),
    ] {
        let config = TuneConfig {
            optimizer,
            schedule: Schedule::Linear { warmup: 0.2 },
            tail_average: 0.5,
            low_rank,
            ..config()
        };
        let mut straight = start(setup(config, plain(9)), None).unwrap();
        run(&mut straight);
        let mut first = start(setup(config, plain(9)), None).unwrap();
        for _ in 0..6 {
            block_on(first.step()).unwrap();
        }
        let bytes = first.checkpoint();
        let mut second = start(setup(config, plain(9)), Some(&bytes)).unwrap();
        assert_eq!(run(&mut second).len(), 3);
        assert_eq!(
            straight.finish().unwrap().prompt,
            second.finish().unwrap().prompt
        );
    }
}

#[test]
fn a_resumed_private_run_makes_exactly_the_steps_left() {
    let fresh = || setup(config(), private(48, 1.0, 0.5, 5));
    let mut first = start(fresh(), None).unwrap();
    for _ in 0..3 {
        block_on(first.step()).unwrap();
    }
    let bytes = first.checkpoint();
    let unfinished = first.finish().unwrap_err();
    assert!(matches!(
        unfinished,
        TuneError::Unfinished {
            done: 3,
            planned: 5
        }
    ));
    let mut second = start(fresh(), Some(&bytes)).unwrap();
    assert_eq!(run(&mut second).len(), 2);
    assert!(block_on(second.step()).unwrap().is_none());
    assert!(matches!(
        second.finish().unwrap().released,
        Released::Private(_)
    ));
}

#[test]
fn checkpoints_of_other_runs_are_refused() {
    let bytes = start(setup(config(), plain(9)), None).unwrap().checkpoint();
    let other = TuneConfig {
        learning_rate: 0.11,
        ..config()
    };
    let others = [
        setup(low_rank(), plain(9)),
        setup(other, plain(9)),
        setup(config(), plain(8)),
        setup(config(), private(48, 1.0, 0.5, 9)),
    ];
    for other in others {
        let error = start(other, Some(&bytes)).err().unwrap();
        assert!(
            matches!(error, TuneError::State(StateError::Settings)),
            "{error}"
        );
    }
}

#[test]
fn the_tail_average_is_the_mean_of_the_last_prompts() {
    for config in [config(), low_rank()] {
        tail_averages(config);
    }
}

fn tail_averages(config: TuneConfig) {
    let config = TuneConfig {
        tail_average: 0.5,
        ..config
    };
    let mut tuner = start(setup(config, plain(6)), None).unwrap();
    let mut mean = vec![0.0; PROMPT * 20];
    while let Some(report) = block_on(tuner.step()).unwrap() {
        if report.step > 3 {
            let prompt = tuner.prompt().unwrap();
            mean.iter_mut()
                .zip(prompt.embeddings())
                .for_each(|(m, x)| *m += x / 3.0);
        }
    }
    let released = tuner.finish().unwrap().prompt;
    for (a, b) in released.embeddings().iter().zip(&mean) {
        assert!((a - b).abs() < 1e-5);
    }
}

/// With one column, all rows of the prompt have moved along one line.
#[test]
fn a_low_rank_prompt_moves_at_low_rank() {
    let config = TuneConfig {
        low_rank: Some(LowRank { rank: 1, seed: 4 }),
        ..config()
    };
    let setup = setup(config, private(48, 0.7, 0.3, 8));
    let initial = setup.initial.clone();
    let mut tuner = start(setup, None).unwrap();
    run(&mut tuner);
    let moved = tuner.finish().unwrap().prompt;
    let pairs = moved.embeddings().iter().zip(initial.prompt.embeddings());
    let moved: Vec<f64> = pairs.map(|(&a, &b)| f64::from(a) - f64::from(b)).collect();
    let rows: Vec<&[f64]> = moved.chunks(20).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for (a, b) in rows.iter().zip(&rows[1..]) {
        let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        assert!(cosine.abs() > 0.999_9, "{cosine}");
    }
}

/// Checkpoints of runs without factors are those of earlier builds.
#[test]
fn settings_of_older_checkpoints_are_known() {
    let bytes = start(setup(config(), plain(9)), None).unwrap().checkpoint();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(
        text.contains("micro_batch: 5 } [4, 20] PlainTraining {"),
        "{text}"
    );
}

/// Micro-batches are a matter of memory: the direction is the same, whatever their size.
#[test]
fn micro_batches_change_nothing() {
    let after = |micro_batch| {
        let config = TuneConfig {
            optimizer: Optimizer::Sgd { momentum: 0.0 },
            micro_batch,
            ..config()
        };
        let mut tuner = start(setup(config, plain(1)), None).unwrap();
        run(&mut tuner);
        tuner.finish().unwrap().prompt
    };
    let whole = after(64);
    for parts in [after(5), after(1)] {
        for (a, b) in whole.embeddings().iter().zip(parts.embeddings()) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}

/// Row i of the gradients belongs to example i alone and scales with its weight alone.
#[test]
fn weights_scale_their_own_rows() {
    let lm = lm(1);
    let kernel = kernel::Kernel::new(
        lm.clone(),
        head(&lm),
        &examples(8, 3),
        PROMPT,
        PromptPlace::BeforeBos,
    )
    .unwrap();
    let start = TensorData::new(prompt(&lm).embeddings().to_vec(), [PROMPT, 20]);
    let start = Tensor::<2>::from_data(start, lm.device());
    let rows = |weights: &[f32]| {
        let gradients = kernel.gradients(&start, &[1, 4, 6], weights);
        block_on(read(gradients.per_example)).unwrap()
    };
    let (one, scaled) = (rows(&[1.0, 1.0, 1.0]), rows(&[1.0, -3.0, 0.0]));
    let n = PROMPT * 20;
    assert_eq!(one[..n], scaled[..n]);
    assert!(one[n..2 * n].iter().any(|x| x.abs() > 1e-4));
    for (a, b) in one[n..2 * n].iter().zip(&scaled[n..2 * n]) {
        assert!((-3.0 * a - b).abs() < 1e-6);
    }
    assert!(scaled[2 * n..].iter().all(|&x| x == 0.0));
    assert!(one[2 * n..].iter().any(|&x| x != 0.0));
}

#[test]
fn evaluation_keeps_the_order_of_the_examples() {
    let lm = lm(1);
    let classifier = Classifier::new(lm.clone(), head(&lm), Some(&prompt(&lm))).unwrap();
    let examples = examples(11, 4);
    let mut heard = Vec::new();
    let together = block_on(classifier.evaluate(&examples, 4, |done| heard.push(done))).unwrap();
    assert_eq!(heard, [4, 8, 11]);
    for (example, row) in examples.iter().zip(&together) {
        let alone = block_on(classifier.class_logits(&[example])).unwrap();
        for (a, b) in alone[0].iter().zip(row) {
            assert!((a - b).abs() < 1e-5);
        }
    }
}

#[test]
fn what_cannot_be_tuned_is_said() {
    let error = |change: fn(&mut Setup)| {
        let mut setup = setup(config(), plain(3));
        change(&mut setup);
        start(setup, None).err().unwrap()
    };
    assert!(matches!(
        error(|s| s.examples.clear()),
        TuneError::NoExamples
    ));
    assert!(matches!(
        error(|s| s.examples[3].label = None),
        TuneError::Unlabelled(3)
    ));
    assert!(matches!(
        error(|s| s.examples[3].label = Some(Label::Class(2))),
        TuneError::Unlabelled(3)
    ));
    assert!(matches!(
        error(|s| s.config.learning_rate = f64::NAN),
        TuneError::Range { .. }
    ));
    assert!(matches!(
        error(|s| s.config.micro_batch = 0),
        TuneError::Range { .. }
    ));
    for rank in [0, PROMPT] {
        let low_rank = Some(LowRank { rank, seed: 0 });
        let mut setup = setup(config(), plain(3));
        setup.config.low_rank = low_rank;
        let error = start(setup, None).err().unwrap().to_string();
        assert!(error.starts_with("rank is"), "{error}");
    }
    let narrow = |s: &mut Setup| {
        s.initial = crate::prompt::SoftPrompt::new(vec![0.0; 6], 2, 3)
            .unwrap()
            .into();
    };
    assert!(matches!(error(narrow), TuneError::Prompt(_)));
}
