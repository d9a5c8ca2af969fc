//! What is spent stays spent.

use post_core::dp::{Entropy, Ledger, LedgerError, Plan};

use super::*;

const TEXTS: [&str; 4] = ["good", "bad", "fine", "dull"];

#[test]
fn order_and_repetition_do_not_make_new_data() {
    let ledger = Ledger::new(10.0, 1e-2, Entropy::insecure(1));
    let data = ledger.identify(TEXTS);
    let mut turned = TEXTS;
    turned.reverse();
    assert_eq!(ledger.identify(turned), data);
    assert_eq!(ledger.identify(TEXTS.iter().chain(&TEXTS)), data);
    let elsewhere = Ledger::new(10.0, 1e-2, Entropy::insecure(2));
    assert_ne!(
        elsewhere.identify(TEXTS),
        data,
        "another owner's key hides the rows"
    );
}

#[test]
fn data_that_shares_rows_shares_the_budget() {
    let plan = Plan::new(config()).unwrap();
    let mut ledger = Ledger::new(1e3, 1e-2, Entropy::insecure(1));
    let rows = |from: usize, to: usize| (from..to).map(|i| format!("row {i}")).collect::<Vec<_>>();
    let old = ledger.identify(rows(0, 10_000));
    ledger.reserve(&old, &plan).unwrap();
    let grown = ledger.identify(rows(9_000, 19_000));
    assert_eq!(ledger.spent(&grown).unwrap(), ledger.spent(&old).unwrap());
    let other = ledger.identify(rows(10_000, 20_000));
    assert_eq!(ledger.spent(&other).unwrap(), 0.0);
}

#[test]
fn a_quote_is_what_the_run_then_costs() {
    let plan = Plan::new(config()).unwrap();
    let mut ledger = Ledger::new(1e3, plan.delta(), Entropy::insecure(1));
    let data = ledger.identify(TEXTS);
    for earlier in 0..2 {
        let quote = ledger.quote(&data, &plan).unwrap();
        assert_eq!(quote.earlier.len(), earlier);
        for (event, epsilon) in &quote.earlier {
            assert_eq!(*event, plan.event());
            assert_eq!(*epsilon, plan.epsilon());
        }
        assert_eq!(quote.spent, ledger.spent(&data).unwrap());
        assert_eq!(quote.statement.contains("earlier runs"), earlier > 0);
        ledger.reserve(&data, &plan).unwrap();
        assert_eq!(quote.total, ledger.spent(&data).unwrap());
    }
}

