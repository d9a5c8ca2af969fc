//! Eight known ways to lose the guarantee. Each test makes the mistake and shows that it is
//! refused or noticed, and that the real thing is not.

use std::{fs, path::Path};

use post_core::dp::{Entropy, Ledger, LedgerError, NoisedSum, Plan, StepError};

use super::*;

/// What one grid unit of the sum is in the released mean.
fn unit(plan: &Plan) -> f64 {
    plan.max_grad_norm() / f64::from(1 << 14) / plan.expected_batch()
}

/// Distance to the public grid, in units; f32 in the mean leaves up to 2⁻²⁴ of the value.
fn off_grid(value: f64, unit: f64) -> f64 {
    (value / unit - (value / unit).round()).abs()
}

fn on_grid(mean: &[f32], unit: f64) -> bool {
    mean.iter().all(|&x| off_grid(f64::from(x), unit) < 0.02)
}

#[test]
fn way_1_one_prompt_for_the_whole_batch() {
    use super::selftest::outcome;
    // The mistake: the prompt is one leaf, repeated, so its gradient is the sum over the batch.
    let shared = |micro: &MicroBatch| kernel(micro).sum_dim(0);
    // A hook sees a batch of one, and hands the sum out in row 0 …
    let as_one_row = |micro: &MicroBatch| {
        let sum = shared(micro);
        let rest = Tensor::zeros([micro.indices().len() - 1, TOKENS, WIDTH], &sum.device());
        Tensor::cat(vec![sum, rest], 0)
    };
    // … or to everybody.
    let to_all = |micro: &MicroBatch| {
        let size = micro.indices().len();
        shared(micro).expand([size, TOKENS, WIDTH]) / size as f32
    };
    outcome(kernel).unwrap();
    assert!(
        outcome(as_one_row)
            .unwrap_err()
            .to_string()
            .contains("instead of at most C")
    );
    assert!(
        outcome(to_all)
            .unwrap_err()
            .to_string()
            .contains("instead of at most C")
    );
    assert!(
        outcome(shared)
            .unwrap_err()
            .to_string()
            .contains("per-example gradients are")
    );
}

/// z-score of the variance of batch sizes against the binomial's.
fn size_score(sizes: &[f64], rows: f64, rate: f64) -> f64 {
    let variance = sizes
        .iter()
        .map(|size| (size - rows * rate).powi(2))
        .sum::<f64>()
        / sizes.len() as f64;
    let exact = rows * rate * (1.0 - rate);
    // Var((X − np)²) = 2v² + v(1 − 6q(1 − q)) for a binomial X of variance v.
    let spread = (2.0 * exact * exact + exact * (1.0 - 6.0 * rate * (1.0 - rate))).sqrt();
    (variance - exact) / spread * (sizes.len() as f64).sqrt()
}

#[test]
fn way_2_shuffled_batches_of_a_fixed_size() {
    let length = Length::Steps(3000);
    let plan = Plan::new(PlanConfig {
        length,
        budget: Budget::NoiseMultiplier(4.0),
        ..config()
    })
    .unwrap();
    let mut run = mechanism(&plan, 1);
    let mut sizes = Vec::new();
    while let Some(batch) = run.sample(ROWS).unwrap() {
        sizes.push(batch.len() as f64);
        let sum = pollster::block_on(async {
            let mut clipper = run.clip(batch);
            while let Some(micro) = clipper.next_micro(ROWS) {
                clipper
                    .add(
                        micro,
                        Tensor::zeros([ROWS, TOKENS, WIDTH], &Device::default()),
                    )
                    .await
                    .unwrap();
            }
            clipper.finish().await.unwrap()
        });
        let _ = run.privatize(sum).unwrap();
    }
    // The rate is the plan's, q = 10/50, whatever the data's real size is: 60 rows, 12 a batch.
    let (rows, rate) = (ROWS as f64, plan.sample_rate());
    assert!(size_score(&sizes, rows, rate).abs() < 4.892);
    let fixed = vec![rows * rate; sizes.len()];
    assert!(size_score(&fixed, rows, rate) < -4.892);
}

#[test]
fn way_3_dividing_by_something_private() {
    for clipping in clippings() {
        let plan = Plan::new(PlanConfig {
            clipping,
            ..quiet()
        })
        .unwrap();
        let mut run = mechanism(&plan, 3);
        let batch = run.sample(ROWS).unwrap().unwrap();
        let drawn = batch.len();
        assert_ne!(drawn as f64, plan.expected_batch());
        let mut clipper = run.clip(batch);
        while let Some(micro) = clipper.next_micro(MICRO) {
            let gradients = kernel(&micro);
            pollster::block_on(clipper.add(micro, gradients)).unwrap();
        }
        let sum = pollster::block_on(clipper.finish()).unwrap();
        let mean = run.privatize(sum).unwrap().mean();
        assert!(on_grid(&mean, unit(&plan)), "the divisor is the plan's");
        // The mistake: dividing by the batch that was drawn puts the release on another grid.
        let wrong: Vec<_> = mean
            .iter()
            .map(|x| x * plan.expected_batch() as f32 / drawn as f32)
            .collect();
        assert!(!on_grid(&wrong, unit(&plan)));
        // And δ comes from the public N.
        let leaky = PlanConfig {
            target_delta: 1.0 / 20.0,
            ..config()
        };
        assert!(
            Plan::new(leaky)
                .unwrap_err()
                .to_string()
                .contains("target_delta")
        );
    }
}

