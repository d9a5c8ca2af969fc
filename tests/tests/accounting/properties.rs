//! What holds for every plan, drawn at random.

use post_core::dp::account::{self, AccountError, Event, MAX_STEPS, calibrate_noise};
use proptest::prelude::*;

/// What the grid may do to two neighbouring questions.
const TOLERANCE: f64 = 2e-4;

fn events() -> impl Strategy<Value = Event> {
    // Sample rates and steps spread over their orders of magnitude, as real plans are.
    (-4.0..0.0_f64, 0.5..6.0_f64, 0.0..3.5_f64).prop_map(|(q, noise_multiplier, steps)| Event {
        sample_rate: 10_f64.powf(q),
        noise_multiplier,
        steps: 10_f64.powf(steps) as u64,
    })
}

fn deltas() -> impl Strategy<Value = f64> {
    (-9.0..-2.0_f64).prop_map(|exponent| 10_f64.powf(exponent))
}

fn epsilon(event: Event, delta: f64) -> f64 {
    account::epsilon(&[event], delta).unwrap()
}

/// Few by default; `PROPTEST_CASES=2000` after a change of the accountant.
fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.and_then(|cases| cases.parse().ok()).unwrap_or(24),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn epsilon_grows_with_steps_rate_and_smaller_noise_and_delta(event in events(), delta in deltas(), more in 1.01..1.5_f64) {
        let base = epsilon(event, delta) - TOLERANCE;
        let longer = Event { steps: event.steps + 1 + event.steps / 8, ..event };
        let often = Event { sample_rate: (event.sample_rate * more).min(1.0), ..event };
        let quieter = Event { noise_multiplier: event.noise_multiplier / more, ..event };
        for (worse, delta) in [(longer, delta), (often, delta), (quieter, delta), (event, delta / more)] {
            let epsilon = epsilon(worse, delta);
            prop_assert!(epsilon >= base, "{:?} {}: {} {}", worse, delta, epsilon, base);
        }
    }

    #[test]
    fn composing_two_runs_is_running_longer(event in events(), delta in deltas(), share in 0.0..1.0_f64) {
        let steps = (event.steps as f64 * share) as u64;
        let (first, second) = (Event { steps, ..event }, Event { steps: event.steps - steps, ..event });
        let whole = epsilon(event, delta);
        prop_assert_eq!(account::epsilon(&[first, second], delta).unwrap(), whole);
        // Noise that differs in the last digits only is composed by the product of two spectra.
        let apart = Event { noise_multiplier: second.noise_multiplier * (1.0 + 1e-9), ..second };
        let composed = account::epsilon(&[first, apart], delta).unwrap();
        prop_assert!((composed - whole).abs() < TOLERANCE, "{} {}", composed, whole);
    }

    #[test]
    fn order_does_not_matter_to_the_last_bit(a in events(), b in events(), delta in deltas()) {
        let (ab, ba) = (account::epsilon(&[a, b], delta), account::epsilon(&[b, a], delta));
        prop_assert_eq!(ab.unwrap().to_bits(), ba.unwrap().to_bits());
    }

    #[test]
    fn two_runs_cost_more_than_each_and_no_more_than_their_sum(a in events(), b in events(), delta in deltas()) {
        let both = account::epsilon(&[a, b], delta).unwrap();
        prop_assert!(both >= epsilon(a, delta).max(epsilon(b, delta)) - TOLERANCE);
        let halves = epsilon(a, delta / 2.0) + epsilon(b, delta / 2.0);
        prop_assert!(both <= halves + TOLERANCE);
    }

    #[test]
    fn the_curve_falls_and_is_convex(event in events(), start in 0.0..2.0_f64) {
        let curve = account::curve(&[event], &[start, start + 0.3, start + 0.6]).unwrap();
        prop_assert!(curve[0] >= curve[1] * (1.0 - 1e-2) && curve[1] >= curve[2] * (1.0 - 1e-2));
        prop_assert!(curve[1] <= 0.5 * (curve[0] + curve[2]) * (1.0 + 1e-2));
    }

    #[test]
    fn delta_undoes_epsilon(event in events(), delta in deltas()) {
        let epsilon = epsilon(event, delta);
        let at = |epsilon: f64| account::delta(&[event], epsilon).unwrap();
        prop_assert!(at(epsilon + TOLERANCE) <= delta * (1.0 + 1e-9));
        prop_assert!(epsilon <= TOLERANCE || at(epsilon - TOLERANCE) >= delta * (1.0 - 1e-9));
    }

    #[test]
    fn the_bound_is_below_renyi(event in events(), delta in deltas()) {
        let renyi = account::rdp::epsilon(&[event], delta).unwrap().epsilon;
        prop_assert!(epsilon(event, delta) <= renyi + TOLERANCE);
    }

    #[test]
    fn calibration_never_overshoots(event in events(), delta in deltas(), target in 0.2..12.0_f64) {
        let Event { sample_rate, steps, .. } = event;
        let noise_multiplier = calibrate_noise(target, delta, sample_rate, steps).unwrap();
        let reached = epsilon(Event { noise_multiplier, ..event }, delta);
        prop_assert!(reached <= target, "{}", reached);
    }
}

