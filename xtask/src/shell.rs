//! Running other programs, and saying so first.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// Every native cargo call selects this, so that features unify once and burn is compiled once.
/// `post-web` is left out: it is built for wasm only. Workers are in, so that their tests run.
pub(crate) const NATIVE: [&str; 6] = [
    "--release",
    "--workspace",
    "--exclude",
    "post-web",
    "--features",
    "post-native/remote",
];

/// Announces a step on stderr.
pub(crate) fn say(what: &str) {
    eprintln!("==> {what}");
}

/// A cargo call, by the cargo that runs this program, but without what that one says of this package: build scripts
/// look at it (ring's does), and would run anew, with all that is built on them, after each call made by hand.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|start| name.starts_with(start))
        {
            command.env_remove(&*name);
        }
    }
    command.arg(subcommand);
    command
}

/// Where cargo puts what it builds, as cargo has it: `target` unless the environment names a folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}

/// Builds `post-native` and returns its path.
///
/// # Errors
/// When it doesn't build.
pub(crate) fn build_tool() -> Result<PathBuf> {
    say("Building post-native");
    run(cargo("build").args(NATIVE).args(["--bin", "post-native"]))?;
    Ok(tool())
}

/// Builds `post-native` as its own tests have it, and returns its path. Tests ask for more features of some crates
/// than the tool does; beside them, this compiles nothing twice.
///
/// # Errors
/// When it doesn't build.
pub(crate) fn build_tested_tool() -> Result<PathBuf> {
    say("Building post-native as it was tested");
    run(cargo("test")
        .args(NATIVE)
        .args(["--test", "cli", "--no-run"]))?;
    Ok(tool())
}

fn tool() -> PathBuf {
    let name = format!("post-native{}", std::env::consts::EXE_SUFFIX);
    target().join("release").join(name)
}

/// Shows and runs a command.
///
/// # Errors
/// When the program cannot be started or doesn't exit with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    eprintln!("    $ {line}");
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed with {status}");
    }
    Ok(())
}

/// The standard output of a command that says something short; `None` when it fails.
pub(crate) fn output(program: impl AsRef<OsStr>, args: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Where a program lies on the `PATH`.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// The `PATH` with a folder put first.
///
/// # Errors
/// When the folder's name cannot be part of a `PATH`.
pub(crate) fn path_with(folder: &Path) -> Result<std::ffi::OsString> {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&rest));
    std::env::join_paths(all).with_context(|| format!("{} cannot be on the PATH", folder.display()))
}

/// `73 s` or `12 min 05 s`.
pub(crate) fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 120 {
        return format!("{seconds} s");
    }
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

/// A command as one would type it.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_an_error_that_shows_the_command() {
        let error =
            run(cargo("no-such-subcommand").stderr(Stdio::null())).map_err(|e| e.to_string());
        assert!(error.is_err_and(|e| e.starts_with("`cargo no-such-subcommand` failed")));
    }

    #[test]
    fn times_are_read_at_a_glance() {
        assert_eq!(minutes(Duration::from_secs(73)), "73 s");
        assert_eq!(minutes(Duration::from_secs(725)), "12 min 05 s");
    }
}
