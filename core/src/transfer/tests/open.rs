//! Answers of text: the models are compared at the place before each of their tokens.

use pollster::block_on;

use super::super::*;
use super::{PROMPT, config, models, prompt, run, start_over, written_out_over};
use crate::optim::{SplitMix64, State, StateError};
use crate::prompt::SoftPrompt;
use crate::task::{Example, Label};

/// Texts with answers of one to four tokens, and every fifth without any.
fn examples(count: usize) -> Vec<Example> {
    let mut generator = SplitMix64::new(3);
    let mut tokens =
        |count: usize| -> Vec<u32> { (0..count).map(|_| generator.below(23) as u32).collect() };
    let one = |index: usize| {
        let (length, answer) = (2 + index * 5 % 7, 1 + index % 4);
        Example {
            ids: tokens(length),
            answer: length - 1,
            label: (index % 5 != 4).then(|| Label::Text(tokens(answer))),
            removed: 0,
        }
    };
    (0..count).map(one).collect()
}

fn constants(rows: usize) -> Constants {
    let (teacher, student) = models();
    let mut constants = Constants::new(&examples(14), &examples(14)).unwrap();
    while constants.done() < constants.len() {
        block_on(constants.extend(&student, &teacher, &prompt(8), rows)).unwrap();
    }
    constants
}

fn start(config: TransferConfig, resume: Option<&[u8]>) -> Result<Transfer, TransferError> {
    start_over(constants(5), Words::All, config, resume)
}

/// The loss place by place: each one's text is passed anew and nothing behind it is there.
fn written_out(alpha: f64, at: &SoftPrompt) -> (f32, Vec<f32>) {
    let places = examples(14).into_iter().flat_map(|example| {
        let tokens = match example.label {
            Some(Label::Text(tokens)) => tokens,
            _ => vec![0],
        };
        let (count, ids, at) = (tokens.len(), example.ids, example.answer);
        let text = move |before: usize| [&ids[..], &tokens[..before]].concat();
        (0..count).map(move |before| (text(before), at + before, 1.0 / (14 * count) as f64))
    });
    written_out_over(&places.collect::<Vec<_>>(), alpha, None, at)
}

#[test]
fn every_place_counts_for_its_share_of_the_examples_mean() {
    for alpha in [0.0, 0.3, 1.0] {
        let (expected_loss, expected) = written_out(alpha, &prompt(9));
        let config = TransferConfig {
            alpha,
            batch: 14,
            steps: 1,
            ..config()
        };
        let mut transfer = start(config, None).unwrap();
        let report = run(&mut transfer).remove(0);
        assert!((report.loss - f64::from(expected_loss)).abs() < 1e-5 * report.loss.max(1.0));
        // Adam's first moment after one step is a tenth of the gradient.
        let mut state = State::from_bytes(&transfer.checkpoint(), "post.transfer").unwrap();
        let moment = state.take("adam_first", PROMPT * 20).unwrap();
        let scale = expected.iter().fold(0f32, |scale, x| scale.max(x.abs()));
        assert!(scale > 1e-3);
        for (m, g) in moment.iter().zip(&expected) {
            let found = 10.0 * m;
            assert!(
                (found - g).abs() < 1e-4 * scale,
                "α {alpha}: {found} instead of {g}"
            );
        }
    }
}

#[test]
fn the_loss_falls() {
    let config = TransferConfig {
        batch: 14,
        ..config()
    };
    let reports = run(&mut start(config, None).unwrap());
    let (first, last) = (reports[0].loss, reports[29].loss);
    assert!(last < 0.7 * first, "{first} → {last}");
}

#[test]
fn constants_and_run_go_on_where_they_were() {
    let (teacher, student) = models();
    let mut first = Constants::new(&examples(14), &examples(14)).unwrap();
    block_on(first.extend(&student, &teacher, &prompt(8), 5)).unwrap();
    let mut second = Constants::new(&examples(14), &examples(14)).unwrap();
    second.resume(&first.checkpoint(), [20, 20]).unwrap();
    while second.done() < second.len() {
        block_on(second.extend(&student, &teacher, &prompt(8), 4)).unwrap();
    }
    let whole = constants(5).checkpoint();
    let numbers = |bytes: &[u8], name| {
        let mut state = State::from_bytes(bytes, "post.transfer.constants").unwrap();
        let places: usize = examples(14).iter().map(|e| e.places().len()).sum();
        state.take(name, places * 20).unwrap()
    };
    for name in ["teacher", "student", "prompted"] {
        let pairs = numbers(&second.checkpoint(), name);
        for (a, b) in pairs.iter().zip(numbers(&whole, name)) {
            assert!((a - b).abs() < 1e-5, "{name}: {a} {b}");
        }
    }
    // Rows that have lost an answer are other rows.
    let mut fewer = examples(14);
    fewer[1].label = None;
    let mut other = Constants::new(&fewer, &fewer).unwrap();
    assert!(other.resume(&whole, [20, 20]).is_err());

    let mut straight = start(config(), None).unwrap();
    run(&mut straight);
    let mut half = start(config(), None).unwrap();
    for _ in 0..17 {
        block_on(half.step()).unwrap();
    }
    let bytes = half.checkpoint();
    let mut resumed = start(config(), Some(&bytes)).unwrap();
    assert_eq!(run(&mut resumed).len(), 13);
    assert_eq!(straight.finish().unwrap(), resumed.finish().unwrap());
    let changed = TransferConfig {
        alpha: 0.25,
        ..config()
    };
    let error = start(changed, Some(&bytes)).err().unwrap();
    assert!(matches!(error, TransferError::State(StateError::Settings)));
}

#[test]
fn answers_must_take_as_many_tokens_in_both_models() {
    let student = examples(4);
    let mut teacher = student.clone();
    teacher[2].label = Some(Label::Text(vec![1]));
    let error = Constants::new(&student, &teacher).err().unwrap();
    assert!(matches!(
        error,
        TransferError::Places {
            student: 3,
            teacher: 1
        }
    ));
    assert!(error.to_string().contains("one tokenizer"), "{error}");
}

/// Nothing is compared behind an answer's last token, and what it says is no goal.
#[test]
fn the_last_token_of_an_answer_is_not_looked_at() {
    let (teacher, student) = models();
    let known = |last: u32| {
        let mut rows = examples(4);
        if let Some(Label::Text(tokens)) = &mut rows[3].label {
            *tokens.last_mut().unwrap() = last;
        }
        let mut constants = Constants::new(&rows, &rows).unwrap();
        block_on(constants.extend(&student, &teacher, &prompt(8), 4)).unwrap();
        constants.checkpoint()
    };
    assert_eq!(known(1), known(2));
}
