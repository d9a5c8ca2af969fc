//! Why a file of data can't be read.

use std::io;
use std::path::{Path, PathBuf};

use post_core::task::TableError;

/// Why a file can't be read. Each names the file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Missing, forbidden, or a failing disk.
    #[error("could not read {}: {source}; check the path, it is taken relative to the current directory", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A folder where a file is expected.
    #[error("{} is a folder; name its files, as in {}", path.display(), path.join("*.parquet").display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// A pattern that no file matches.
    #[error(
        "no file matches {pattern}; `*` stands for anything within a name, `**` for any folders"
    )]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// A pattern that is none.
    #[error("{pattern} is no pattern: {reason}; write [*] for a star that is part of a name")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A packed file that ends too soon or does not unpack.
    #[error("{} does not unpack as {packing}: {reason}; it was cut off or damaged on its way: fetch it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it is packed.
        packing: &'static str,
        /// What the reader says.
        reason: String,
    },
    /// A name that promises something else than the file is.
    #[error("{} is not {kind}, whatever its name says; {way_out}", path.display())]
    Misnamed {
        /// The file.
        path: PathBuf,
        /// What its name says.
        kind: &'static str,
        /// What to do.
        way_out: &'static str,
    },
    /// A bomb, or a table of nearly nothing but repetitions.
    #[error(
        "{} unpacks to more than {limit} bytes, far more than text does: is it made to fill the memory? \
         if not, unpack it yourself",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bytes that were allowed.
        limit: u64,
    },
    /// A file whose table does not read.
    #[error("{}: {source}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TableError,
    },
    /// Parquet columns that can't be told apart, or none that hold plain values.
    #[error("{}: {reason}", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        reason: String,
    },
    /// A table without the column that holds the text.
    #[error(
        "{} has no column `{column}` of text; its columns are {columns}; name one with --text-column",
        path.display()
    )]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column asked for.
        column: String,
        /// The columns there are.
        columns: String,
    },
    /// A line without end.
    #[error("{}:{line}: the line is longer than {limit} bytes; is it text, with one passage a line?", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The longest that is read.
        limit: usize,
    },
}

impl DataError {
    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn table(path: &Path) -> impl Fn(TableError) -> Self {
        |source| Self::Table {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn damaged(path: &Path, packing: &'static str, reason: impl ToString) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            packing,
            reason: reason.to_string(),
        }
    }
}
