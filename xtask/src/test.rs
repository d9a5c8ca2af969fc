//! `cargo xtask test`: every check and test there is, one after the other, and what each took.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::shell::{self, NATIVE, cargo, minutes, path_with, say};
use crate::{fetch, quickstart, tidy, tools, web};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run only these parts
    #[arg(long, value_name = "PART", value_parser = names())]
    only: Vec<String>,
}

/// A part of the test run.
struct Part {
    name: &'static str,
    run: fn() -> Result<()>,
}

/// Cheap ones first: what fails soon tells soon.
const PARTS: [Part; 7] = [
    Part {
        name: "model",
        run: model,
    },
    Part {
        name: "tidy",
        run: || tidy::run(&tidy::Args::default()),
    },
    Part {
        name: "native",
        run: native,
    },
    Part {
        name: "doc",
        run: doc,
    },
    Part {
        name: "browser",
        run: browser,
    },
    Part {
        name: "journey",
        run: journey,
    },
    Part {
        name: "cuda",
        run: cuda,
    },
];

fn names() -> Vec<&'static str> {
    PARTS.iter().map(|part| part.name).collect()
}

/// Runs the parts, stops at the first that fails, and ends with one line.
///
/// # Errors
/// When a part fails; the error names it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let chosen =
        |part: &&Part| args.only.is_empty() || args.only.iter().any(|name| name == part.name);
    let begin = Instant::now();
    let mut times = Vec::new();
    for part in PARTS.iter().filter(chosen) {
        let start = Instant::now();
        let result = (part.run)();
        times.push((part.name, start.elapsed()));
        if let Err(error) = result {
            say(&format!("FAILED in `{}` ({})", part.name, table(&times)));
            return Err(error.context(format!("the part `{}` failed", part.name)));
        }
    }
    say(&format!(
        "All passed in {} ({})",
        minutes(begin.elapsed()),
        table(&times)
    ));
    Ok(())
}

fn table(times: &[(&str, Duration)]) -> String {
    times
        .iter()
        .map(|(name, time)| format!("{name} {}", minutes(*time)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The real model, for the tests that compare with its published numbers.
fn model() -> Result<()> {
    fetch::fetch(&fetch::MODEL).map(drop)
}

fn native() -> Result<()> {
    say("Testing natively");
    shell::run(
        cargo("test")
            .args(NATIVE)
            .args(["--lib", "--bins", "--tests"]),
    )
}

/// The examples in the documentation, those that must not compile among them.
fn doc() -> Result<()> {
    say("Testing the documentation's examples");
    shell::run(cargo("test").args(NATIVE).arg("--doc"))
}

/// Type-checks the CUDA build: docs.rs has no CUDA either, so its flag leaves out the download of
/// the LLVM bundle that linking would need.
fn cuda() -> Result<()> {
    say("Type-checking the CUDA build");
    let args = ["--release", "-p", "post-native", "--features", "cuda"];
    shell::run(cargo("check").args(args).env("DOCS_RS", "1"))
}

/// The tests that run in a tab of headless Chromium; its arguments are in `tests/webdriver.json`.
fn browser() -> Result<()> {
    in_tab(&[])
}

/// The tests in a tab that the arguments choose.
///
/// # Errors
/// When one fails, or a tool is missing.
pub(crate) fn in_tab(args: &[&str]) -> Result<()> {
    tools::wasm_target()?;
    let driver = tools::chromedriver()?;
    let path = path_with(&tools::wasm_tools()?)?;
    say("Testing in the browser");
    let mut command = Command::new("wasm-pack");
    command
        .args(["test", "--headless", "--chrome", "--chromedriver"])
        .arg(driver);
    // The page's own profile, so that the crates it needs are compiled once.
    command.args(["--mode", "no-install", "tests"]);
    command.args(["--profile", web::PROFILE, "--test", "browser"]);
    command.arg("--").args(args).env("PATH", path);
    // A slow machine is not a failing one.
    command
        .env("WASM_BINDGEN_TEST_TIMEOUT", "600")
        .env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "120");
    shell::run(&mut command).context("the browser tests did not pass")
}

/// What a person does, from outside: the built page in headless Chromium, served by `post-native`.
fn journey() -> Result<()> {
    let driver = tools::chromedriver()?;
    let folder = std::env::current_dir()?
        .join(shell::target())
        .join("journey");
    let (page, student) = (folder.join("page"), folder.join("student.post.safetensors"));
    web::build(&page)?;
    let program = shell::build_tool()?;
    quickstart::complete(&program, &student)?;
    let axe = std::path::absolute(fetch::fetch(&fetch::AXE)?)?;
    say("Testing the journeys through the page");
    let mut command = cargo("test");
    command
        .args(NATIVE)
        .args(["--features", "post-tests/journey", "--test", "journey"]);
    // A tab that computes takes the machine for itself.
    command.args(["--", "--test-threads", "1"]);
    command
        .env("CHROMEDRIVER", driver)
        .env("POST_JOURNEY_NATIVE", std::path::absolute(program)?)
        .env("POST_JOURNEY_PAGE", page)
        .env("POST_JOURNEY_STUDENT", student)
        .env("POST_JOURNEY_AXE", axe)
        .env("POST_JOURNEY_OUTPUT", &folder);
    let look = format!("the screenshots are in {}", folder.display());
    shell::run(&mut command).context(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_every_part_with_its_time() {
        let times = [
            ("model", Duration::from_secs(3)),
            ("tidy", Duration::from_secs(130)),
        ];
        assert_eq!(table(&times), "model 3 s, tidy 2 min 10 s");
    }
}
