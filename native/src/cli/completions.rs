//! `post-native completions SHELL`

use std::io::{self, Write};

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  post-native completions bash > ~/.local/share/bash-completion/completions/post-native")]
pub(crate) struct Args {
    /// The shell to complete in
    shell: Shell,
}

/// Writes the script to stdout.
///
/// # Errors
/// When stdout can't be written.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut super::Cli::command(),
        "post-native",
        &mut script,
    );
    Ok(io::stdout().lock().write_all(&script)?)
}
