//! Files packed with gzip, bzip2 or Zstandard, read as what is in them.
//!
//! A few kilobytes can unpack to gigabytes. Text does not: it shrinks to a fifth, repetitive tables to
//! a fiftieth. So whatever comes out may be at most [`RATIO`] times what went in, or [`FREE`].

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use crate::DataError;

/// Bytes that may come out for each byte that went in.
pub const RATIO: u64 = 256;
/// Bytes that may come out in any case.
pub const FREE: u64 = 64 << 20;
/// The largest window that a Zstandard file may ask memory for, as its own tools have it: 2²⁷ bytes.
const WINDOW: u32 = 27;
const BUFFER: usize = 1 << 16;

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    Bzip2,
    Zstandard,
}

impl Packing {
    const ALL: [Self; 3] = [Self::Gzip, Self::Bzip2, Self::Zstandard];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Zstandard => "Zstandard",
        }
    }

    fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Gzip => &["gz", "gzip"],
            Self::Bzip2 => &["bz2"],
            Self::Zstandard => &["zst", "zstd"],
        }
    }

    /// Whether a file begins as one that is packed so.
    fn begins(self, head: &[u8]) -> bool {
        match self {
            Self::Gzip => head.starts_with(b"\x1f\x8b"),
            // π behind the level; √π where nothing is packed.
            Self::Bzip2 => {
                head.starts_with(b"BZh")
                    && matches!(head.get(4..10), Some(b"1AY&SY" | b"\x17rE8P\x90"))
            }
            Self::Zstandard => head.starts_with(b"\x28\xb5\x2f\xfd"),
        }
    }

    /// What the name says, and the name of what is inside.
    pub(crate) fn of_name(name: &str) -> (Option<Self>, &str) {
        let (inner, ending) = name.rsplit_once('.').unwrap_or((name, ""));
        let ending = ending.to_ascii_lowercase();
        let says = Self::ALL
            .into_iter()
            .find(|packing| packing.endings().contains(&ending.as_str()));
        (says, if says.is_some() { inner } else { name })
    }
}

/// A file's contents, unpacked where it is packed, one piece after the other.
pub struct Unpacked {
    reader: Box<dyn BufRead>,
    packing: Option<Packing>,
}

impl std::fmt::Debug for Unpacked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacked")
            .field("packing", &self.packing)
            .finish()
    }
}

/// Opens a file; pipes will do, too.
///
/// # Errors
/// When it can't be read, or its name promises a packing that it hasn't.
pub fn open(path: &Path) -> Result<Unpacked, DataError> {
    if path.is_dir() {
        let path = path.to_owned();
        return Err(DataError::Folder { path });
    }
    let file = File::open(path).map_err(DataError::io(path))?;
    let (mut head, mut rest) = ([0; 10], file);
    let length = fill(&mut rest, &mut head).map_err(DataError::io(path))?;
    let head = &head[..length];
    let packing = Packing::ALL
        .into_iter()
        .find(|packing| packing.begins(head));
    let name = path.to_string_lossy();
    if let (None, (Some(says), _)) = (packing, Packing::of_name(&name)) {
        return Err(DataError::Misnamed {
            path: path.to_owned(),
            kind: says.name(),
            way_out: "rename it if it was unpacked already, else fetch it again",
        });
    }
    let whole = io::Cursor::new(head.to_vec()).chain(rest);
    let reader: Box<dyn BufRead> = match packing {
        None => Box::new(BufReader::with_capacity(BUFFER, whole)),
        Some(packing) => unpacking(packing, whole).map_err(DataError::io(path))?,
    };
    Ok(Unpacked { reader, packing })
}

impl Unpacked {
    /// All of it.
    ///
    /// # Errors
    /// [`DataError::Damaged`] and [`DataError::TooLarge`], which name `path`.
    pub fn whole(mut self, path: &Path) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        let read = self.reader.read_to_end(&mut bytes);
        read.map_err(|error| self.error(path, error))?;
        Ok(bytes)
    }

    /// The next line with its end, at most `limit` bytes of it; empty at the end.
    pub(crate) fn line(&mut self, limit: usize, path: &Path) -> Result<Vec<u8>, DataError> {
        let mut line = Vec::new();
        let read = (&mut self.reader)
            .take(limit as u64)
            .read_until(b'\n', &mut line);
        read.map_err(|error| self.error(path, error))?;
        Ok(line)
    }

    fn error(&self, path: &Path, error: io::Error) -> DataError {
        let bomb = error.get_ref().and_then(|inner| inner.downcast_ref());
        match (bomb, self.packing) {
            (Some(&Bomb(limit)), _) => DataError::TooLarge {
                path: path.to_owned(),
                limit,
            },
            (None, Some(packing)) => DataError::damaged(path, packing.name(), error),
            (None, None) => DataError::io(path)(error),
        }
    }
}

fn fill(file: &mut File, head: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < head.len() {
        match file.read(&mut head[length..])? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

/// Files of several members, frames or streams are read through to the last.
fn unpacking(packing: Packing, packed: impl Read + 'static) -> io::Result<Box<dyn BufRead>> {
    let went_in = Rc::new(Cell::new(0));
    let counted = Counted {
        inner: packed,
        bytes: Rc::clone(&went_in),
    };
    let packed = BufReader::with_capacity(BUFFER, counted);
    let inner: Box<dyn Read> = match packing {
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
        Packing::Zstandard => {
            let mut decoder = zstd::Decoder::with_buffer(packed)?;
            decoder.window_log_max(WINDOW)?;
            Box::new(decoder)
        }
    };
    let bounded = Bounded {
        inner,
        went_in,
        came_out: 0,
    };
    Ok(Box::new(BufReader::with_capacity(BUFFER, bounded)))
}

/// What may come out of so many bytes.
pub(crate) fn allowed(went_in: u64) -> u64 {
    went_in.saturating_mul(RATIO).max(FREE)
}

struct Counted<R> {
    inner: R,
    bytes: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.set(self.bytes.get() + read as u64);
        Ok(read)
    }
}

struct Bounded {
    inner: Box<dyn Read>,
    went_in: Rc<Cell<u64>>,
    came_out: u64,
}

/// More came out than was allowed.
#[derive(Debug, thiserror::Error)]
#[error("more than {0} bytes")]
struct Bomb(u64);

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.came_out += read as u64;
        let limit = allowed(self.went_in.get());
        if self.came_out > limit {
            return Err(io::Error::other(Bomb(limit)));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_how_a_file_is_packed_and_what_is_inside() {
        let of = Packing::of_name;
        assert_eq!(of("a/b.csv.GZ"), (Some(Packing::Gzip), "a/b.csv"));
        assert_eq!(of("b.jsonl.bz2"), (Some(Packing::Bzip2), "b.jsonl"));
        assert_eq!(of("b.zst"), (Some(Packing::Zstandard), "b"));
        assert_eq!(of("b.tsv"), (None, "b.tsv"));
        assert_eq!(of("b"), (None, "b"));
    }

    #[test]
    fn small_files_may_unpack_to_the_free_bytes_and_large_ones_to_their_share() {
        assert_eq!(allowed(0), FREE);
        assert_eq!(allowed(FREE), FREE * RATIO);
        assert_eq!(allowed(u64::MAX), u64::MAX);
    }
}
