use super::{post, refused, stdout};

/// (q, σ, T, δ), ε by dp-accounting 0.6.0's PLD, ε's bracket by prv-accountant 0.2.0, and ε by
/// Opacus' RDP.
type Row = (
    (&'static str, &'static str, &'static str, &'static str),
    f64,
    [f64; 2],
    f64,
);

const ROWS: [Row; 2] = [
    (
        ("0.04", "1.5", "2250", "1e-5"),
        6.768_787_377_009,
        [6.758_431_221, 6.779_132_071],
        7.329_111_171,
    ),
    (
        ("0.004266666666666667", "1.1", "14062", "1e-5"),
        2.381_686_003_230,
        [2.371_455_506, 2.391_743_704],
        2.596_555_869,
    ),
];

fn epsilon(args: &[&str]) -> f64 {
    let output = post(&[&["account", "--json"], args].concat());
    let value: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    value["epsilon"].as_f64().unwrap()
}

#[test]
fn epsilon_agrees_with_the_reference_accountants() {
    for ((q, sigma, steps, delta), pld, [low, high], rdp) in ROWS {
        let args = [
            "--sample-rate",
            q,
            "--noise-multiplier",
            sigma,
            "--steps",
            steps,
            "--target-delta",
            delta,
        ];
        let found = epsilon(&args);
        assert!(
            (low..=high).contains(&found),
            "{found} outside [{low}, {high}]"
        );
        assert!((found - pld).abs() < 1e-3, "{found} against {pld}");
        let renyi = epsilon(&[&args[..], &["--accountant", "rdp"]].concat());
        assert!(
            renyi > found && (renyi - rdp).abs() < 1e-3 * rdp,
            "{renyi} against {rdp}"
        );
    }
}

/// The table of expected noise multipliers for sst2 at batch 1024 (N = 67 349, 20 epochs of 66 steps).
#[test]
fn the_noise_for_an_epsilon_never_overshoots_it() {
    let q = (1024.0_f64 / 67_349.0).to_string();
    let shared = [
        "--sample-rate",
        &q,
        "--steps",
        "1320",
        "--target-delta",
        "1.5e-5",
    ];
    for (target, expected) in [("8", 0.689), ("3", 1.038), ("1", 2.171)] {
        let args = [
            &["account", "--json", "--target-epsilon", target],
            &shared[..],
        ]
        .concat();
        let value: serde_json::Value = serde_json::from_str(&stdout(&post(&args))).unwrap();
        let sigma = value["noise_multiplier"].as_f64().unwrap();
        assert!(
            (sigma - expected).abs() < 2e-3,
            "{sigma} against {expected}"
        );
        let spent = epsilon(&[&shared[..], &["--noise-multiplier", &sigma.to_string()]].concat());
        assert!(spent <= target.parse().unwrap(), "{spent} > {target}");
    }
}

#[test]
fn no_noise_is_no_privacy() {
    let output = post(&[
        "account",
        "--sample-rate",
        "0.1",
        "--noise-multiplier",
        "0",
        "--steps",
        "10",
        "--target-delta",
        "1e-5",
    ]);
    assert!(stdout(&output).contains('∞'), "{}", stdout(&output));
}

#[test]
fn numbers_out_of_range_are_wrong_usage() {
    let good = [
        "--steps",
        "10",
        "--target-delta",
        "1e-5",
        "--noise-multiplier",
        "1",
    ];
    for (flag, value) in [
        ("--sample-rate", "1.5"),
        ("--sample-rate", "NaN"),
        ("--sample-rate", "x"),
    ] {
        let args = [&["account"], &good[..], &[flag, value]].concat();
        refused(
            &args,
            2,
            &["--sample-rate", value, "expected a number from 0 to 1"],
        );
    }
    let both = ["account", "--sample-rate", "0.1", "--target-epsilon", "3"];
    refused(&[&both[..], &good].concat(), 2, &["cannot be used with"]);
    refused(
        &["account", "--steps", "10"],
        2,
        &["--sample-rate", "--target-delta"],
    );
}

#[test]
fn the_curve_is_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let svg = dir.path().join("curve.svg");
    let output = post(&[
        "account",
        "--sample-rate",
        "0.01",
        "--noise-multiplier",
        "1",
        "--steps",
        "1000",
        "--target-delta",
        "1e-5",
        "--plot",
        svg.to_str().unwrap(),
    ]);
    assert!(output.status.success());
    let drawn = std::fs::read_to_string(svg).unwrap();
    assert!(
        drawn.starts_with("<svg") && drawn.contains("δ") && drawn.contains("<style>"),
        "{drawn}"
    );
}
