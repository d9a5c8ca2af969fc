//! `post-native`: the provider's tool, and the data owner's where a browser won't do.
//!
//! Each subcommand has two stages: the arguments as typed (`cli::<name>::Args`) and what they mean
//! (resolved defaults, opened files, a chosen device). After that comes one call into `post_core`:
//! no model, no loss and no privacy code lives here.

mod classify;
mod cli;
mod config;
mod corpus;
mod data;
mod device;
mod drive;
mod dtype;
mod experiment;
mod failure;
mod files;
mod findings;
mod hub;
mod ledgers;
mod models;
mod progress;
mod prompts;
mod run;
mod serve;
mod source;
mod states;
mod term;
mod weights;

use std::process::ExitCode;

fn main() -> ExitCode {
    let (cli, matches) = cli::parse();
    let term = term::Terminal::new(cli.quiet);
    if cli.end_with_stdin {
        std::thread::spawn(end_with_stdin);
    }
    match cli::dispatch(cli.command, &matches, &term) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}

/// Ends the process once whoever holds the other end of stdin is gone. Runs have their checkpoints.
#[allow(
    clippy::disallowed_methods,
    reason = "stands for a kill, which files survive: each is written beside its place and renamed"
)]
fn end_with_stdin() {
    let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    std::process::exit(1);
}
