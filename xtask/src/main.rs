//! What a newcomer has to run: `cargo xtask setup|quickstart|test|tidy|bench|fuzz|web`.
//!
//! Every step says what it is doing, installs what it needs and checks what it fetched. The root of
//! the repository is the working directory throughout.

#![allow(
    clippy::print_stderr,
    reason = "a tool for the terminal, and stderr is where it reports"
)]

mod bench;
mod beside;
mod data;
mod fetch;
mod fuzz;
mod quickstart;
mod setup;
mod shell;
mod test;
mod tidy;
mod tools;
mod web;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

/// The chores of this repository, each in one command
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Install what the other chores need: wasm target, browser, wasm tools, the model
    Setup,
    /// Fetch a real model and real text, and run the whole method on them
    Quickstart(quickstart::Args),
    /// Run every check and test there is
    Test(test::Args),
    /// Check format, lints, sizes and the architecture's invariants
    Tidy(tidy::Args),
    /// Run the benchmarks
    Bench(bench::Args),
    /// Read damaged files of every format for a while
    Fuzz(fuzz::Args),
    /// Build the page and serve it on this machine
    Web(web::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask has no parent")?;
    std::env::set_current_dir(root).with_context(|| {
        format!(
            "the repository has moved from {}: build xtask anew",
            root.display()
        )
    })?;
    match chore {
        Chore::Setup => setup::run(),
        Chore::Quickstart(args) => quickstart::run(&args),
        Chore::Test(args) => test::run(&args),
        Chore::Tidy(args) => tidy::run(&args),
        Chore::Bench(args) => bench::run(&args),
        Chore::Fuzz(args) => fuzz::run(&args),
        Chore::Web(args) => web::run(&args),
    }
}
