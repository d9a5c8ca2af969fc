//! One file's table.

use std::path::Path;

use post_core::task::Table;
use post_core::task::table::{self, Format};

use crate::unpack::{self, Packing};
use crate::{DataError, parquet};

/// Reads a whole table: CSV, TSV, JSON lines or Parquet, packed or not. A Parquet row's line is its
/// number in the file, from 1.
///
/// # Errors
/// [`DataError`], which names the file. Single rows that do not read are in [`Table::bad`].
pub fn table(path: &Path) -> Result<Table, DataError> {
    // The end of a Parquet file says where everything is, so it is read from the disk in pieces.
    if parquet::is(path) {
        return parquet::table(path);
    }
    let bytes = unpack::open(path)?.whole(path)?;
    let name = path.to_string_lossy();
    let (_, inner) = Packing::of_name(&name);
    not_packed_parquet(path, &bytes)?;
    not_parquet(path, inner)?;
    table::read(&bytes, Format::sniff(Some(inner), &bytes)).map_err(DataError::table(path))
}

/// A packed file that begins as Parquet.
pub(crate) fn not_packed_parquet(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    match bytes.starts_with(parquet::MAGIC) {
        false => Ok(()),
        true => Err(DataError::Columns {
            path: path.to_owned(),
            reason: "it is a packed Parquet file; unpack it, Parquet packs its columns itself"
                .to_owned(),
        }),
    }
}

/// A file that its name calls Parquet and that isn't.
pub(crate) fn not_parquet(path: &Path, inner: &str) -> Result<(), DataError> {
    match inner.to_ascii_lowercase().ends_with(".parquet") {
        false => Ok(()),
        true => Err(DataError::Misnamed {
            path: path.to_owned(),
            kind: "Parquet",
            way_out: "if it is a pointer of Git LFS, fetch the file itself with `git lfs pull`; else fetch it again",
        }),
    }
}