#[test]
fn way_4_stopping_early_because_of_a_private_loss() {
    let plan = Plan::new(config()).unwrap();
    let mut run = mechanism(&plan, 1);
    let _ = step(&mut run, ROWS, kernel);
    // The mistake: keep this iterate, since it looks best. There is no receipt for it.
    assert_eq!(
        run.finish().unwrap_err(),
        StepError::Unfinished {
            done: 1,
            planned: 6
        }
    );
    let mut run = mechanism(&plan, 1);
    while step(&mut run, ROWS, kernel).is_some() {}
    assert!(run.finish().is_ok());
}

#[test]
fn way_5_float_noise() {
    for clipping in clippings() {
        let plan = Plan::new(PlanConfig {
            clipping,
            ..quiet()
        })
        .unwrap();
        let mut run = mechanism(&plan, 1);
        let mean = step(&mut run, ROWS, kernel).unwrap().mean();
        assert!(on_grid(&mean, unit(&plan)));
        // The mistake: a float sum plus a float Gaussian is not on the grid, and which floats it can
        // hit depends on the sum.
        let float: Vec<_> = (0..ROWS)
            .map(|row| features(row)[0] * 0.1 + features(row + 1)[1] * 0.02)
            .collect();
        assert!(!on_grid(&float, unit(&plan)));
    }
}

#[test]
fn way_6_gradients_that_are_not_finite() {
    for clipping in clippings() {
        let plan = Plan::new(PlanConfig {
            clipping,
            ..quiet()
        })
        .unwrap();
        let with = |value: f32| {
            // Row 0 in every batch it is drawn into has a broken gradient.
            let kernel = |micro: &MicroBatch| {
                let at = |&row: &usize| if row == 0 { value } else { 1.0 };
                let weights: Vec<_> = micro.indices().iter().map(at).collect();
                gradients(micro.indices(), &weights)
            };
            let (seed, mut run) = drawing_row_0(&plan);
            (seed, step(&mut run, ROWS, kernel).unwrap())
        };
        let mean = |(_, noised): (u64, NoisedSum)| noised.mean();
        let zero = mean(with(0.0));
        assert_eq!(mean(with(f32::NAN)), zero, "it counts as zero");
        assert_eq!(mean(with(f32::INFINITY)), zero);
        assert_eq!(mean(with(f32::NEG_INFINITY)), zero);
        assert_ne!(mean(with(1.0)), zero);
        // The mistake: scaling by min(1, C/‖g‖) in floats makes everything NaN.
        let norm = f32::NAN;
        assert!((norm * (0.5 / norm).min(1.0)).is_nan());
    }
}

/// A mechanism whose first batch has row 0 in it.
fn drawing_row_0(plan: &Plan) -> (u64, Mechanism) {
    for seed in 0.. {
        let mut probe = mechanism(plan, seed);
        let batch = probe.sample(ROWS).unwrap().unwrap();
        let first = probe.clip(batch).next_micro(1);
        if first.is_some_and(|micro| micro.indices() == [0]) {
            return (seed, mechanism(plan, seed));
        }
    }
    unreachable!()
}

#[test]
fn way_7_several_runs_on_the_same_data() {
    let plan = Plan::new(config()).unwrap();
    let delta = plan.delta();
    let twice = post_core::dp::account::epsilon(&[plan.event(); 2], delta).unwrap();
    let mut ledger = Ledger::new(twice + 1e-3, delta, Entropy::insecure(1));
    let data = ledger.identify(["one", "two"]);
    ledger.reserve(&data, &plan).unwrap();
    let once = ledger.spent(&data).unwrap();
    ledger.reserve(&data, &plan).unwrap();
    // The mistake: believing that the second run's ε is what the data has spent.
    assert!(ledger.spent(&data).unwrap() > 1.2 * once);
    assert!(
        ledger.spent(&data).unwrap() < 2.0 * once,
        "composed, not added up"
    );
    match ledger.reserve(&data, &plan).unwrap_err() {
        LedgerError::Cap {
            spent, total, cap, ..
        } => assert!(spent < cap && cap < total),
        other => panic!("{other}"),
    }
    // Other data has its own budget.
    let other = ledger.identify(["three"]);
    assert!(ledger.reserve(&other, &plan).is_ok());
}

/// Words of the rooms where private rows and what is computed from them live.
fn private_words(source: &str) -> Vec<&'static str> {
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    // The words that a task answers with are no row's label.
    let code = code.replace("label words", "").replace("fn labels(", "");
    [
        "crate::tune",
        "crate::audit",
        "crate::dp",
        "accuracy",
        "label",
    ]
    .into_iter()
    .filter(|word| code.contains(word))
    .collect()
}

#[test]
fn way_8_alpha_chosen_by_private_accuracy() {
    // Transfer cannot choose: it sees neither labels, nor accuracy, nor anything of the tuning.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src/transfer");
    let mut read = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs") {
            assert_eq!(
                private_words(&fs::read_to_string(&path).unwrap()),
                [""; 0],
                "{path:?}"
            );
            read += 1;
        }
    }
    assert!(read > 3);
    let mistake = "let alpha = best_by(|alpha| crate::tune::accuracy(alpha, private_rows));";
    assert_eq!(private_words(mistake), ["crate::tune", "accuracy"]);
}
