//! A place in untrusted bytes: every read is checked, and a failed one says where and what.

use super::super::CheckpointError;

/// Reads little-endian items from the front of a file.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes not read yet: the bound for every count that the file claims.
    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `len` bytes; `what` names them in the error.
    pub(super) fn take(&mut self, len: u64, what: &str) -> Result<&'a [u8], CheckpointError> {
        let slice = usize::try_from(len)
            .ok()
            .and_then(|len| self.at.checked_add(len))
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or_else(|| {
                let left = self.remaining();
                self.error(
                    what,
                    format!("needs {len} bytes where the file has {left} left"),
                )
            })?;
        self.at += slice.len();
        Ok(slice)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], CheckpointError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64, what)?);
        Ok(out)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, CheckpointError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, CheckpointError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A string: its length in bytes as u64, then UTF-8.
    pub(super) fn string(&mut self, what: &str) -> Result<&'a str, CheckpointError> {
        let start = self.at;
        let len = self.u64(what)?;
        let bytes = self.take(len, what)?;
        std::str::from_utf8(bytes)
            .map_err(|_| CheckpointError::malformed(what, start as u64, "is not UTF-8"))
    }

    /// A count of items of which each takes at least `least` bytes; more than the file can hold are
    /// refused before anything is allocated.
    pub(super) fn count(&mut self, least: usize, what: &str) -> Result<usize, CheckpointError> {
        let start = self.at as u64;
        let count = self.u64(what)?;
        let room = (self.remaining() / least) as u64;
        if count > room {
            let reason = format!("claims {count} items where the file has room for {room}");
            return Err(CheckpointError::malformed(what, start, reason));
        }
        Ok(count as usize)
    }

    pub(super) fn error(&self, what: &str, reason: impl Into<String>) -> CheckpointError {
        CheckpointError::malformed(what, self.at as u64, reason)
    }
}
