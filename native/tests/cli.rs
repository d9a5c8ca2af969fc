//! The binary from outside: what it prints, where, and with which exit code.

#![allow(clippy::unwrap_used)]

#[path = "cli/account.rs"]
mod account;
#[path = "cli/audit.rs"]
mod audit;
#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/bench.rs"]
mod bench;
#[path = "cli/data.rs"]
mod data;
#[path = "cli/devices.rs"]
mod devices;
#[path = "cli/dtype.rs"]
mod dtype;
#[path = "cli/eval.rs"]
mod eval;
#[path = "cli/experiment.rs"]
mod experiment;
#[path = "cli/forward.rs"]
mod forward;
#[path = "cli/help.rs"]
mod help;
#[cfg(feature = "hub")]
#[path = "cli/hub.rs"]
mod hub;
#[path = "cli/journey.rs"]
mod journey;
#[path = "cli/open.rs"]
mod open;
#[path = "cli/place.rs"]
mod place;
#[path = "cli/serve.rs"]
mod serve;
#[path = "cli/server.rs"]
mod server;
#[path = "cli/students.rs"]
mod students;
#[path = "cli/worker.rs"]
mod worker;

use std::process::{Command, Output};

/// Runs the binary as a person would, in an empty environment but for `PATH` and `HOME`.
fn post(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_post-native"))
        .args(args)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The command fails with this code and says all of this on stderr, and nothing on stdout.
#[track_caller]
fn refused(args: &[&str], code: i32, said: &[&str]) {
    let output = post(args);
    let heard = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{heard}");
    for words in said {
        assert!(
            heard.contains(words),
            "{args:?} should say `{words}`:\n{heard}"
        );
    }
    assert_eq!(
        stdout(&output),
        "",
        "{args:?} failed, so stdout has no data"
    );
}
