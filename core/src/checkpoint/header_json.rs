//! A first look at a safetensors header: what the kept crate takes in silence, or reports without a name.

use std::collections::HashSet;

use serde::Deserialize;
use serde::de::{Deserializer as _, Error, IgnoredAny, MapAccess, Visitor};

use super::CheckpointError;

/// No tensor of a language model has more extents; a longer list is an attack on memory.
const MAX_DIMS: usize = 8;

/// What a header says of one tensor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// Tensors in the order of the header.
pub(super) type Entries = Vec<(String, Entry)>;

/// Reads the header's JSON and refuses a name that is given twice (a map would keep the last in silence).
pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Entries, CheckpointError> {
    let error = |offset, reason: String| CheckpointError::malformed(file, offset, reason);
    let short = || {
        error(
            0,
            format!(
                "has {} bytes, too few for a safetensors header",
                bytes.len()
            ),
        )
    };
    let (prefix, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
    let length = u64::from_le_bytes(*prefix);
    let header = usize::try_from(length)
        .ok()
        .and_then(|length| rest.get(..length))
        .ok_or_else(|| {
            error(
                0,
                format!(
                    "claims a header of {length} bytes where the file has {} left",
                    rest.len()
                ),
            )
        })?;
    let mut json = serde_json::Deserializer::from_slice(header);
    let entries = json
        .deserialize_map(Unique)
        .and_then(|entries| json.end().map(|()| entries));
    entries.map_err(|reason| error(8, format!("the header is not valid: {reason}")))
}

/// The file and the first tensor in it whose shape, type and offsets don't agree.
pub(super) fn culprit(file: &str, entries: &Entries) -> String {
    let broken = entries
        .iter()
        .find(|(_, entry)| entry.consistent().is_none());
    broken.map_or_else(
        || file.to_owned(),
        |(name, _)| format!("{file}, tensor `{name}`"),
    )
}

impl Entry {
    fn consistent(&self) -> Option<()> {
        let bits: u64 = match self.dtype.as_str() {
            "F64" | "I64" | "U64" => 64,
            "F32" | "I32" | "U32" => 32,
            "F16" | "BF16" | "I16" | "U16" => 16,
            "I8" | "U8" | "BOOL" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" => 8,
            // Of less than a byte each; the crate counts them itself.
            "F4" | "F6_E2M3" | "F6_E3M2" => return Some(()),
            _ => return None,
        };
        let bits = self
            .shape
            .iter()
            .try_fold(bits, |product, &extent| product.checked_mul(extent))?;
        let (begin, end) = self.data_offsets;
        (end.checked_sub(begin)? == bits / 8).then_some(())
    }
}

/// Collects a map and fails at a repeated key.
struct Unique;

impl<'de> Visitor<'de> for Unique {
    type Value = Entries;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a map of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut seen = HashSet::new();
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!("`{key}` appears twice")));
            }
            if key == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let entry: Entry = map
                .next_value()
                .map_err(|error| A::Error::custom(format!("`{key}`: {error}")))?;
            if entry.shape.len() > MAX_DIMS {
                return Err(A::Error::custom(format!(
                    "`{key}` has {} dimensions",
                    entry.shape.len()
                )));
            }
            entries.push((key, entry));
        }
        Ok(entries)
    }
}
