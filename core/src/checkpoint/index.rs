//! The index of a model in several files (`*.index.json`): which tensor lies in which.

use std::collections::BTreeMap;

use super::CheckpointError;

/// Tensor name → file name.
pub(super) struct Index {
    /// The index's own name, for messages.
    file: &'static str,
    map: BTreeMap<String, String>,
}

impl Index {
    pub(super) fn parse(file: &'static str, json: &[u8]) -> Result<Self, CheckpointError> {
        #[derive(serde::Deserialize)]
        struct Json {
            weight_map: BTreeMap<String, String>,
        }
        match serde_json::from_slice::<Json>(json) {
            Ok(json) => Ok(Self {
                file,
                map: json.weight_map,
            }),
            Err(error) => Err(CheckpointError::metadata(
                file,
                format!("{error}; fetch the file again"),
            )),
        }
    }

    /// The files, sorted; none may lead out of the folder.
    pub(super) fn shards(self) -> Result<Vec<String>, CheckpointError> {
        let mut names: Vec<String> = self.map.into_values().collect();
        names.sort();
        names.dedup();
        match names.iter().find(|name| {
            name.is_empty() || name.contains(['/', '\\', ':', '\0']) || name.starts_with('.')
        }) {
            Some(name) => Err(CheckpointError::metadata(
                self.file,
                format!(
                    "the shard name `{}` is not a plain file name",
                    name.escape_debug()
                ),
            )),
            None => Ok(names),
        }
    }

    /// Every tensor lies where the index says, and no other tensor is there.
    pub(super) fn check<'a>(
        &self,
        tensors: impl IntoIterator<Item = &'a String>,
        lies_in: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<(), CheckpointError> {
        for (tensor, shard) in &self.map {
            let found = lies_in(tensor);
            if found != Some(shard.as_str()) {
                let reason = match found {
                    Some(other) => format!("should lie in `{shard}` and lies in `{other}`"),
                    None => format!("should lie in `{shard}` and lies in none of the shards given"),
                };
                return Err(CheckpointError::metadata(
                    tensor,
                    format!("{reason}; fetch the shards again"),
                ));
            }
        }
        let mut extra = tensors.into_iter();
        match extra.find(|name| !self.map.contains_key(*name)) {
            Some(extra) => Err(CheckpointError::metadata(
                extra,
                "is in a shard and not in the index",
            )),
            None => Ok(()),
        }
    }
}
