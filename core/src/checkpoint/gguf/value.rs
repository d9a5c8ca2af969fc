//! Metadata values of a GGUF file.

use super::super::CheckpointError;
use super::cursor::Cursor;

/// Arrays inside arrays are legal and never used; this many levels are followed.
const MAX_DEPTH: usize = 4;

/// One metadata value. Arrays stay where they are in the file, so that a hostile count costs nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any of the unsigned integers.
    Unsigned(u64),
    /// Any of the signed integers.
    Signed(i64),
    /// Either of the floats.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A string.
    String(String),
    /// A list of values of one type.
    Array(Array),
}

/// An array that was checked from end to end and is decoded on demand.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    kind: u32,
    len: usize,
    start: usize,
}

impl Value {
    /// The value as a count or an identifier, if it is an integer that isn't negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(v) => Some(v),
            Self::Signed(v) => u64::try_from(v).ok(),
            _ => None,
        }
    }

    /// The value as a number, if it is one.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::Float(v) => Some(v),
            Self::Unsigned(v) => Some(v as f64),
            Self::Signed(v) => Some(v as f64),
            _ => None,
        }
    }

    /// The value as text, if it is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(v) => Some(v),
            _ => None,
        }
    }
}

/// Type identifiers of the specification.
mod kind {
    pub(super) const U8: u32 = 0;
    pub(super) const I8: u32 = 1;
    pub(super) const U16: u32 = 2;
    pub(super) const I16: u32 = 3;
    pub(super) const U32: u32 = 4;
    pub(super) const I32: u32 = 5;
    pub(super) const F32: u32 = 6;
    pub(super) const BOOL: u32 = 7;
    pub(super) const STRING: u32 = 8;
    pub(super) const ARRAY: u32 = 9;
    pub(super) const U64: u32 = 10;
    pub(super) const I64: u32 = 11;
    pub(super) const F64: u32 = 12;
}

/// The least number of bytes that an item of a type takes.
fn least_size(kind: u32) -> Option<usize> {
    Some(match kind {
        kind::U8 | kind::I8 | kind::BOOL => 1,
        kind::U16 | kind::I16 => 2,
        kind::U32 | kind::I32 | kind::F32 => 4,
        kind::U64 | kind::I64 | kind::F64 | kind::STRING => 8,
        kind::ARRAY => 12,
        _ => return None,
    })
}

/// Reads a value with its type before it.
pub(super) fn read(cursor: &mut Cursor<'_>, key: &str) -> Result<Value, CheckpointError> {
    let kind = cursor.u32(key)?;
    read_kind(cursor, key, kind, 0)
}

fn read_kind(
    cursor: &mut Cursor<'_>,
    key: &str,
    kind: u32,
    depth: usize,
) -> Result<Value, CheckpointError> {
    let size = least_size(kind)
        .ok_or_else(|| cursor.error(key, format!("has the unknown value type {kind}")))?;
    match kind {
        kind::STRING => cursor.string(key).map(|v| Value::String(v.to_owned())),
        kind::ARRAY => read_array(cursor, key, depth).map(Value::Array),
        kind::BOOL => match cursor.take(1, key)? {
            [0] => Ok(Value::Bool(false)),
            [1] => Ok(Value::Bool(true)),
            _ => Err(cursor.error(key, "is a boolean that is neither 0 nor 1")),
        },
        _ => Ok(number(kind, cursor.take(size as u64, key)?)),
    }
}

/// A number of 1, 2, 4 or 8 little-endian bytes.
fn number(kind: u32, bytes: &[u8]) -> Value {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let raw = u64::from_le_bytes(wide);
    let unused = 64 - 8 * bytes.len() as u32;
    match kind {
        kind::I8 | kind::I16 | kind::I32 | kind::I64 => {
            Value::Signed(((raw << unused) as i64) >> unused)
        }
        kind::F32 => Value::Float(f64::from(f32::from_bits(raw as u32))),
        kind::F64 => Value::Float(f64::from_bits(raw)),
        _ => Value::Unsigned(raw),
    }
}

/// Walks over an array, so that decoding it later can't fail.
fn read_array(cursor: &mut Cursor<'_>, key: &str, depth: usize) -> Result<Array, CheckpointError> {
    if depth == MAX_DEPTH {
        return Err(cursor.error(key, format!("has arrays nested more than {MAX_DEPTH} deep")));
    }
    let kind = cursor.u32(key)?;
    let size = least_size(kind)
        .ok_or_else(|| cursor.error(key, format!("has the unknown element type {kind}")))?;
    let len = cursor.count(size, key)?;
    let start = cursor.at();
    match kind {
        kind::STRING => (0..len).try_for_each(|_| cursor.string(key).map(drop))?,
        kind::ARRAY => (0..len).try_for_each(|_| read_array(cursor, key, depth + 1).map(drop))?,
        _ => cursor.take((len * size) as u64, key).map(drop)?,
    }
    Ok(Array { kind, len, start })
}

impl Array {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements of an array of strings, borrowed from the file.
    pub(super) fn strings<'a>(
        &self,
        file: &'a [u8],
        key: &str,
    ) -> Result<Vec<&'a str>, CheckpointError> {
        if self.kind != kind::STRING {
            return Err(CheckpointError::metadata(
                key,
                "must be an array of strings",
            ));
        }
        let mut cursor = self.cursor(file, key)?;
        (0..self.len).map(|_| cursor.string(key)).collect()
    }

    /// The elements of an array of numbers (booleans count as 0 and 1).
    pub(super) fn numbers(&self, file: &[u8], key: &str) -> Result<Vec<Value>, CheckpointError> {
        let size = match self.kind {
            kind::STRING | kind::ARRAY => None,
            kind => least_size(kind),
        };
        let size =
            size.ok_or_else(|| CheckpointError::metadata(key, "must be an array of numbers"))?;
        let mut cursor = self.cursor(file, key)?;
        (0..self.len)
            .map(|_| {
                cursor
                    .take(size as u64, key)
                    .map(|bytes| number(self.kind, bytes))
            })
            .collect()
    }

    fn cursor<'a>(&self, file: &'a [u8], key: &str) -> Result<Cursor<'a>, CheckpointError> {
        let mut cursor = Cursor::new(file);
        cursor.take(self.start as u64, key)?;
        Ok(cursor)
    }
}
