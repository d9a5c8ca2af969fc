//! Answers of text from tuning to evaluation, and what refuses them; what `inspect` says of a student.

use std::fs;

use serde_json::{Value, json};

use super::journey::Place;
use super::refused;

const TASK: &str = r#"
name = "open"
template = "{text} it was"
init_text = "good or bad"
max_length = 16
[columns]
text = "text"
label = "answer"
[answer]
max_tokens = 2
end = " or"
"#;

const TUNE: &str = "tune --student @distill/student --task @open.toml --data @open.csv --device cpu \
                    --num-virtual-tokens 4 --expected-batch 8 --learning-rate 0.1 --ledger @ledger.json";

/// A place with a student of two blocks and rows whose answers have one or two words.
fn place() -> Place {
    let place = Place::new();
    fs::write(place.path("open.toml"), TASK).unwrap();
    let mut rows = "text,answer\n".to_owned();
    for i in 0..40 {
        let (word, answer) = [("dull", "awful play"), ("fine", "good")][i % 2];
        rows += &format!("the {word} {} {i},{answer}\n", ["film", "play"][i / 20]);
    }
    fs::write(place.path("open.csv"), rows).unwrap();
    place.done("distill --teacher @teacher --blocks 0,2 --steps 0 --run @distill --device cpu");
    place
}

fn eval(place: &Place, flags: &str) -> Value {
    let line = "eval --task @open.toml --data @open.csv --device cpu";
    place.done(&format!("{line} {flags}"))
}

#[test]
fn a_prompt_is_tuned_carried_over_and_measured() {
    let place = place();
    place.done(&format!("{TUNE} --no-dp --steps 40 --run @tune"));
    let student = "--model @distill/student";
    let loss = |found: &Value| found["loss"].as_f64().unwrap();
    let before = eval(&place, student);
    let after = eval(&place, &format!("{student} --prompt @tune/prompt"));
    assert!(loss(&after) < 0.8 * loss(&before), "{before} {after}");

    let transfer = "transfer --student @distill/student --teacher @teacher --prompt @tune/prompt \
                    --task @open.toml --batch 8 --learning-rate 0.05 --device cpu";
    place.done(&format!(
        "{transfer} --public @open.csv --steps 40 --run @transfer"
    ));
    // Three numbers of each width for the places before two or three tokens.
    let kept = fs::metadata(place.path("transfer/constants.bin"))
        .unwrap()
        .len();
    let numbers = |places: u64| 4 * 18 * 3 * places;
    assert!((numbers(100)..numbers(110)).contains(&kept), "{kept}");
    let answers = "--answers @answers.jsonl";
    let found = eval(
        &place,
        &format!("--model @teacher --prompt @transfer/prompt {answers}"),
    );
    let zero = eval(&place, "--model @teacher");
    assert!(loss(&found) < loss(&zero), "{zero} {found}");
    assert_eq!(found["n"], json!(40));
    assert!(found["low"].as_f64().unwrap() <= found["exact_match"].as_f64().unwrap());
    assert!(found.get("confusion").is_none());

    let answers = fs::read_to_string(place.path("answers.jsonl")).unwrap();
    let answers: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 40);
    assert_eq!(answers[0]["label"], json!("awful play"));
    let right = answers.iter().filter(|row| row["label"] == row["answer"]);
    assert_eq!(found["exact_match"], json!(right.count() as f64 / 40.0));

    // Without answers the models are compared behind the text alone.
    fs::write(
        place.path("bare.csv"),
        "text\nthe dull film\nthe fine play\n",
    )
    .unwrap();
    place.done(&format!(
        "{transfer} --public @bare.csv --steps 2 --run @bare"
    ));
    place.refused(
        &format!("{transfer} --public @open.csv --steps 2 --words labels --run @words"),
        &["`open`", "--words all"],
    );
}

#[test]
fn a_private_run_has_a_receipt_that_holds() {
    let place = place();
    let private = "--steps 3 --target-epsilon 8 --target-delta 1e-3";
    let tuned = place.done(&format!("{TUNE} {private} --run @tune"));
    assert!(tuned["epsilon"].as_f64().unwrap() <= 8.0);
    let receipt = "receipt verify @tune/prompt --student @distill/student";
    let checked = place.done(&format!("{receipt} --task @open.toml"));
    assert_eq!(checked["compared"], json!(["prompt", "student", "task"]));
    place.refused(&format!("{receipt} --task @toy.toml"), &["hashes.task"]);
    let shown = place.done("inspect @open.toml");
    assert_eq!(shown["answer"], json!({ "max_tokens": 2, "end": " or" }));
}

/// Matrices as they were asked for, vectors and the scales of int8 in f32.
#[test]
fn bundles_say_how_they_are_stored() {
    let place = place();
    for (dtype, types) in [
        ("f32", &["f32"][..]),
        ("f16", &["f16", "f32"][..]),
        ("int8", &["f32", "i8"][..]),
    ] {
        place.done(&format!(
            "bundle --student @distill/student --license MIT --dtype {dtype} --out @{dtype}.post.safetensors"
        ));
        let shown = place.done(&format!("inspect @{dtype}.post.safetensors"));
        let stored: Vec<&String> = shown["stored_as"].as_object().unwrap().keys().collect();
        assert_eq!(stored, types, "{shown}");
        let size = fs::metadata(place.path(&format!("{dtype}.post.safetensors")))
            .unwrap()
            .len();
        assert_eq!(shown["bytes"], json!(size));
    }
}

#[test]
fn rows_that_cannot_be_answered_are_named() {
    let place = place();
    let long = "text,answer\nthe film,good\nthe play,good fine film\n";
    fs::write(place.path("open.csv"), long).unwrap();
    place.refused(
        &format!("{TUNE} --no-dp --steps 1 --run @long"),
        &["open.csv", "line 3", "3 tokens", "`max_tokens`"],
    );
    let ends = "text,answer\nthe film,good or bad\nthe play,\n";
    fs::write(place.path("open.csv"), ends).unwrap();
    place.refused(
        &format!("{TUNE} --no-dp --steps 1 --run @ends"),
        &["none of the table's 2 rows", "line 2", "ends an answer"],
    );
}

#[test]
fn what_needs_classes_or_a_writer_says_so() {
    let place = place();
    let usage = |line: &str, said: &[&str]| {
        let args = place.args(line);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        refused(&args, 2, said);
    };
    let eval = "eval --model @teacher --task @open.toml --data @open.csv --device cpu";
    usage(
        &format!("{eval} --calibrate @open.csv"),
        &["--calibrate works on class logits", "hint:"],
    );
    usage(
        &format!("{eval} --student @distill/student --prompt @none"),
        &["--student works on class logits", "hint:"],
    );
    usage(
        &format!("{eval} --change-since sentence"),
        &["--change-since works on class logits", "hint:"],
    );
    let needs = &["`open`", "needs classes", "[[classes]]"];
    place.refused(
        "score --student @distill/student --prompt @none --task @open.toml --public @open.csv",
        needs,
    );
    for attack in ["lira", "canaries"] {
        let tune = TUNE.replace("tune ", &format!("audit {attack} "));
        let tune = tune.replace(" --ledger @ledger.json", "");
        place.refused(&format!("{tune} --no-dp --steps 2"), needs);
    }
    place.model("masked", "roberta");
    place.refused(
        &eval.replace("@teacher", "@masked"),
        &["`open`", "causal model"],
    );
}
