//! What a step needs to go on after an interruption, as bytes.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use thiserror::Error;

/// Why saved state was refused.
#[derive(Debug, Error)]
pub enum StateError {
    /// Not a safetensors file, or a damaged one.
    #[error("the checkpoint is damaged ({0}); delete it and start over")]
    Damaged(String),
    /// Saved by another step.
    #[error("the checkpoint belongs to `{found}`, not to `{expected}`; name the right file")]
    Kind {
        /// What was asked for.
        expected: String,
        /// What the file says it is.
        found: String,
    },
    /// A field or tensor isn't there, or isn't readable.
    #[error("the checkpoint has no usable `{0}`; delete it and start over")]
    Missing(String),
    /// A tensor of another size than the run's.
    #[error("`{name}` in the checkpoint has {found} numbers where this run needs {expected}")]
    Length {
        /// Which tensor.
        name: String,
        /// What this run needs.
        expected: usize,
        /// What the file holds.
        found: usize,
    },
    /// Made under other settings.
    #[error("the checkpoint was made with other settings; resume with those or start over")]
    Settings,
}

/// Named numbers and vectors of one kind of run, kept as a safetensors file.
///
/// Private state (a prompt in the middle of tuning with its optimiser) is as private as what was
/// released so far, since only noised sums ever reached it; without DP it is as private as the data.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    fields: BTreeMap<String, String>,
    tensors: BTreeMap<String, Vec<f32>>,
}

const KIND: &str = "kind";
const FIELDS: &str = "fields";
const SETTINGS: &str = "settings";

impl State {
    /// Empty state of a run of `kind`.
    pub fn new(kind: &str) -> Self {
        Self::default().with_field(KIND, kind)
    }

    /// Adds a number or a word.
    pub fn with_field(mut self, name: &str, value: impl ToString) -> Self {
        self.fields.insert(name.to_owned(), value.to_string());
        self
    }

    /// Adds the settings that a resumed run must share.
    pub fn with_settings(self, settings: &impl serde::Serialize) -> Self {
        self.with_field(SETTINGS, settings_text(settings))
    }

    /// Adds a vector.
    pub fn with_tensor(mut self, name: &str, values: Vec<f32>) -> Self {
        self.tensors.insert(name.to_owned(), values);
        self
    }

    /// The field `name`.
    ///
    /// # Errors
    /// [`StateError::Missing`] when it isn't there or isn't a `T`.
    pub fn field<T: FromStr>(&self, name: &str) -> Result<T, StateError> {
        self.fields
            .get(name)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| StateError::Missing(name.to_owned()))
    }

    /// Moves the vector `name` of `len` numbers out.
    ///
    /// # Errors
    /// When it isn't there or has another length.
    pub fn take(&mut self, name: &str, len: usize) -> Result<Vec<f32>, StateError> {
        let values = self
            .tensors
            .remove(name)
            .ok_or_else(|| StateError::Missing(name.to_owned()))?;
        if values.len() == len {
            Ok(values)
        } else {
            Err(StateError::Length {
                name: name.to_owned(),
                expected: len,
                found: values.len(),
            })
        }
    }

    /// Refuses state that was saved under other settings than these.
    ///
    /// # Errors
    /// [`StateError::Settings`].
    pub fn check_settings(&self, settings: &impl serde::Serialize) -> Result<(), StateError> {
        let expected = settings_text(settings);
        match self.fields.get(SETTINGS) {
            Some(found) if *found == expected => Ok(()),
            _ => Err(StateError::Settings),
        }
    }

    /// As a safetensors file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let views = self.tensors.iter().map(|(name, values)| {
            let bytes = bytemuck::cast_slice(values);
            let view = TensorView::new(Dtype::F32, vec![values.len()], bytes);
            (name, view.expect("four bytes a number, as the shape says"))
        });
        // In one entry, because the order of a hash map's entries is another in each process.
        let fields = serde_json::to_string(&self.fields).expect("text maps to text");
        let fields = HashMap::from([(FIELDS.to_owned(), fields)]);
        safetensors::serialize(views, Some(fields))
            .expect("the shapes were checked when the views were made")
    }

    /// Reads what [`State::to_bytes`] wrote, for a run of `kind`.
    ///
    /// # Errors
    /// When the bytes are no such file or the file belongs to another kind of run.
    pub fn from_bytes(bytes: &[u8], kind: &str) -> Result<Self, StateError> {
        let damaged = |e: safetensors::SafeTensorError| StateError::Damaged(e.to_string());
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(StateError::Missing(name));
            }
            tensors.insert(name, floats(view.data()));
        }
        let fields = metadata
            .metadata()
            .as_ref()
            .and_then(|entries| entries.get(FIELDS));
        let fields = fields.ok_or_else(|| StateError::Missing(FIELDS.to_owned()))?;
        let fields: BTreeMap<String, String> =
            serde_json::from_str(fields).map_err(|e| StateError::Damaged(e.to_string()))?;
        let found = fields.get(KIND).cloned().unwrap_or_default();
        if found != kind {
            return Err(StateError::Kind {
                expected: kind.to_owned(),
                found,
            });
        }
        Ok(Self { fields, tensors })
    }
}

fn settings_text(settings: &impl serde::Serialize) -> String {
    serde_json::to_string(settings).expect("settings are plain structs with text keys")
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn saved() -> State {
        State::new("tune")
            .with_field("step", 12)
            .with_settings(&(3, "x"))
            .with_tensor("prompt", vec![1.5, f32::MIN_POSITIVE, -0.0])
    }

    #[test]
    fn comes_back_bit_for_bit() {
        let mut again = State::from_bytes(&saved().to_bytes(), "tune").unwrap();
        assert_eq!(again, saved());
        assert_eq!(again.field::<u64>("step").unwrap(), 12);
        again.check_settings(&(3, "x")).unwrap();
        assert_eq!(
            again.take("prompt", 3).unwrap(),
            [1.5, f32::MIN_POSITIVE, -0.0]
        );
    }

    #[test]
    fn refuses_strangers_and_damage() {
        let bytes = saved().to_bytes();
        let other = State::from_bytes(&bytes, "transfer").unwrap_err();
        assert!(matches!(other, StateError::Kind { .. }));
        for cut in [0, 1, 7, 8, 40, bytes.len() - 1] {
            let error = State::from_bytes(&bytes[..cut], "tune").unwrap_err();
            assert!(matches!(error, StateError::Damaged(_)), "{cut}");
        }
        let mut state = saved();
        assert!(matches!(
            state.check_settings(&(4, "x")),
            Err(StateError::Settings)
        ));
        assert!(matches!(
            state.take("prompt", 4),
            Err(StateError::Length { .. })
        ));
        assert!(matches!(
            state.take("nothing", 4),
            Err(StateError::Missing(_))
        ));
        assert!(matches!(
            state.field::<u64>("nothing"),
            Err(StateError::Missing(_))
        ));
    }
}
