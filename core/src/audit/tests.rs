//! The audit on a tiny random model: it must see what is there, and no more than what may be.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use pollster::block_on;

use super::*;
use crate::dp::{
    Adjacency, Budget, Clip, Clipping, Entropy, Ledger, Length, Plan, PlanConfig, PrivacyUnit,
};
use crate::model::testing::{llama, random};
use crate::model::{Lm, PromptPlace};
use crate::prompt::SoftPrompt;
use crate::task::{Example, Label};
use crate::tune::{
    ClassHead, Classifier, Optimizer, PlainTraining, Privacy, Setup, TuneConfig, Tuner,
};

const CANARIES: usize = 96;
/// So small that it is nothing beside the chance that is left to error, below: the bound's p-value has
/// 2·δ·`CANARIES` in it.
const DELTA: f64 = 1e-12;
/// Lets a test fail by chance once in a million runs.
const CONFIDENCE: f64 = 1.0 - 1e-6;
const STEPS: u64 = 12;
const MAX_GRAD_NORM: f64 = 0.1;

fn model() -> (Arc<Lm>, ClassHead, SoftPrompt) {
    let config = llama().with_blocks(&[0, 1]);
    let lm = Arc::new(random(&config, 3));
    let head = ClassHead::of_classes(&lm, &[&[3], &[19]]);
    let row = |id: u32| lm.embedding().rows(&[id]);
    let prompt = SoftPrompt::from_text(&(0..23).collect::<Vec<u32>>(), 16, row).unwrap();
    (lm, head, prompt)
}

/// Tunes on the canaries whose coin says so, and judges the run by its steps.
fn audit(privacy: Privacy, clip: Option<Clip>, claim: Claim, confidence: f64) -> Verdict {
    audit_at(PromptPlace::BeforeBos, privacy, clip, claim, confidence)
}

fn audit_at(
    place: PromptPlace,
    privacy: Privacy,
    clip: Option<Clip>,
    claim: Claim,
    confidence: f64,
) -> Verdict {
    let (lm, head, initial) = model();
    let initial = initial.with_place(place);
    let planted = Planted::new(random_sequences(CANARIES, 4, 23, 2, 5), 6);
    let setup = Setup {
        lm: lm.clone(),
        head: head.clone().into(),
        others: Vec::new(),
        examples: planted.with(Vec::new()),
        initial: initial.clone().into(),
        config: TuneConfig {
            optimizer: Optimizer::Sgd { momentum: 0.0 },
            learning_rate: 1.0,
            micro_batch: 64,
            ..TuneConfig::default()
        },
        privacy,
        helpers: None,
    };
    let mut tuner = block_on(Tuner::start(setup, None)).unwrap();
    let mut attack = Attack::new(&planted, lm, head, &initial, clip).unwrap();
    let mut before = initial;
    while block_on(tuner.step()).unwrap().is_some() {
        let after = tuner.prompt().unwrap();
        block_on(attack.observe(&before, &after)).unwrap();
        before = after;
    }
    planted.judge(&attack.scores(), claim, confidence)
}

fn plain() -> Privacy {
    Privacy::None(PlainTraining {
        batch: 1000,
        steps: STEPS,
        seed: 7,
    })
}

fn private(epsilon: f64) -> (Privacy, Claim) {
    let plan = Plan::new(PlanConfig {
        budget: Budget::Epsilon(epsilon),
        public_size: 48,
        expected_batch: 48.0,
        length: Length::Steps(STEPS),
        max_grad_norm: MAX_GRAD_NORM,
        clipping: Clipping::Threshold,
        target_delta: DELTA,
        unit: PrivacyUnit::Row,
        adjacency: Adjacency::AddRemove,
    });
    let plan = plan.unwrap();
    let mut ledger = Ledger::new(f64::INFINITY, DELTA, Entropy::from_os().unwrap());
    let data = ledger.identify(["canaries"]);
    let privacy = Privacy::Private {
        reserved: ledger.reserve(&data, &plan).unwrap(),
        entropy: Entropy::from_os().unwrap(),
        plan: plan.clone(),
    };
    let claim = Claim {
        epsilon: Some(plan.epsilon()),
        delta: DELTA,
    };
    (privacy, claim)
}

#[test]
fn without_privacy_leakage_is_found() {
    let claim = Claim {
        epsilon: None,
        delta: DELTA,
    };
    for place in PromptPlace::ALL {
        let verdict = audit_at(place, plain(), None, claim, 0.95);
        assert!(verdict.epsilon_lower_bound > 1.0, "{verdict:?}");
        assert!(!verdict.refuted);
    }
}

/// A claim that is too good is refuted: ε = ∞, sold as ε = 1. At the confidence of the test below, so
/// that it would notice noise that is missing.
#[test]
fn a_false_claim_is_refuted() {
    let claim = Claim {
        epsilon: Some(1.0),
        delta: DELTA,
    };
    let verdict = audit(plain(), None, claim, CONFIDENCE);
    assert!(verdict.refuted, "{verdict:?}");
}

#[test]
fn with_privacy_the_bound_stays_below_the_claim() {
    let (privacy, claim) = private(1.0);
    let clip = Clip {
        max_grad_norm: MAX_GRAD_NORM,
        clipping: Clipping::Threshold,
    };
    let verdict = audit(privacy, Some(clip), claim, CONFIDENCE);
    assert!(
        verdict.epsilon_lower_bound <= claim.epsilon.unwrap(),
        "{verdict:?}"
    );
    assert!(!verdict.refuted);
}

/// The released prompt alone tells less, but the scores must still go with the loss.
#[test]
fn scores_are_the_fall_of_the_loss() {
    let (lm, head, prompt) = model();
    let planted = Planted::new(random_sequences(9, 4, 23, 2, 5), 6);
    let classifier = |prompt| Classifier::new(lm.clone(), head.clone(), prompt).unwrap();
    let (without, with) = (classifier(None), classifier(Some(&prompt)));
    let scores = block_on(planted.scores(&without, &with, 4)).unwrap();
    let back = block_on(planted.scores(&with, &without, 4)).unwrap();
    assert!(scores.iter().any(|score| score.abs() > 1e-3));
    for (there, back) in scores.iter().zip(&back) {
        assert!((there + back).abs() < 1e-6);
    }
    let none = block_on(planted.scores(&with, &with, 4)).unwrap();
    assert!(none.iter().all(|&score| score == 0.0));
}

#[test]
fn about_half_of_the_canaries_are_planted() {
    let planted = Planted::new(random_sequences(600, 3, 23, 2, 5), 9);
    let planted = planted.with(random_sequences(10, 3, 23, 2, 1)).len() - 10;
    // 300 ± 12.2: six standard deviations.
    assert!((227..374).contains(&planted), "{planted}");
}

#[test]
fn flipped_rows_leave_the_data_and_change_their_class() {
    let rows: Vec<Example> = random_sequences(30, 4, 23, 3, 2);
    let (canaries, rest) = flipped(rows.clone(), 12, 3, 4);
    assert_eq!((canaries.len(), rest.len()), (12, 18));
    for canary in &canaries {
        let own = rows.iter().find(|row| row.ids == canary.ids).unwrap();
        assert_ne!(own.label, canary.label);
        assert!(canary.label.as_ref().and_then(Label::class).unwrap() < 3);
        assert!(rest.iter().all(|row| row.ids != canary.ids));
    }
}
