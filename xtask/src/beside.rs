//! A chore that runs beside others. What it says is kept in a file, and shown if it fails.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::shell::say;

/// This program once more, with other arguments. It is ended when this is dropped; a compiler that it called
/// ends what it is at.
pub(crate) struct Beside {
    child: Child,
    said: PathBuf,
}

impl Beside {
    /// Starts a chore; `said` is the file that keeps what it says.
    ///
    /// # Errors
    /// When it can't be started or the file can't be written.
    pub(crate) fn start(args: &[&str], said: &Path) -> Result<Self> {
        say(&format!(
            "Beginning `cargo xtask {}` beside the rest; it speaks to {}",
            args.join(" "),
            said.display()
        ));
        let file =
            File::create(said).with_context(|| format!("cannot write {}", said.display()))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(args).stdin(Stdio::null());
        command.stdout(file.try_clone()?).stderr(file);
        Ok(Self {
            child: command.spawn().context("cannot start this program again")?,
            said: said.to_owned(),
        })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it failed; what it said has been shown then.
    pub(crate) fn finish(mut self) -> Result<()> {
        let status = self.child.wait()?;
        if !status.success() {
            eprintln!("{}", fs::read_to_string(&self.said).unwrap_or_default());
            bail!("what ran beside failed with {status}");
        }
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // One that has ended can't be ended again.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The tests' own program stands for the chores': it takes these arguments, too.
    #[test]
    fn it_ends_well_or_not_and_what_it_said_is_kept() {
        let said = tempfile::NamedTempFile::new().unwrap();
        let start = |argument| Beside::start(&[argument], said.path()).unwrap();
        start("--list").finish().unwrap();
        let kept = fs::read_to_string(said.path()).unwrap();
        assert!(kept.contains("it_ends_well_or_not"), "{kept}");
        let error = start("--no-such-argument").finish().unwrap_err();
        assert!(error.to_string().contains("failed"), "{error}");
    }
}
