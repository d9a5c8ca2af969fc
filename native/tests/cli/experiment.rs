//! Experiments: the files of the repository, and a small one run, killed, repeated and broken.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use post_core::dp::receipt::sha256;
use serde_json::{Value, json};

use super::journey::Place;
use super::{stderr, stdout};

const SMALL: &str = r#"
title = "Small"
methods = [@methods]
[grid]
epsilon = ["inf", 8]
seed = [0, 1]
[teachers.tiny]
model = "@teacher"
[students.two-blocks]
distill = { blocks = [0, 2], steps = 0 }
[tasks.toy]
task = "@toy.toml"
train = ["@rows.csv"]
test = ["@rows.csv"]
[publics.same]
data = ["@rows.csv"]
[tune]
num_virtual_tokens = 4
expected_batch = 8.0
steps = 3
private = { target_delta = 1e-3 }
[transfer]
steps = 3
batch = 8
words = "labels"
"#;

const METHODS: &str = r#""zero-shot", "sentence", "calibrated", "sentence-calibrated", "student-zero-shot", "student", "direct", "logit-arithmetic", "sentence-logit-arithmetic", "relative", "post", "teacher-tuned", "upper-bound""#;

fn experiment(place: &Place, text: &str, flags: &[&str]) -> std::process::Output {
    command(place, text, flags).output().unwrap()
}

fn command(place: &Place, text: &str, flags: &[&str]) -> Command {
    let folder = place.path("");
    let text = text.replace("@methods", METHODS);
    let text = text.replace('@', &folder.to_string_lossy());
    fs::write(place.path("small.toml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_post-native"));
    command
        .arg("experiment")
        .arg(place.path("small.toml"))
        .arg("--run")
        .arg(place.path("run"))
        .args(["--devices", "cpu"])
        .args(flags);
    command
}

fn jobs(place: &Place) -> Vec<(String, std::time::SystemTime)> {
    let folder = fs::read_dir(place.path("run/jobs")).unwrap();
    let entries = folder.map(|entry| entry.unwrap().path());
    let done = entries.filter(|path| path.join("done.json").is_file());
    let mut jobs: Vec<_> = done
        .map(|path| {
            let changed = fs::metadata(path.join("done.json"))
                .unwrap()
                .modified()
                .unwrap();
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                changed,
            )
        })
        .collect();
    jobs.sort();
    jobs
}

fn count(jobs: &[(String, std::time::SystemTime)], command: &str) -> usize {
    jobs.iter()
        .filter(|(name, _)| name.starts_with(command))
        .count()
}

/// SHA-256 of the program that is tested.
fn own_hash() -> String {
    sha256(&fs::read(env!("CARGO_BIN_EXE_post-native")).unwrap())
}

/// The experiments of the repository, `.toml` left out.
const EXPERIMENTS: [&str; 26] = [
    "paper/alpha",
    "paper/costs",
    "paper/depth",
    "paper/epsilon",
    "paper/gpt2-xl",
    "paper/llama2-7b",
    "paper/membership",
    "paper/prompt-length",
    "paper/public-rows",
    "paper/roberta-base",
    "paper/steps",
    "paper/undistilled",
    "smollm2/adjectives",
    "smollm2/alpha",
    "smollm2/alpha-proxy",
    "smollm2/baselines",
    "smollm2/canaries",
    "smollm2/levers",
    "smollm2/min-k",
    "smollm2/privacy",
    "smollm2/publics",
    "smollm2/quickstart",
    "smollm2/starts",
    "smollm2/steps",
    "smollm2/two-students",
    "smollm2/undistilled",
];

/// All TOML files of a folder and those in it.
fn toml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => toml_files(&path, found),
            Some(extension) if extension == "toml" => found.push(path),
            _ => {}
        }
    }
}

#[test]
fn every_experiment_of_the_repository_holds_together() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = root.join("experiments");
    let mut files = Vec::new();
    toml_files(&folder, &mut files);
    // The others are settings and tasks, which have none.
    files.retain(|path| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().any(|line| line.starts_with("title = "))
    });
    let name = |path: &PathBuf| {
        let path = path.strip_prefix(&folder).unwrap().with_extension("");
        path.to_string_lossy().replace('\\', "/")
    };
    let mut names: Vec<String> = files.iter().map(name).collect();
    names.sort();
    assert_eq!(names, EXPERIMENTS);
    for path in files {
        let output = Command::new(env!("CARGO_BIN_EXE_post-native"))
            .current_dir(&root)
            .arg("experiment")
            .arg(&path)
            .arg("--check")
            .output()
            .unwrap();
        let (path, said) = (path.display(), stderr(&output));
        assert!(output.status.success(), "{path}\n{said}");
        assert!(stdout(&output).contains("jobs for"), "{path}");
    }
}

