//! How a failure reaches a person: `error: …`, its causes, `hint: …`, and the exit code.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// An error together with the way out of it, printed on a line of its own.
#[derive(Debug)]
struct Hinted {
    error: anyhow::Error,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Hinted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// The command line or its configuration file contradicts itself: exit code 2, as clap's own errors.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Adds the way out to an error.
pub(crate) trait Hint<T> {
    /// `hint` is one sentence without a full stop, in the imperative.
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Hint<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| hinted(error, hint))
    }
}

/// An error with the way out of it.
pub(crate) fn hinted(error: impl Into<anyhow::Error>, hint: impl Into<String>) -> anyhow::Error {
    let (error, hint) = (error.into(), hint.into());
    Hinted { error, hint }.into()
}

/// Prints the error to stderr and says which exit code it deserves: 1 failure, 2 usage.
/// A reader of stdout that went away (`| head`) is no failure.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    // Nothing is left to do when stderr is closed, too.
    let _ = io::stderr().write_all(render(error).as_bytes());
    match is_usage(error) {
        true => ExitCode::from(2),
        false => ExitCode::FAILURE,
    }
}

fn render(error: &anyhow::Error) -> String {
    let mut text = String::new();
    let mut seen = String::new();
    for cause in error.chain() {
        let line = cause.to_string();
        // Many errors repeat their source's words in their own.
        if !seen.contains(&line) {
            let lead = if seen.is_empty() { "error" } else { "  cause" };
            text += &format!("{lead}: {line}\n");
            seen += &line;
        }
    }
    for hint in error.chain().filter_map(|e| e.downcast_ref::<Hinted>()) {
        text += &format!("hint: {}\n", hint.hint);
    }
    text
}

fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let inner = cause.downcast_ref::<Hinted>().map(|h| &h.error);
        cause.is::<Usage>() || inner.is_some_and(|e| e.is::<Usage>())
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |e: &io::Error| e.kind() == ErrorKind::BrokenPipe;
    error.chain().any(|e| e.downcast_ref().is_some_and(broken))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn a_hint_stands_on_its_own_line_after_the_causes() {
        let inner: Result<(), _> = Err(io::Error::other("disk on fire"));
        let error = inner
            .context("could not write runs/a")
            .hint("put it out")
            .unwrap_err();
        assert_eq!(
            render(&error),
            "error: could not write runs/a\n  cause: disk on fire\nhint: put it out\n"
        );
    }

    #[test]
    fn a_usage_error_is_found_under_its_hint() {
        assert!(is_usage(&hinted(Usage("a".into()), "b")));
        assert!(!is_usage(&hinted(anyhow!("a"), "b")));
    }
}
