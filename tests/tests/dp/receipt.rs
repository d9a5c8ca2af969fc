//! Every figure of a receipt can be checked, and every changed one is named.

use post_core::dp::{
    Entropy, Ledger, Plan, Receipt, ReceiptError,
    receipt::{Hashes, sha256},
};
use serde_json::{Value, json};

use super::*;

fn hashes() -> Hashes {
    [("student", "s"), ("task", "t"), ("prompt", "p")]
        .map(|(name, bytes)| (name.to_owned(), sha256(bytes.as_bytes())))
        .into()
}

/// The receipt of the second of two runs on the same data.
fn receipt() -> Receipt {
    receipt_of(config())
}

fn receipt_of(config: PlanConfig) -> Receipt {
    let plan = Plan::new(config).unwrap();
    let mut ledger = Ledger::new(100.0, 1e-2, Entropy::insecure(0));
    let data = ledger.identify(["a row"]);
    ledger.reserve(&data, &plan).unwrap();
    let reserved = ledger.reserve(&data, &plan).unwrap();
    let untested = plan
        .mechanism(Entropy::from_os().unwrap(), reserved, DIMENSION, 0)
        .unwrap();
    let known = KnownAnswer {
        live: &[1.0],
        reference: &[1.0],
    };
    let live = async |micro: &MicroBatch| Ok::<_, String>(kernel(micro));
    let mut run = pollster::block_on(untested.test(&[0, 1], MICRO, known, live)).unwrap();
    while step(&mut run, ROWS, kernel).is_some() {}
    Receipt::new(run.finish().unwrap(), hashes()).unwrap()
}

#[test]
fn an_untouched_receipt_verifies() {
    let text = serde_json::to_string_pretty(&receipt()).unwrap();
    let receipt = Receipt::from_json(text.as_bytes()).unwrap();
    receipt.verify(&hashes()).unwrap();
    receipt.verify(&Hashes::new()).unwrap();
    assert!(receipt.private);
    assert!(receipt.total_epsilon.unwrap() > receipt.epsilon);
    assert!(
        receipt.statement.contains("better odds"),
        "{}",
        receipt.statement
    );
    assert_eq!(receipt.hashes.len(), 4);
}

/// The file says how gradients were clipped, unless as they always were.
#[test]
fn a_receipt_says_which_clipping() {
    let [threshold, automatic] = clippings().map(|clipping| {
        let receipt = receipt_of(PlanConfig {
            clipping,
            ..config()
        });
        receipt.verify(&hashes()).unwrap();
        serde_json::to_value(receipt).unwrap()
    });
    assert!(threshold["plan"].get("clipping").is_none());
    assert_eq!(automatic["plan"]["clipping"]["automatic"]["gamma"], 0.01);
    assert_eq!(threshold["epsilon"], automatic["epsilon"]);
    let mut changed = automatic;
    changed["plan"]["clipping"] = json!("threshold");
    let changed: Receipt = serde_json::from_value(changed).unwrap();
    let error = changed.verify(&hashes()).unwrap_err().to_string();
    assert!(error.contains("hashes.plan"), "{error}");
}

#[test]
fn every_changed_field_is_named() {
    let good = serde_json::to_value(receipt()).unwrap();
    let attacks: [(&str, Value, &str); 14] = [
        ("/epsilon", json!(0.1), "epsilon"),
        ("/delta", json!(1e-9), "delta"),
        ("/statement", json!("Perfectly private."), "statement"),
        ("/mechanism/steps", json!(1), "mechanism.steps"),
        (
            "/mechanism/noise_multiplier",
            json!(9.0),
            "mechanism.noise_multiplier",
        ),
        (
            "/mechanism/sample_rate",
            json!(0.001),
            "mechanism.sample_rate",
        ),
        ("/plan/max_grad_norm", json!(0.1), "hashes.plan"),
        ("/plan/unit", json!("person"), "hashes.plan"),
        ("/plan/public_size", json!(90), "epsilon"),
        ("/accountant", json!("another"), "accountant"),
        ("/hashes/plan", json!("00"), "hashes.plan"),
        ("/hashes/prompt", json!("00"), "hashes.prompt"),
        ("/total_epsilon", json!(1.0), "total_epsilon"),
        ("/not_covered", json!([]), "not_covered"),
    ];
    for (pointer, value, named) in attacks {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        let receipt: Receipt = serde_json::from_value(bad).unwrap();
        match receipt.verify(&hashes()).unwrap_err() {
            ReceiptError::Differs { field, .. } => assert_eq!(field, named, "{pointer}"),
            other => panic!("{pointer}: {other}"),
        }
    }
}

#[test]
fn left_out_runs_and_private_flags_change_the_statement() {
    let good = receipt();
    let mut forgetful = good.clone();
    forgetful.earlier_runs.clear();
    assert!(forgetful.verify(&hashes()).is_err());
    let mut marked = good;
    marked.private = false;
    assert!(marked.verify(&hashes()).is_err());
}

#[test]
fn another_prompt_does_not_fit() {
    let mut found = hashes();
    found.insert("prompt".into(), sha256(b"another"));
    let error = receipt().verify(&found).unwrap_err().to_string();
    assert!(error.starts_with("hashes.prompt"), "{error}");
}

#[test]
fn seeded_randomness_is_not_private() {
    let plan = Plan::new(config()).unwrap();
    let mut run = mechanism(&plan, 1);
    while step(&mut run, ROWS, kernel).is_some() {}
    let receipt = Receipt::new(run.finish().unwrap(), hashes()).unwrap();
    assert!(!receipt.private);
    assert!(receipt.statement.starts_with("NOT PRIVATE"));
}

#[test]
fn something_else_is_not_a_receipt() {
    assert!(matches!(
        Receipt::from_json(b"{}"),
        Err(ReceiptError::Json(_))
    ));
}
