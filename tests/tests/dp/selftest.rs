//! Kernels that must not start a run.

use post_core::dp::{Entropy, MicroBatch, Plan, SelfTestError};

use super::*;

/// The outcome of the self-test with `kernel`, which is the same however gradients are clipped.
pub(super) fn outcome(
    kernel: impl Fn(&MicroBatch) -> Tensor<3>,
) -> Result<(), SelfTestError<String>> {
    let [threshold, automatic] = clippings().map(|clipping| {
        let config = PlanConfig {
            clipping,
            ..config()
        };
        outcome_of(config, &[0.5, 1.0], &kernel)
    });
    let kind = |outcome: &Result<(), SelfTestError<String>>| {
        outcome.as_ref().err().map(std::mem::discriminant)
    };
    assert_eq!(
        kind(&threshold),
        kind(&automatic),
        "{threshold:?} {automatic:?}"
    );
    threshold
}

fn outcome_with(
    live: &[f32],
    kernel: impl Fn(&MicroBatch) -> Tensor<3>,
) -> Result<(), SelfTestError<String>> {
    outcome_of(config(), live, kernel)
}

fn outcome_of(
    config: PlanConfig,
    live: &[f32],
    kernel: impl Fn(&MicroBatch) -> Tensor<3>,
) -> Result<(), SelfTestError<String>> {
    let plan = Plan::new(config).unwrap();
    let untested = plan
        .mechanism(Entropy::insecure(1), reserve(&plan), DIMENSION, 0)
        .unwrap();
    let known = KnownAnswer {
        live,
        reference: &[0.5, 1.0],
    };
    let kernel = async |micro: &MicroBatch| Ok(kernel(micro));
    pollster::block_on(untested.test(&[0, 1, 2, 3, 4], MICRO, known, kernel)).map(|_| ())
}

#[test]
fn an_honest_kernel_passes() {
    outcome(kernel).unwrap();
}

#[test]
fn known_answers_must_be_known() {
    assert!(matches!(
        outcome_with(&[0.5, 1.01], kernel),
        Err(SelfTestError::KnownAnswer { .. })
    ));
    assert!(matches!(
        outcome_with(&[0.5, f32::NAN], kernel),
        Err(SelfTestError::KnownAnswer { .. })
    ));
    assert!(matches!(
        outcome_with(&[0.5], kernel),
        Err(SelfTestError::KnownAnswer { .. })
    ));
    assert!(matches!(
        outcome_with(&[], kernel),
        Err(SelfTestError::KnownAnswer { .. })
    ));
    outcome_with(&[0.5, 1.000_01], kernel).unwrap();
}

#[test]
fn a_kernel_whose_examples_see_each_other_is_refused() {
    // Batch statistics: every example's gradient has the batch's mean taken off.
    let coupled = |micro: &MicroBatch| {
        let gradients = kernel(micro);
        let mean = gradients.clone().mean_dim(0);
        gradients - mean
    };
    assert!(matches!(
        outcome(coupled),
        Err(SelfTestError::Sensitivity { .. })
    ));
}

#[test]
fn a_kernel_that_shows_nothing_is_refused() {
    let zero = |micro: &MicroBatch| kernel(micro) * 0.0;
    assert!(matches!(outcome(zero), Err(SelfTestError::Blind { .. })));
    let broken = |micro: &MicroBatch| kernel(micro) * f32::NAN;
    assert!(matches!(outcome(broken), Err(SelfTestError::Blind { .. })));
}

#[test]
fn a_kernel_of_another_shape_is_refused() {
    let short = |micro: &MicroBatch| kernel(micro).slice(0..1);
    assert!(matches!(outcome(short), Err(SelfTestError::Clip(_))));
}
