//! Prompts behind the first token, the student's and the teacher's.

use super::*;

const AFTER: PromptPlace = PromptPlace::AfterBos;

/// The loss and its gradient as the paper writes it, with both prompts there; texts begin unlike, and so does
/// each micro-batch, or all by one token, so that the teacher passes the prompt once.
#[test]
fn loss_and_gradient_are_the_papers() {
    for begin in [None, Some(7)] {
        let examples: Vec<Example> = examples(14)
            .into_iter()
            .map(|mut example| {
                example.ids[0] = begin.unwrap_or(example.ids[0]);
                example
            })
            .collect();
        let (teacher, student) = models();
        let [tuned, initial] = [8, 9].map(|seed| prompt(seed).with_place(AFTER));
        let mut constants = Constants::new(&examples, &examples).unwrap();
        while constants.done() < constants.len() {
            block_on(constants.extend(&student, &teacher, &tuned, 5)).unwrap();
        }
        let config = TransferConfig {
            alpha: 0.3,
            batch: 14,
            steps: 1,
            ..config()
        };
        let started = Transfer::new(
            teacher,
            student,
            constants,
            &initial,
            Words::All,
            config,
            None,
        );
        let mut transfer = started.unwrap();
        let report = run(&mut transfer).remove(0);
        let places: Vec<_> = examples
            .iter()
            .map(|example| (example.ids.clone(), example.answer, 1.0 / 14.0))
            .collect();
        let (loss, expected) = written_out_over(&places, 0.3, None, &initial);
        assert!((report.loss - f64::from(loss)).abs() < 1e-5 * report.loss.max(1.0));
        let state = crate::optim::State::from_bytes(&transfer.checkpoint(), "post.transfer");
        let moment = state.unwrap().take("adam_first", PROMPT * 20).unwrap();
        let gradient: Vec<f32> = moment.iter().map(|m| 10.0 * m).collect();
        let scale = expected.iter().fold(0f32, |scale, x| scale.max(x.abs()));
        assert!(scale > 1e-3 && furthest(&gradient, &expected) < 1e-4 * scale);
        assert_eq!(transfer.prompt().unwrap().place(), AFTER);
        assert_eq!(transfer.finish().unwrap().place(), AFTER);
    }
}

#[test]
fn a_prompts_place_among_common_words_keeps_where_it_stands() {
    let lm = random(&llama(), 1);
    let anchors: Vec<[u32; 2]> = (0..20).map(|id| [id, id]).collect();
    for place in PromptPlace::ALL {
        let tuned = prompt(8).with_place(place);
        let config = RelativeConfig::default();
        let found = block_on(relative(&tuned, [&lm, &lm], &anchors, config)).unwrap();
        assert_eq!(found.place(), place);
    }
}
