//! The private step with answers of text.

use burn::tensor::{Tensor, TensorData};
use pollster::block_on;

use super::super::kernel::{Gradients, Kernel};
use super::super::known_answer;
use super::{PROMPT, config, low_rank, plain, private, prompt, run, start};
use crate::model::testing::{gemma3, gpt2, llama, random};
use crate::model::{Config, Lm, PromptPlace};
use crate::optim::{SplitMix64, read};
use crate::prompt::SoftPrompt;
use crate::task::{Example, Label};
use crate::tune::*;
use std::sync::Arc;

/// What transformers gets, by `golden/open_answer.py`.
const REFERENCE: &str = include_str!("../golden/open_answer.json");

/// Tokens that it wrote behind each text.
const WRITTEN: usize = 6;

/// What ends the toy's answers.
const END: u32 = 2;

fn example(text: &[u32], answer: &[u32]) -> Example {
    Example {
        ids: text.to_vec(),
        answer: text.len() - 1,
        label: Some(Label::Text(answer.to_vec())),
        removed: 0,
    }
}

/// Random texts; the last token decides between answers of two and of three tokens.
fn examples(count: usize, seed: u64) -> Vec<Example> {
    let mut generator = SplitMix64::new(seed);
    let mut one = || {
        let length = 2 + generator.below(6);
        let text: Vec<u32> = (0..length).map(|_| generator.below(23) as u32).collect();
        let answer: &[u32] = if text[length - 1] > 4 {
            &[9, END]
        } else {
            &[13, 7, END]
        };
        example(&text, answer)
    };
    (0..count).map(|_| one()).collect()
}

fn setup(config: TuneConfig, privacy: Privacy) -> Setup {
    let classes = super::setup(config, privacy);
    Setup {
        head: TaskHead::Open(Box::new(classes.lm.whole_head())),
        examples: examples(48, 2),
        ..classes
    }
}

/// Mean loss over examples, as evaluation has it.
fn loss(prompt: Option<&SoftPrompt>, examples: &[Example]) -> f64 {
    let writer = Writer::new(super::lm(1), prompt).unwrap();
    let losses = block_on(writer.losses(examples, 7, |_| {})).unwrap();
    losses.iter().map(|loss| loss.unwrap()).sum::<f64>() / losses.len() as f64
}

fn kernel(lm: &Arc<Lm>, examples: &[Example]) -> Kernel {
    let head = TaskHead::Open(Box::new(lm.whole_head()));
    Kernel::new(
        Arc::clone(lm),
        head,
        examples,
        PROMPT,
        PromptPlace::BeforeBos,
    )
    .unwrap()
}

fn numbers(gradients: Gradients) -> (Vec<f32>, Vec<f32>) {
    let losses = block_on(read(gradients.losses)).unwrap();
    (block_on(read(gradients.per_example)).unwrap(), losses)
}

#[test]
fn losses_gradients_and_what_is_written_are_transformers() {
    let (lm, at) = known_answer::model(&Default::default()).unwrap();
    let texts: [(&[u32], &[u32]); 2] = [
        (&[5, 30, 2], &[7, 11, 12]),
        (&[3, 14, 15, 9, 26, 5], &[20, 1]),
    ];
    let examples = texts.map(|(text, answer)| example(text, answer));
    let reference: Vec<f32> = serde_json::from_str(REFERENCE).unwrap();
    let d = lm.config().hidden_size;
    let n = at.len() / d;
    let (expected, rest) = reference.split_at(2 * n * d);
    let head = TaskHead::Open(Box::new(lm.whole_head()));
    let kernel = Kernel::new(Arc::clone(&lm), head, &examples, n, PromptPlace::BeforeBos).unwrap();
    let leaf = Tensor::<2>::from_data(TensorData::new(at.clone(), [n, d]), lm.device());
    let (found, losses) = numbers(kernel.gradients(&leaf, &[0, 1], &[1.0, 1.0]));
    for (a, b) in found.iter().chain(&losses).zip(expected.iter().chain(rest)) {
        assert!(
            (a - b).abs() <= 2e-5 * b.abs().max(0.1),
            "{a} instead of {b}"
        );
    }
    let prompt = SoftPrompt::new(at, n, d).unwrap();
    let writer = Writer::new(lm, Some(&prompt)).unwrap();
    let written = block_on(writer.write(&examples, WRITTEN, |_| false, 2, |_| {})).unwrap();
    let written: Vec<f32> = written.concat().into_iter().map(|id| id as f32).collect();
    assert_eq!(written, rest[2..]);
}

