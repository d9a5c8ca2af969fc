//! Strict reading of a `config.json`: what nobody asked for must be known to be harmless.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::model::ModelError;

/// Options that no family's forward pass in evaluation mode depends on: training, classifiers' labels, the
/// pooler that nothing here reads, what a call returns beside hidden states and logits.
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
    "language",
    "layerdrop",
    "mask_token_id",
    "max_sequence_length",
    "max_window_layers",
    "model_type",
    "name",
    "name_or_path",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "pad_token_id",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
    "predict_special_tokens",
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
    "tf_legacy_loss",
    "tokenizer_class",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "unsloth_fixed",
    "use_bfloat16",
    "use_cache",
    "xla_device",
];

/// How text is generated, which configurations carried before `generation_config.json`.
const GENERATION: &[&str] = &[
    "bad_words_ids",
    "begin_suppress_tokens",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_scores",
    "remove_invalid_values",
    "renormalize_logits",
    "repetition_penalty",
    "return_dict_in_generate",
    "suppress_tokens",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
];

/// transformers' own bookkeeping. Any other name that begins with `_` is an option like others, as OPT's
/// `_remove_final_layer_norm` is; of Gemma's `_sliding_window_pattern` transformers 5 reads nothing.
const BOOKKEEPING: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_attn_implementation_internal",
    "_commit_hash",
    "_experts_implementation",
    "_experts_implementation_internal",
    "_flash_attn_2_enabled",
    "_from_auto",
    "_from_pipeline",
    "_name_or_path",
    "_num_labels",
    "_output_attentions",
    "_sliding_window_pattern",
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

    /// A whole number whose `null` is not its absence.
    pub(super) fn size_or_null(
        &mut self,
        field: &'static str,
        absent: Option<usize>,
    ) -> Result<Option<usize>, ModelError> {
        match self.has(field) {
            true => self.size_opt(field),
            false => Ok(absent),
        }
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
    /// `null`, `false` and empty values are options that are off.
    pub(super) fn finish(self) -> Result<(), ModelError> {
        let harmless = |field: &str| {
            let lists = [HARMLESS, GENERATION, BOOKKEEPING];
            lists.iter().any(|list| list.contains(&field))
        };
        let unknown = self.map.iter().find(|(field, value)| {
            !self.seen.contains(field.as_str()) && !harmless(field.as_str()) && !is_off(value)
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
