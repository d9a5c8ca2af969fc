//! `cargo xtask test`: every check and test there is, part by part, and what each took.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::beside::Beside;
use crate::shell::{self, NATIVE, cargo, minutes, path_with, say};
use crate::{fetch, quickstart, tidy, tools, web};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run only these parts
    #[arg(long, value_name = "PART", value_parser = names())]
    only: Vec<String>,
    /// Build the page of the journeys and the tests in a tab, and run nothing
    #[arg(long, conflicts_with = "only", hide = true)]
    build: bool,
}

/// A part of the test run.
struct Part {
    name: &'static str,
    run: fn(&mut Page) -> Result<()>,
}

/// The page that the journeys go through, and with it the tests in a tab: what a whole run builds beside everything
/// native, because linking them keeps one core busy for long and needs nothing of the rest.
enum Page {
    /// Not begun; whoever needs it, builds it.
    Missing,
    /// Being built.
    Beside(Beside),
    /// Built.
    Built,
}

impl Page {
    /// Waits for it, if it is being built, and says whether it is.
    fn wait(&mut self) -> Result<bool> {
        *self = match std::mem::replace(self, Self::Missing) {
            Self::Beside(beside) => {
                beside.finish()?;
                Self::Built
            }
            other => other,
        };
        Ok(matches!(self, Self::Built))
    }
}

/// Begins to build the page. What `rustup` and Debian's packages have to install, is installed first: they
/// don't work side by side.
fn page_beside() -> Result<Page> {
    tools::wasm_target()?;
    tools::chromedriver()?;
    tools::wasm_opt()?;
    let folder = place()?;
    let said = folder.with_extension("log");
    std::fs::create_dir_all(&folder)?;
    Ok(Page::Beside(Beside::start(&["test", "--build"], &said)?))
}

/// Where the journeys' page lies.
fn place() -> Result<PathBuf> {
    let root = std::env::current_dir()?;
    Ok(root.join(shell::target()).join("journey").join("page"))
}

/// Cheap ones first: what fails soon tells soon.
const PARTS: [Part; 6] = [
    Part {
        name: "model",
        run: |_| model(),
    },
    Part {
        name: "tidy",
        run: |_| tidy::run(&tidy::Args::default()),
    },
    Part {
        name: "native",
        run: |_| native(),
    },
    Part {
        name: "doc",
        run: |_| doc(),
    },
    Part {
        name: "browser",
        run: browser,
    },
    Part {
        name: "journey",
        run: journey,
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
    if args.build {
        web::build(&place()?)?;
        return build_for_tab();
    }
    let chosen =
        |part: &&Part| args.only.is_empty() || args.only.iter().any(|name| name == part.name);
    let begin = Instant::now();
    let mut times = Vec::new();
    let mut page = match args.only.is_empty() {
        true => page_beside()?,
        false => Page::Missing,
    };
    for part in PARTS.iter().filter(chosen) {
        let start = Instant::now();
        let result = (part.run)(&mut page);
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

/// Compiles the tests in a tab as wasm-pack does, so that it finds them.
fn build_for_tab() -> Result<()> {
    say("Building the tests in a tab");
    let mut build = cargo("build");
    build.args([
        "--tests",
        "--profile",
        web::PROFILE,
        "--target",
        tools::WASM,
    ]);
    shell::run(build.args(["--test", "browser"]).current_dir("tests"))
}

/// The tests in a tab.
fn browser(page: &mut Page) -> Result<()> {
    page.wait().context("the page was not built")?;
    in_tab(&[])
}

/// The tests in a tab of headless Chromium that the arguments choose; Chromium's own are in
/// `tests/webdriver.json`.
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

/// Journeys that watch what a thread does, or compute for long: each takes the machine for itself.
const ALONE: [&str; 3] = ["faster::", "real::", "smooth::"];

/// What a person does, from outside: the built page in headless Chromium, served by `post-native`.
fn journey(built: &mut Page) -> Result<()> {
    let driver = tools::chromedriver()?;
    let page = place()?;
    if !built.wait().context("the page was not built")? {
        web::build(&page)?;
    }
    let folder = page.parent().context("the page lies in a folder")?;
    let student = folder.join("student.post.safetensors");
    let program = shell::build_tested_tool()?;
    quickstart::complete(&program, &student)?;
    let axe = std::path::absolute(fetch::fetch(&fetch::AXE)?)?;
    say("Testing the journeys through the page");
    let alone = ALONE.iter().copied();
    let others = ALONE.iter().flat_map(|name| ["--skip", name]);
    let turns: [Vec<&str>; 2] = [
        ["--test-threads", "2"].into_iter().chain(others).collect(),
        ["--test-threads", "1"].into_iter().chain(alone).collect(),
    ];
    let look = format!("the screenshots are in {}", folder.display());
    for turn in turns {
        let mut command = cargo("test");
        command
            .args(NATIVE)
            .args([
                "--features",
                "post-tests/journey",
                "--test",
                "journey",
                "--",
            ])
            .args(turn)
            .env("CHROMEDRIVER", &driver)
            .env("POST_JOURNEY_NATIVE", std::path::absolute(&program)?)
            .env("POST_JOURNEY_PAGE", &page)
            .env("POST_JOURNEY_STUDENT", &student)
            .env("POST_JOURNEY_AXE", &axe)
            .env("POST_JOURNEY_OUTPUT", folder);
        shell::run(&mut command).with_context(|| look.clone())?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_stays_done() {
        let said = tempfile::NamedTempFile::new().unwrap();
        let mut page = Page::Beside(Beside::start(&["--list"], said.path()).unwrap());
        for _ in 0..2 {
            assert!(page.wait().unwrap());
        }
        assert!(!Page::Missing.wait().unwrap());
        let failing = Beside::start(&["--no-such-argument"], said.path()).unwrap();
        assert!(Page::Beside(failing).wait().is_err());
    }

    #[test]
    fn the_summary_names_every_part_with_its_time() {
        let times = [
            ("model", Duration::from_secs(3)),
            ("tidy", Duration::from_secs(130)),
        ];
        assert_eq!(table(&times), "model 3 s, tidy 2 min 10 s");
    }
}
