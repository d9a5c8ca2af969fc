//! Prompts on disk: PEFT's folder, or the zip of it that the browser hands out.

use std::path::Path;

use anyhow::{Context, Result};
use post_core::prompt::{Files, archive, peft};

use crate::failure::Hint;
use crate::files;

/// The receipt's name beside PEFT's files.
pub(crate) use post_core::tune::RECEIPT;

/// The files of a prompt's folder or zip, by name.
///
/// # Errors
/// When it is neither, or can't be read.
pub(crate) fn read(path: &Path) -> Result<Files> {
    let files = match path.is_dir() {
        true => from_folder(path),
        false => archive::unpack(&files::read(path)?)
            .with_context(|| format!("{} is no prompt", path.display())),
    };
    files.hint(format!(
        "name a folder or a zip with {} and {}, as PEFT writes them",
        peft::CONFIG,
        peft::WEIGHTS
    ))
}

/// The prompt itself.
///
/// # Errors
/// As [`read`], and when the files are no prompt of PEFT's.
pub(crate) fn adapter(path: &Path) -> Result<peft::Adapter> {
    peft::read(&read(path)?).with_context(|| format!("prompt {}", path.display()))
}

/// Writes every file into the folder; each is the old one or the new one at any moment.
///
/// # Errors
/// See [`files::write_atomic`].
pub(crate) fn write(folder: &Path, files: &Files) -> Result<()> {
    for (name, bytes) in files {
        files::write_atomic(&folder.join(name), bytes)?;
    }
    Ok(())
}

fn from_folder(folder: &Path) -> Result<Files> {
    let names = [peft::CONFIG, peft::WEIGHTS, RECEIPT];
    let there = names.into_iter().filter(|name| folder.join(name).is_file());
    there
        .map(|name| Ok((name.to_owned(), files::read(&folder.join(name))?)))
        .collect()
}
