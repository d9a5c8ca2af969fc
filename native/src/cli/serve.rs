//! `post-native serve`: the page, the bundles and what there is of them, from one place.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use post_core::bundle::Catalog;

use crate::failure::Hint;
use crate::serve::{self, Contents, Site};
use crate::term::Terminal;

/// Bundles are known by it.
const END: &str = ".post.safetensors";

/// Serve the page in which a data owner tunes, and the bundles to tune on
///
/// The page computes in the tab: private text stays there, and the page's policy forbids it to reach
/// any other server than this one. bundles.json lists the bundles. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  The page in dist with a bundle, on this machine:
    post-native serve --bundle student.post.safetensors
  All bundles of a folder, and a public table to try them on:
    post-native serve --bundles bundles --sample reviews.csv --sample-task sst2

To the outside, serve behind a proxy that speaks HTTPS: browsers give a page that came over plain
HTTP neither storage nor threads.")]
pub(crate) struct Args {
    /// The built page: what `cargo xtask web --build-only` makes
    #[arg(long, value_name = "FOLDER", default_value = "dist")]
    page: PathBuf,
    /// A bundle with embeddings, as `bundle` writes it; may be given several times
    #[arg(long, value_name = "FILE")]
    bundle: Vec<PathBuf>,
    /// A folder of which every .post.safetensors file is offered
    #[arg(long, value_name = "FOLDER")]
    bundles: Option<PathBuf>,
    /// A public table that the page offers to be tried on
    #[arg(long, value_name = "FILE")]
    sample: Option<PathBuf>,
    /// The task of that table, by name: built in, or in a bundle
    #[arg(long, value_name = "NAME", requires = "sample")]
    sample_task: Option<String>,
    /// Where to listen; anything but this machine itself lets others in
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    address: IpAddr,
    /// The port; 0 takes one that is free
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
}

/// Checks what is to be served, says what it is, and serves until it is interrupted.
///
/// # Errors
/// When a file is missing or bad, or the port is taken.
pub(crate) fn run(args: &Args, term: &Terminal) -> Result<()> {
    let mut bundles = args.bundle.clone();
    if let Some(folder) = &args.bundles {
        bundles.extend(inside(folder)?);
    }
    let sample = args.sample.as_deref();
    let site = Site::open(&Contents {
        page: &args.page,
        bundles: &bundles,
        sample: sample.map(|path| (path, args.sample_task.as_deref())),
        address: args.address,
    })?;
    say(site.catalog(), term);
    if !args.address.is_loopback() {
        term.warn(format!(
            "{} lets others in: they get the page and the bundles without a password, and without HTTPS \
             the page can store nothing",
            args.address
        ));
    }
    serve::run(site, SocketAddr::new(args.address, args.port), term)
}

/// The bundles of a folder, by name.
fn inside(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = || {
        let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
        let paths = entries.into_iter().map(|entry| entry.path());
        let named = |path: &PathBuf| path.to_string_lossy().ends_with(END);
        Ok::<_, std::io::Error>(paths.filter(named).collect::<Vec<_>>())
    };
    let mut found = listed()
        .with_context(|| format!("could not read {}", folder.display()))
        .hint("name the folder that the bundles lie in with --bundles")?;
    if found.is_empty() {
        return Err(anyhow!("{} holds no {END} file", folder.display()))
            .hint("make one with `post-native bundle`, or leave --bundles out");
    }
    found.sort();
    Ok(found)
}

/// Says what is on offer.
fn say(catalog: &Catalog, term: &Terminal) {
    for bundle in &catalog.bundles {
        term.note(format!(
            "bundle: {}, {} blocks of width {}, {:.1} MB",
            bundle.file,
            bundle.layers,
            bundle.hidden_size,
            bundle.bytes as f64 / 1e6
        ));
    }
    if catalog.bundles.is_empty() {
        term.note(
            "no bundle is offered: whoever opens the page needs one as a file. Offer one with --bundle; \
             `post-native bundle` makes them",
        );
    }
    if let Some(sample) = &catalog.sample {
        term.note(format!("sample: {}", sample.file));
    }
}
