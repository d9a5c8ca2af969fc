//! `cargo xtask bench`.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::shell::{self, NATIVE, cargo, say};
use crate::{test, web};

/// Where Chromium keeps a Vulkan loader and a software adapter.
const CHROMIUM: &str = "/usr/lib/chromium";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A step on the graphics card instead: natively and in a tab, both on Chromium's software adapter
    #[arg(long)]
    card: bool,
    /// A private step on the processor instead: natively on one thread, and in a tab
    #[arg(long, conflicts_with = "card")]
    tab: bool,
}

/// Builds the page, which says how large its programs are, and runs the benches of all native crates.
///
/// # Errors
/// When something doesn't build, is larger than it may be, or fails.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.card {
        return card();
    }
    if args.tab {
        return tab();
    }
    web::build(&shell::target().join("bench").join("page"))?;
    say("Running the benches");
    shell::run(cargo("bench").args(&NATIVE[1..]).args(["--benches"]))
}

/// In turn, as [`card`] does.
fn tab() -> Result<()> {
    for _ in 0..2 {
        say("Running the step on one thread natively");
        let mut bench = cargo("bench");
        bench.args(&NATIVE[1..]).args(["--bench", "step"]);
        shell::run(bench.arg("--no-run"))?;
        // Held to one core, it makes one thread.
        let mut bench = Command::new("taskset");
        bench.args(["--cpu-list", "0", "cargo", "bench"]);
        bench.args(&NATIVE[1..]).args(["--bench", "step", "--"]);
        shell::run(bench.args(["3", "6", "tune, private"]))?;
        test::in_tab(&["--include-ignored", "--nocapture", "steps_on_the_processor"])?;
    }
    Ok(())
}

/// In turn, so that a machine that slows down slows down both.
fn card() -> Result<()> {
    for _ in 0..2 {
        say("Running the step on the card natively");
        let mut bench = cargo("bench");
        bench.args(["-p", "post-core", "--features", "wgpu", "--bench", "card"]);
        bench.env("LD_LIBRARY_PATH", CHROMIUM);
        let adapter = Path::new(CHROMIUM).join("vk_swiftshader_icd.json");
        shell::run(bench.env("VK_DRIVER_FILES", adapter))?;
        test::in_tab(&["--include-ignored", "--nocapture", "steps_on_the_card"])?;
    }
    Ok(())
}
