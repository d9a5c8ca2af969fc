//! Strict reading of a `config.json`: what nobody asked for must be known to be harmless.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::model::ModelError;

/// Options that no family's forward pass in evaluation mode depends on.
const HARMLESS: &[&str] = &[
    "activation_dropout",
    "architectures",
    "attention_dropout",
    "attention_probs_dropout_prob",
    "attn_pdrop",
    "auto_map",
    "bos_token_id",
    "cache_implementation",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "decoder_start_token_id",
    "dropout",
    "dtype",
    "embd_pdrop",
    "eos_token_id",
    "finetuning_task",
    "gradient_checkpointing",
    "hidden_dropout",
    "hidden_dropout_prob",
    "id2label",
    "init_std",
    "initializer_range",
    "is_llama_config",
    "label2id",
    "layerdrop",
    "mask_token_id",
    "max_window_layers",
    "model_type",
    "pad_token_id",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "reorder_and_upcast_attn",
    "resid_pdrop",
    "return_dict",
    "rope_interleaved",
    "sep_token_id",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "task_specific_params",
    "tokenizer_class",
    "torch_dtype",
    "transformers.js_config",
    "transformers_version",
    "unsloth_fixed",
    "use_cache",
];

const MOST_BLOCKS: usize = 4096;

/// A number of blocks: each takes memory before any of them is seen.
pub(super) fn few_blocks(field: &str, blocks: usize) -> Result<usize, ModelError> {
    match blocks > MOST_BLOCKS {
        true => {
            let reason = format!("{blocks} are more than {MOST_BLOCKS}");
            Err(ModelError::invalid(field, reason))
        }
        false => Ok(blocks),
    }
}

/// The fields of a `config.json` and which of them were read.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    seen: BTreeSet<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(json: &'a Value) -> Result<Self, ModelError> {
        let map = json
            .as_object()
            .ok_or_else(|| ModelError::missing("config.json", "an object"))?;
        Ok(Self {
            map,
            seen: BTreeSet::new(),
        })
    }

    /// The value of a field; absent and `null` are the same, as for transformers.
    pub(super) fn get(&mut self, field: &'static str) -> Option<&'a Value> {
        self.seen.insert(field);
        self.map.get(field).filter(|value| !value.is_null())
    }

    /// Whether the field is there, if only as `null`.
    pub(super) fn has(&self, field: &'static str) -> bool {
        self.map.contains_key(field)
    }

    fn typed<T>(
        &mut self,
        field: &'static str,
        expected: &'static str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ModelError> {
        let read = |value| read(value).ok_or_else(|| ModelError::missing(field, expected));
        self.get(field).map(read).transpose()
    }

    pub(super) fn size(&mut self, field: &'static str) -> Result<usize, ModelError> {
        self.size_opt(field)?
            .ok_or_else(|| ModelError::missing(field, "a whole number"))
    }

    pub(super) fn size_opt(&mut self, field: &'static str) -> Result<Option<usize>, ModelError> {
        let read = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
        self.typed(field, "a whole number", read)
    }

    /// A number of blocks.
    pub(super) fn blocks(&mut self, field: &'static str) -> Result<usize, ModelError> {
        few_blocks(field, self.size(field)?)
    }

    /// A number whose `null` is not its absence.
    pub(super) fn number_or_null(
        &mut self,
        field: &'static str,
        absent: Option<f64>,
    ) -> Result<Option<f64>, ModelError> {
        match self.has(field) {
            true => self.typed(field, "a number", Value::as_f64),
            false => Ok(absent),
        }
    }

    pub(super) fn number_or(
        &mut self,
        field: &'static str,
        default: f64,
    ) -> Result<f64, ModelError> {
        Ok(self
            .typed(field, "a number", Value::as_f64)?
            .unwrap_or(default))
    }

    pub(super) fn flag_or(
        &mut self,
        field: &'static str,
        default: bool,
    ) -> Result<bool, ModelError> {
        Ok(self
            .typed(field, "true or false", Value::as_bool)?
            .unwrap_or(default))
    }

    pub(super) fn text_or(
        &mut self,
        field: &'static str,
        default: &'a str,
    ) -> Result<&'a str, ModelError> {
        Ok(self
            .typed(field, "a text", Value::as_str)?
            .unwrap_or(default))
    }

    /// Refuses any value of an option but the one that is computed.
    pub(super) fn only(&mut self, field: &'static str, computed: &Value) -> Result<(), ModelError> {
        match self.get(field) {
            Some(value) if value != computed => Err(ModelError::unsupported(field, value)),
            _ => Ok(()),
        }
    }

    /// Refuses every field that was neither read nor is known to be harmless.
    ///
    /// `null`, `false` and empty values are options that are off; names that begin with `_` are
    /// transformers' own bookkeeping.
    pub(super) fn finish(self) -> Result<(), ModelError> {
        let unknown = self.map.iter().find(|(field, value)| {
            !self.seen.contains(field.as_str())
                && !HARMLESS.contains(&field.as_str())
                && !field.starts_with('_')
                && !is_off(value)
        });
        unknown.map_or(Ok(()), |(field, value)| {
            Err(ModelError::unsupported(field, value))
        })
    }
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(items) => items.is_empty(),
        _ => false,
    }
}
