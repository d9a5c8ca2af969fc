//! One prompt on several students at once.

use std::fs;

use serde_json::{Value, json};

use super::journey::{Place, TUNE, WORDS};
use super::{post, refused, stderr};

const VERIFY: &str = "receipt verify --task @toy.toml --student";

impl Place {
    /// Two students of one teacher: @a/student and @b/student.
    fn two_students(&self) -> String {
        for (name, blocks) in [("a", "0,2"), ("b", "0,1")] {
            self.done(&format!(
                "distill --teacher @teacher --blocks {blocks} --task @toy.toml --data @rows.csv --steps 2 \
                 --batch 4 --run @{name} --device cpu"
            ));
        }
        TUNE.replace("@teacher", "@a/student --also-student @b/student")
    }

    /// What a command says beside its result.
    fn says(&self, line: &str) -> String {
        let args = self.args(line);
        stderr(&post(&args.iter().map(String::as_str).collect::<Vec<_>>()))
    }
}

#[test]
fn the_second_student_counts_and_the_receipt_names_it() {
    let place = Place::new();
    let tune = place.two_students();
    let made = |more: &str| -> Vec<u8> {
        place.done(&format!("{tune} --steps 3 {more} --force --run @tune"));
        fs::read(place.path("tune/prompt/adapter_model.safetensors")).unwrap()
    };
    let both = made("--no-dp");
    assert_eq!(made("--no-dp"), both);
    let one = TUNE.replace("@teacher", "@a/student");
    place.done(&format!("{one} --steps 3 --no-dp --run @one"));
    let one = fs::read(place.path("one/prompt/adapter_model.safetensors")).unwrap();
    assert_ne!(one, both, "the second student changed nothing");

    made("--target-epsilon 8 --target-delta 1e-3");
    let both = "@a/student --student @b/student @tune/prompt";
    let checked = place.done(&format!("{VERIFY} {both}"));
    assert_eq!(
        checked["compared"],
        json!(["prompt", "student", "student-2", "task"])
    );
    place.refused(
        &format!("{VERIFY} {}", both.replace("@b/student", "@teacher")),
        &["hashes.student-2"],
    );
    let half = place.says(&format!("{VERIFY} @a/student @tune/prompt"));
    assert!(half.contains("not compared, because not given: student-2"));
}

/// Whoever takes a hash out of a receipt can't say that the rest was checked.
#[test]
fn a_receipt_without_its_hashes_names_what_it_leaves_open() {
    let place = Place::new();
    place.done(&format!(
        "{TUNE} --steps 2 --target-epsilon 8 --target-delta 1e-3 --run @tune"
    ));
    let path = place.path("tune/prompt/privacy.json");
    let mut receipt: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let hashes = receipt["hashes"].as_object_mut().unwrap();
    for name in ["student", "task", "prompt"] {
        hashes.remove(name).unwrap();
    }
    fs::write(&path, receipt.to_string()).unwrap();
    let said = place.says("receipt verify @tune/prompt/privacy.json");
    assert!(
        said.contains("not compared, because not given: prompt, student, task"),
        "{said}"
    );
    for (given, named) in [
        ("--student @teacher", "hashes.student"),
        ("--task @toy.toml", "hashes.task"),
        ("--prompt @tune/prompt", "hashes.prompt"),
    ] {
        place.refused(
            &format!("receipt verify @tune/prompt/privacy.json {given}"),
            &[named],
        );
    }
}

/// A student and its copy are tuned as the student alone, and what they say of a row is twice what it says.
#[test]
fn an_attack_adds_up_what_the_students_say() {
    let place = Place::new();
    place.model("copy", "llama");
    let lira = |more: &str, run: &str| -> Vec<f64> {
        let line = TUNE.replace("tune ", "audit lira ");
        let line = line.replace("--ledger @ledger.json", more);
        place.done(&format!(
            "{line} --steps 2 --shadows 4 --no-dp --run @{run}"
        ));
        let shadow = fs::read(place.path(&format!("{run}/shadow-000.json"))).unwrap();
        let shadow: Value = serde_json::from_slice(&shadow).unwrap();
        serde_json::from_value(shadow["confidences"].clone()).unwrap()
    };
    let (one, two) = (lira("", "one"), lira("--also-student @copy", "two"));
    assert_eq!(one.len(), 40);
    for (one, two) in one.iter().zip(two) {
        assert!((two - 2.0 * one).abs() < 1e-4 * one.abs(), "{two}, {one}");
    }
}

#[test]
fn several_students_are_refused_where_they_have_no_meaning() {
    let place = Place::new();
    let tune = place.two_students();
    let canaries = tune
        .replace("tune ", "audit canaries ")
        .replace("--ledger @ledger.json", "");
    let args = place.args(&format!("{canaries} --steps 2 --no-dp"));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    refused(
        &args,
        2,
        &[
            "canaries are scored on one student",
            "hint: leave --also-student out",
        ],
    );

    let mut words = WORDS;
    words.swap(7, 8);
    place.speaking("c", "llama", &words);
    place.refused(
        &format!(
            "{} --steps 2 --no-dp --run @other",
            tune.replace("@b/student", "@c")
        ),
        &[
            "reads texts as other tokens",
            "hint: students that share a prompt",
        ],
    );
}