#[test]
fn nothing_costs_nothing_and_no_noise_costs_everything() {
    let event = Event {
        sample_rate: 0.01,
        noise_multiplier: 1.0,
        steps: 100,
    };
    assert_eq!(account::epsilon(&[], 1e-5), Ok(0.0));
    assert_eq!(
        epsilon(
            Event {
                sample_rate: 0.0,
                ..event
            },
            1e-5
        ),
        0.0
    );
    assert_eq!(epsilon(Event { steps: 0, ..event }, 1e-5), 0.0);
    assert_eq!(
        epsilon(
            Event {
                sample_rate: 0.0,
                noise_multiplier: 0.0,
                ..event
            },
            1e-5
        ),
        0.0
    );
    assert_eq!(
        epsilon(
            Event {
                noise_multiplier: 0.0,
                ..event
            },
            1e-5
        ),
        f64::INFINITY
    );
    assert_eq!(
        account::delta(
            &[Event {
                noise_multiplier: 0.0,
                ..event
            }],
            1.0
        ),
        Ok(1.0)
    );
}

#[test]
fn extremes_have_finite_answers() {
    let event = Event {
        sample_rate: 0.01,
        noise_multiplier: 1.0,
        steps: 100,
    };
    for (event, delta) in [
        (
            Event {
                sample_rate: f64::MIN_POSITIVE,
                ..event
            },
            1e-5,
        ),
        (
            Event {
                noise_multiplier: f64::MIN_POSITIVE,
                ..event
            },
            1e-5,
        ),
        (
            Event {
                noise_multiplier: f64::MAX,
                ..event
            },
            1e-5,
        ),
        (
            Event {
                noise_multiplier: 0.0501,
                ..event
            },
            1e-5,
        ),
        (
            Event {
                steps: MAX_STEPS,
                sample_rate: 1e-6,
                ..event
            },
            1e-5,
        ),
        (event, 1e-300),
        (event, 1.0 - f64::EPSILON),
    ] {
        let epsilon = epsilon(event, delta);
        assert!(
            epsilon >= 0.0 && !epsilon.is_nan(),
            "{event:?} {delta} {epsilon}"
        );
        let delta = account::delta(&[event], 50.0).unwrap();
        assert!((0.0..=1.0).contains(&delta), "{event:?} {delta}");
    }
}

#[test]
fn hostile_values_are_errors() {
    let event = Event {
        sample_rate: 0.01,
        noise_multiplier: 1.0,
        steps: 100,
    };
    let hostile = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -1.0,
        -f64::MIN_POSITIVE,
    ];
    for bad in hostile {
        let rate = Event {
            sample_rate: bad,
            ..event
        };
        assert!(matches!(
            account::epsilon(&[rate], 1e-5),
            Err(AccountError::SampleRate(_))
        ));
        let noise = Event {
            noise_multiplier: bad,
            ..event
        };
        assert!(matches!(
            account::epsilon(&[noise], 1e-5),
            Err(AccountError::NoiseMultiplier(_))
        ));
        assert!(matches!(
            account::epsilon(&[event], bad),
            Err(AccountError::Delta(_))
        ));
        assert!(matches!(
            account::delta(&[event], bad),
            Err(AccountError::Epsilon(_))
        ));
        assert!(matches!(
            calibrate_noise(bad, 1e-5, 0.01, 100),
            Err(AccountError::Epsilon(_))
        ));
        assert!(matches!(
            calibrate_noise(1.0, 1e-5, bad, 100),
            Err(AccountError::SampleRate(_))
        ));
    }
    assert_eq!(
        account::epsilon(&[event], 0.0),
        Err(AccountError::Delta(0.0))
    );
    assert_eq!(
        account::epsilon(&[event], 1.0),
        Err(AccountError::Delta(1.0))
    );
    let rate = Event {
        sample_rate: 1.0 + f64::EPSILON,
        ..event
    };
    assert!(matches!(
        account::epsilon(&[rate], 1e-5),
        Err(AccountError::SampleRate(_))
    ));
    let endless = Event {
        steps: u64::MAX,
        ..event
    };
    assert_eq!(
        account::epsilon(&[endless], 1e-5),
        Err(AccountError::TooManySteps(u64::MAX))
    );
    let long = Event {
        steps: MAX_STEPS,
        ..event
    };
    assert!(matches!(
        account::epsilon(&[long, long], 1e-5),
        Err(AccountError::TooManySteps(_))
    ));
    assert_eq!(
        calibrate_noise(0.0, 1e-5, 0.01, 100),
        Err(AccountError::Unreachable(0.0))
    );
}
