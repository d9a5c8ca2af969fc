//! Prompts behind the first token: what is differentiated, and where a run's prompt stands.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData, activation};
use pollster::block_on;

use super::super::kernel::Kernel;
use super::{PROMPT, class, config, examples, head, lm, loss, plain, prompt, run, setup, start};
use crate::model::testing::{llama, random, roberta};
use crate::model::{Lm, PromptPlace, TokenBatch};
use crate::optim::{StateError, read};
use crate::prompt::peft::BaseModel;
use crate::prompt::{Files, SoftPrompt, logits_at};
use crate::task::{Example, ready};
use crate::tune::*;

const AFTER: PromptPlace = PromptPlace::AfterBos;

/// The toy task with a prompt behind the first token.
fn behind(privacy: Privacy) -> Setup {
    let setup = setup(config(), privacy);
    let initial = setup.initial.prompt().clone();
    Setup {
        initial: initial.with_place(AFTER).into(),
        ..setup
    }
}

/// The gradient of one example's loss, its text and the prompt put together by hand.
fn alone(lm: &Lm, at: &SoftPrompt, example: &Example) -> Vec<f32> {
    let [n, d] = [at.num_virtual_tokens(), at.token_dim()];
    let data = TensorData::new(at.embeddings().to_vec(), [1, n, d]);
    let leaf = Tensor::<3>::from_data(data, lm.device())
        .autodiff()
        .require_grad();
    let rest = example.ids.len() - 1;
    let text = lm.embed(&TokenBatch::padded(&[&example.ids], 0)).embeddings;
    let first = text.clone().narrow(1, 0, 1);
    let mut input = lm.embed(&TokenBatch::padded(&[vec![0; 1 + n + rest]], 0));
    input.embeddings = Tensor::cat(vec![first, leaf.clone(), text.narrow(1, 1, rest)], 1);
    let hidden = lm.hidden_at(&input, &[n + example.answer]);
    let words: [&[u32]; 2] = [&[3, 4], &[19]];
    let logits = ClassHead::of_classes(lm, &words).class_logits(hidden);
    let said = activation::log_softmax(logits, 1).narrow(1, class(example), 1);
    let mut grads = said.sum().neg().backward();
    block_on(read(leaf.grad_remove(&mut grads).unwrap())).unwrap()
}

#[test]
fn gradients_are_those_of_texts_put_together_by_hand() {
    for model in [llama(), roberta()] {
        let lm = Arc::new(random(&model, 1));
        let (at, rows) = (prompt(&lm), examples(8, 3));
        let kernel = Kernel::new(Arc::clone(&lm), head(&lm), &rows, PROMPT, AFTER).unwrap();
        let data = TensorData::new(at.embeddings().to_vec(), [PROMPT, 20]);
        let leaf = Tensor::<2>::from_data(data, lm.device());
        let all: Vec<usize> = (0..rows.len()).collect();
        let together = kernel.gradients(&leaf, &all, &[1.0; 8]).per_example;
        let together = block_on(read(together)).unwrap();
        let mut shortest_first = rows;
        shortest_first.sort_by_key(Example::len);
        for (example, found) in shortest_first.iter().zip(together.chunks(PROMPT * 20)) {
            let expected = alone(&lm, &at, example);
            let size = expected.iter().fold(0f32, |size, x| size.max(x.abs()));
            assert!(size > 1e-4);
            for (a, b) in found.iter().zip(&expected) {
                assert!((a - b).abs() <= 1e-5 * size, "{a} instead of {b}");
            }
        }
    }
}

#[test]
fn the_loss_falls_and_the_prompt_keeps_its_place() {
    let mut tuner = start(behind(plain(40)), None).unwrap();
    let rows = examples(48, 2);
    let before = loss(Some(&tuner.prompt().unwrap()), &rows);
    assert_eq!(tuner.prompt().unwrap().place(), AFTER);
    run(&mut tuner);
    let tuned = tuner.finish().unwrap().prompt;
    assert_eq!(tuned.place(), AFTER);
    let after = loss(Some(&tuned), &rows);
    assert!(after < 0.9 * before, "{before} → {after}");
    let elsewhere = loss(Some(&tuned.with_place(PromptPlace::BeforeBos)), &rows);
    assert!((elsewhere - after).abs() > 1e-3, "{elsewhere} {after}");
}

/// Checkpoints from before there was a choice name no place, and stay what they were.
#[test]
fn a_run_goes_on_only_where_its_prompt_stood() {
    let kept = |setup| {
        let mut tuner = start(setup, None).unwrap();
        block_on(tuner.step()).unwrap();
        tuner.checkpoint()
    };
    let [there, here] = [kept(behind(plain(3))), kept(setup(config(), plain(3)))];
    assert!(!String::from_utf8_lossy(&here).contains("bos"));
    start(behind(plain(3)), Some(&there)).unwrap();
    let refused = [
        start(behind(plain(3)), Some(&here)),
        start(setup(config(), plain(3)), Some(&there)),
    ];
    for refused in refused {
        let error = refused.err().unwrap();
        assert!(matches!(error, TuneError::State(StateError::Settings)));
    }
}

#[test]
fn files_say_where_the_prompt_stands() {
    let files = |setup: Setup| -> Files {
        let base = BaseModel::of("toy".into(), setup.lm.config());
        let mut tuner = start(setup, None).unwrap();
        run(&mut tuner);
        let task = ready("sst2").unwrap();
        let tuned = tuner.finish().unwrap();
        tuned.hand_over(&base, &task, &["s".into()]).unwrap().files
    };
    let initial: Initial = Earlier::read(&files(behind(plain(2)))).unwrap().into();
    assert_eq!(initial.prompt().place(), AFTER);
    let on = Setup {
        initial,
        ..setup(config(), plain(2))
    };
    let later = Earlier::read(&files(on)).unwrap();
    assert_eq!(later.adapter.prompt.place(), AFTER);
}

/// Token by token behind what was passed once for all texts, as each text alone has it.
#[test]
fn what_is_written_is_what_comes_behind_text_and_prompt() {
    let lm = lm(1);
    // Large enough to have a say in what is likeliest.
    let numbers = prompt(&lm).embeddings().iter().map(|x| 8.0 * x).collect();
    let at = SoftPrompt::new(numbers, PROMPT, 20).unwrap();
    let at = at.with_place(AFTER);
    let text = |ids: &[u32]| Example {
        ids: ids.to_vec(),
        answer: ids.len() - 1,
        label: None,
        removed: 0,
    };
    let rows = (0..16).map(|i| text(&[[7, 8][i / 12], i as u32, 22 - i as u32]));
    let rows: Vec<Example> = rows.chain([text(&[7, 5])]).collect();
    let writer = Writer::new(Arc::clone(&lm), Some(&at)).unwrap();
    let written = block_on(writer.write(&rows, 3, |_| false, 4, |_| {})).unwrap();
    for (row, found) in rows.iter().zip(written) {
        let mut ids = row.ids.clone();
        for next in found {
            let said = block_on(logits_at(&lm, &ids, ids.len() - 1, Some(&at))).unwrap();
            let best = said.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert!(best - said[next as usize] < 1e-5, "{ids:?}: {next}");
            ids.push(next);
        }
    }
}
