//! What a prompt changes, counted from another prompt than none.

use super::*;

/// The constants of models with `tuned` before the student, counted from these two.
fn counted(tuned: &SoftPrompt, since: [&SoftPrompt; 2]) -> Constants {
    let (teacher, student) = models();
    let [small, large] = since.map(Clone::clone);
    let constants = Constants::new(&examples(14), &examples(14)).unwrap();
    let mut constants = constants.since(small, large);
    while constants.done() < constants.len() {
        block_on(constants.extend(&student, &teacher, tuned, 5)).unwrap();
    }
    constants
}

/// The first loss from the teacher's `prompt(9)`.
fn first_loss(constants: Constants, alpha: f64) -> f64 {
    let once = TransferConfig {
        alpha,
        batch: 14,
        steps: 1,
        ..config()
    };
    run(&mut start_over(constants, Words::All, once, None).unwrap())[0].loss
}

/// Where both prompts stand at what is counted from, neither changes anything; and that is each model's own.
#[test]
fn nothing_changes_between_a_prompt_and_itself() {
    let [small, large] = [prompt(8), prompt(9)];
    let loss = |since| first_loss(counted(&small, since), 1.0);
    assert!(loss([&small, &large]).abs() < 1e-6);
    for since in [[&large, &large], [&small, &small], [&large, &small]] {
        assert!(loss(since) > 1e-3);
    }
    // L1 is no change, and stays what it is.
    let answers = |constants| first_loss(constants, 0.0);
    let (one, other) = (
        answers(counted(&small, [&large, &small])),
        answers(constants(5)),
    );
    assert!((one - other).abs() < 1e-6 * other);
}

/// L2 as it is written, all three logits behind prompts of their own.
#[test]
fn the_loss_is_that_of_the_two_changes() {
    let (teacher, student) = models();
    let [base, tuned, initial] = [7, 8, 9].map(prompt);
    let softened = |lm: &Lm, behind: [&SoftPrompt; 2], ids: &[u32], place: usize| {
        let [one, other] = behind.map(|prompt| {
            let data = TensorData::new(prompt.embeddings().to_vec(), [PROMPT, 20]);
            let prompt = Tensor::<2>::from_data(data, lm.device());
            let tokens = TokenBatch::padded(&[ids], 0);
            let input = lm.embed_with_prompt(prompt, PromptPlace::BeforeBos, &tokens);
            lm.logits(lm.hidden_at(&input, &[place]))
        });
        activation::softmax((one - other) / 2.0, 1)
    };
    let each = examples(14).into_iter().map(|example| {
        let (ids, place) = (&example.ids, example.answer);
        let p = softened(&student, [&tuned, &base], ids, place);
        let q = softened(&teacher, [&initial, &base], ids, place);
        let divergence = (p.clone() * (p.log() - q.log())).sum() * 4.0;
        f64::from(block_on(read(divergence)).unwrap()[0]) / 14.0
    });
    let expected: f64 = each.sum();
    let loss = first_loss(counted(&tuned, [&base, &base]), 1.0);
    assert!(
        (loss - expected).abs() < 1e-5 * expected,
        "{loss}, not {expected}"
    );
}

/// h_t behind a sentence is not h_t without: runs that share them must see it.
#[test]
fn a_teachers_states_say_what_they_are_behind() {
    let [one, other] = [prompt(8), prompt(9)];
    let fingerprint = |teacher| counted(&one, [&one, teacher]).fingerprint();
    assert_ne!(fingerprint(&one), constants(5).fingerprint());
    assert_ne!(fingerprint(&one), fingerprint(&other));
    assert_ne!(
        fingerprint(&one),
        fingerprint(&one.clone().with_place(PromptPlace::AfterBos))
    );
    let states = counted(&one, [&one, &other]).teacher_states().unwrap();
    let refused = |error| matches!(error, Err(TransferError::State(StateError::Settings)));
    let mut without = Constants::new(&examples(14), &examples(14)).unwrap();
    assert!(refused(without.recall(&states, 20)));
    let fresh = Constants::new(&examples(14), &examples(14)).unwrap();
    let mut fresh = fresh.since(other.clone(), other);
    fresh.recall(&states, 20).unwrap();
}

#[test]
fn what_is_counted_from_must_be_the_models() {
    let (teacher, student) = models();
    let wide = SoftPrompt::new(vec![0.0; 2 * 21], 2, 21).unwrap();
    for (small, large) in [(wide.clone(), prompt(9)), (prompt(9), wide)] {
        let constants = Constants::new(&examples(3), &examples(3)).unwrap();
        let mut constants = constants.since(small, large);
        let refused = block_on(constants.extend(&student, &teacher, &prompt(8), 3));
        assert!(matches!(refused, Err(TransferError::Prompt(_))));
    }
}
