//! Prompts on disk: PEFT's folder, the zip of it that the browser hands out, or a bare tensor as `.npy`,
//! safetensors or what `torch.save` writes.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use post_core::prompt::{Files, Format, SoftPrompt, archive, npy, peft, pytorch, raw, sniff};
use post_core::tune::Earlier;

use crate::failure::{Hint, hinted};
use crate::files;
use crate::weights::pickled;

/// The receipt's name beside PEFT's files.
pub(crate) use post_core::tune::RECEIPT;

/// Virtual tokens of a prompt that is told no other length.
pub(crate) const VIRTUAL_TOKENS: usize = 100;

/// The files of a prompt's folder or zip, by name.
///
/// # Errors
/// When it is neither, or can't be read.
pub(crate) fn read(path: &Path) -> Result<Files> {
    let files = match path.is_dir() {
        true => from_folder(path),
        false => archive::unpack(&files::read(path)?)
            .with_context(|| format!("{} is no prompt", path.display()))
            .and_then(without_pickle),
    };
    files.hint(format!(
        "name a folder or a zip with {} and {}, as PEFT writes them",
        peft::CONFIG,
        peft::WEIGHTS
    ))
}

/// The prompt with what PEFT says of it.
///
/// # Errors
/// As [`read`], and when the files are no prompt of PEFT's.
pub(crate) fn adapter(path: &Path) -> Result<peft::Adapter> {
    peft::read(&read(path)?).with_context(|| format!("prompt {}", path.display()))
}

/// The prompt with what is known of what it tells; its receipt holds, if it has one.
///
/// # Errors
/// As [`adapter`], and when the receipt is another prompt's.
pub(crate) fn earlier(path: &Path) -> Result<Earlier> {
    Earlier::read(&read(path)?).with_context(|| format!("prompt {}", path.display()))
}

/// The prompt alone, whatever format it is in.
///
/// # Errors
/// When it can't be read, or is no prompt.
pub(crate) fn soft(path: &Path) -> Result<SoftPrompt> {
    if path.is_dir() {
        return Ok(adapter(path)?.prompt);
    }
    let bytes = files::read(path)?;
    let prompt = match format(path, &bytes)? {
        Format::Peft => return Ok(adapter(path)?.prompt),
        Format::Npy => npy::read(&bytes),
        Format::Safetensors => raw::read(&bytes),
        Format::Pytorch => pytorch::read(&pickled(path, &path.to_string_lossy()).hint(
            "the file must hold a dictionary: torch.save({\"prompt_embeds\": tensor}, file)",
        )?),
    };
    prompt.with_context(|| format!("prompt {}", path.display()))
}

/// What a prompt's file is.
///
/// # Errors
/// When it is none that is known.
pub(crate) fn format(path: &Path, bytes: &[u8]) -> Result<Format> {
    sniff(bytes).ok_or_else(|| {
        hinted(
            anyhow!("{} is no prompt", path.display()),
            format!(
                "name a folder or a zip with {} and {}, as PEFT writes them, or a .npy, .safetensors or \
                 .pth file with the tensor alone",
                peft::CONFIG,
                peft::WEIGHTS
            ),
        )
    })
}

/// The receipt that a prompt came with; a bare tensor has none.
///
/// # Errors
/// When the prompt can't be read.
pub(crate) fn receipt(path: &Path) -> Result<Option<Vec<u8>>> {
    let has_files = path.is_dir() || format(path, &files::read(path)?)? == Format::Peft;
    match has_files {
        true => Ok(read(path)?.remove(RECEIPT)),
        false => Ok(None),
    }
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
    let names = [
        peft::CONFIG,
        peft::WEIGHTS,
        peft::PICKLED,
        peft::README,
        RECEIPT,
    ];
    let there = names.into_iter().filter(|name| folder.join(name).is_file());
    let files: Result<Files> = there
        .map(|name| Ok((name.to_owned(), files::read(&folder.join(name))?)))
        .collect();
    without_pickle(files?)
}

/// Puts safetensors in the place of what an older PEFT wrote with `torch.save`.
fn without_pickle(mut files: Files) -> Result<Files> {
    let Some(bytes) = files.remove(peft::PICKLED) else {
        return Ok(files);
    };
    if files.contains_key(peft::WEIGHTS) {
        return Ok(files);
    }
    // The crate reads such files from the disk only.
    let mut copy = tempfile::NamedTempFile::new()?;
    copy.write_all(&bytes)?;
    let prompt = pytorch::read(&pickled(copy.path(), peft::PICKLED)?)?;
    files.insert(peft::WEIGHTS.to_owned(), peft::weights(&prompt)?);
    Ok(files)
}
