//! The accountant against other people's numbers, natively and in a tab: the same tests in both.

#[cfg(not(target_arch = "wasm32"))]
mod properties;

use post_core::dp::account::{self, Event, calibrate_noise, gaussian, rdp};
use serde::Deserialize;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A row of the oracle: what dp-accounting, Opacus and prv-accountant say.
#[derive(Deserialize)]
struct Row {
    q: f64,
    sigma: f64,
    steps: u64,
    delta: f64,
    note: String,
    rdp_opacus: f64,
    rdp_opacus_alpha: f64,
    rdp_dpacc: f64,
    pld: f64,
    /// Lower bound, estimate, upper bound; none for full batches.
    prv: [Option<f64>; 3],
}

impl Row {
    fn event(&self) -> Event {
        Event {
            sample_rate: self.q,
            noise_multiplier: self.sigma,
            steps: self.steps,
        }
    }
}

fn oracle() -> Vec<Row> {
    #[derive(Deserialize)]
    struct Oracle {
        rows: Vec<Row>,
    }
    let text = include_str!("../../fixtures/accounting/oracle.json");
    let oracle: Oracle = serde_json::from_str(text).unwrap();
    assert_eq!(oracle.rows.len(), 38);
    oracle.rows
}

#[test]
fn privacy_loss_distributions_are_inside_the_brackets() {
    for row in oracle() {
        let epsilon = account::epsilon(&[row.event()], row.delta).unwrap();
        let excess = epsilon - row.pld;
        assert!(
            row.pld > 15.0 || excess.abs() <= 1e-3,
            "{}: {excess:e}",
            row.note
        );
        if let [Some(lower), _, Some(upper)] = row.prv {
            assert!(
                (lower..=upper).contains(&epsilon),
                "{}: {epsilon}",
                row.note
            );
        }
    }
}

#[test]
fn delta_is_the_inverse_of_epsilon() {
    for row in oracle() {
        let epsilon = account::epsilon(&[row.event()], row.delta).unwrap();
        let delta = account::delta(&[row.event()], epsilon).unwrap();
        assert!(
            (delta / row.delta - 1.0).abs() < 5e-3,
            "{}: {delta:e}",
            row.note
        );
    }
}

#[test]
fn renyi_bounds_equal_opacus_and_never_pass_dp_accounting() {
    for row in oracle() {
        let ours = rdp::epsilon(&[row.event()], row.delta).unwrap();
        assert!(ours.epsilon <= row.rdp_dpacc * (1.0 + 1e-9), "{}", row.note);
        let difference = (ours.epsilon / row.rdp_opacus - 1.0).abs();
        assert!(difference < 1e-9, "{}: {difference:e}", row.note);
        assert!(
            (ours.order - row.rdp_opacus_alpha).abs() < 1e-9,
            "{}",
            row.note
        );
    }
}

#[test]
fn renyi_divergences_are_exact_at_every_order() {
    let text = include_str!("../../fixtures/accounting/rdp.json");
    let rows: Vec<[f64; 4]> = serde_json::from_str(text).unwrap();
    assert_eq!(rows.len(), 63);
    for [sample_rate, noise_multiplier, order, exact] in rows {
        let event = Event {
            sample_rate,
            noise_multiplier,
            steps: 1,
        };
        let ours = rdp::divergence(&[event], order).unwrap();
        let error = (ours / exact - 1.0).abs();
        assert!(
            error < 1e-9,
            "{sample_rate} {noise_multiplier} {order}: {error:e}"
        );
    }
}

#[test]
fn full_batches_agree_with_the_closed_form() {
    for row in oracle().iter().filter(|row| row.q == 1.0) {
        let mu = (row.steps as f64).sqrt() / row.sigma;
        let exact = gaussian::epsilon(mu, row.delta);
        assert_eq!(account::epsilon(&[row.event()], row.delta).unwrap(), exact);
        // All but full batches go through the privacy loss distribution.
        let nearly = Event {
            sample_rate: 1.0 - 1e-9,
            ..row.event()
        };
        let composed = account::epsilon(&[nearly], row.delta).unwrap();
        assert!(
            (0.0..1e-4).contains(&(composed - exact)),
            "{}: {composed} {exact}",
            row.note
        );
    }
}

