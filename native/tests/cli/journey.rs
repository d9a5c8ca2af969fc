//! The three steps on a random model of three blocks, killed, resumed, repeated and misused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{post, refused, stderr, stdout};

const TASK: &str = r#"
name = "toy"
template = "{text} it was"
init_text = "good or bad"
max_length = 16
[columns]
text = "text"
label = "label"
[[classes]]
name = "negative"
words = ["bad", "awful"]
[[classes]]
name = "positive"
words = ["good"]
"#;

/// Special tokens first, then words; fewer than the model's 37 rows.
pub(super) const WORDS: [&str; 12] = [
    "<unk>", "it", "was", "bad", "awful", "good", "or", "film", "play", "dull", "fine", "the",
];

/// A folder with model, task and data, and the ledger of its own.
pub(super) struct Place(TempDir);

impl Place {
    pub(super) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.model("teacher", "llama");
        fs::write(place.path("toy.toml"), TASK).unwrap();
        let mut rows = "text,label\n".to_owned();
        for i in 0..40 {
            let (word, label) = [("dull", "negative"), ("fine", "positive")][i % 2];
            rows += &format!("the {word} {} {i},{label}\n", ["film", "play"][i / 20]);
        }
        fs::write(place.path("rows.csv"), rows).unwrap();
        place
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// One of the random models that the golden tests use, with a tokenizer of twelve words.
    pub(super) fn model(&self, name: &str, fixture: &str) {
        self.speaking(name, fixture, &WORDS);
    }

    /// The same with other words.
    pub(super) fn speaking(&self, name: &str, fixture: &str, words: &[&str]) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/models");
        let to = self.path(name);
        fs::create_dir_all(&to).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(from.join(fixture).join(file), to.join(file)).unwrap();
        }
        let vocab: Value = words
            .iter()
            .enumerate()
            .map(|(id, word)| (*word, id))
            .collect();
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": null, "pre_tokenizer": { "type": "Whitespace" },
            "post_processor": null, "decoder": null,
            "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "<unk>" },
        });
        fs::write(to.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    }

    /// `{name}` in an argument stands for the path of that name.
    pub(super) fn args(&self, line: &str) -> Vec<String> {
        let fill = |word: &str| match word.strip_prefix('@') {
            Some(name) => self.text(name),
            None => word.to_owned(),
        };
        line.split_whitespace().map(fill).collect()
    }

    #[track_caller]
    pub(super) fn done(&self, line: &str) -> Value {
        let args = self.args(&format!("{line} --json"));
        let output = post(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(output.status.success(), "{line}\n{}", stderr(&output));
        serde_json::from_str(&stdout(&output)).unwrap()
    }

    #[track_caller]
    pub(super) fn refused(&self, line: &str, said: &[&str]) {
        let args = self.args(line);
        refused(
            &args.iter().map(String::as_str).collect::<Vec<_>>(),
            1,
            said,
        );
    }
}

pub(super) const TUNE: &str = "tune --student @teacher --task @toy.toml --data @rows.csv --device cpu \
                    --num-virtual-tokens 4 --expected-batch 8 --ledger @ledger.json";

#[test]
fn the_three_steps_lead_to_a_prompt_whose_receipt_holds() {
    let place = Place::new();
    place.done(
        "distill --teacher @teacher --blocks 0,2 --task @toy.toml --data @rows.csv --steps 3 \
         --batch 4 --checkpoint-every 1 --run @distill --device cpu",
    );
    let tuned = place.done(&format!(
        "{} --steps 3 --target-epsilon 8 --target-delta 1e-3 --run @tune",
        TUNE.replace("@teacher", "@distill/student")
    ));
    assert!(tuned["epsilon"].as_f64().unwrap() <= 8.0);
    let checked =
        place.done("receipt verify @tune/prompt --student @distill/student --task @toy.toml");
    assert_eq!(checked["compared"], json!(["prompt", "student", "task"]));
    place.refused(
        "receipt verify @tune/prompt --student @teacher",
        &["hashes.student", "hint:"],
    );

    place.done(
        "transfer --student @distill/student --teacher @teacher --prompt @tune/prompt \
         --public @rows.csv --task @toy.toml --steps 3 --batch 4 --run @transfer --device cpu",
    );
    let eval = "eval --model @teacher --task @toy.toml --data @rows.csv --device cpu";
    let found = place.done(&format!("{eval} --prompt @transfer/prompt"));
    assert_eq!(found["n"], json!(40));
    assert!(found["low"].as_f64().unwrap() <= found["accuracy"].as_f64().unwrap());

    let ledger = place.done("ledger show --ledger @ledger.json");
    assert_eq!(ledger["data_sets"][0]["runs"], json!(1));
}

