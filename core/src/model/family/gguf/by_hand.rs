//! Headers for tests.

use std::collections::BTreeMap;

use super::keys::EPSILON;
use super::{MetaValue, Metadata, read_config};
use crate::model::ModelError;
use crate::model::config::Config;

/// Metadata by hand.
pub(super) struct ByHand(pub(super) BTreeMap<String, MetaValue>);

impl Metadata for ByHand {
    fn get(&self, key: &str) -> Option<MetaValue> {
        self.0.get(key).cloned()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// A model of an architecture with two blocks, heads of 6 numbers and these keys.
pub(super) fn read(architecture: &str, more: &[(&str, MetaValue)]) -> Result<Config, ModelError> {
    let sizes = [
        ("embedding_length", 24),
        ("block_count", 2),
        ("feed_forward_length", 26),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
        ("context_length", 64),
    ];
    let mut keys: BTreeMap<String, MetaValue> = sizes
        .into_iter()
        .map(|(key, size)| (format!("{architecture}.{key}"), MetaValue::Int(size)))
        .collect();
    keys.insert("general.architecture".to_owned(), text(architecture));
    keys.insert(format!("{architecture}.{EPSILON}"), MetaValue::Float(1e-5));
    for (key, value) in more {
        keys.insert(format!("{architecture}.{key}"), value.clone());
    }
    read_config(&ByHand(keys), 37, true, None)
}

pub(super) fn text(text: &str) -> MetaValue {
    MetaValue::Text(text.to_owned())
}

pub(super) fn float(x: f32) -> MetaValue {
    MetaValue::Float(f64::from(x))
}