/// Texts and answers of unlike lengths in one pass, a window and a soft cap among the models.
#[test]
fn padding_changes_no_gradient() {
    let padded = |config: &Config| {
        let lm = Arc::new(random(config, 3));
        let kernel = kernel(&lm, &examples(6, 4));
        let row = |id: u32| lm.embedding().rows(&[id]);
        let at = SoftPrompt::from_text(&[5, 6, 7], PROMPT, row).unwrap();
        let d = lm.config().hidden_size;
        let at = TensorData::new(at.embeddings().to_vec(), [PROMPT, d]);
        let at = Tensor::<2>::from_data(at, lm.device());
        let all: Vec<usize> = (0..kernel.len()).collect();
        let (together, losses) = numbers(kernel.gradients(&at, &all, &[1.0; 6]));
        for (&index, rows) in all.iter().zip(together.chunks(PROMPT * d)) {
            let (alone, loss) = numbers(kernel.gradients(&at, &[index], &[1.0]));
            let size = alone.iter().fold(0f32, |size, x| size.max(x.abs()));
            assert!(size > 1e-4);
            for (a, b) in rows.iter().zip(&alone) {
                assert!((a - b).abs() <= 1e-5 * size, "{a} and alone {b}");
            }
            assert!((losses[index] - loss[0]).abs() <= 1e-5 * loss[0]);
        }
    };
    for config in [llama(), gpt2(), gemma3()] {
        padded(&config);
    }
}

/// Row i scales with its own weight alone: what the clipper and the self-test rest on.
#[test]
fn weights_scale_their_own_rows() {
    let lm = super::lm(1);
    let kernel = kernel(&lm, &examples(8, 3));
    let at = TensorData::new(prompt(&lm).embeddings().to_vec(), [PROMPT, 20]);
    let at = Tensor::<2>::from_data(at, lm.device());
    let rows = |weights: &[f32]| numbers(kernel.gradients(&at, &[1, 4, 6], weights));
    let ((one, losses), (scaled, weighted)) = (rows(&[1.0; 3]), rows(&[1.0, -3.0, 0.0]));
    let n = PROMPT * 20;
    assert_eq!(one[..n], scaled[..n]);
    for (a, b) in one[n..2 * n].iter().zip(&scaled[n..2 * n]) {
        assert!((-3.0 * a - b).abs() < 1e-6);
    }
    assert!(scaled[2 * n..].iter().all(|&x| x == 0.0));
    assert!(one[2 * n..].iter().any(|&x| x != 0.0));
    assert!((weighted[1] + 3.0 * losses[1]).abs() < 1e-5 && weighted[2] == 0.0);
}

#[test]
fn the_loss_falls_without_privacy() {
    let mut tuner = start(setup(config(), plain(40)), None).unwrap();
    assert_eq!(run(&mut tuner).len(), 40);
    let tuned = tuner.finish().unwrap();
    assert!(matches!(tuned.released, Released::NotPrivate));
    let rows = examples(48, 2);
    let (before, after) = (loss(None, &rows), loss(Some(&tuned.prompt), &rows));
    assert!(after < 0.9 * before, "{before} → {after}");
}

