//! `cargo xtask web`: the page and its worker, built into `dist` and served on this machine, with the
//! quickstart's bundle and text once there are some.

mod build;
mod serve;

pub(crate) use build::PROFILE;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::shell::say;

/// Where the finished page lies.
const DIST: &str = "dist";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only build
    #[arg(long)]
    build_only: bool,
    /// Where the page is built
    #[arg(long, value_name = "FOLDER", default_value = DIST)]
    dist: PathBuf,
    /// Only shrink, bind and seal what Trunk has compiled, into its folder; `Trunkfile` calls this
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["build_only", "dist", "port"])]
    finish: Option<PathBuf>,
    /// Port on 127.0.0.1
    #[arg(long, default_value_t = 8080)]
    port: u16,
}

/// Builds the page into a folder.
///
/// # Errors
/// When a tool is missing or something doesn't build.
pub(crate) fn build(folder: &Path) -> Result<()> {
    build::run(folder)
}

/// Builds, then serves until it is interrupted.
///
/// # Errors
/// When something doesn't build, or the port is taken.
pub(crate) fn run(args: &Args) -> Result<()> {
    if let Some(folder) = &args.finish {
        return build::finish(folder);
    }
    build::run(&args.dist)?;
    if args.build_only {
        say(&format!("The page is in {}", args.dist.display()));
        return Ok(());
    }
    serve::run(&args.dist, args.port)
}