/// A data set of the paper, with what dp-accounting says at its finest grid (1e-4).
#[derive(Deserialize)]
struct Calibrated {
    sample_rate: f64,
    steps: u64,
    delta: f64,
    target_epsilon: f64,
    noise_multiplier: f64,
    epsilon: f64,
    /// The noise that is in print for it, and dp-accounting's ε for that, there and at a grid of 1e-3.
    printed: f64,
    epsilon_of_printed: f64,
    epsilon_of_printed_at_coarse_grid: f64,
}

fn calibrated() -> Vec<Calibrated> {
    let text = include_str!("../../fixtures/accounting/calibration.json");
    let rows: Vec<Calibrated> = serde_json::from_str(text).unwrap();
    assert_eq!(rows.len(), 36);
    rows
}

#[test]
fn calibrated_noise_is_what_dp_accounting_needs_too() {
    for row in calibrated() {
        let Calibrated {
            sample_rate,
            steps,
            delta,
            target_epsilon,
            ..
        } = row;
        let noise_multiplier = calibrate_noise(target_epsilon, delta, sample_rate, steps).unwrap();
        let event = Event {
            sample_rate,
            noise_multiplier,
            steps,
        };
        let epsilon = account::epsilon(&[event], delta).unwrap();
        assert!(
            epsilon <= target_epsilon && epsilon >= target_epsilon * (1.0 - 1e-4),
            "{epsilon}"
        );
        assert!(
            (noise_multiplier / row.noise_multiplier - 1.0).abs() < 1e-4,
            "{noise_multiplier}"
        );
        assert!(
            (row.epsilon - target_epsilon).abs() < 2e-3,
            "{}",
            row.epsilon
        );
    }
}

/// 26 of the 36 printed values are met to 0.002. The others, all at ε = 1, were made at a grid of
/// 1e-3, where ε comes out up to 0.055 too high; at 1e-4 the printed noise is more than is needed.
#[test]
fn printed_noise_is_met_where_its_grid_was_fine_enough() {
    let mut met = 0;
    for row in calibrated() {
        let difference = row.noise_multiplier - row.printed;
        let coarse = row.epsilon_of_printed_at_coarse_grid;
        // Half a unit of the third digit of σ is up to 9e-3 of ε.
        assert!((coarse / row.target_epsilon - 1.0).abs() < 9e-3, "{coarse}");
        if difference.abs() <= 2e-3 {
            met += 1;
        } else {
            assert!(
                row.target_epsilon == 1.0 && difference < 0.0,
                "{difference}"
            );
            assert!(row.epsilon_of_printed < row.epsilon - 5e-4);
        }
    }
    assert_eq!(met, 26);
}

/// Bit patterns of ε, δ(ε), the Rényi ε and a calibrated σ: as they are natively.
#[derive(Debug, Deserialize, PartialEq, serde::Serialize)]
struct Bits {
    epsilon: String,
    delta: String,
    renyi: String,
    noise_multiplier: Option<String>,
}

fn bits() -> Vec<Bits> {
    let hex = |value: f64| format!("{:016x}", value.to_bits());
    let each = |(index, row): (usize, Row)| {
        let epsilon = account::epsilon(&[row.event()], row.delta).unwrap();
        let calibrate = || calibrate_noise(epsilon, row.delta, row.q, row.steps).unwrap();
        Bits {
            epsilon: hex(epsilon),
            delta: hex(account::delta(&[row.event()], epsilon).unwrap()),
            renyi: hex(rdp::epsilon(&[row.event()], row.delta).unwrap().epsilon),
            noise_multiplier: (index % 8 == 0).then(|| hex(calibrate())),
        }
    };
    oracle().into_iter().enumerate().map(each).collect()
}

#[test]
fn a_tab_and_a_terminal_agree_to_the_last_bit() {
    let text = include_str!("../../fixtures/accounting/bits.json");
    let recorded: Vec<Bits> = serde_json::from_str(text).unwrap();
    assert_eq!(bits(), recorded);
}

/// `cargo test --test all accounting::record -- --ignored` after a change of the accountant.
#[cfg(not(target_arch = "wasm32"))]
#[test]
#[ignore = "writes a fixture"]
fn record() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/accounting/bits.json");
    std::fs::write(path, serde_json::to_string_pretty(&bits()).unwrap() + "\n").unwrap();
}