/// The 350m of OPT, whose prompts are as wide as its embeddings.
#[test]
fn embeddings_narrower_than_the_blocks_go_all_the_way() {
    let place = Place::new();
    place.model("narrow", "opt-narrow");
    place.done(
        "distill --teacher @narrow --blocks 0,1 --task @toy.toml --data @rows.csv --steps 2 \
         --batch 4 --run @distill --device cpu",
    );
    place.done("bundle --student @distill/student --license MIT --out @narrow.post.safetensors");
    let tune = TUNE.replace("@teacher", "@narrow.post.safetensors");
    place.done(&format!("{tune} --steps 2 --no-dp --run @tune"));
    place.done(
        "transfer --student @narrow.post.safetensors --teacher @narrow --prompt @tune/prompt \
         --public @rows.csv --task @toy.toml --steps 2 --batch 4 --run @transfer --device cpu",
    );
    let shown = place.done("inspect @transfer/prompt");
    assert_eq!(shown["token_dim"], json!(12), "{shown}");
    let eval = "eval --model @narrow --task @toy.toml --data @rows.csv --device cpu";
    place.done(&format!("{eval} --prompt @transfer/prompt"));
    place.done(
        "bench --student @distill/student --teacher @narrow --text 4 --num-virtual-tokens 4 --rows 8 \
         --batch 4 --micro-batch 2 --repeats 1 --transfer-steps 1 --transfer-batch 4 --device cpu",
    );
}

