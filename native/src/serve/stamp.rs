//! How a changed file is noticed without reading it.

use std::fs::Metadata;
use std::io;
use std::time::UNIX_EPOCH;

/// Size and time of the last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) bytes: u64,
    /// Since 1970. A file from before counts as of then.
    nanoseconds: u128,
}

impl Stamp {
    /// Of a file.
    ///
    /// # Errors
    /// Where the file system keeps no times.
    pub(super) fn of(meta: &Metadata) -> io::Result<Self> {
        let since = meta.modified()?.duration_since(UNIX_EPOCH);
        Ok(Self {
            bytes: meta.len(),
            nanoseconds: since.unwrap_or_default().as_nanos(),
        })
    }

    /// For `ETag`.
    pub(super) fn etag(self) -> String {
        format!("\"{:x}-{:x}\"", self.bytes, self.nanoseconds)
    }
}
