//! What `eval` answers by: a model, a student beside it, public rows to be fair by.

use std::fs;

use serde_json::Value;

use super::journey::Place;
use super::refused;

/// A place with a student of two blocks and a prompt tuned on it.
fn place() -> Place {
    let place = Place::new();
    place.done("distill --teacher @teacher --blocks 0,2 --steps 0 --run @distill --device cpu");
    place.done(
        "tune --student @distill/student --task @toy.toml --data @rows.csv --device cpu --no-dp \
         --num-virtual-tokens 4 --expected-batch 8 --steps 5 --learning-rate 0.1 --run @tune",
    );
    place
}

/// Class logits of every row, as the file of answers has them.
fn logits(place: &Place, flags: &str) -> Vec<Vec<f64>> {
    let line = format!(
        "eval --task @toy.toml --data @rows.csv --device cpu --answers @answers.jsonl {flags}"
    );
    let accuracy = place.done(&line)["accuracy"].as_f64().unwrap();
    let answers = fs::read_to_string(place.path("answers.jsonl")).unwrap();
    let answers: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let right = answers
        .iter()
        .filter(|row| row["label"] == row["answer"])
        .count();
    assert!((accuracy - right as f64 / answers.len() as f64).abs() < 1e-12);
    let numbers = |row: &Value| {
        row["logits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|x| x.as_f64().unwrap())
            .collect()
    };
    answers.iter().map(numbers).collect()
}

#[test]
fn what_the_prompt_changes_in_the_student_is_added_to_the_model() {
    let place = place();
    let model = logits(&place, "--model @teacher");
    let before = logits(&place, "--model @distill/student");
    let behind = logits(&place, "--model @distill/student --prompt @tune/prompt");
    let both = logits(
        &place,
        "--model @teacher --student @distill/student --prompt @tune/prompt",
    );
    let mut moved = 0.0f64;
    for row in 0..model.len() {
        for class in 0..2 {
            let shift = behind[row][class] - before[row][class];
            moved = moved.max(shift.abs());
            assert!(
                (both[row][class] - model[row][class] - shift).abs() < 1e-5,
                "row {row}"
            );
        }
    }
    assert!(
        moved > 1e-3,
        "the prompt changes nothing, so this test sees nothing"
    );
    let args = place
        .args("eval --model @teacher --student @distill/student --task @toy.toml --data @rows.csv");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    refused(
        &args,
        2,
        &["answers behind a prompt, and there is none", "--prompt"],
    );
}

#[test]
fn what_the_prompt_changes_may_be_counted_from_the_sentence() {
    let place = place();
    let model = logits(&place, "--model @teacher --sentence 4");
    let before = logits(&place, "--model @distill/student --sentence 4");
    let behind = logits(&place, "--model @distill/student --prompt @tune/prompt");
    let arithmetic = "--model @teacher --student @distill/student --prompt @tune/prompt";
    let both = logits(&place, &format!("{arithmetic} --change-since sentence"));
    for row in 0..model.len() {
        for class in 0..2 {
            let sum = model[row][class] + behind[row][class] - before[row][class];
            assert!((both[row][class] - sum).abs() < 1e-5, "row {row}");
        }
    }
    assert_ne!(
        both,
        logits(&place, arithmetic),
        "the sentence says nothing"
    );
    let alone = place.args(
        "eval --model @teacher --task @toy.toml --data @rows.csv --prompt @tune/prompt --change-since sentence",
    );
    let alone: Vec<&str> = alone.iter().map(String::as_str).collect();
    refused(
        &alone,
        2,
        &["no --student whose prompt's change", "--change-since"],
    );
}

/// A prompt that is the sentence changes nothing since the sentence, and where the teacher's starts there, too, there is
/// no loss.
#[test]
fn a_transfer_counts_from_the_sentence_where_it_is_asked_to() {
    let place = place();
    place.done(
        "transfer --student @teacher --teacher @distill/student --prompt @tune/prompt --task @toy.toml \
         --init text --steps 0 --run @sentence --device cpu",
    );
    let loss = |flags: &str| {
        place.done(&format!(
            "transfer --student @distill/student --teacher @teacher --prompt @sentence/prompt --task @toy.toml \
             --public @rows.csv --alpha 1 --steps 1 --run @transfer --force --states @states --device cpu {flags}"
        ));
        let metrics = fs::read_to_string(place.path("transfer/metrics.jsonl")).unwrap();
        let first: Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
        first["loss"].as_f64().unwrap()
    };
    // Twice, as the teacher's states are kept: those behind the sentence are others.
    for _ in 0..2 {
        assert!(loss("--change-since sentence").abs() < 1e-7);
        assert!(loss("") > 1e-6);
    }
}

#[test]
fn the_sentence_that_prompts_start_from_is_a_baseline() {
    let place = place();
    place.done(
        "transfer --student @distill/student --teacher @teacher --prompt @tune/prompt --task @toy.toml \
         --init text --steps 0 --run @start --device cpu",
    );
    let start = logits(&place, "--model @teacher --prompt @start/prompt");
    assert_eq!(logits(&place, "--model @teacher --sentence 4"), start);
    assert_ne!(logits(&place, "--model @teacher --sentence 3"), start);
    let both = place.args(
        "eval --model @teacher --task @toy.toml --data @rows.csv --sentence 4 --prompt @start/prompt",
    );
    let both: Vec<&str> = both.iter().map(String::as_str).collect();
    refused(&both, 2, &["--sentence", "cannot be used with"]);
    let settings = place.path("both.toml");
    fs::write(&settings, "prompt = \"p\"\nsentence = 4").unwrap();
    let both =
        place.args("eval --model @teacher --task @toy.toml --data @rows.csv --config @both.toml");
    let both: Vec<&str> = both.iter().map(String::as_str).collect();
    refused(&both, 2, &["behind a prompt or behind a sentence"]);
}

#[test]
fn calibrated_answers_favour_no_class_on_the_public_rows() {
    let place = place();
    for prompt in ["", "--prompt @tune/prompt"] {
        let lean = |flags: &str| {
            let rows = logits(&place, &format!("--model @teacher {flags}"));
            let sum =
                |class: usize| rows.iter().map(|row| row[class]).sum::<f64>() / rows.len() as f64;
            (sum(0) - sum(1)).abs()
        };
        assert!(lean(prompt) > 1e-3, "nothing to calibrate");
        assert!(lean(&format!("{prompt} --calibrate @rows.csv")) < 1e-5);
    }
}

#[test]
fn public_rows_that_the_prompted_student_tells_apart_score_highest() {
    let place = place();
    // The tokenizer has no word for a number: to the model all rows are the same.
    let alike: String = (0..8).map(|i| format!("the fine film {i}\n")).collect();
    fs::write(place.path("alike.csv"), format!("text\n{alike}")).unwrap();
    let score =
        "score --student @distill/student --prompt @tune/prompt --task @toy.toml --device cpu";
    let found = place.done(&format!(
        "{score} --public @alike.csv @rows.csv --max-rows 30"
    ));
    let of = |at: usize, name: &str| found[at][name].clone();
    assert_eq!(of(0, "file"), place.path("rows.csv").to_str().unwrap());
    assert_eq!([of(0, "rows"), of(1, "rows")], [30, 8]);
    let scores = [0, 1].map(|at| of(at, "score").as_f64().unwrap());
    assert!(scores[0] > 1e-9 && scores[0] <= 1.0, "{scores:?}");
    assert!(scores[1] < 1e-12, "{scores:?}");
    let args = place.args(score);
    refused(
        &args.iter().map(String::as_str).collect::<Vec<_>>(),
        2,
        &["--public is missing"],
    );
}

#[test]
fn public_rows_may_have_their_text_under_another_header() {
    let place = place();
    let rows = fs::read_to_string(place.path("rows.csv")).unwrap();
    let renamed = rows.replacen("text", "review", 1);
    assert_ne!(renamed, rows);
    fs::write(place.path("renamed.csv"), renamed).unwrap();
    let [own, others] = ["@rows.csv", "@renamed.csv --public-columns text=review"];
    let both = |line: &str| [own, others].map(|public| line.replace("PUBLIC", public));

    let [a, b] = both("--model @teacher --calibrate PUBLIC").map(|flags| logits(&place, &flags));
    assert_eq!(a, b);
    let with = "--student @distill/student --prompt @tune/prompt --task @toy.toml --device cpu";
    let [a, b] =
        both(&format!("score {with} --public PUBLIC")).map(|line| place.done(&line)[0].clone());
    assert_eq!([&a["rows"], &a["score"]], [&b["rows"], &b["score"]]);
    let transfer =
        format!("transfer {with} --teacher @teacher --steps 2 --batch 4 --public PUBLIC");
    let [a, b] = both(&transfer).map(|line| {
        place.done(&format!("{line} --run @transfer --force"));
        fs::read(place.path("transfer/prompt/adapter_model.safetensors")).unwrap()
    });
    assert_eq!(a, b);

    for (columns, code, says) in [
        ("", 1, "no column `text`"),
        ("--public-columns texts=review", 2, "no field `texts`"),
        ("--public-columns review", 2, "is not FIELD=HEADER"),
    ] {
        let args = place.args(&format!("score {with} --public @renamed.csv {columns}"));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        refused(&args, code, &[says]);
    }
}
