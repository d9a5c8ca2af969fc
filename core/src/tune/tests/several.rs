//! One prompt tuned on several students at once.

use std::sync::Arc;

use super::*;
use crate::dp::receipt::of_students;
use crate::model::testing::{gpt2, llama, random};
use crate::prompt::peft::BaseModel;
use crate::task::ready;

const PLACE: PromptPlace = PromptPlace::BeforeBos;

fn student(seed: u64) -> Student {
    let lm = lm(seed);
    Student {
        head: head(&lm).into(),
        lm,
    }
}

/// The toy task on three students.
fn three(config: TuneConfig, privacy: Privacy) -> Setup {
    Setup {
        others: vec![student(2), student(3)],
        ..setup(config, privacy)
    }
}

#[test]
fn an_examples_loss_is_the_mean_over_the_students() {
    let examples = examples(9, 2);
    let at = prompt(&lm(1)).embeddings().to_vec();
    let leaf = Tensor::<2>::from_data(TensorData::new(at, [PROMPT, 20]), &Device::default());
    let (rows, weights) = ([0, 3, 8], [1.0, -2.0, 0.5]);
    let found = |kernel: Kernel| {
        let found = kernel.gradients(&leaf, &rows, &weights);
        let losses = block_on(read(found.losses)).unwrap();
        [block_on(read(found.per_example)).unwrap(), losses].concat()
    };
    let others = vec![student(2), student(3)];
    let kernel = Kernel::of_several(student(1), others, &examples, PROMPT, PLACE).unwrap();
    let together = found(kernel);
    let alone = [1, 2, 3].map(|seed| {
        let lm = lm(seed);
        found(Kernel::new(lm.clone(), head(&lm), &examples, PROMPT, PLACE).unwrap())
    });
    assert_ne!(alone[0], alone[1]);
    for (at, value) in together.iter().enumerate() {
        let mean = alone.iter().map(|one| one[at]).sum::<f32>() / 3.0;
        assert!(
            (value - mean).abs() <= 1e-5 * mean.abs().max(0.1),
            "{value} instead of {mean}"
        );
    }
}

#[test]
fn a_private_run_is_made_and_its_receipt_names_every_student() {
    let finished = || {
        let mut tuner = start(three(config(), private(48, 1.0, 0.5, 3)), None).unwrap();
        assert_eq!(run(&mut tuner).len(), 3);
        tuner.finish().unwrap()
    };
    let base = BaseModel {
        name: "toy".into(),
        num_layers: 2,
        num_attention_heads: 2,
        causal: true,
    };
    let hashes = ["a", "b", "c"].map(str::to_owned);
    let task = ready("sst2").unwrap();
    let silent = finished().hand_over(&base, &task, &hashes[..2]);
    assert!(matches!(
        silent,
        Err(ReleaseError::Students { tuned: 3, named: 2 })
    ));
    let done = finished().hand_over(&base, &task, &hashes);
    let receipt = done.unwrap().receipt.unwrap();
    let stated = ["student", "student-2", "student-3"].map(|name| receipt.hashes[name].as_str());
    assert_eq!(stated, ["a", "b", "c"]);
    receipt.verify(&of_students(&hashes)).unwrap();
    let error = receipt.verify(&of_students(&hashes[1..])).unwrap_err();
    assert!(error.to_string().contains("hashes.student"), "{error}");
}

/// A prompt that is good for the others, too, is one that the first alone doesn't lead to.
#[test]
fn the_others_have_a_say_in_where_the_prompt_goes() {
    let after = |setup: Setup| {
        let mut tuner = start(setup, None).unwrap();
        run(&mut tuner);
        tuner.finish().unwrap().prompt
    };
    let loss = |seed, prompt: &crate::prompt::SoftPrompt| {
        let lm = lm(seed);
        let classifier = Classifier::new(lm.clone(), head(&lm), Some(prompt)).unwrap();
        let rows = examples(48, 2);
        let logits = block_on(classifier.evaluate(&rows, 8, |_| {})).unwrap();
        let each = logits.iter().zip(&rows).map(|(logits, row)| {
            let sum: f32 = logits.iter().map(|x| x.exp()).sum();
            sum.ln() - logits[class(row)]
        });
        each.sum::<f32>() / rows.len() as f32
    };
    let (one, all) = (
        after(setup(config(), plain(40))),
        after(three(config(), plain(40))),
    );
    for other in [2, 3] {
        let (without, with) = (loss(other, &one), loss(other, &all));
        assert!(with < without, "student {other}: {with} and {without}");
    }
}

#[test]
fn students_that_do_not_fit_are_refused() {
    let beside = |config| {
        let lm = Arc::new(random(&config, 4));
        let mut setup = three(super::config(), plain(2));
        setup.others.push(Student {
            head: head(&lm).into(),
            lm,
        });
        start(setup, None).err().unwrap()
    };
    let (mut wide, mut short) = (llama(), gpt2());
    (wide.embedding_size, wide.hidden_size) = (24, 24);
    short.max_position_embeddings = PROMPT + 3;
    assert!(matches!(beside(wide), TuneError::Prompt(_)));
    assert!(matches!(beside(short), TuneError::TooLong { .. }));
}

#[test]
fn a_checkpoint_of_fewer_students_is_refused() {
    let mut tuner = start(setup(config(), plain(4)), None).unwrap();
    block_on(tuner.step()).unwrap();
    let error = start(three(config(), plain(4)), Some(&tuner.checkpoint())).err();
    let error = error.unwrap();
    assert!(
        matches!(error, TuneError::State(StateError::Settings)),
        "{error}"
    );
}