/// Another width (20 instead of 18), other ids, other words, and "awful" unknown.
#[test]
fn a_prompt_goes_to_a_model_of_another_width_and_tokenizer() {
    let place = Place::new();
    let words = [
        "<unk>", "good", "the", "or", "bad", "film", "it", "awful", "was", "fine", "dull", "story",
    ];
    place.speaking("other", "gpt2", &words);
    place.done(&format!("{TUNE} --steps 3 --no-dp --run @tune"));
    let transfer = "transfer --student @teacher --teacher @other --prompt @tune/prompt \
                    --task @toy.toml --batch 4 --device cpu";
    let public = "--public @rows.csv --steps 3";
    place.refused(
        &format!("{transfer} {public} --run @a"),
        &["token 1 is `it`", "`good`", "--words labels"],
    );
    place.refused(
        &format!("{transfer} {public} --words labels --init prompt --run @a --force"),
        &["18 numbers wide", "hint:", "--init relative"],
    );
    place.done(&format!(
        "{transfer} {public} --words classes --run @classes"
    ));
    let args = place.args(&format!("{transfer} --steps 3 --words labels --run @b"));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    refused(&args, 2, &["--public is missing"]);

    let line = format!("{transfer} {public} --words labels --init relative --run @across");
    place.done(&line);
    let log = fs::read_to_string(place.path("across/metrics.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 3);
    place.done(&format!(
        "{transfer} --init relative --steps 0 --run @placed"
    ));
    let [moved, placed] = ["across", "placed"].map(|run| {
        let shown = place.done(&format!("inspect @{run}/prompt"));
        assert_eq!(shown["token_dim"], json!(20), "{shown}");
        let eval = "eval --model @other --task @toy.toml --data @rows.csv --device cpu";
        place.done(&format!("{eval} --prompt @{run}/prompt"));
        fs::read(place.path(&format!("{run}/prompt/adapter_model.safetensors"))).unwrap()
    });
    assert_ne!(moved, placed);
}

#[test]
fn a_student_is_published_whole_or_as_blocks_that_its_teacher_completes() {
    let place = Place::new();
    place.done(
        "distill --teacher @teacher --blocks 0,2 --task @toy.toml --data @rows.csv --steps 1 \
         --batch 4 --run @distill --device cpu",
    );
    let bundle = "bundle --student @distill/student --dtype f32";
    place.refused(
        &format!("{bundle} --out @a.post.safetensors"),
        &["licence is unknown", "hint:"],
    );
    let bundle = format!("{bundle} --license CC0-1.0 --task @toy.toml");
    place.done(&format!("{bundle} --out @whole.post.safetensors"));
    place.done(&format!(
        "{bundle} --teacher @teacher --blocks-only --out @blocks.post.safetensors"
    ));
    let eval = "eval --task @toy.toml --data @rows.csv --device cpu";
    place.refused(
        &format!("{eval} --model @blocks.post.safetensors"),
        &[
            "blocks.post.safetensors",
            "hint: complete it with its teacher",
        ],
    );
    place.done(
        "bundle --student @blocks.post.safetensors --teacher @teacher --dtype f32 \
         --out @again.post.safetensors",
    );
    let accuracy =
        |model: &str| place.done(&format!("{eval} --model @{model}"))["confusion"].take();
    assert_eq!(
        accuracy("whole.post.safetensors"),
        accuracy("distill/student")
    );
    assert_eq!(
        accuracy("again.post.safetensors"),
        accuracy("distill/student")
    );

    let path = place.path("whole.post.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    place.refused(
        &format!("{eval} --model @whole.post.safetensors"),
        &["whole.post.safetensors"],
    );
}

/// A limit on the size of files stands in for a full disk.
#[cfg(unix)]
#[test]
fn a_write_that_fails_names_the_file_and_leaves_the_old_one() {
    let place = Place::new();
    let line = "bundle --student @teacher --license CC0-1.0 --out @a.post.safetensors";
    place.done(line);
    let before = fs::read(place.path("a.post.safetensors")).unwrap();
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_post-native"))
        .args(place.args(&format!("{line} --dtype f32")))
        .output()
        .unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("could not write") && said.contains("a.post.safetensors"),
        "{said}"
    );
    assert!(said.contains("hint:"), "{said}");
    assert_eq!(fs::read(place.path("a.post.safetensors")).unwrap(), before);
    let left = fs::read_dir(place.0.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert!(
        !left
            .into_iter()
            .any(|name| name.to_string_lossy().starts_with(".part-"))
    );
}

#[test]
fn a_killed_run_goes_on_and_is_charged_once() {
    let place = Place::new();
    let line = format!("{TUNE} --steps 400 --noise-multiplier 4 --run @run");
    let mut child = Command::new(env!("CARGO_BIN_EXE_post-native"))
        .args(place.args(&line))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let metrics = place.path("run/metrics.jsonl");
    let steps = || fs::read_to_string(&metrics).map_or(0, |text| text.lines().count());
    while steps() < 3 {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it could be killed"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let settings = fs::read_to_string(place.path("run/config.toml")).unwrap();
    assert!(
        settings.contains("checkpoint_every = 1\n"),
        "how many steps lie between checkpoints would tell how long steps took, which is private"
    );
    place.refused(
        &line,
        &["holds an unfinished run", "hint: go on with --resume"],
    );
    let other = line.replace("multiplier 4", "multiplier 5");
    place.refused(
        &format!("{other} --resume"),
        &["other settings: noise_multiplier"],
    );

    place.done(&format!("{line} --resume"));
    assert_eq!(steps(), 400, "every step is logged once");
    let ledger = place.done("ledger show --ledger @ledger.json");
    assert_eq!(ledger["data_sets"][0]["runs"], json!(1));
    place.refused(&line, &["holds a finished run", "--force"]);
    let again = place.done("tune --resume --config @run/config.toml");
    assert_eq!(again["prompt"].as_str().unwrap(), place.text("run/prompt"));
}

#[test]
fn a_spent_budget_refuses_the_next_run() {
    let place = Place::new();
    let line = format!("{TUNE} --steps 2 --target-epsilon 2 --target-delta 1e-3 --ledger-cap 2.5");
    place.done(&format!("{line} --run @a"));
    place.refused(
        &format!("{line} --run @b"),
        &["ledger.json", "past its cap of 2.5"],
    );
    assert!(!place.path("b/prompt").exists());
}

#[test]
fn a_run_goes_on_from_an_earlier_prompt_and_its_receipt_names_it() {
    let place = Place::new();
    let tune = format!("{TUNE} --steps 2 --noise-multiplier 1 --target-delta 1e-3");
    place.done(&format!("{tune} --run @first"));
    let onwards = format!("{tune} --initial-prompt @first/prompt");
    place.refused(
        &format!("{onwards} --num-virtual-tokens 5 --run @longer")
            .replace("--num-virtual-tokens 4 ", ""),
        &[
            "has 4 virtual tokens, and the run 5",
            "--num-virtual-tokens 4",
        ],
    );
    place.done(&format!("{onwards} --run @second"));
    let receipt = |run: &str| -> Value {
        let bytes = fs::read(place.path(run).join("prompt/privacy.json")).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let (first, second) = (receipt("first"), receipt("second"));
    assert_eq!(second["hashes"]["initial"], first["hashes"]["prompt"]);
    place.done("receipt verify @second/prompt");
    // Without a receipt nothing is known of it, and the tool says so.
    fs::remove_file(place.path("first/prompt/privacy.json")).unwrap();
    let args = place.args(&format!("{onwards} --run @third"));
    let output = post(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(output.status.success());
    let said = stderr(&output);
    assert!(said.contains("has no guarantee"), "{said}");
}

#[test]
fn without_privacy_it_says_so_loudly_and_gives_no_receipt() {
    let place = Place::new();
    let args = place.args(&format!("{TUNE} --steps 2 --no-dp --quiet --run @run"));
    let output = post(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(stderr(&output).contains("warning: --no-dp: this run is NOT PRIVATE"));
    let readme = fs::read_to_string(place.path("run/prompt/README.md")).unwrap();
    assert!(readme.contains("NOT PRIVATE"));
    place.refused("receipt show @run/prompt", &["has no privacy.json"]);
}

#[test]
fn what_does_not_fit_is_named() {
    let place = Place::new();
    place.done(&format!("{TUNE} --steps 1 --no-dp --run @run"));
    place.model("other", "gpt2");
    let eval = "eval --task @toy.toml --data @rows.csv --device cpu";
    place.refused(
        &format!("{eval} --model @other --prompt @run/prompt"),
        &["the prompt is 18 numbers wide", "other"],
    );
    place.refused(
        &format!("{eval} --model @absent"),
        &["no model at", "absent", "hint:"],
    );
    place.refused(
        &format!("{eval} --model @toy.toml"),
        &["no model file that is known"],
    );

    let weights = place.path("other/model.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    place.refused(&format!("{eval} --model @other"), &["other", "hint:"]);
    fs::write(&weights, b"").unwrap();
    place.refused(
        &format!("{eval} --model @other"),
        &["model.safetensors is empty"],
    );

    fs::write(
        place.path("other/config.json"),
        "{\"model_type\": \"mamba\"}",
    )
    .unwrap();
    fs::write(&weights, &whole).unwrap();
    place.refused(&format!("{eval} --model @other"), &["mamba", "known are"]);
    for (name, bytes) in [
        ("a.gguf", &b"GGUF\x03\0\0\0"[..]),
        ("b.gguf", b"no model at all"),
    ] {
        fs::write(place.path(name), bytes).unwrap();
        place.refused(&format!("{eval} --model @{name}"), &[name, "hint:"]);
    }
}

#[test]
fn bad_tasks_and_tables_are_named() {
    let place = Place::new();
    let eval = "eval --model @teacher --device cpu";
    place.refused(
        &format!("{eval} --task nosuch --data @rows.csv"),
        &["nosuch", "sst2"],
    );
    fs::write(
        place.path("words.toml"),
        TASK.replace("\"awful\"", "\"quite bad\""),
    )
    .unwrap();
    place.refused(
        &format!("{eval} --task @words.toml --data @rows.csv"),
        &["quite bad", "hint:"],
    );
    fs::write(place.path("none.toml"), TASK.replace("[\"good\"]", "[]")).unwrap();
    place.refused(
        &format!("{eval} --task @none.toml --data @rows.csv"),
        &["none.toml", "positive"],
    );

    let toy = format!("{eval} --task @toy.toml");
    fs::write(place.path("columns.csv"), "body,label\nx,positive\n").unwrap();
    place.refused(
        &format!("{toy} --data @columns.csv"),
        &["columns.csv", "no column `text`"],
    );
    fs::write(place.path("empty.csv"), "").unwrap();
    place.refused(&format!("{toy} --data @empty.csv"), &["empty.csv", "empty"]);
    fs::write(
        place.path("some.csv"),
        "text,label\nthe film,positive\n,positive\nx,maybe\n",
    )
    .unwrap();
    let args = place.args(&format!("{toy} --data @some.csv --json"));
    let output = post(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("some.csv:3: left out") && said.contains("some.csv:4: left out"),
        "{said}"
    );
}

#[test]
fn settings_come_from_a_file_and_flags_win() {
    let place = Place::new();
    let file = "task = \"sst2\"\nmodel = \"nowhere\"\n";
    fs::write(place.path("eval.toml"), file).unwrap();
    let found = place.done(
        "eval --config @eval.toml --model @teacher --task @toy.toml --data @rows.csv --device cpu",
    );
    assert_eq!(found["n"], json!(40));
    fs::write(place.path("eval.toml"), "modle = \"nowhere\"\n").unwrap();
    let args = place.args("eval --config @eval.toml");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    refused(&args, 2, &["eval.toml", "`modle` is no setting"]);
    refused(
        &["eval", "--task", "sst2", "--device", "gpu"],
        2,
        &["--device", "auto, cpu, cuda"],
    );
    refused(
        &["eval", "--task", "sst2"],
        2,
        &["--model is missing", "hint:"],
    );
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_device_that_is_not_compiled_in_names_its_feature() {
    let place = Place::new();
    place.refused(
        "eval --model @teacher --task @toy.toml --data @rows.csv --device cuda",
        &["no cuda support", "--features cuda"],
    );
}
