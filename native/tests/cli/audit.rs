//! Attacks from outside, and the settings of tuning that they share.

use std::fs;

use serde_json::{Value, json};

use super::journey::Place;
use super::{post, stderr};

const LIRA: &str = "audit lira --student @teacher --task @toy.toml --data @rows.csv --device cpu \
                    --num-virtual-tokens 4 --expected-batch 8 --steps 2 --shadows 4";

fn inside(estimate: &Value) -> bool {
    let [low, value, high] = ["low", "value", "high"].map(|name| estimate[name].as_f64().unwrap());
    0.0 <= low && low <= value && value <= high && high <= 1.0
}

#[test]
fn a_killed_audit_goes_on_with_the_shadow_it_was_at() {
    let place = Place::new();
    let whole = place.done(&format!("{LIRA} --no-dp --run @lira"));
    assert_eq!((&whole["rows"], &whole["shadows"]), (&json!(40), &json!(4)));
    assert_eq!(whole["epsilon"], Value::Null);
    for name in ["auc", "tpr_at_1_percent", "tpr_at_01_percent"] {
        assert!(inside(&whole[name]), "{whole}");
    }
    // As if killed at the third shadow; what the first said is marked to see that it is kept.
    let path = |name: &str| place.path(&format!("lira/{name}"));
    fs::remove_file(path("done.json")).unwrap();
    let third = fs::read(path("shadow-002.json")).unwrap();
    fs::remove_file(path("shadow-002.json")).unwrap();
    let first = fs::read_to_string(path("shadow-000.json")).unwrap();
    fs::write(path("shadow-000.json"), format!("{first} ")).unwrap();
    let resumed = place.done(&format!("{LIRA} --no-dp --run @lira --resume"));
    assert_eq!(resumed, whole);
    assert_eq!(fs::read(path("shadow-002.json")).unwrap(), third);
    let kept = fs::read_to_string(path("shadow-000.json")).unwrap();
    assert_eq!(kept, format!("{first} "));
    // Of other rows nothing is kept, and --force starts anew.
    fs::remove_file(path("done.json")).unwrap();
    let line = "{\"rows\":\"00\",\"confidences\":[]}";
    fs::write(path("shadow-001.json"), line).unwrap();
    assert_eq!(
        place.done(&format!("{LIRA} --no-dp --run @lira --resume")),
        whole
    );
    assert_eq!(
        place.done(&format!("{LIRA} --no-dp --run @lira --force")),
        whole
    );
    let anew = fs::read_to_string(path("shadow-000.json")).unwrap();
    assert_eq!(anew, first);
}

#[test]
fn a_private_audit_says_what_may_be_found() {
    let place = Place::new();
    let found = place.done(&format!(
        "{LIRA} --rows 30 --target-epsilon 1 --target-delta 1e-3 --run @private"
    ));
    assert_eq!(found["rows"], 30);
    let epsilon = found["epsilon"].as_f64().unwrap();
    assert!(epsilon <= 1.0 && epsilon > 0.99);
    let most = found["allowed"]["auc"].as_f64().unwrap();
    assert!((most - 1.0 / (1.0 + (-epsilon).exp()) - 1e-3).abs() < 1e-9);
    let args = place.args(&format!(
        "{} --no-dp --run @odd",
        LIRA.replace("--shadows 4", "--shadows 5")
    ));
    let output = post(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("even number"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn texts_of_a_model_are_told_apart_or_not() {
    let place = Place::new();
    fs::write(
        place.path("in.txt"),
        "the film was good\nthe play was dull\nfilm\n",
    )
    .unwrap();
    fs::write(
        place.path("out.jsonl"),
        "{\"text\":\"was was the the\"}\n{\"text\":\"it or it\"}\n",
    )
    .unwrap();
    let line = "audit min-k --model @teacher --members @in.txt --others @out.jsonl --device cpu";
    let found = place.done(line);
    // A text of one token is left out.
    assert_eq!(
        (&found["members"], &found["others"]),
        (&json!(2), &json!(2))
    );
    assert!(inside(&found["auc"]), "{found}");
    // The same texts on both sides can't be told apart.
    let same = place.done(&line.replace("@out.jsonl", "@in.txt"));
    assert_eq!(same["auc"]["value"], 0.5);
    place.model("masked", "roberta");
    let args = place.args(&line.replace("@teacher", "@masked"));
    let output = post(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("causal model"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn canaries_are_still_there() {
    let place = Place::new();
    let line = "audit canaries --student @teacher --task @toy.toml --data @rows.csv --device cpu \
                --num-virtual-tokens 4 --expected-batch 8 --steps 2 --canaries 8 --target-epsilon 1 \
                --target-delta 1e-3 --clipping automatic";
    let found = place.done(line);
    assert_eq!(found["guesses"]["canaries"], 8);
    assert_eq!(found["refuted"], false);
    // Among few rows, where that is asked for.
    let args = place.args(&format!("{line} --rows 9"));
    let output = post(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(output.status.success());
    let said = stderr(&output);
    assert!(said.contains("planted among 9 rows"), "{said}");
    let args = place.args(&format!("{line} --rank 2"));
    let output = post(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--rank"), "{}", stderr(&output));
}

#[test]
fn the_levers_of_tuning_reach_prompt_and_receipt() {
    let place = Place::new();
    let tune = "tune --student @teacher --task @toy.toml --data @rows.csv --device cpu \
                --num-virtual-tokens 4 --expected-batch 8 --ledger @ledger.json --steps 2";
    let levers = "--target-epsilon 8 --target-delta 1e-3 --clipping automatic --clipping-gamma 0.02 \
                  --rank 2 --optimizer sgd --momentum 0.5 --tail-average 0.5";
    place.done(&format!("{tune} {levers} --run @levers"));
    let receipt = fs::read(place.path("levers/prompt/privacy.json")).unwrap();
    let receipt: Value = serde_json::from_slice(&receipt).unwrap();
    assert_eq!(receipt["plan"]["clipping"]["automatic"]["gamma"], 0.02);
    place.done("receipt verify @levers/prompt --student @teacher --task @toy.toml");
    // The run's own settings name them, so that it can be made again.
    let settings = fs::read_to_string(place.path("levers/config.toml")).unwrap();
    for setting in [
        "clipping = \"automatic\"",
        "rank = 2",
        "optimizer = \"sgd\"",
        "momentum = 0.5",
    ] {
        assert!(settings.contains(setting), "{setting} in\n{settings}");
    }
    // And those of a run without them name none.
    place.done(&format!("{tune} --no-dp --run @plain"));
    let settings = fs::read_to_string(place.path("plain/config.toml")).unwrap();
    for setting in ["clipping", "rank", "optimizer", "momentum"] {
        assert!(
            !settings.contains(&format!("{setting} =")),
            "{setting} in\n{settings}"
        );
    }
    for (wrong, said) in [
        ("--no-dp --momentum 0.5", "--optimizer sgd"),
        (
            "--noise-multiplier 1 --clipping-gamma 0.1",
            "--clipping automatic",
        ),
        ("--no-dp --rank 4", "below the number of virtual tokens"),
    ] {
        let args = place.args(&format!("{tune} {wrong} --run @wrong --force"));
        let output = post(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(!output.status.success());
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
}
