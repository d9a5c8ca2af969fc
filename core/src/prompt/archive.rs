//! A folder in memory as one `.zip` file, and back.

use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::Files;

/// Most bytes that an archive may unpack to: a prompt of 1000 tokens for the widest models known
/// (16 384) is 64 MiB.
pub const MAX_UNPACKED: u64 = 256 << 20;

/// Why an archive cannot be read or written; callers add its path.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Not a zip file, or a damaged one.
    #[error("the archive does not read: {0}; was it downloaded in full?")]
    Zip(#[from] zip::result::ZipError),
    /// A file inside is damaged.
    #[error("`{name}` in the archive does not read: {source}")]
    Entry {
        /// Name of the file inside.
        name: String,
        /// What is wrong.
        source: std::io::Error,
    },
    /// Two files that would be one.
    #[error("the archive holds `{name}` twice; pack one prompt alone")]
    Twice {
        /// The name.
        name: String,
    },
    /// More than a prompt ever takes.
    #[error("the archive unpacks to more than {} MiB, so it is not a prompt", MAX_UNPACKED >> 20)]
    TooLarge,
}

/// Packs the files, uncompressed (trained numbers don't compress) and without dates, so that equal
/// files give equal archives.
///
/// # Errors
/// [`ArchiveError::Zip`] where a name cannot stand in an archive.
pub fn pack(files: &Files) -> Result<Vec<u8>, ArchiveError> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default());
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(name.as_str(), options)?;
        writer
            .write_all(bytes)
            .map_err(|source| ArchiveError::Entry {
                name: name.clone(),
                source,
            })?;
    }
    Ok(writer.finish()?.into_inner())
}

/// Unpacks every file under its last name part: archives made of a folder hold it as their root,
/// and no name from outside is ever taken for a path.
///
/// # Errors
/// [`ArchiveError`], for hostile archives too.
pub fn unpack(bytes: &[u8]) -> Result<Files, ArchiveError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    let mut files = Files::new();
    let mut left = MAX_UNPACKED;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let Some(name) = file_name(entry.name()).filter(|_| entry.is_file()) else {
            continue;
        };
        let mut content = Vec::new();
        entry
            .by_ref()
            .take(left + 1)
            .read_to_end(&mut content)
            .map_err(|source| ArchiveError::Entry {
                name: name.clone(),
                source,
            })?;
        left = left
            .checked_sub(content.len() as u64)
            .ok_or(ArchiveError::TooLarge)?;
        if files.insert(name.clone(), content).is_some() {
            return Err(ArchiveError::Twice { name });
        }
    }
    Ok(files)
}

/// The last part of a name; none for folders and for what macOS adds (`__MACOSX/`, `.DS_Store`).
fn file_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept = !last.is_empty() && !last.starts_with('.') && !name.starts_with("__MACOSX/");
    kept.then(|| last.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn files() -> Files {
        [("a.json", &b"{}"[..]), ("b.bin", &[0, 255, 7])]
            .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
            .into()
    }

    fn zip(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            writer
                .start_file(
                    *name,
                    SimpleFileOptions::default().compression_method(method),
                )
                .unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn what_is_packed_unpacks_and_equal_files_give_equal_archives() {
        let packed = pack(&files()).unwrap();
        assert_eq!(packed, pack(&files()).unwrap());
        assert_eq!(unpack(&packed).unwrap(), files());
    }

    #[test]
    fn a_zipped_folder_is_read_as_its_files() {
        let entries: [(&str, &[u8]); 4] = [
            ("p/a.json", b"{}"),
            ("p/b.bin", &[0, 255, 7]),
            ("__MACOSX/p/a.json", b"x"),
            ("p/.DS_Store", b"x"),
        ];
        assert_eq!(
            unpack(&zip(&entries, CompressionMethod::Deflated)).unwrap(),
            files()
        );
    }

    #[test]
    fn hostile_names_never_become_paths() {
        let entries: [(&str, &[u8]); 1] = [("../../etc/a.json", b"{}")];
        let names: Vec<_> = unpack(&zip(&entries, CompressionMethod::Stored))
            .unwrap()
            .into_keys()
            .collect();
        assert_eq!(names, ["a.json"]);
        let twice: [(&str, &[u8]); 2] = [("x/a.json", b"1"), ("y/a.json", b"2")];
        let error = unpack(&zip(&twice, CompressionMethod::Stored)).unwrap_err();
        assert!(matches!(error, ArchiveError::Twice { name } if name == "a.json"));
    }

    #[test]
    fn an_archive_that_unpacks_without_end_is_refused() {
        let zeros = vec![0; (MAX_UNPACKED + 1) as usize];
        let bomb = zip(&[("a.json", &zeros)], CompressionMethod::Deflated);
        assert!(bomb.len() < 1 << 20);
        assert!(matches!(unpack(&bomb), Err(ArchiveError::TooLarge)));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let packed = pack(&files()).unwrap();
        for length in 0..packed.len() {
            assert!(unpack(&packed[..length]).is_err(), "cut to {length}");
        }
    }

    proptest! {
        #[test]
        fn flipped_bytes_never_panic(at in 0usize..1000, value: u8) {
            let mut packed = pack(&files()).unwrap();
            let at = at % packed.len();
            packed[at] = value;
            let _ = unpack(&packed);
        }
    }
}