#[test]
fn a_grid_is_run_once_and_its_table_has_every_method() {
    let place = Place::new();
    let output = experiment(&place, SMALL, &["--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let rows: Vec<Value> = serde_json::from_str(&stdout(&output)).unwrap();
    let of = |method: &str| rows.iter().filter(|row| row["method"] == method).count();
    // Zero-shot depends on neither ε nor seed, the bound on the seed, the others on both.
    assert_eq!(
        [
            of("zero-shot"),
            of("sentence"),
            of("student-zero-shot"),
            of("upper-bound")
        ],
        [1, 1, 1, 2]
    );
    let both = [
        "student",
        "direct",
        "logit-arithmetic",
        "sentence-logit-arithmetic",
        "post",
        "teacher-tuned",
    ];
    assert_eq!(both.map(of), [4; 6]);
    assert!(rows.iter().all(|row| row["n"] == 40));
    assert!(rows.iter().all(|row| row["program"] == json!([own_hash()])));
    for row in &rows {
        let spent = &row["spent"];
        assert_eq!(spent.is_null(), row["epsilon"] != 8.0, "{row}");
        if !spent.is_null() {
            let epsilon = spent["epsilon"].as_f64().unwrap();
            assert!(epsilon > 7.0 && epsilon <= 8.0, "{row}");
            assert_eq!(spent["delta"], 1e-3);
        }
    }
    let lines = fs::read_to_string(place.path("run/results.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), rows.len());
    let page = fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(page.contains("transferred prompt (POST)") && !page.contains("failed"));

    let before = jobs(&place);
    // On the student and on the teacher, for each ε and seed; the bound is one of the latter.
    assert_eq!(
        [
            count(&before, "distill"),
            count(&before, "tune"),
            count(&before, "transfer")
        ],
        [1, 8, 8]
    );
    let ledgers = before.iter().filter(|(name, _)| {
        place
            .path("run/jobs")
            .join(name)
            .join("ledger.json")
            .is_file()
    });
    assert_eq!(
        ledgers.count(),
        4,
        "each private run has a ledger of its own"
    );

    // A wider grid does what is new, and nothing again.
    let wider = SMALL.replace("epsilon = [\"inf\", 8]", "epsilon = [\"inf\", 8, 3]");
    let output = experiment(&place, &wider, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let table = stdout(&output);
    assert!(
        table.contains("of the gap") && table.contains('∞'),
        "{table}"
    );
    let after = jobs(&place);
    assert_eq!(count(&after, "tune"), 12);
    assert!(
        before.iter().all(|job| after.contains(job)),
        "a finished job was done again"
    );
}

/// What an experiment found beside accuracies, by the name of the probe.
fn found<'a>(lines: &'a [Value], probe: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["probe"] == probe).collect()
}

#[test]
fn attacks_and_costs_are_jobs_beside_the_grid() {
    let place = Place::new();
    let probes = SMALL.replace("@methods", "")
        + r#"
[audits.lira]
shadows = 4
rows = 24
[audits.canaries]
canaries = 30
steps = 5
[audits.min-k]
members = ["@rows.csv"]
others = ["@rows.csv"]
[score]
max_rows = 30
[bench]
text = 4
num_virtual_tokens = 2
batch = 2
repeats = 1
distil_rows = 2
"#;
    let output = experiment(&place, &probes, &["--json", "--jobs", "2"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let lines: Vec<Value> = serde_json::from_str(&stdout(&output)).unwrap();
    // Attacks on tuning once for each ε, whatever the seeds; scores for each prompt; the others once for the
    // student and the pair.
    let probes_of = ["lira", "canaries", "min-k", "score", "bench"];
    let counts = probes_of.map(|probe| found(&lines, probe).len());
    assert_eq!((counts, lines.len()), ([2, 2, 1, 4, 1], 10));
    for score in found(&lines, "score") {
        let of = &score["found"][0];
        assert_eq!(
            (&of["rows"], &score["public"]),
            (&30.into(), &"same".into())
        );
        assert!(
            (0.0..=1.0).contains(&of["score"].as_f64().unwrap()),
            "{score}"
        );
    }
    for lira in found(&lines, "lira") {
        assert_eq!(
            (&lira["found"]["rows"], &lira["found"]["shadows"]),
            (&24.into(), &4.into())
        );
        assert_eq!(
            lira["found"]["allowed"].is_null(),
            lira["epsilon"] == "inf",
            "{lira}"
        );
    }
    for canaries in found(&lines, "canaries") {
        let claim = &canaries["found"]["claim"]["epsilon"];
        assert_eq!(claim.is_null(), canaries["epsilon"] == "inf", "{canaries}");
        assert_eq!(canaries["found"]["guesses"]["canaries"], 30);
    }
    assert!(
        lines
            .iter()
            .all(|line| line["program"] == json!([own_hash()]))
    );
    // The same texts on both sides.
    assert_eq!(found(&lines, "min-k")[0]["found"]["auc"]["value"], 0.5);
    let runs = found(&lines, "bench")[0]["found"]["runs"]
        .as_array()
        .unwrap();
    assert!(runs.iter().any(|run| run["phase"] == "tune on the teacher"));
    let page = fs::read_to_string(place.path("run/report.html")).unwrap();
    for part in [
        "Attacks, scores and costs",
        "guessing",
        "tune on the teacher",
        "examples/s",
        "not refuted",
        "Min-K%",
        "Public text",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let done = jobs(&place);
    let again = experiment(&place, &probes, &["--jobs", "2"]);
    assert!(again.status.success(), "{}", stderr(&again));
    assert_eq!(jobs(&place), done, "a finished job was done again");
    let text = stdout(&again);
    for part in ["LiRA", "Canaries", "Min-K%", "seconds", "∞"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_prompt_is_tuned_on_the_students_that_another_names() {
    let place = Place::new();
    let student = "distill = { blocks = [0, 2], steps = 0 }";
    let other = "distill = { blocks = [0, 1], steps = 0 }";
    let several = SMALL
        .replace("@methods", "\"student\"")
        .replace("epsilon = [\"inf\", 8]", "epsilon = [8]\nstudent = [\"two-blocks\"]")
        .replace("seed = [0, 1]", "seed = [0]")
        .replace(
            student,
            &format!(
                "{student}\nalso = [\"other\", \"whole\"]\n[students.other]\n{other}\n[students.whole]\nmodel = \"@teacher\""
            ),
        );
    let output = experiment(&place, &several, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let done = jobs(&place);
    assert_eq!([count(&done, "distill"), count(&done, "tune")], [2, 1]);
    let tune = done.iter().find(|(name, _)| name.starts_with("tune"));
    let receipt = place
        .path("run/jobs")
        .join(&tune.unwrap().0)
        .join("prompt/privacy.json");
    let receipt: Value = serde_json::from_slice(&fs::read(receipt).unwrap()).unwrap();
    let hashes =
        ["student", "student-2", "student-3"].map(|name| receipt["hashes"][name].as_str().unwrap());
    assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[0] != hashes[2]);
}

#[test]
fn what_the_teacher_says_of_a_text_is_computed_once_for_all_jobs() {
    let place = Place::new();
    fs::write(place.path("text.txt"), "it was bad\nthe film was good\n").unwrap();
    let grid = SMALL
        .replace("seed = [0, 1]", "seed = [0]\ndistill.num_blocks = [1, 2]")
        .replace(
            "blocks = [0, 2], steps = 0",
            "text = [\"@text.txt\"], steps = 2, batch = 2",
        );
    let grid = grid.replace("@methods", "\"post\"");
    let output = experiment(&place, &grid, &["--jobs", "2"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let done = jobs(&place);
    assert_eq!([count(&done, "distill"), count(&done, "transfer")], [2, 4]);
    let kept = |start: &str| {
        let entries = fs::read_dir(place.path("run/states")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names = names.filter(|name| name.starts_with(start) && name.ends_with(".bin"));
        names.count()
    };
    assert_eq!([kept("states-"), kept("rows-")], [1, 1]);
    // Alone, with states of its own, a student is the same.
    let alone = "distill --teacher @teacher --text @text.txt --steps 2 --batch 2 --num-blocks 2 --device cpu";
    place.done(&format!("{alone} --run @alone"));
    let student = |folder: &Path| fs::read(folder.join("student/model.safetensors")).unwrap();
    let own = student(&place.path("alone"));
    let folder = place.path("run/jobs");
    let mut shared = done.iter().filter(|(name, _)| name.starts_with("distill"));
    assert!(shared.any(|(name, _)| student(&folder.join(name)) == own));
}

#[test]
fn a_killed_experiment_goes_on_at_its_last_step() {
    let place = Place::new();
    let long = SMALL
        .replace("seed = [0, 1]", "seed = [0]")
        .replace("epsilon = [\"inf\", 8]", "epsilon = [\"inf\"]")
        .replace("steps = 3\nprivate", "steps = 400\nprivate");
    let mut child = command(&place, &long, &["--quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let checkpoint = || {
        let folder = fs::read_dir(place.path("run/jobs")).ok()?;
        let mut paths = folder.map(|entry| entry.unwrap().path());
        paths.find(|path| path.join("checkpoint.bin").is_file())
    };
    let job = loop {
        if let Some(job) = checkpoint() {
            break job;
        }
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it could be killed"
        );
        std::thread::sleep(Duration::from_millis(20));
    };
    std::thread::sleep(Duration::from_millis(200));
    child.kill().unwrap();
    child.wait().unwrap();
    // Its job ends with it.
    let metrics = || {
        fs::read_to_string(job.join("metrics.jsonl"))
            .unwrap()
            .lines()
            .count()
    };
    let mut made = metrics();
    loop {
        std::thread::sleep(Duration::from_millis(300));
        match metrics() {
            same if same == made => break,
            more => made = more,
        }
    }
    assert!(made < 400, "it was done before it was killed");
    // As if another build had been killed.
    let mark = job.join("program.sha256");
    fs::write(&mark, "0000\n").unwrap();
    let output = command(&place, &long, &[]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(metrics(), 400);
    let marks = fs::read_to_string(&mark).unwrap();
    assert_eq!(marks, format!("0000\n{}\n", own_hash()));
    let log = fs::read_to_string(job.join("log.txt")).unwrap();
    let resumed = log
        .lines()
        .find_map(|line| line.strip_prefix("tune: ")?.strip_suffix("/400"));
    let resumed: usize = resumed.unwrap().parse().unwrap();
    assert!(resumed > 0 && resumed + 1 >= made, "{resumed} of {made}");
}

#[test]
fn numbers_name_the_builds_that_they_come_from() {
    let place = Place::new();
    let grid = SMALL
        .replace("@methods", "\"student-zero-shot\", \"student\"")
        .replace("seed = [0, 1]", "seed = [0]")
        .replace("\"inf\", 8", "\"inf\"");
    let output = experiment(&place, &grid, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let page = || fs::read_to_string(place.path("run/report.html")).unwrap();
    let shown = format!("begins with {}.", &own_hash()[..12]);
    assert!(page().contains(&shown));

    // As if another build had tuned, and one that wrote nothing down had evaluated.
    let lines = || {
        let text = fs::read_to_string(place.path("run/results.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    let (before, other) = (jobs(&place), "0".repeat(64));
    let mark = |job: &str| place.path("run/jobs").join(job).join("program.sha256");
    let mut tunes = before.iter().filter(|(name, _)| name.starts_with("tune"));
    fs::write(mark(&tunes.next().unwrap().0), format!("{other}\n")).unwrap();
    fs::remove_file(mark(lines()[0]["job"].as_str().unwrap())).unwrap();
    let output = experiment(&place, &grid, &[]);
    let said = stderr(&output);
    for words in [
        "4 of 4 jobs were done before",
        "1 of 4 jobs were done by another build of this program; remove ",
        "1 of 4 jobs don't say which build",
    ] {
        assert!(said.contains(words), "should say `{words}`:\n{said}");
    }
    assert_eq!(jobs(&place), before, "a mark alone makes no job anew");
    let programs: Vec<Value> = lines().iter().map(|row| row["program"].clone()).collect();
    assert_eq!(
        programs,
        [json!([own_hash(), "unknown"]), json!([other, own_hash()])]
    );
    assert!(page().contains("Several builds") && page().contains(&other[..12]));
}

#[test]
fn a_job_that_fails_is_named_and_the_others_are_done() {
    let place = Place::new();
    let rows = place.path("rows.csv");
    fs::write(place.path("none.csv"), "text,label\n").unwrap();
    let broken = format!(
        "{SMALL}\n[publics.none]\ndata = [\"{}\"]\n",
        rows.with_file_name("none.csv").display()
    );
    let broken = broken
        .replace("seed = [0, 1]", "seed = [0]")
        .replace("\"inf\", 8", "\"inf\"");
    let output = experiment(&place, &broken, &[]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in [
        "transfer-",
        "none.csv",
        "4 of ",
        "jobs failed",
        "a job that it needs failed",
    ] {
        assert!(said.contains(words), "should say `{words}`:\n{said}");
    }
    let lines = fs::read_to_string(place.path("run/results.jsonl")).unwrap();
    assert!(lines.contains("\"public\":\"same\"") && !lines.contains("\"public\":\"none\""));
    let page = fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(page.contains("4 jobs failed"));
}

#[test]
fn settings_that_a_command_lacks_are_found_before_anything_runs() {
    let place = Place::new();
    let output = experiment(&place, &SMALL.replace("batch = 8\n", "batches = 8\n"), &[]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("small.toml: transfer") && said.contains("`batches` is no setting"),
        "{said}"
    );
    assert!(!place.path("run").exists());
    let output = experiment(&place, &SMALL.replace("@toy.toml", "sst3"), &["--check"]);
    let said = stderr(&output);
    assert!(
        !output.status.success() && said.contains("[tasks.toy]") && said.contains("sst3"),
        "{said}"
    );
}
