//! A run of tuning on texts of no meaning.

use std::sync::Arc;

use post_core::dp::{
    Adjacency, Budget, Clipping, Entropy, Ledger, Length, Plan, PlanConfig, PrivacyUnit,
};
use post_core::model::Lm;
use post_core::prompt::SoftPrompt;
use post_core::task::{Example, Label};
use post_core::tune::{ClassHead, Privacy, Setup, TuneConfig, Tuner};

/// Tokens of a text.
pub(crate) const TEXT: usize = 44;
/// Examples of a step on a card, and of a pass; the software adapter takes seconds.
pub(crate) const CARD: (usize, usize) = (8, 4);
/// Examples of a step on the processor, and of a pass.
pub(crate) const BATCH: usize = 64;
pub(crate) const MICRO: usize = 16;
/// Virtual tokens.
const PROMPT: usize = 20;
/// Numbers of a token.
const WIDTH: usize = 576;

/// A text.
pub(crate) fn ids(text: usize) -> Vec<u32> {
    (0..TEXT)
        .map(|i| ((text * TEXT + i) * 7919 % 49152) as u32)
        .collect()
}

/// So many texts of two classes.
pub(crate) fn examples(count: usize) -> Vec<Example> {
    let example = |text| Example {
        ids: ids(text),
        answer: TEXT - 1,
        label: Some(Label::Class(text % 2)),
        removed: 0,
    };
    (0..count).map(example).collect()
}

/// Where runs begin.
pub(crate) fn prompt() -> SoftPrompt {
    SoftPrompt::new(vec![0.01; PROMPT * WIDTH], PROMPT, WIDTH).unwrap()
}

/// Every one of so many examples in every step, so that all steps do the same work.
pub(crate) fn private(examples: usize) -> Privacy {
    let plan = Plan::new(PlanConfig {
        budget: Budget::NoiseMultiplier(20.0),
        public_size: examples as u64,
        expected_batch: examples as f64,
        length: Length::Steps(1000),
        max_grad_norm: 0.1,
        clipping: Clipping::Threshold,
        target_delta: 1e-3,
        unit: PrivacyUnit::Row,
        adjacency: Adjacency::AddRemove,
    });
    let plan = plan.unwrap();
    let mut ledger = Ledger::new(f64::INFINITY, 1e-3, Entropy::from_os().unwrap());
    let data = ledger.identify(["bench"]);
    let reserved = ledger.reserve(&data, &plan).unwrap();
    Privacy::Private {
        plan,
        entropy: Entropy::from_os().unwrap(),
        reserved,
    }
}

/// A run on so many examples, `micro_batch` of them a pass.
pub(crate) async fn tuner(
    student: &Arc<Lm>,
    count: usize,
    micro_batch: usize,
    privacy: Privacy,
) -> Tuner {
    let words: Vec<u32> = (0..8).map(|i| 1000 * i).collect();
    let classes = [&words[..4], &words[4..]];
    let setup = Setup {
        lm: student.clone(),
        head: ClassHead::of_classes(student, &classes).into(),
        others: Vec::new(),
        examples: examples(count),
        initial: prompt().into(),
        config: TuneConfig {
            micro_batch,
            ..TuneConfig::default()
        },
        privacy,
        helpers: None,
    };
    Tuner::start(setup, None).await.unwrap()
}
