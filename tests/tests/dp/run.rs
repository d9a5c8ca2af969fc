//! A whole run, step by step.

use post_core::dp::{Entropy, Plan, StepError};

use super::*;

#[test]
fn a_run_has_exactly_the_planned_steps_and_then_completes() {
    let plan = Plan::new(config()).unwrap();
    let mut run = mechanism(&plan, 1);
    let mut steps = 0;
    while let Some(noised) = step(&mut run, ROWS, kernel) {
        assert_eq!(noised.mean().len(), DIMENSION);
        steps += 1;
    }
    assert_eq!((steps, run.steps_done()), (6, 6));
    assert!(run.sample(ROWS).unwrap().is_none());
    assert!(run.finish().is_ok());
}

#[test]
fn empty_batches_are_noised_like_all_others() {
    let plan = Plan::new(config()).unwrap();
    let mut run = mechanism(&plan, 1);
    let mean = step(&mut run, 0, kernel).unwrap().mean();
    assert!(mean.iter().all(|x| *x != 0.0));
}

#[test]
fn a_step_can_be_neither_skipped_nor_swapped() {
    let plan = Plan::new(config()).unwrap();
    let (mut one, mut two) = (mechanism(&plan, 1), mechanism(&plan, 2));
    let batch = one.sample(ROWS).unwrap().unwrap();
    drop(batch);
    assert_eq!(one.sample(ROWS).unwrap_err(), StepError::Open(1));

    let mut one = mechanism(&plan, 1);
    let sums = [&mut one, &mut two].map(|run| {
        let batch = run.sample(0).unwrap().unwrap();
        pollster::block_on(run.clip(batch).finish()).unwrap()
    });
    let [_, of_two] = sums;
    assert_eq!(one.privatize(of_two).err(), Some(StepError::Foreign));
}

#[test]
fn a_resumed_run_makes_the_rest_with_fresh_noise() {
    let plan = Plan::new(config()).unwrap();
    let resumed = |seed| {
        let entropy = Entropy::insecure(seed);
        let untested = plan
            .mechanism(entropy, reserve(&plan), DIMENSION, 4)
            .unwrap();
        let known = KnownAnswer {
            live: &[1.0],
            reference: &[1.0],
        };
        let live = async |micro: &MicroBatch| Ok::<_, String>(kernel(micro));
        pollster::block_on(untested.test(&[0, 1], MICRO, known, live)).unwrap()
    };
    let (mut one, mut two) = (resumed(1), resumed(2));
    assert_eq!(one.steps_done(), 4);
    let noise = |run: &mut Mechanism| step(run, 0, kernel).unwrap().mean();
    assert_ne!(noise(&mut one), noise(&mut two));
    assert!(step(&mut one, ROWS, kernel).is_some());
    assert!(step(&mut one, ROWS, kernel).is_none());
    assert!(
        plan.mechanism(Entropy::insecure(1), reserve(&plan), DIMENSION, 7)
            .is_err()
    );
}

#[test]
fn a_reservation_is_for_one_plan() {
    let plan = Plan::new(config()).unwrap();
    let other = reserve(&Plan::new(quiet()).unwrap());
    assert!(
        plan.mechanism(Entropy::insecure(1), other, DIMENSION, 0)
            .is_err()
    );
}

#[test]
fn micro_batches_do_not_change_the_sum() {
    let plan = Plan::new(quiet()).unwrap();
    let with = |size: usize| {
        let mut run = mechanism(&plan, 5);
        let batch = run.sample(ROWS).unwrap().unwrap();
        assert!(batch.len() > 4);
        let mut clipper = run.clip(batch);
        while let Some(micro) = clipper.next_micro(size) {
            let gradients = kernel(&micro);
            pollster::block_on(clipper.add(micro, gradients)).unwrap();
        }
        let sum = pollster::block_on(clipper.finish()).unwrap();
        run.privatize(sum).unwrap().mean()
    };
    assert_eq!(with(1), with(4));
    assert_eq!(with(4), with(1000));
}

#[test]
fn entropy_of_the_system_is_private() {
    assert!(Entropy::from_os().unwrap().is_private());
    assert!(!Entropy::insecure(1).is_private());
}
