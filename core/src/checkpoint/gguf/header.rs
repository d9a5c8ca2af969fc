//! The header of a GGUF file and its rules.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::CheckpointError;
use super::Kind;
use super::cursor::Cursor;
use super::value::{self, Value};

const MAGIC: &[u8; 4] = b"GGUF";
/// ggml's own limit on a tensor's extents.
const MAX_DIMS: u32 = 4;
const DEFAULT_ALIGNMENT: u64 = 32;
/// The least that a metadata pair takes: the key's length, the value's type, one byte of value.
const LEAST_PAIR: usize = 8 + 4 + 1;
/// The least that a tensor's description takes: the name's length, dimensions, type, offset.
const LEAST_INFO: usize = 8 + 4 + 8 + 4 + 8;

/// Where one tensor lies and how.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// Extents, outermost first (the file has them the other way round).
    pub shape: Vec<usize>,
    /// How elements are stored.
    pub kind: Kind,
    /// The bytes in the file.
    pub range: Range<usize>,
}

/// What the header says, checked.
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) metadata: BTreeMap<String, Value>,
    pub(super) tensors: BTreeMap<String, TensorInfo>,
}

/// A tensor's description as written: the offset counts from the start of the data.
struct Raw<'a> {
    name: &'a str,
    shape: Vec<usize>,
    kind: Kind,
    offset: u64,
    at: u64,
}

/// Reads and checks the whole header of `file`.
pub(super) fn read(file: &[u8]) -> Result<Header, CheckpointError> {
    let mut cursor = Cursor::new(file);
    let version = preamble(&mut cursor)?;
    // Neither count is believed before the file is known to be long enough for it.
    let tensors = cursor.count(LEAST_INFO, "number of tensors")?;
    let pairs = cursor.count(LEAST_PAIR, "number of metadata pairs")?;
    let metadata = read_metadata(&mut cursor, pairs)?;
    let alignment = alignment(&metadata)?;
    let raw = (0..tensors)
        .map(|_| read_info(&mut cursor))
        .collect::<Result<Vec<_>, _>>()?;
    let start = (cursor.at() as u64).next_multiple_of(alignment);
    let tensors = place(raw, start, alignment, file.len() as u64)?;
    Ok(Header {
        version,
        metadata,
        tensors,
    })
}

fn preamble(cursor: &mut Cursor<'_>) -> Result<u32, CheckpointError> {
    if cursor.take(4, "magic number")? != MAGIC {
        return Err(CheckpointError::malformed(
            "magic number",
            0,
            "is not `GGUF`, so this is no GGUF file",
        ));
    }
    match cursor.u32("version")? {
        version @ (2 | 3) => Ok(version),
        version if matches!(version.swap_bytes(), 2 | 3) => Err(CheckpointError::malformed(
            "version",
            4,
            "the file is big-endian, only little-endian is read",
        )),
        version => Err(CheckpointError::malformed(
            "version",
            4,
            format!("is {version}, versions 2 and 3 are read"),
        )),
    }
}

fn read_metadata(
    cursor: &mut Cursor<'_>,
    pairs: usize,
) -> Result<BTreeMap<String, Value>, CheckpointError> {
    let mut metadata = BTreeMap::new();
    for index in 0..pairs {
        let at = cursor.at() as u64;
        let key = cursor.string(&format!("metadata key {index}"))?;
        let value = value::read(cursor, key)?;
        if metadata.insert(key.to_owned(), value).is_some() {
            return Err(CheckpointError::malformed(
                key,
                at,
                "the metadata key appears twice",
            ));
        }
    }
    Ok(metadata)
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64, CheckpointError> {
    let key = "general.alignment";
    let Some(value) = metadata.get(key) else {
        return Ok(DEFAULT_ALIGNMENT);
    };
    // The specification says a multiple of 8; every writer uses a power of two, and a page is plenty.
    value
        .as_u64()
        .filter(|a| a.is_power_of_two() && (8..=1 << 16).contains(a))
        .ok_or_else(|| CheckpointError::metadata(key, "must be a power of two from 8 to 65536"))
}

fn read_info<'a>(cursor: &mut Cursor<'a>) -> Result<Raw<'a>, CheckpointError> {
    let at = cursor.at() as u64;
    let name = cursor.string("tensor name")?;
    let dims = cursor.u32(name)?;
    if !(1..=MAX_DIMS).contains(&dims) {
        return Err(CheckpointError::malformed(
            name,
            at,
            format!("has {dims} dimensions instead of 1 to {MAX_DIMS}"),
        ));
    }
    let mut shape = (0..dims)
        .map(|_| extent(cursor, name))
        .collect::<Result<Vec<_>, _>>()?;
    shape.reverse();
    let kind = Kind::from_id(name, cursor.u32(name)?)?;
    let offset = cursor.u64(name)?;
    Ok(Raw {
        name,
        shape,
        kind,
        offset,
        at,
    })
}

fn extent(cursor: &mut Cursor<'_>, name: &str) -> Result<usize, CheckpointError> {
    let extent = cursor.u64(name)?;
    usize::try_from(extent)
        .ok()
        .filter(|&extent| extent > 0)
        .ok_or_else(|| cursor.error(name, format!("has an extent of {extent}")))
}

/// Turns offsets into ranges of the file and checks that they are aligned, inside, and apart.
fn place(
    mut raw: Vec<Raw<'_>>,
    start: u64,
    alignment: u64,
    len: u64,
) -> Result<BTreeMap<String, TensorInfo>, CheckpointError> {
    raw.sort_by_key(|info| info.offset);
    let mut tensors = BTreeMap::new();
    let mut free = start;
    for info in raw {
        let error = |reason: String| CheckpointError::malformed(info.name, info.at, reason);
        if info.offset % alignment != 0 {
            return Err(error(format!(
                "offset {} is no multiple of the alignment {alignment}",
                info.offset
            )));
        }
        let size = info.kind.bytes(&info.shape).map_err(error)?;
        let begin = start.checked_add(info.offset);
        let Some((begin, end)) = begin
            .and_then(|b| Some((b, b.checked_add(size)?)))
            .filter(|&(_, e)| e <= len)
        else {
            let reason = format!(
                "{size} bytes at offset {} of the data reach past the file's {len} bytes",
                info.offset
            );
            return Err(error(reason));
        };
        if begin < free {
            return Err(error("its data overlap another tensor's".to_owned()));
        }
        free = end;
        let placed = TensorInfo {
            shape: info.shape,
            kind: info.kind,
            range: begin as usize..end as usize,
        };
        if tensors.insert(info.name.to_owned(), placed).is_some() {
            return Err(CheckpointError::malformed(
                info.name,
                info.at,
                "the tensor appears twice",
            ));
        }
    }
    Ok(tensors)
}
