use crate::dp::*;

/// The paper's sst2 with bigger batches.
pub(super) const CONFIG: PlanConfig = PlanConfig {
    budget: Budget::Epsilon(8.0),
    public_size: 67_000,
    expected_batch: 256.0,
    length: Length::Epochs(20.0),
    max_grad_norm: 1.0,
    clipping: Clipping::Threshold,
    target_delta: 1.5e-5,
    unit: PrivacyUnit::Row,
    adjacency: Adjacency::AddRemove,
};

#[test]
fn calibration_reaches_the_budget_and_never_overshoots() {
    for target in [0.5, 1.0, 3.0, 8.0] {
        let plan = Plan::new(PlanConfig {
            budget: Budget::Epsilon(target),
            ..CONFIG
        })
        .unwrap();
        assert!(
            plan.epsilon() <= target && plan.epsilon() > target - 2e-3,
            "{}",
            plan.epsilon()
        );
        let ideal = account::epsilon(&[plan.event()], plan.delta()).unwrap();
        assert!(
            plan.epsilon() > ideal,
            "the sampler's slack must be charged"
        );
        assert!(plan.epsilon() - ideal < 1e-3, "{} {ideal}", plan.epsilon());
    }
}

/// Above some 32 the sampler's own failures, times e^ε, are no longer negligible: no noise is looked
/// for there, however much was asked for.
#[test]
fn more_than_can_be_claimed_is_not_planned() {
    let asked = |epsilon, target_delta| {
        let budget = Budget::Epsilon(epsilon);
        let length = Length::Steps(40);
        Plan::new(PlanConfig {
            budget,
            length,
            target_delta,
            ..CONFIG
        })
    };
    let most = asked(64.0, 1e-5).unwrap();
    assert!((31.0..33.0).contains(&most.epsilon()), "{}", most.epsilon());
    let more = asked(1e3, 1e-5).unwrap();
    let apart = more.noise_multiplier() / most.noise_multiplier() - 1.0;
    assert!(apart.abs() < 1e-4, "{apart}");
    let again = Budget::NoiseMultiplier(0.99 * most.noise_multiplier());
    let length = Length::Steps(40);
    let less = Plan::new(PlanConfig {
        budget: again,
        length,
        target_delta: 1e-5,
        ..CONFIG
    });
    assert!(matches!(less, Err(PlanError::Vacuous(_))));
    assert!(asked(8.0, 1e-28).is_err());
}

#[test]
fn the_same_noise_gives_the_same_plan() {
    let asked = Plan::new(CONFIG).unwrap();
    let budget = Budget::NoiseMultiplier(asked.noise_multiplier());
    let given = Plan::new(PlanConfig { budget, ..CONFIG }).unwrap();
    assert_eq!(
        (asked.event(), asked.epsilon()),
        (given.event(), given.epsilon())
    );
    assert_ne!(asked.hash(), given.hash());
    assert_eq!(asked.steps(), 5235);
}

/// The hash of a plan from before there was a choice of clipping.
#[test]
fn older_plans_keep_their_hash() {
    let text = r#"{"budget":{"epsilon":8.0},"public_size":67000,"expected_batch":256.0,"length":{"epochs":20.0},"max_grad_norm":1.0,"target_delta":0.000015,"unit":"row","adjacency":"add_remove"}"#;
    let plan: Plan = serde_json::from_str(text).unwrap();
    assert_eq!(plan, Plan::new(CONFIG).unwrap());
    assert_eq!(plan.hash(), receipt::sha256(text.as_bytes()));
    let clipping = Clipping::Automatic { gamma: 0.01 };
    let automatic = Plan::new(PlanConfig { clipping, ..CONFIG }).unwrap();
    assert_eq!(automatic.event(), plan.event());
    assert_ne!(automatic.hash(), plan.hash());
}

#[test]
fn a_plan_survives_json_and_bad_ones_do_not() {
    let plan = Plan::new(CONFIG).unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    let back: Plan = serde_json::from_str(&text).unwrap();
    assert_eq!((back.hash(), back), (plan.hash(), plan));
    let bad = text.replace("67000", "0");
    let message = serde_json::from_str::<Plan>(&bad).unwrap_err().to_string();
    assert!(message.contains("public_size"), "{message}");
}

#[test]
fn hostile_values_are_errors() {
    let bad = |config: PlanConfig| Plan::new(config).unwrap_err();
    for value in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
        bad(PlanConfig {
            expected_batch: value,
            ..CONFIG
        });
        bad(PlanConfig {
            clipping: Clipping::Automatic { gamma: value },
            ..CONFIG
        });
        bad(PlanConfig {
            max_grad_norm: value,
            ..CONFIG
        });
        bad(PlanConfig {
            target_delta: value,
            ..CONFIG
        });
        bad(PlanConfig {
            budget: Budget::Epsilon(value),
            ..CONFIG
        });
        bad(PlanConfig {
            budget: Budget::NoiseMultiplier(value),
            ..CONFIG
        });
        bad(PlanConfig {
            length: Length::Epochs(value),
            ..CONFIG
        });
    }
    bad(PlanConfig {
        length: Length::Steps(0),
        ..CONFIG
    });
    bad(PlanConfig {
        length: Length::Steps(u64::MAX),
        ..CONFIG
    });
    bad(PlanConfig {
        expected_batch: 67_001.0,
        ..CONFIG
    });
    // A δ at which publishing one random row in the clear would pass.
    bad(PlanConfig {
        target_delta: 2.0 / 67_000.0,
        ..CONFIG
    });
    let vacuous = PlanConfig {
        budget: Budget::NoiseMultiplier(0.07),
        ..CONFIG
    };
    assert!(matches!(bad(vacuous), PlanError::Vacuous(_)));
}

#[test]
fn public_sizes_have_two_digits() {
    for (rows, public) in [
        (0, 0),
        (7, 7),
        (99, 99),
        (104, 100),
        (67_349, 67_000),
        (9_951, 10_000),
    ] {
        assert_eq!(round_public(rows), public);
    }
}

#[test]
fn delta_is_one_digit_and_below_a_tenth_of_one_over_n() {
    for (n, delta) in [
        (60, 1e-3),
        (10_000, 1e-5),
        (67_000, 1e-6),
        (4_700, 2e-5),
        (330, 3e-4),
        (1, 0.1),
    ] {
        // Equal to the last bit: people read it.
        assert_eq!(suggest_delta(n), delta, "{n}");
    }
}

#[test]
fn the_steps_of_a_run_spend_its_budget_one_by_one() {
    let plan = Plan::new(CONFIG).unwrap();
    let spent: Vec<f64> = [0, 1, plan.steps() / 2, plan.steps(), plan.steps() + 9]
        .map(|steps| plan.epsilon_after(steps).unwrap())
        .into();
    assert_eq!(spent[0], 0.0);
    assert!(spent.windows(2).all(|pair| pair[0] <= pair[1]), "{spent:?}");
    assert!(spent[1] > 0.0 && spent[2] < plan.epsilon());
    assert_eq!([spent[3], spent[4]], [plan.epsilon(); 2]);
}
