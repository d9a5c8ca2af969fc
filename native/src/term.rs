//! The terminal: data on stdout, everything said to a person on stderr.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// For those who are handed no terminal.
static BARS: AtomicBool = AtomicBool::new(false);

/// What this process may say, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    quiet: bool,
    bars: bool,
}

impl Terminal {
    /// Bars are drawn only on a terminal; elsewhere a plain line now and then replaces them.
    pub(crate) fn new(quiet: bool) -> Self {
        let bars = !quiet && io::stderr().is_terminal();
        BARS.store(bars, Ordering::Relaxed);
        Self { quiet, bars }
    }

    /// Whether progress bars can be drawn.
    pub(crate) fn bars(self) -> bool {
        self.bars
    }

    /// Says something about the course of things; `--quiet` silences it.
    pub(crate) fn note(self, text: impl AsRef<str>) {
        if !self.quiet {
            to_stderr(text.as_ref());
        }
    }

    /// Says something that must not be missed, quiet or not.
    pub(crate) fn warn(self, text: impl AsRef<str>) {
        to_stderr(&format!("warning: {}", text.as_ref()));
    }
}

/// Whether progress bars can be drawn, of the terminal that was opened last.
pub(crate) fn draws_bars() -> bool {
    BARS.load(Ordering::Relaxed)
}

/// Writes a result to stdout, with a line end.
///
/// # Errors
/// When stdout can't be written; a closed pipe is told apart in `failure::report`.
pub(crate) fn data(text: impl AsRef<str>) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{}", text.as_ref().trim_end())
}

/// Writes a value to stdout as one JSON document.
///
/// # Errors
/// As [`data`]; and when the value can't be JSON, which none of ours is.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(data(serde_json::to_string_pretty(value)?)?)
}

fn to_stderr(text: &str) {
    // A closed stderr must not end a run of hours.
    let _ = writeln!(io::stderr().lock(), "{text}");
}
