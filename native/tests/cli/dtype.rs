//! `--dtype`: what it changes, what it doesn't, and what it refuses.

use std::fs;

use serde_json::Value;

use super::journey::Place;
use super::{post, refused, stderr};

fn logits(found: &Value) -> Vec<f64> {
    let logits = found["logits"].as_array().unwrap();
    logits.iter().map(|x| x.as_f64().unwrap()).collect()
}

/// The largest difference, as a share of the largest logit.
fn far(found: &[f64], expected: &[f64]) -> f64 {
    let most = |x: &mut dyn Iterator<Item = f64>| x.fold(0.0, f64::max);
    let pairs = found.iter().zip(expected);
    most(&mut pairs.map(|(a, b)| (a - b).abs())) / most(&mut expected.iter().map(|x| x.abs()))
}

#[test]
fn logits_are_near_those_of_f32_and_not_the_same() {
    let place = Place::new();
    for model in ["llama", "gpt2", "gpt-neox", "roberta", "llama-bias"] {
        place.model("model", model);
        let forward = |dtype: &str| {
            logits(&place.done(&format!(
                "forward --model @model --ids 5,9,2 --device cpu {dtype}"
            )))
        };
        let exact = forward("");
        assert_eq!(forward("--dtype f32"), exact);
        let [bf16, f16] =
            ["bf16", "f16"].map(|name| far(&forward(&format!("--dtype {name}")), &exact));
        assert!(bf16 > 1e-5 && bf16 < 0.1, "{model}: {bf16}");
        assert!(f16 > 1e-6 && f16 < 0.01, "{model}: {f16}");
        assert!(f16 < bf16, "{model}: f16 has three more bits");
    }
}

#[test]
fn another_type_is_refused_and_the_chosen_one_is_said() {
    let place = Place::new();
    let args = place.args("forward --model @teacher --ids 5 --device cpu --dtype");
    let with = |dtype| [&args[..], &[String::from(dtype)]].concat();
    let wrong = with("f8");
    let wrong: Vec<&str> = wrong.iter().map(String::as_str).collect();
    refused(&wrong, 2, &["'f8'", "f32, bf16, f16"]);
    let good = with("bf16");
    let said = stderr(&post(&good.iter().map(String::as_str).collect::<Vec<_>>()));
    assert!(said.contains("kept in bf16"), "{said}");
}

const TUNE: &str = "tune --student @teacher --task @toy.toml --data @rows.csv --device cpu \
                    --num-virtual-tokens 4 --expected-batch 8 --ledger @ledger.json";

/// Every command that holds a frozen model, with the setting on the line and in a file.
#[test]
fn all_three_steps_take_it() {
    let place = Place::new();
    place.done(
        "distill --teacher @teacher --blocks 0,2 --task @toy.toml --data @rows.csv --steps 2 \
         --batch 4 --dtype bf16 --run @distill --device cpu",
    );
    let tune = TUNE.replace("@teacher", "@distill/student");
    place.done(&format!(
        "{tune} --steps 2 --target-epsilon 8 --target-delta 1e-3 --dtype f16 --run @tune"
    ));
    place.done("receipt verify @tune/prompt --student @distill/student --task @toy.toml");
    place.done(
        "score --student @distill/student --prompt @tune/prompt --task @toy.toml --public @rows.csv \
         --device cpu --dtype bf16",
    );
    fs::write(place.path("half.toml"), "dtype = \"bf16\"\n").unwrap();
    place.done(
        "transfer --student @distill/student --teacher @teacher --prompt @tune/prompt \
         --public @rows.csv --task @toy.toml --steps 2 --batch 4 --config @half.toml --run @transfer \
         --device cpu",
    );
    let kept = fs::read_to_string(place.path("transfer/config.toml")).unwrap();
    assert!(kept.contains("dtype = \"bf16\""), "{kept}");
    place.done(
        "eval --model @teacher --task @toy.toml --data @rows.csv --prompt @transfer/prompt \
         --device cpu --config @half.toml",
    );
}

/// The student's blocks start from the file's own numbers, whatever the teacher was kept in.
#[test]
fn a_student_is_not_rounded_with_its_teacher() {
    let place = Place::new();
    let distill = |dtype: &str| {
        let run = format!("@{dtype}");
        place.done(&format!(
            "distill --teacher @teacher --blocks 0,2 --task @toy.toml --data @rows.csv --steps 1 \
             --learning-rate 1e-30 --batch 4 --dtype {dtype} --run {run} --device cpu"
        ));
        let weights = place.path(dtype).join("student/model.safetensors");
        fs::read(weights).unwrap()
    };
    assert!(distill("bf16") == distill("f32"));
}

/// Its checkpoint was computed with other weights.
#[test]
fn a_run_is_not_resumed_with_another_type() {
    let place = Place::new();
    let line = format!("{TUNE} --steps 2 --noise-multiplier 4 --run @run");
    place.done(&format!("{line} --dtype f16"));
    place.refused(&format!("{line} --resume"), &["other settings: dtype"]);
    place.done(&format!("{line} --resume --dtype f16"));
    // Runs from before there was a choice are f32, and go on as such.
    place.done(&format!("{line} --force"));
    let kept = fs::read_to_string(place.path("run/config.toml")).unwrap();
    assert!(!kept.contains("dtype"), "{kept}");
    place.done(&format!("{line} --resume --dtype f32"));
}

/// A new run in an old folder does not take the states of a teacher that was kept otherwise.
#[test]
fn a_teachers_states_are_of_its_type() {
    let place = Place::new();
    let mark = |dtype: &str| {
        place.done(&format!(
            "distill --teacher @teacher --blocks 0,2 --task @toy.toml --data @rows.csv --steps 1 \
             --batch 4 --dtype {dtype} --run @run --device cpu --force"
        ));
        fs::read_to_string(place.path("run/states.sha256")).unwrap()
    };
    let [f32, bf16] = ["f32", "bf16"].map(mark);
    assert!(bf16.contains("bf16") && !f32.contains("f32"), "{f32}{bf16}");
}
