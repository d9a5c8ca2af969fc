//! The ledger's file: where it lies, and how two runs at once don't forget each other.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use post_core::dp::{Entropy, Ledger, Plan, Reserved};
use post_core::task::Row;
use post_core::tune::identify;

use crate::failure::Hint;
use crate::files;

/// "Count, but never refuse", as a number that JSON can hold.
const NO_CAP: f64 = f64::MAX;

/// One ledger for everything that a person tunes on this machine, unless another is named.
///
/// # Errors
/// When the system doesn't say where a person's settings lie.
pub(crate) fn default_path() -> Result<PathBuf> {
    let var = |name| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let folder = var("XDG_CONFIG_HOME")
        .or_else(|| var("APPDATA"))
        .or_else(|| var("HOME").map(|home| home.join(".config")))
        .context("there is no home directory to keep the ledger in")
        .hint("name the ledger's file with --ledger")?;
    Ok(folder.join("post").join("ledger.json"))
}

/// Whether the ledger refuses anything at all.
pub(crate) fn capped(ledger: &Ledger) -> bool {
    ledger.cap().0 < NO_CAP
}

/// A ledger's file as it is.
///
/// # Errors
/// When it can't be read or is damaged.
pub(crate) fn read(path: &Path) -> Result<Ledger> {
    Ledger::from_json(&files::read(path)?).with_context(|| format!("ledger {}", path.display()))
}

/// What a run asks of the ledger.
pub(crate) struct Request<'a> {
    /// The ledger's file.
    pub(crate) path: &'a Path,
    /// ε that all runs may cost, for a ledger that doesn't exist yet.
    pub(crate) cap: Option<f64>,
    /// The private rows.
    pub(crate) rows: &'a [Row],
    /// The run's plan.
    pub(crate) plan: &'a Plan,
    /// Whether steps of this run were made before.
    pub(crate) resumed: bool,
}

/// Enters the run and writes the ledger, or finds the entry of the run that goes on.
///
/// # Errors
/// When the run would pass the cap, or the ledger can't be read or written.
pub(crate) fn reserve(request: &Request<'_>) -> Result<Reserved> {
    let path = request.path;
    let _lock = lock(path)?;
    let mut ledger = match path.is_file() {
        true => read(path)?,
        false => Ledger::new(
            request.cap.unwrap_or(NO_CAP),
            request.plan.delta(),
            Entropy::from_os()?,
        ),
    };
    same_cap(&ledger, request)?;
    let data = identify(&ledger, request.rows);
    let ledger_says = || format!("ledger {}", path.display());
    if request.resumed {
        return ledger
            .resume(&data, request.plan)
            .with_context(ledger_says)
            .hint("name the ledger that the run began with, or start anew with --force");
    }
    let reserved = ledger
        .reserve(&data, request.plan)
        .with_context(ledger_says)?;
    files::write_atomic(path, &ledger.to_json()?)?;
    Ok(reserved)
}

fn same_cap(ledger: &Ledger, request: &Request<'_>) -> Result<()> {
    let (kept, _) = ledger.cap();
    match request.cap.filter(|&cap| cap != kept) {
        None => Ok(()),
        Some(cap) => Err(crate::failure::hinted(
            anyhow::anyhow!(
                "ledger {} has a cap of {kept}, not {cap}",
                request.path.display()
            ),
            "leave --ledger-cap away: a cap is set once, when the ledger is made",
        )),
    }
}

/// Held until dropped; the file beside the ledger stays, empty.
fn lock(path: &Path) -> Result<File> {
    let beside = path.with_extension("lock");
    if let Some(folder) = beside.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("could not make {}", folder.display()))?;
    }
    let file =
        File::create(&beside).with_context(|| format!("could not make {}", beside.display()));
    let file = file.hint("name a ledger in a folder you may write to, with --ledger")?;
    file.lock()
        .with_context(|| format!("could not lock {}", beside.display()))?;
    Ok(file)
}
