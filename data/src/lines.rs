//! A file's lines, one after the other.

use std::path::{Path, PathBuf};

use crate::DataError;
use crate::unpack::{self, Unpacked};

/// The longest line that is read: a thick book.
pub(crate) const LONGEST: usize = 16 << 20;

/// The lines of a file, packed or not, each with its end and the first without a byte order mark; nothing
/// follows an error.
pub(crate) struct Lines {
    path: PathBuf,
    file: Unpacked,
    /// Lines that were read.
    line: usize,
    over: bool,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        Ok(Self {
            path: path.to_owned(),
            file: unpack::open(path)?,
            line: 0,
            over: false,
        })
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>, DataError> {
        let mut bytes = self.file.line(LONGEST, &self.path)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        if bytes.len() == LONGEST && !bytes.ends_with(b"\n") {
            let (path, line, limit) = (self.path.clone(), self.line, LONGEST);
            return Err(DataError::Line { path, line, limit });
        }
        let mark = b"\xef\xbb\xbf";
        if self.line == 1 && bytes.starts_with(mark) {
            bytes.drain(..mark.len());
        }
        Ok(Some(bytes))
    }
}

impl Iterator for Lines {
    type Item = Result<Vec<u8>, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let line = self.read().transpose();
        self.over = !matches!(line, Some(Ok(_)));
        line
    }
}
