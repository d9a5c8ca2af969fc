//! NumPy's `.npy`: one array, `[num_virtual_tokens, token_dim]`.
//!
//! Layout, after numpy's `numpy/lib/format.py`: magic, version, the header's length, a Python
//! dictionary as text (`descr`, `fortran_order`, `shape`), the elements.

use half::f16;

use super::{FormatError, SoftPrompt};

const MAGIC: &[u8] = b"\x93NUMPY";
/// numpy begins the elements at a multiple of this.
const ALIGNMENT: usize = 64;
/// numpy itself refuses longer headers unless told otherwise.
const MAX_HEADER: usize = 10_000;

/// Whether the bytes begin as such a file does.
pub(super) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Writes version 1.0, as `numpy.save` does: 32-bit floats, row after row.
#[must_use]
pub fn write(prompt: &SoftPrompt) -> Vec<u8> {
    let (n, d) = (prompt.num_virtual_tokens(), prompt.token_dim());
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({n}, {d}), }}");
    let before = MAGIC.len() + 2 + 2;
    let end = (before + header.len() + 1).next_multiple_of(ALIGNMENT);
    header.extend(std::iter::repeat_n(' ', end - before - header.len() - 1));
    header.push('\n');
    let mut out = MAGIC.to_vec();
    out.extend([1, 0]);
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.into_bytes());
    out.extend(prompt.embeddings().iter().flat_map(|x| x.to_le_bytes()));
    out
}

/// Reads versions 1 to 3 with 16-, 32- or 64-bit floats; the last are rounded to 32 bits.
///
/// # Errors
/// [`FormatError::Npy`] with what is wrong, [`FormatError::Prompt`] when the numbers are no prompt.
pub fn read(bytes: &[u8]) -> Result<SoftPrompt, FormatError> {
    let (header, data) = split(bytes)?;
    if field(header, "fortran_order")?.starts_with("True") {
        return Err(wrong(
            "it lies column after column; save numpy.ascontiguousarray(it)",
        ));
    }
    let [n, d] = shape(header)?;
    let values = floats(header, data)?;
    Ok(SoftPrompt::new(values, n, d)?)
}

fn wrong(reason: impl Into<String>) -> FormatError {
    FormatError::Npy(reason.into())
}

/// Header and elements.
fn split(bytes: &[u8]) -> Result<(&str, &[u8]), FormatError> {
    let short = || wrong("it is cut off within its header");
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| wrong("it does not begin with \\x93NUMPY"))?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (length, rest) = match version[0] {
        1 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(short)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(short)?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        other => {
            return Err(wrong(format!(
                "its version is {other}, versions 1 to 3 are read"
            )));
        }
    };
    if length > MAX_HEADER {
        return Err(wrong(format!("its header claims {length} bytes")));
    }
    let (header, data) = rest.split_at_checked(length).ok_or_else(short)?;
    let header = std::str::from_utf8(header).map_err(|_| wrong("its header is not text"))?;
    Ok((header, data))
}

/// What stands behind a key of the dictionary.
fn field<'a>(header: &'a str, key: &str) -> Result<&'a str, FormatError> {
    let quoted = [format!("'{key}':"), format!("\"{key}\":")];
    let found = quoted
        .iter()
        .find_map(|key| header.split_once(key.as_str()));
    found
        .map(|(_, rest)| rest.trim_start())
        .ok_or_else(|| wrong(format!("its header has no `{key}`")))
}

fn shape(header: &str) -> Result<[usize; 2], FormatError> {
    let text = field(header, "shape")?;
    let inner = text.strip_prefix('(').and_then(|text| text.split_once(')'));
    let (inner, _) = inner.ok_or_else(|| wrong("its shape is not a tuple"))?;
    let extents = inner.split(',').map(str::trim).filter(|x| !x.is_empty());
    let extents: Vec<usize> = extents
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| wrong(format!("its shape ({inner}) is none")))?;
    <[usize; 2]>::try_from(extents).map_err(|found| FormatError::Shape { found })
}

fn floats(header: &str, data: &[u8]) -> Result<Vec<f32>, FormatError> {
    let kind = field(header, "descr")?;
    let kind = kind.trim_start_matches(['\'', '"']);
    let kind = kind.split(['\'', '"']).next().unwrap_or_default();
    let (size, values): (usize, Vec<f32>) = match kind {
        "<f4" => (4, each(data, f32::from_le_bytes)),
        "<f2" => (2, each(data, |b| f16::from_le_bytes(b).to_f32())),
        "<f8" => (8, each(data, |b| f64::from_le_bytes(b) as f32)),
        other => {
            let found = other.to_owned();
            return Err(FormatError::Dtype { found });
        }
    };
    match data.len() % size {
        0 => Ok(values),
        _ => Err(wrong("it ends in the middle of a number")),
    }
}

fn each<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    data.as_chunks()
        .0
        .iter()
        .map(|&bytes| read(bytes))
        .collect()
}
