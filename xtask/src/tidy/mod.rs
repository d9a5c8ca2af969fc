//! `cargo xtask tidy`: format, lints, sizes, and the invariants that `ARCHITECTURE.md` promises.

mod invariants;
mod layout;
mod rooms;
mod size;
mod source;
mod tree;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use crate::shell::{self, NATIVE, cargo, say};
use crate::tools;
use tree::Tree;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Leave out rustfmt and clippy: only what this program checks itself, in a second
    #[arg(long)]
    own: bool,
    /// Also list the longest functions
    #[arg(long)]
    report: bool,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    /// What is wrong, why that matters, and what to do.
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Checks everything; findings are listed in full before it fails.
///
/// # Errors
/// When something is found or a tool fails.
pub(crate) fn run(args: &Args) -> Result<()> {
    say("Checking sizes and invariants");
    let tree = Tree::read()?;
    let mut findings = check(&tree);
    findings.extend(layout::links(Path::new("."))?);
    for finding in &findings {
        eprintln!("{finding}");
    }
    if args.report {
        size::report(&tree);
    }
    if !findings.is_empty() {
        bail!("tidy found {} things to put right", findings.len());
    }
    layout::trunk_link()?;
    if args.own {
        return Ok(());
    }
    format()?;
    lints()
}

fn check(tree: &Tree) -> Vec<Finding> {
    let checks: [fn(&Tree) -> Vec<Finding>; 6] = [
        size::files,
        size::dp,
        invariants::words,
        invariants::tensors,
        invariants::markers,
        rooms::imports,
    ];
    checks.iter().flat_map(|check| check(tree)).collect()
}

fn format() -> Result<()> {
    say("Checking the format");
    shell::run(cargo("fmt").args(["--all", "--check"]))
}

/// Clippy over the native crates, as they are with CUDA, then over those that run in a tab.
///
/// CUDA is only type-checked: cubecl-cuda's build downloads an LLVM bundle to link with, unless it believes to be
/// on docs.rs.
fn lints() -> Result<()> {
    say("Checking the lints");
    const STRICT: [&str; 4] = ["--all-targets", "--", "-D", "warnings"];
    let features = [
        "--features",
        "post-tests/journey,post-tests/fuzz,post-native/cuda",
    ];
    let mut native = cargo("clippy");
    native.args(NATIVE).args(features).args(STRICT);
    shell::run(native.env("DOCS_RS", "1"))?;
    tools::wasm_target()?;
    let tab = [
        "--release",
        "--target",
        tools::WASM,
        "-p",
        "post-web",
        "-p",
        "post-tests",
    ];
    shell::run(cargo("clippy").args(tab).args(STRICT))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_tidy() {
        let tree = Tree::read_from("..").unwrap();
        assert_eq!(check(&tree), []);
        assert_eq!(layout::links(Path::new("..")).unwrap(), []);
    }
}
