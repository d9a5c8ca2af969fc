//! `cargo xtask setup`: everything the other chores would install, at once.

use anyhow::Result;

use crate::shell::say;
use crate::{fetch, tools};

/// Installs the wasm target, the browser, the wasm tools, and fetches the model, the text and axe-core.
///
/// # Errors
/// When something cannot be installed or fetched.
pub(crate) fn run() -> Result<()> {
    tools::wasm_target()?;
    tools::chromedriver()?;
    tools::wasm_opt()?;
    tools::wasm_tools()?;
    for source in [&fetch::MODEL, &fetch::PRIVATE, &fetch::PUBLIC, &fetch::AXE] {
        fetch::fetch(source)?;
    }
    say("Everything is there; next: cargo xtask quickstart, cargo xtask test");
    Ok(())
}
