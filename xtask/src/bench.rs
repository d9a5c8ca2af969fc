//! `cargo xtask bench`.

use anyhow::Result;

use crate::shell::{self, NATIVE, cargo, say};
use crate::web;

/// Builds the page, which says how large its programs are, and runs the benches of all native crates.
///
/// # Errors
/// When something doesn't build, is larger than it may be, or fails.
pub(crate) fn run() -> Result<()> {
    web::build(&shell::target().join("bench").join("page"))?;
    say("Running the benches");
    shell::run(cargo("bench").args(&NATIVE[1..]).args(["--benches"]))
}
