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