/// The answers are what the model writes behind another prompt, so they can be learnt.
#[test]
fn answers_are_learnt_to_the_letter() {
    let lm = super::lm(1);
    let mut rows = examples(48, 2);
    let write = |prompt: &SoftPrompt, rows: &[Example]| {
        let writer = Writer::new(lm.clone(), Some(prompt)).unwrap();
        block_on(writer.write(rows, 3, |_| false, 8, |_| {})).unwrap()
    };
    let mut generator = SplitMix64::new(7);
    let other = (0..PROMPT * 20).map(|_| 4.0 * generator.unit() as f32 - 2.0);
    let other = SoftPrompt::new(other.collect(), PROMPT, 20).unwrap();
    for (row, written) in rows.iter_mut().zip(write(&other, &examples(48, 2))) {
        row.label = Some(Label::Text(written));
    }
    let right = |prompt: &SoftPrompt| {
        let written = write(prompt, &rows).into_iter().map(Label::Text);
        let pairs = written.zip(&rows);
        pairs
            .filter(|(text, row)| row.label.as_ref() == Some(text))
            .count()
    };
    let mut setup = setup(config(), plain(80));
    setup.examples = rows.clone();
    let initial = setup.initial.prompt().clone();
    let mut tuner = start(setup, None).unwrap();
    run(&mut tuner);
    let tuned = tuner.finish().unwrap().prompt;
    let (before, after) = (right(&initial), right(&tuned));
    assert!(after >= before + 8, "{before} and then {after} of 48");
}

#[test]
fn the_loss_falls_with_little_noise() {
    for config in [config(), low_rank()] {
        let mut tuner = start(setup(config, private(48, 0.7, 0.3, 40)), None).unwrap();
        assert!(tuner.is_private());
        run(&mut tuner);
        let tuned = tuner.finish().unwrap();
        assert!(matches!(tuned.released, Released::Private(_)));
        let rows = examples(48, 2);
        let (before, after) = (loss(None, &rows), loss(Some(&tuned.prompt), &rows));
        assert!(after < 0.95 * before, "{before} → {after}");
    }
}

#[test]
fn the_reported_loss_is_the_mean_of_the_examples_means() {
    let privacy = Privacy::None(PlainTraining {
        batch: 48,
        steps: 1,
        seed: 0,
    });
    let setup = setup(config(), privacy);
    let initial = setup.initial.clone();
    let mut tuner = start(setup, None).unwrap();
    let report = block_on(tuner.step()).unwrap().unwrap();
    let expected = loss(Some(&initial.prompt), &examples(48, 2));
    assert!((report.private.loss.unwrap() - expected).abs() < 1e-5);
}

/// Each is what it would be alone, whatever the lengths around it and whoever ends before it.
#[test]
fn what_is_written_keeps_the_order_of_the_examples() {
    let lm = super::lm(1);
    let writer = Writer::new(lm.clone(), Some(&prompt(&lm))).unwrap();
    let mut rows = examples(11, 4);
    // Many of one length, so that some end before others that stand behind them.
    let mut generator = SplitMix64::new(5);
    rows.extend((0..60).map(|_| example(&[0; 4].map(|_| generator.below(23) as u32), &[END])));
    let write = |rows: &[Example], ended: &dyn Fn(&[u32]) -> bool| {
        let mut heard = Vec::new();
        let written = writer.write(rows, 5, ended, 12, |done| heard.push(done));
        let written = block_on(written).unwrap();
        assert_eq!(heard.last(), Some(&rows.len()));
        written
    };
    let free = write(&rows, &|_| false);
    assert!(free.iter().all(|text| text.len() == 5));
    let mut ended_early = 0;
    for stop in 0..23 {
        let ended = |text: &[u32]| text.last() == Some(&stop);
        let stopped = write(&rows, &ended);
        for (text, free) in stopped.iter().zip(&free) {
            let end = free.iter().position(|&id| id == stop);
            assert_eq!(text[..], free[..end.map_or(5, |end| end + 1)]);
        }
        ended_early += stopped.iter().filter(|text| text.len() < 5).count();
    }
    assert!(ended_early > 50, "{ended_early}");
    for (row, text) in rows.iter().zip(&free) {
        assert_eq!(write(std::slice::from_ref(row), &|_| false)[0], *text);
    }
}

#[test]
fn examples_must_have_an_answer_of_the_tasks_kind() {
    let error = |label| {
        let mut setup = setup(config(), plain(3));
        setup.examples[3].label = label;
        start(setup, None).err().unwrap()
    };
    for label in [None, Some(Label::Class(0)), Some(Label::Text(Vec::new()))] {
        assert!(matches!(error(label), TuneError::Unlabelled(3)));
    }
    let mut setup = super::setup(config(), plain(3));
    setup.examples[3].label = Some(Label::Text(vec![1]));
    assert!(matches!(start(setup, None), Err(TuneError::Unlabelled(3))));
}
