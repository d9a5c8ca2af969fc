//! The command line: one file per subcommand, this one is the table of them.

mod account;
mod audit;
mod bench;
mod bundle;
mod columns;
mod completions;
mod distill;
mod eval;
mod experiment;
mod export;
mod forward;
mod inspect;
mod ledger;
mod receipt;
mod report;
mod sample;
mod score;
mod serve;
mod since;
mod transfer;
mod tune;
mod values;
mod worker;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::term::Terminal;

/// Soft prompts tuned in private on a small model and carried over to a large one (POST)
///
/// A provider distils a small student out of a large model (`distill`, `bundle`). A data owner
/// tunes a soft prompt on the student with differential privacy (`tune`, or the browser). The
/// provider carries that prompt over to the large model with public text (`transfer`).
#[derive(Debug, Parser)]
#[command(name = "post-native", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// Say nothing but results, warnings and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// End when stdin does: a job must not outlive the experiment that started it
    #[arg(long, global = true, hide = true)]
    pub(crate) end_with_stdin: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Data goes to stdout, everything else to stderr. Exit codes: 0 success, 1 failure, 2 wrong usage.
NO_COLOR is honoured.";

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Sample(sample::Args),
    Distill(distill::Args),
    Bundle(bundle::Args),
    Tune(tune::Args),
    Score(score::Args),
    Transfer(transfer::Args),
    Eval(eval::Args),
    Experiment(experiment::Args),
    Forward(forward::Args),
    Export(export::Args),
    Account(account::Args),
    Receipt(receipt::Args),
    Report(report::Args),
    Serve(serve::Args),
    Worker(worker::Args),
    Ledger(ledger::Args),
    Audit(audit::Args),
    Bench(bench::Args),
    Inspect(inspect::Args),
    Completions(completions::Args),
}

/// The command line as typed, and clap's record of which values were typed rather than defaults.
pub(crate) fn parse() -> (Cli, ArgMatches) {
    let matches = Cli::command().get_matches();
    match Cli::from_arg_matches(&matches) {
        Ok(cli) => (cli, matches),
        Err(error) => error.exit(),
    }
}

/// Calls the subcommand.
///
/// # Errors
/// Whatever the subcommand failed with.
pub(crate) fn dispatch(
    command: Command,
    matches: &ArgMatches,
    term: &Terminal,
) -> anyhow::Result<()> {
    let typed = matches.subcommand().map_or(matches, |(_, own)| own);
    match command {
        Command::Sample(args) => sample::run(args, typed, term),
        Command::Distill(args) => distill::run(args, typed, term),
        Command::Bundle(args) => bundle::run(args, typed, term),
        Command::Tune(args) => tune::run(args, typed, term),
        Command::Score(args) => score::run(args, typed, term),
        Command::Transfer(args) => transfer::run(args, typed, term),
        Command::Eval(args) => eval::run(args, typed, term),
        Command::Experiment(args) => experiment::run(&args, term),
        Command::Forward(args) => forward::run(&args, term),
        Command::Export(args) => export::run(&args, term),
        Command::Account(args) => account::run(&args),
        Command::Receipt(args) => receipt::run(&args, term),
        Command::Report(args) => report::run(&args, term),
        Command::Serve(args) => serve::run(&args, term),
        Command::Worker(args) => worker::run(&args, term),
        Command::Ledger(args) => ledger::run(&args, term),
        Command::Audit(args) => audit::run(args, typed, term),
        Command::Bench(args) => bench::run(args, matches, term),
        Command::Inspect(args) => inspect::run(&args),
        Command::Completions(args) => completions::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declarations_hold_together() {
        Cli::command().debug_assert();
    }
}