#[test]
fn what_is_not_admitted_is_not_entered() {
    let plan = Plan::new(config()).unwrap();
    let mut ledger = Ledger::new(1.2 * plan.epsilon(), plan.delta(), Entropy::insecure(1));
    let data = ledger.identify(TEXTS);
    assert!(ledger.admit(&data, &plan).unwrap().is_empty());
    ledger.reserve(&data, &plan).unwrap();
    for refused in [
        ledger.admit(&data, &plan).err(),
        ledger.reserve(&data, &plan).err(),
    ] {
        assert!(
            matches!(refused, Some(LedgerError::Cap { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(ledger.runs(&data).len(), 1);
}

#[test]
fn the_file_is_the_ledger() {
    let plan = Plan::new(config()).unwrap();
    let mut ledger = Ledger::new(100.0, 1e-2, Entropy::insecure(1));
    let data = ledger.identify(TEXTS);
    ledger.reserve(&data, &plan).unwrap();
    let bytes = ledger.to_json().unwrap();
    assert_eq!(Ledger::from_json(&bytes).unwrap(), ledger);
    assert!(!String::from_utf8(bytes.clone()).unwrap().contains("good"));
    assert!(matches!(
        Ledger::from_json(&bytes[1..]),
        Err(LedgerError::Json(_))
    ));
}

/// What is no number, no chance, no run or no fingerprint could count as nothing spent.
#[test]
fn a_ledger_that_nobody_wrote_is_refused() {
    let plan = Plan::new(config()).unwrap();
    let mut ledger = Ledger::new(100.0, 1e-2, Entropy::insecure(1));
    let data = ledger.identify(TEXTS);
    ledger.reserve(&data, &plan).unwrap();
    let whole: serde_json::Value = serde_json::from_slice(&ledger.to_json().unwrap()).unwrap();
    let json = |value: &str| serde_json::from_str::<serde_json::Value>(value).unwrap();
    let cases = [
        ("/version", "version", "2"),
        ("/cap_epsilon", "cap_epsilon", "-1"),
        ("/cap_delta", "cap_delta", "0"),
        ("/cap_delta", "cap_delta", "1.5"),
        ("/runs/0/event/sample_rate", "runs[0].event", "-0.5"),
        ("/runs/0/event/sample_rate", "runs[0].event", "2"),
        ("/runs/0/event/noise_multiplier", "runs[0].event", "-1"),
        ("/runs/0/event/noise_multiplier", "runs[0].event", "0"),
        ("/runs/0/event/noise_multiplier", "runs[0].event", "1e300"),
        ("/runs/0/event/steps", "runs[0].event", "0"),
        (
            "/runs/0/event/steps",
            "runs[0].event",
            "18446744073709551615",
        ),
        ("/runs/0/data", "runs[0].data", r#"["ab"]"#),
        ("/runs/0/data", "runs[0].data", r#"["0123456789abcdeF"]"#),
        (
            "/runs/0/data",
            "runs[0].data",
            r#"["1234567\u00e9abcdefg"]"#,
        ),
    ];
    for (place, field, value) in cases {
        let mut forged = whole.clone();
        *forged.pointer_mut(place).unwrap() = json(value);
        let error = Ledger::from_json(forged.to_string().as_bytes()).unwrap_err();
        let named = matches!(&error, LedgerError::Field(found) if found == field);
        assert!(named, "{place} = {value}: {error}");
        assert!(error.to_string().contains("restore it"), "{error}");
    }
    // No number at all.
    for value in ["null", "\"NaN\"", "[]"] {
        let mut forged = whole.clone();
        *forged.pointer_mut("/cap_epsilon").unwrap() = json(value);
        let error = Ledger::from_json(forged.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, LedgerError::Json(_)), "{value}: {error}");
    }
    let text = whole.to_string().replacen("100.0", "1e999", 1);
    assert!(Ledger::from_json(text.as_bytes()).is_err());
}

/// Each of two runs can be; together they are more steps than are accounted for.
#[test]
fn runs_that_add_up_to_too_much_are_an_error_and_not_nothing() {
    let plan = Plan::new(config()).unwrap();
    let mut ledger = Ledger::new(100.0, 1e-2, Entropy::insecure(1));
    let data = ledger.identify(TEXTS);
    ledger.reserve(&data, &plan).unwrap();
    let mut forged: serde_json::Value = serde_json::from_slice(&ledger.to_json().unwrap()).unwrap();
    forged["runs"][0]["event"]["steps"] = (1_u64 << 30).into();
    let run = forged["runs"][0].clone();
    forged["runs"].as_array_mut().unwrap().push(run);
    let forged = Ledger::from_json(forged.to_string().as_bytes()).unwrap();
    let data = forged.data_sets()[0].clone();
    assert!(matches!(forged.spent(&data), Err(LedgerError::Account(_))));
    assert!(forged.admit(&data, &plan).is_err());
}

#[test]
fn a_crashed_run_counts_and_resuming_it_does_not_count_twice() {
    let plan = Plan::new(config()).unwrap();
    let mut ledger = Ledger::new(100.0, 1e-2, Entropy::insecure(1));
    let data = ledger.identify(TEXTS);
    assert!(matches!(
        ledger.resume(&data, &plan),
        Err(LedgerError::Unknown)
    ));
    drop(ledger.reserve(&data, &plan).unwrap());
    let spent = ledger.spent(&data).unwrap();
    assert!(spent >= plan.epsilon());
    let resumed = ledger.resume(&data, &plan).unwrap();
    assert_eq!(ledger.spent(&data).unwrap(), spent);
    assert!(
        plan.mechanism(Entropy::insecure(1), resumed, DIMENSION, 3)
            .is_ok()
    );
}
