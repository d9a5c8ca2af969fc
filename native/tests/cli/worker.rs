//! Devices of another process, over loopback.

use super::journey::Place;
use super::refused;

#[test]
fn nobody_comes_in_without_a_word() {
    refused(
        &["worker", "--address", "0.0.0.0", "--port", "0"],
        2,
        &["0.0.0.0 lets others in", "POST_WORKER_TOKEN"],
    );
}

#[test]
fn private_text_stays_on_this_machine() {
    let args = ["tune", "--student", "s", "--device", "ws://gpu:9000"];
    refused(&args, 2, &["ws://gpu:9000", "not encrypted"]);
    let args = ["worker", "--devices", "cpu,ws://gpu:9000"];
    refused(&args, 2, &["ws://gpu:9000", "not encrypted"]);
    refused(
        &["distill", "--devices", "ws://gpu"],
        2,
        &["ws://host:port"],
    );
}

#[cfg(not(feature = "remote"))]
#[test]
fn a_build_without_them_names_the_feature() {
    let place = Place::new();
    let distill =
        "distill --teacher @teacher --blocks 0,2 --steps 0 --run @run --device ws://gpu:9000";
    place.refused(distill, &["--features remote"]);
    place.refused("worker --device cpu --port 0", &["--features remote"]);
}

#[cfg(feature = "remote")]
mod remote {
    use std::fs;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::Place;
    use crate::devices::{assert_near, numbers};
    use crate::server::Server;

    const DISTILL: &str = "distill --teacher @teacher --blocks 0,2 --task @toy.toml --data @rows.csv --batch 8 \
                           --micro-batch 2 --learning-rate 1e-2";
    const TRANSFER: &str = "transfer --student @alone/student --teacher @teacher --prompt @tune/prompt --public @rows.csv \
                            --task @toy.toml --batch 8 --micro-batch 2";

    /// A prompt at @tune, on the student at @alone, which is there already or is the teacher's blocks as they are.
    fn tuned(place: &Place) {
        if !place.path("alone").exists() {
            place.done(
                "distill --teacher @teacher --blocks 0,2 --steps 0 --device cpu --run @alone",
            );
        }
        place.done(
            "tune --student @alone/student --task @toy.toml --data @rows.csv --device cpu --no-dp \
             --num-virtual-tokens 4 --expected-batch 8 --ledger @ledger.json --steps 3 --run @tune",
        );
    }

    fn worker(place: &Place, line: &str, environment: &[(&str, &str)]) -> Server {
        let args = place.args(&format!("worker --port 0 {line}"));
        Server::start(&args, environment, "Listening on ws://")
    }

    fn student(place: &Place, run: &str) -> Vec<f32> {
        numbers(place, &format!("{run}/student/model.safetensors"))
    }

    #[test]
    fn student_and_prompt_are_the_same_with_the_help_of_a_worker() {
        let place = Place::new();
        let worker = worker(&place, "--devices cpu,cpu", &[]);
        let shares = [
            ("alone", "cpu".to_owned()),
            ("helped", format!("cpu,ws://{0},ws://{0}/1", worker.address)),
            ("elsewhere", format!("ws://{}/1", worker.address)),
        ];
        for (run, devices) in &shares {
            place.done(&format!(
                "{DISTILL} --steps 4 --devices {devices} --run @{run}"
            ));
        }
        tuned(&place);
        for (run, devices) in &shares {
            place.done(&format!(
                "{TRANSFER} --steps 4 --devices {devices} --run @{run}-transfer"
            ));
        }
        let prompt = |run: &str| {
            numbers(
                &place,
                &format!("{run}-transfer/prompt/adapter_model.safetensors"),
            )
        };
        for (run, _) in &shares[1..] {
            assert_near(&student(&place, run), &student(&place, "alone"));
            assert_near(&prompt(run), &prompt("alone"));
        }
    }

    /// Runs `line` into @run with the help of a worker that dies in its midst, and then without it to its end.
    fn outlives_its_worker(place: &Place, line: &str) {
        let worker = worker(place, "--device cpu", &[]);
        let address = worker.address.clone();
        let line = format!("{line} --checkpoint-every 1 --run @run");
        let mut child = Command::new(env!("CARGO_BIN_EXE_post-native"))
            .args(place.args(&format!("{line} --devices cpu,ws://{address}")))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let metrics = place.path("run/metrics.jsonl");
        while fs::read_to_string(&metrics).map_or(0, |text| text.lines().count()) < 3 {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(worker);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let named = format!("the worker ws://{address}/0 no longer answers");
        assert!(said.contains(&named) && said.contains("--resume"), "{said}");
        place.done(&format!("{line} --device cpu --resume"));
    }

    #[test]
    fn a_worker_that_dies_is_named_and_the_run_goes_on_without_it() {
        let place = Place::new();
        let line = format!("{DISTILL} --steps 300");
        outlives_its_worker(&place, &line);
        place.done(&format!("{line} --device cpu --run @alone"));
        assert_near(&student(&place, "run"), &student(&place, "alone"));
    }

    #[test]
    fn so_does_a_transfer() {
        let place = Place::new();
        tuned(&place);
        let line = format!("{TRANSFER} --steps 300");
        outlives_its_worker(&place, &line);
        place.done(&format!("{line} --device cpu --run @alone-transfer"));
        let path = "prompt/adapter_model.safetensors";
        let prompt = |run: &str| numbers(&place, &format!("{run}/{path}"));
        assert_near(&prompt("run"), &prompt("alone-transfer"));
    }

    #[test]
    fn a_worker_lets_in_who_knows_the_word() {
        let place = Place::new();
        let worker = worker(&place, "--device cpu", &[("POST_WORKER_TOKEN", "a word")]);
        let distill = |device: usize, token: &str| {
            let line = format!(
                "distill --teacher @teacher --blocks 0,2 --steps 0 --device ws://{}/{device} --run @run{device} --force",
                worker.address
            );
            let output = Command::new(env!("CARGO_BIN_EXE_post-native"))
                .args(place.args(&line))
                .env("POST_WORKER_TOKEN", token)
                .output()
                .unwrap();
            (output.status.success(), crate::stderr(&output))
        };
        for token in ["", "another"] {
            let (done, said) = distill(0, token);
            assert!(
                !done && said.contains("hint: set POST_WORKER_TOKEN"),
                "{said}"
            );
        }
        let (done, said) = distill(1, "a word");
        assert!(!done && said.contains("count its devices from 0"), "{said}");
        let (done, said) = distill(0, "a word");
        assert!(done, "{said}");
    }
}
