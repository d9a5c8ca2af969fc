//! Files: read whole or mapped, written so that a crash leaves the old one or the new one.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use mmap_guard::FileData;
use post_core::checkpoint::{Bytes, SharedBytes};

use crate::failure::{Hint, hinted};

/// Bytes of a file: mapped, or read.
#[derive(Debug)]
pub(crate) struct Mapped {
    data: FileData,
    path: PathBuf,
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.data
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Bytes for Mapped {
    /// A mapping of its own, if the file is still the one that was opened.
    fn again(&self) -> Option<SharedBytes> {
        let fresh = mmap_guard::map_file(&self.path).ok()?;
        let (FileData::Mapped(_, file), FileData::Mapped(_, now)) = (&self.data, &fresh) else {
            return None;
        };
        let same = same_file(file, now).unwrap_or(false);
        same.then(|| {
            Arc::new(Self {
                data: fresh,
                path: self.path.clone(),
            }) as SharedBytes
        })
    }
}

fn same_file(a: &fs::File, b: &fs::File) -> io::Result<bool> {
    let (a, b) = (a.metadata()?, b.metadata()?);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if (a.dev(), a.ino()) != (b.dev(), b.ino()) {
            return Ok(false);
        }
    }
    Ok(a.len() == b.len() && a.modified()? == b.modified()?)
}

/// Bytes of a file that may be larger than memory should hold twice: mapped where that works.
///
/// # Errors
/// When the file is missing, empty or can't be read.
pub(crate) fn map(path: &Path) -> Result<Mapped> {
    if fs::metadata(path).is_ok_and(|meta| meta.len() == 0) {
        return Err(hinted(
            anyhow::anyhow!("{} is empty", path.display()),
            "the download or copy was cut off before it began: fetch the file again",
        ));
    }
    let data = match mmap_guard::map_file(path) {
        Ok(mapped) => mapped,
        // Some file systems can neither lock nor map.
        Err(_) => FileData::Loaded(read(path)?),
    };
    let path = path.to_owned();
    Ok(Mapped { data, path })
}

/// The whole file as bytes.
///
/// # Errors
/// When the file is missing or can't be read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).with_context(|| format!("could not read {}", path.display()));
    bytes.hint("check the path; it is taken relative to the current directory")
}

/// The whole file as UTF-8 text.
///
/// # Errors
/// As [`read`], and when the file isn't UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?)
        .with_context(|| format!("{} is not UTF-8 text", path.display()))
        .hint("convert it, for example with `iconv -t UTF-8`")
}

/// Writes beside the target, syncs, renames: the file is the old one or the new one, never half of it.
///
/// # Errors
/// Names the path; a full disk gets its own way out. The earlier file stays as it was.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    place(path, bytes).map_err(|error| {
        let hint = way_out(&error);
        let error = anyhow::Error::new(error);
        let error = error.context(format!("could not write {}", path.display()));
        hinted(error, hint)
    })
}

fn place(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".part-")
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    widen(file.as_file())?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// Temporary files are private to their owner; results get what an ordinary file would.
#[cfg(unix)]
fn widen(file: &fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn widen(_: &fs::File) -> io::Result<()> {
    Ok(())
}

fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "the disk is full: free some space and run the same command again with --resume; \
             what was written before is intact"
        }
        ErrorKind::FileTooLarge => {
            "the file system or a limit of this account forbids files of this size: \
             choose another folder"
        }
        ErrorKind::PermissionDenied => "choose a folder you may write to",
        _ => "check that the folder exists and can be written",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.txt");
        write_atomic(&path, b"one").unwrap();
        // A folder in the way of the target makes the rename fail.
        assert!(write_atomic(&dir.path().join("a"), b"two").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file is left behind");
    }

    #[test]
    fn a_file_is_mapped_again_as_long_as_it_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.safetensors");
        fs::write(&path, b"one").unwrap();
        let mapped = map(&path).unwrap();
        let again = mapped.again().unwrap();
        assert_eq!(again.as_ref().as_ref(), b"one");
        drop(again);
        write_atomic(&path, b"two").unwrap();
        assert!(mapped.again().is_none(), "another file has that name now");
        assert_eq!(&mapped[..], b"one");
    }

    #[test]
    fn an_empty_model_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.gguf");
        fs::write(&path, b"").unwrap();
        assert!(
            map(&path)
                .unwrap_err()
                .to_string()
                .contains("m.gguf is empty")
        );
    }
}
