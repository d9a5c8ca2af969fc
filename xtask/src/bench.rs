//! `cargo xtask bench`.

use anyhow::Result;

use crate::shell::{self, NATIVE, cargo, say};

/// Runs the criterion-style benches of all native crates.
///
/// # Errors
/// When a bench doesn't compile or fails.
pub(crate) fn run() -> Result<()> {
    say("Running the benches");
    shell::run(cargo("bench").args(&NATIVE[1..]).args(["--benches"]))
}
