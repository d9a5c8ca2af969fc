//! Which build of this program computed a number.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::jobs::hash;

/// In place of a hash, for jobs that nobody wrote it down for.
pub(crate) const UNKNOWN: &str = "unknown";

/// Digits of a hash that tell builds apart for people.
const SHOWN: usize = 12;

/// This program, as it runs.
pub(crate) struct Program {
    file: PathBuf,
    /// SHA-256 of that file.
    pub(crate) hash: String,
}

impl Program {
    /// Finds and hashes its file.
    ///
    /// # Errors
    /// When the system doesn't say which it is, or it can't be read.
    pub(crate) fn running() -> Result<Self> {
        // Linux gives the very file that runs, also when another build has taken its place since.
        let running = Path::new("/proc/self/exe");
        let file = match running.exists() {
            true => running.to_owned(),
            false => std::env::current_exe().context("this program doesn't know where it lies")?,
        };
        let hash = hash(&file)?;
        Ok(Self { file, hash })
    }

    /// A call of it.
    pub(crate) fn command(&self) -> Command {
        #[cfg_attr(not(unix), allow(unused_mut))]
        let mut command = Command::new(&self.file);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::arg0(&mut command, env!("CARGO_PKG_NAME"));
        command
    }

    /// Whether a job of this mark was worked on by another build.
    pub(crate) fn differs(&self, mark: &str) -> bool {
        mark != UNKNOWN && mark != self.hash
    }
}

/// A hash as people compare it.
pub(crate) fn short(hash: &str) -> &str {
    hash.get(..SHOWN).unwrap_or(hash)
}
