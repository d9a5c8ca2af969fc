//! The tools that the wasm tests and the page need, installed when absent.
//!
//! Rust tools go into `target/tools`, so nothing of the user's is replaced; a right version that is
//! on the `PATH` already is used as it is. Debian's packages are installed only for root.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell::{self, cargo, output, say, which};

/// The target of everything that runs in a tab.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// A Rust program from the registry.
struct Tool {
    krate: &'static str,
    version: &'static str,
    /// The program that answers `--version`.
    program: &'static str,
    /// How it is built.
    how: &'static [&'static str],
    /// It runs for moments and is built by everybody who tests: the least that still runs fast enough.
    opt_level: &'static str,
}

/// Must equal the version of the `wasm-bindgen` crate in `Cargo.lock` to the last digit.
const WASM_BINDGEN: Tool = Tool {
    krate: "wasm-bindgen-cli",
    version: "0.2.130",
    program: "wasm-bindgen",
    // Not by its lock file, which names yanked crates. The driver that it talks to is on this machine, so it
    // needs no TLS.
    how: &[
        "--no-default-features",
        "--bin=wasm-bindgen",
        "--bin=wasm-bindgen-test-runner",
    ],
    opt_level: "1",
};

const WASM_PACK: Tool = Tool {
    krate: "wasm-pack",
    version: "0.15.1",
    program: "wasm-pack",
    how: &["--locked"],
    // All it does is to call the others.
    opt_level: "0",
};

/// Makes sure that the standard library for wasm is there.
///
/// # Errors
/// When it isn't and `rustup` cannot add it.
pub(crate) fn wasm_target() -> Result<()> {
    let folder = output("rustc", &["--print", "target-libdir", "--target", WASM]);
    if folder.is_some_and(|folder| Path::new(&folder).is_dir()) {
        return Ok(());
    }
    if which("rustup").is_none() {
        bail!(
            "rustc has no {WASM} library and there is no rustup to add it\nhint: install rustup, or your distribution's Rust library for {WASM}"
        );
    }
    say(&format!("Adding the {WASM} target"));
    shell::run(Command::new("rustup").args(["target", "add", WASM]))
}

/// Makes sure that `wasm-bindgen`, its test runner and `wasm-pack` are there, and returns the
/// folder to put first on the `PATH`.
///
/// # Errors
/// When one of them cannot be installed.
pub(crate) fn wasm_tools() -> Result<PathBuf> {
    let root = std::env::current_dir()?.join(shell::target()).join("tools");
    for tool in [&WASM_BINDGEN, &WASM_PACK] {
        install(tool, &root)?;
    }
    Ok(root.join("bin"))
}

fn install(tool: &Tool, root: &Path) -> Result<()> {
    let ours = root.join("bin").join(tool.program);
    if has_version(&ours, tool.version) || has_version(Path::new(tool.program), tool.version) {
        return Ok(());
    }
    say(&format!(
        "Building {} {} (some minutes, once)",
        tool.krate, tool.version
    ));
    let mut command = cargo("install");
    command
        .args([tool.krate, "--version", tool.version, "--root"])
        .arg(root);
    // A folder of its own: what was built survives an interruption, and the tools share it.
    command.arg("--target-dir").arg(root.join("build"));
    command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", tool.opt_level);
    shell::run(command.args(tool.how))
}

/// Whether `program --version` names this version.
fn has_version(program: &Path, version: &str) -> bool {
    output(program, &["--version"])
        .is_some_and(|text| text.split_whitespace().any(|word| word == version))
}

/// The path of a chromedriver whose Chrome or Chromium is there too.
///
/// # Errors
/// When there is none and none can be installed; the message says what to do by hand.
pub(crate) fn chromedriver() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMEDRIVER") {
        let named = PathBuf::from(named);
        if !named.is_file() {
            bail!(
                "CHROMEDRIVER names {}, which is not a file",
                named.display()
            );
        }
        return Ok(named);
    }
    if browser().is_none() || which("chromedriver").is_none() {
        apt(&["chromium", "chromium-driver"], BROWSER_BY_HAND)?;
    }
    match which("chromedriver") {
        Some(driver) => Ok(driver),
        None => {
            bail!("there is no chromedriver on the PATH after its installation\n{BROWSER_BY_HAND}")
        }
    }
}

const BROWSER_BY_HAND: &str = "hint: install Chrome or Chromium and the chromedriver of the same \
     version, and name the driver: CHROMEDRIVER=/path/to/chromedriver cargo xtask test";

/// A Chrome or Chromium on the `PATH`.
fn browser() -> Option<PathBuf> {
    [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ]
    .iter()
    .find_map(|name| which(name))
}

/// Makes sure that binaryen's `wasm-opt` is there.
///
/// # Errors
/// When it isn't and cannot be installed.
pub(crate) fn wasm_opt() -> Result<()> {
    if which("wasm-opt").is_some() {
        return Ok(());
    }
    apt(
        &["binaryen"],
        "hint: install binaryen, so that `wasm-opt` is on the PATH",
    )
}

/// Installs Debian packages, or says why it can't and what to do instead.
fn apt(packages: &[&str], by_hand: &str) -> Result<()> {
    let names = packages.join(" and ");
    if which("apt-get").is_none() {
        bail!("{names} are missing and there is no apt-get to install them\n{by_hand}");
    }
    if output("id", &["-u"]).as_deref() != Some("0") {
        let list = packages.join(" ");
        bail!(
            "{names} are missing and only root can install them\nhint: sudo apt-get install {list}\n{by_hand}"
        );
    }
    say(&format!("Installing {names} by apt-get"));
    let quiet = ["-qq", "-o", "Dpkg::Use-Pty=0"];
    shell::run(Command::new("apt-get").args(quiet).arg("update"))?;
    shell::run(
        Command::new("apt-get")
            .args(quiet)
            .args(["install", "-y", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_cli_has_the_version_of_the_crate() {
        let lock = std::fs::read_to_string("../Cargo.lock").unwrap();
        let entry = format!(
            "name = \"wasm-bindgen\"\nversion = \"{}\"\n",
            WASM_BINDGEN.version
        );
        assert!(
            lock.contains(&entry),
            "WASM_BINDGEN.version differs from Cargo.lock"
        );
    }

    #[test]
    fn a_version_is_compared_as_a_word() {
        assert!(!has_version(Path::new("rustc"), "1"));
        assert!(!has_version(Path::new("no-such-program"), "1.0.0"));
    }
}
