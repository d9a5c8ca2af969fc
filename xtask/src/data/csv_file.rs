//! Writing a table so that a half-written one is never found.

use std::path::Path;

use anyhow::{Context as _, Result};

/// Writes a header and rows beside the file and then renames.
///
/// # Errors
/// When the folder is not writable or the disk is full.
pub(super) fn write<'a, const N: usize>(
    path: &Path,
    header: [&str; N],
    rows: impl Iterator<Item = [&'a str; N]>,
) -> Result<()> {
    let partial = path.with_extension("part");
    let write = || -> csv::Result<()> {
        let mut writer = csv::Writer::from_path(&partial)?;
        writer.write_record(header)?;
        for row in rows {
            writer.write_record(row)?;
        }
        Ok(writer.flush()?)
    };
    write().with_context(|| format!("cannot write {}", partial.display()))?;
    std::fs::rename(&partial, path).with_context(|| format!("cannot write {}", path.display()))
}
