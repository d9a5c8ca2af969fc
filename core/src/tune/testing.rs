//! A toy task on a tiny random model, for tests of the steps.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::{ClassHead, PlainTraining, Privacy, Setup, TuneConfig};
use crate::dp::{
    Adjacency, Budget, Clipping, Entropy, Ledger, Length, Plan, PlanConfig, PrivacyUnit,
};
use crate::model::Lm;
use crate::model::testing::{llama, random};
use crate::optim::SplitMix64;
use crate::prompt::SoftPrompt;
use crate::task::{Example, Label};

/// Virtual tokens of the toy's prompts.
pub(crate) const PROMPT: usize = 4;

/// A tiny random Llama.
pub(crate) fn lm(seed: u64) -> Arc<Lm> {
    Arc::new(random(&llama(), seed))
}

/// Two classes, of one and two words.
pub(crate) fn head(lm: &Lm) -> ClassHead {
    ClassHead::of_classes(lm, &[&[3, 4], &[19]])
}

/// Random token sequences; the label is 1 for about four in five, by the last token.
pub(crate) fn examples(count: usize, seed: u64) -> Vec<Example> {
    let mut generator = SplitMix64::new(seed);
    (0..count)
        .map(|_| {
            let length = 2 + generator.below(6);
            let ids: Vec<u32> = (0..length).map(|_| generator.below(23) as u32).collect();
            let label = Some(Label::Class(usize::from(ids[length - 1] > 4)));
            Example {
                answer: length - 1,
                ids,
                label,
                removed: 0,
            }
        })
        .collect()
}

/// The embeddings of a few tokens.
pub(crate) fn prompt(lm: &Lm) -> SoftPrompt {
    let row = |id: u32| lm.embedding().rows(&[id]);
    SoftPrompt::from_text(&[5, 6, 7], PROMPT, row).unwrap()
}

/// A run without a guarantee.
pub(crate) fn plain(steps: u64) -> Privacy {
    Privacy::None(PlainTraining {
        batch: 12,
        steps,
        seed: 5,
    })
}

/// A run with one; the generator is the operating system's, as in a real run.
pub(crate) fn private(rows: u64, noise_multiplier: f64, max_grad_norm: f64, steps: u64) -> Privacy {
    let plan = PlanConfig {
        budget: Budget::NoiseMultiplier(noise_multiplier),
        public_size: rows,
        expected_batch: rows as f64 / 4.0,
        length: Length::Steps(steps),
        max_grad_norm,
        clipping: Clipping::Threshold,
        target_delta: 1e-3,
        unit: PrivacyUnit::Row,
        adjacency: Adjacency::AddRemove,
    };
    let plan = Plan::new(plan).unwrap();
    let mut ledger = Ledger::new(f64::INFINITY, 1e-3, Entropy::from_os().unwrap());
    let data = ledger.identify(["toy"]);
    Privacy::Private {
        reserved: ledger.reserve(&data, &plan).unwrap(),
        entropy: Entropy::from_os().unwrap(),
        plan,
    }
}

/// The toy task, ready to start.
pub(crate) fn setup(config: TuneConfig, privacy: Privacy) -> Setup {
    let lm = lm(1);
    Setup {
        head: head(&lm).into(),
        others: Vec::new(),
        examples: examples(48, 2),
        initial: prompt(&lm).into(),
        config,
        privacy,
        helpers: None,
        lm,
    }
}
