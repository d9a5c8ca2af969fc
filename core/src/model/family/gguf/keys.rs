//! The keys of a GGUF's header that a model's numbers depend on: read, held against the rest, or refused.

use std::collections::BTreeSet;

use super::super::Family;
use super::super::decoder::Shape;
use super::super::fields::few_blocks;
use super::{MetaValue, Metadata, permuted, shortest};
use crate::model::ModelError;
use crate::model::config::{Activation, Config};
use crate::model::rotary::{Rope, RopeScaling};

/// What is added to the mean square.
pub(super) const EPSILON: &str = "attention.layer_norm_rms_epsilon";

const WINDOW: &str = "attention.sliding_window";

/// Keys of an architecture that none of its numbers depends on, whatever their values. (llama.cpp reads no
/// `layer_norm_epsilon` here: the norms have no mean. A beta or a length counts for YaRN alone, which reads it.)
const HARMLESS: &[&str] = &[
    "attention.layer_norm_epsilon",
    "decoder_start_token_id",
    "pooling_type",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
];

/// Keys of the vision tower that some write into the file of a Gemma 3, whose text alone is read.
const OF_IMAGES: [&str; 2] = ["mm.", "vision."];

/// Keys that scale something: 1 is nothing, and so is 0, which llama.cpp takes for an absent key.
const SCALES: &[&str] = &[
    "attention.output_scale",
    "attention.value_scale",
    "embedding_scale",
    "expert_weights_scale",
    "logit_scale",
    "residual_scale",
    "rope.scaling.alpha",
];

/// The keys of one architecture, and which of them were read.
pub(super) struct Keys<'a> {
    meta: &'a dyn Metadata,
    architecture: &'static str,
    family: Family,
    seen: BTreeSet<&'static str>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(meta: &'a dyn Metadata, architecture: &'static str, family: Family) -> Self {
        Self {
            meta,
            architecture,
            family,
            seen: BTreeSet::new(),
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    pub(super) fn missing(&self, key: &str) -> ModelError {
        ModelError::missing(&self.key(key), "a number")
    }

    fn refused(&self, key: &str, value: &MetaValue) -> ModelError {
        ModelError::Metadata {
            key: self.key(key),
            value: value.to_string(),
        }
    }

    fn get(&mut self, key: &'static str) -> Option<MetaValue> {
        self.seen.insert(key);
        self.meta.get(&self.key(key))
    }

    fn size(&mut self, key: &'static str, default: Option<usize>) -> Result<usize, ModelError> {
        let found = match self.get(key) {
            Some(MetaValue::Int(n)) => usize::try_from(n).ok(),
            Some(_) => None,
            None => default,
        };
        found.ok_or_else(|| ModelError::missing(&self.key(key), "a whole number"))
    }

    pub(super) fn number(&mut self, key: &'static str) -> Result<Option<f64>, ModelError> {
        match self.get(key) {
            None => Ok(None),
            Some(MetaValue::Float(x)) => Ok(Some(shortest(x))),
            Some(MetaValue::Int(n)) => Ok(Some(n as f64)),
            Some(_) => Err(self.missing(key)),
        }
    }

    /// A number, or the one of a file that doesn't say; 0 is none.
    pub(super) fn or_off(
        &mut self,
        key: &'static str,
        absent: Option<f64>,
    ) -> Result<Option<f64>, ModelError> {
        let found = self.number(key)?.or(absent);
        Ok(found.filter(|number| *number != 0.0))
    }

    /// How wide the window of all blocks but each `every`th is, or the one of a file that doesn't say; 0 is none.
    pub(super) fn window(
        &mut self,
        absent: Option<usize>,
        every: usize,
    ) -> Result<Option<usize>, ModelError> {
        self.only("attention.sliding_window_pattern", |value| {
            value.is(every as f64)
        })?;
        let window = self.size(WINDOW, Some(absent.unwrap_or(0)))?;
        Ok(Some(window).filter(|window| *window != 0))
    }

    /// Refuses every value of a key but those that are computed.
    fn only(
        &mut self,
        key: &'static str,
        computed: impl Fn(&MetaValue) -> bool,
    ) -> Result<(), ModelError> {
        match self.get(key) {
            Some(value) if !computed(&value) => Err(self.refused(key, &value)),
            _ => Ok(()),
        }
    }

    pub(super) fn shape(&mut self, vocab_size: usize) -> Result<Shape, ModelError> {
        let hidden_size = self.size("embedding_length", None)?;
        let heads = self.size("attention.head_count", None)?;
        let quotient = hidden_size.checked_div(heads);
        let blocks = self.size("block_count", None)?;
        Ok(Shape {
            vocab_size,
            hidden_size,
            blocks: few_blocks(&self.key("block_count"), blocks)?,
            heads,
            kv_heads: self.size("attention.head_count_kv", Some(heads))?,
            head_dim: self.size("attention.key_length", quotient)?,
            intermediate_size: self.size("feed_forward_length", None)?,
            max_positions: self.size("context_length", None)?,
        })
    }

    pub(super) fn rope(
        &mut self,
        config: &Config,
        factors: Option<&[f32]>,
    ) -> Result<Rope, ModelError> {
        let rope = Rope {
            theta: self.number("rope.freq_base")?.unwrap_or(10_000.0),
            dims: config.head_dim,
            scaling: self.scaling(config.max_position_embeddings)?,
        };
        match factors {
            None => Ok(rope),
            Some(factors) if rope.scaling == RopeScaling::Default => like_llama3(rope, factors),
            Some(_) => Err(ModelError::unsupported(
                "rope_freqs.weight",
                "frequencies that are scaled, too",
            )),
        }
    }

    /// As llama.cpp: `linear` where a file names no kind, and the older key where the newer isn't there.
    fn scaling(&mut self, max_positions: usize) -> Result<RopeScaling, ModelError> {
        let kind = self.get("rope.scaling.type");
        let kind = kind.unwrap_or_else(|| MetaValue::Text("linear".to_owned()));
        let newer = self.number("rope.scaling.factor")?;
        let factor = self.number("rope.scale_linear")?;
        let factor = newer.or(factor).filter(|factor| *factor != 0.0);
        let factor = factor.unwrap_or(1.0);
        let scaling = match &kind {
            MetaValue::Text(kind) if kind == "none" => RopeScaling::Default,
            MetaValue::Text(kind) if kind == "linear" && factor == 1.0 => RopeScaling::Default,
            MetaValue::Text(kind) if kind == "linear" => RopeScaling::Linear { factor },
            MetaValue::Text(kind) if kind == "yarn" && factor == 1.0 => RopeScaling::Default,
            MetaValue::Text(kind) if kind == "yarn" => self.yarn(factor, max_positions)?,
            other => return Err(self.refused("rope.scaling.type", other)),
        };
        // How much of YaRN is mixed in: -1 leaves that to the kind.
        let yarn = matches!(&kind, MetaValue::Text(kind) if kind == "yarn");
        let mixed = f64::from(u8::from(yarn));
        self.only("rope.scaling.yarn_ext_factor", |value| {
            value.is(-1.0) || value.is(mixed)
        })?;
        for key in ["rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor"] {
            self.only(key, |value| value.is(1.0))?;
        }
        Ok(scaling)
    }

    /// ggml's is transformers', with whole dimensions.
    fn yarn(&mut self, factor: f64, max_positions: usize) -> Result<RopeScaling, ModelError> {
        let original = "rope.scaling.original_context_length";
        Ok(RopeScaling::Yarn {
            factor,
            fast: self.number("rope.scaling.yarn_beta_fast")?.unwrap_or(32.0),
            slow: self.number("rope.scaling.yarn_beta_slow")?.unwrap_or(1.0),
            attention: 0.1 * factor.max(1.0).ln() + 1.0,
            original: self.size(original, Some(max_positions))?,
            truncate: true,
        })
    }

    /// Holds keys that this transformer computes in one way only against that way.
    pub(super) fn check(&mut self, config: &Config) -> Result<(), ModelError> {
        let head_dim = config.head_dim as f64;
        for (key, size) in [
            ("vocab_size", config.vocab_size as f64),
            ("rope.dimension_count", head_dim),
            ("attention.value_length", head_dim),
        ] {
            self.only(key, |value| value.is(size))?;
        }
        for &key in SCALES {
            self.only(key, |value| value.is(1.0) || value.is(0.0))?;
        }
        self.only("attention.causal", |value| *value == MetaValue::Bool(true))?;
        let scale = (config.query_pre_attn_scalar as f64).sqrt().recip();
        self.only("attention.scale", |value| {
            value.is(0.0) || value.near(scale)
        })?;
        // Where it hasn't been read, llama.cpp doesn't either. One that no text fills is none.
        let longest = config.max_position_embeddings;
        if !self.seen.contains(WINDOW) {
            self.only(WINDOW, |value| {
                value.is(0.0) || value.size().is_some_and(|window| window >= longest)
            })?;
        }
        let text = |text: &str| MetaValue::Text(text.to_owned());
        self.only("hidden_activation", |value| match value {
            MetaValue::Text(name) => {
                Activation::from_name("", name).is_ok_and(|found| found == config.hidden_act)
            }
            _ => false,
        })?;
        // How Meta orders the rows of queries and keys, which is what is undone.
        let permuted = permuted(self.family);
        self.only("tensor_data_layout", |value| {
            permuted && *value == text("Meta AI original pth")
        })
    }

    /// Refuses every key that was neither read nor is known to be harmless, unless it is off.
    pub(super) fn finish(&self) -> Result<(), ModelError> {
        let prefix = self.key("");
        for key in self.meta.keys() {
            let Some(name) = key.strip_prefix(&prefix) else {
                continue;
            };
            let of_images = self.family == Family::Gemma3
                && OF_IMAGES.iter().any(|part| name.starts_with(part));
            let known = of_images || self.seen.contains(name) || HARMLESS.contains(&name);
            let value = self.meta.get(key).unwrap_or(MetaValue::Other);
            if !known && !value.is_off() {
                return Err(self.refused(name, &value));
            }
        }
        Ok(())
    }
}

/// The file has what each frequency is divided by, not the parameters that this follows from. Llama 3.1
/// and its successors differ in the largest divisor alone; any others are refused.
fn like_llama3(rope: Rope, factors: &[f32]) -> Result<Rope, ModelError> {
    let other = || ModelError::unsupported("rope_freqs.weight", "not Llama 3's");
    // Before as many frequencies are computed as the file claims to have.
    if factors.len() != rope.dims / 2 {
        return Err(other());
    }
    let largest = factors.iter().copied().fold(0.0, f32::max);
    let stretched = Rope {
        scaling: RopeScaling::Llama3 {
            factor: f64::from(largest),
            low: 1.0,
            high: 4.0,
            original: 8192,
        },
        ..rope
    };
    let (plain, slower) = (rope.frequencies(), stretched.frequencies());
    let divisors = plain
        .iter()
        .zip(&slower)
        .map(|(plain, slower)| plain / slower);
    let close = |(found, divisor): (&f32, f32)| (found - divisor).abs() <= 1e-3 * divisor;
    match factors.iter().zip(divisors).all(close) {
        true => Ok(stretched),
        false => Err(other()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::by_hand::{ByHand, float, read, text};
    use super::super::read_config;
    use super::*;

    /// The divisors by llama.cpp's formula (`convert_hf_to_gguf.py`), for Llama 3.2.
    #[test]
    fn llama_3_is_known_by_what_its_frequencies_are_divided_by() {
        let rope = Rope {
            theta: 500_000.0,
            dims: 64,
            scaling: RopeScaling::Default,
        };
        let divisor = |i: usize| {
            let frequency = 500_000_f64.powf(-(2.0 * i as f64) / 64.0);
            let wavelength = std::f64::consts::TAU / frequency;
            if wavelength < 8192.0 / 4.0 {
                1.0
            } else if wavelength > 8192.0 {
                32.0
            } else {
                let smooth = (8192.0 / wavelength - 1.0) / (4.0 - 1.0);
                (1.0 / ((1.0 - smooth) / 32.0 + smooth)) as f32
            }
        };
        let mut factors: Vec<f32> = (0..32).map(divisor).collect();
        let scaling = like_llama3(rope, &factors).unwrap().scaling;
        assert!(matches!(scaling, RopeScaling::Llama3 { factor: 32.0, .. }));
        assert!(like_llama3(rope, &factors[1..]).is_err());
        factors[17] *= 1.01;
        assert!(like_llama3(rope, &factors).is_err());
    }

    fn with(more: &[(&str, MetaValue)]) -> Result<Config, ModelError> {
        read("llama", more)
    }

    #[test]
    fn keys_that_would_change_a_number_are_errors() {
        let cases = [
            ("rope.scaling.attn_factor", float(2.0)),
            ("rope.scaling.yarn_attn_factor", float(0.0)),
            ("rope.scaling.yarn_ext_factor", float(1.0)),
            ("rope.scaling.yarn_log_multiplier", float(0.1)),
            ("rope.scaling.alpha", float(4.0)),
            ("rope.scaling.type", text("longrope")),
            ("rope.scaling.type", MetaValue::Int(1)),
            ("rope.dimension_count", MetaValue::Int(4)),
            ("rope.dimension_sections", MetaValue::Other),
            ("rope.freq_base_swa", float(10_000.0)),
            ("vocab_size", MetaValue::Int(38)),
            ("vocab_size", MetaValue::Other),
            ("attention.value_length", MetaValue::Int(3)),
            ("attention.sliding_window", MetaValue::Int(63)),
            ("attention.sliding_window_pattern", MetaValue::Other),
            ("attention.scale", float(0.01)),
            ("attention.clamp_kqv", float(8.0)),
            ("attention.max_alibi_bias", float(8.0)),
            ("attention.causal", MetaValue::Bool(false)),
            ("attention.temperature_scale", float(0.1)),
            ("logit_scale", float(0.1)),
            ("embedding_scale", float(12.0)),
            ("residual_scale", float(0.2)),
            ("final_logit_softcapping", float(30.0)),
            ("attn_logit_softcapping", float(50.0)),
            ("expert_count", MetaValue::Int(8)),
            ("expert_used_count", MetaValue::Int(2)),
            ("use_parallel_residual", MetaValue::Bool(true)),
            ("hidden_activation", text("gelu")),
            ("tensor_data_layout", text("something else")),
            ("never_heard_of", text("it")),
        ];
        for (key, value) in cases {
            let error = with(&[(key, value)]).unwrap_err();
            assert!(
                matches!(error, ModelError::Metadata { .. }),
                "{key}: {error}"
            );
            let error = error.to_string();
            assert!(error.contains(&format!("`llama.{key}`")), "{error}");
            assert!(error.contains("Hugging Face folder"), "{error}");
        }
    }

    /// What is no number is not taken for absent.
    #[test]
    fn keys_of_another_type_are_errors() {
        for key in [
            "attention.head_count_kv",
            "attention.key_length",
            "rope.freq_base",
            "rope.scaling.factor",
            "rope.scale_linear",
        ] {
            for value in [MetaValue::Other, text("6"), MetaValue::Bool(true)] {
                let error = with(&[(key, value)]).unwrap_err().to_string();
                assert!(error.contains(&format!("`llama.{key}`")), "{error}");
            }
        }
    }

    #[test]
    fn keys_that_are_off_or_say_what_is_computed_change_nothing() {
        let plain = with(&[]).unwrap();
        let cases = [
            ("vocab_size", MetaValue::Int(37)),
            ("rope.dimension_count", MetaValue::Int(6)),
            ("attention.key_length", MetaValue::Int(6)),
            ("attention.value_length", MetaValue::Int(6)),
            ("attention.causal", MetaValue::Bool(true)),
            ("attention.scale", float(6_f32.sqrt().recip())),
            ("attention.layer_norm_epsilon", float(1e-5)),
            ("attention.sliding_window", MetaValue::Int(0)),
            ("attention.sliding_window", MetaValue::Int(64)),
            ("attention.clamp_kqv", float(0.0)),
            ("expert_count", MetaValue::Int(0)),
            ("expert_used_count", MetaValue::Int(0)),
            ("logit_scale", float(1.0)),
            ("final_logit_softcapping", float(0.0)),
            ("use_parallel_residual", MetaValue::Bool(false)),
            ("pooling_type", MetaValue::Int(3)),
            ("hidden_activation", text("silu")),
            ("tensor_data_layout", text("Meta AI original pth")),
            ("rope.freq_base", float(10_000.0)),
            ("rope.scaling.type", text("none")),
            ("rope.scaling.type", text("linear")),
            ("rope.scaling.factor", float(1.0)),
            ("rope.scaling.factor", float(0.0)),
            ("rope.scale_linear", float(1.0)),
            ("rope.scaling.attn_factor", float(1.0)),
            ("rope.scaling.yarn_ext_factor", float(-1.0)),
            ("rope.scaling.finetuned", MetaValue::Bool(true)),
            ("rope.scaling.original_context_length", MetaValue::Int(32)),
        ];
        for (key, value) in cases {
            let found = with(&[(key, value)]).map_err(|error| error.to_string());
            assert_eq!(found.as_ref(), Ok(&plain), "{key}");
        }
    }

    /// The keys that llama.cpp scales angles by are read as what `config.json` has for the same.
    #[test]
    fn scaled_angles_are_those_of_the_folder() {
        let folder = |scaling: serde_json::Value| {
            let json = serde_json::json!({
                "model_type": "llama", "vocab_size": 37, "hidden_size": 24, "num_hidden_layers": 2,
                "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 26,
                "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
                "rope_scaling": scaling,
            });
            Config::from_hf(&json).unwrap()
        };
        let linear = folder(serde_json::json!({"rope_type": "linear", "factor": 4.0}));
        let factor = || ("rope.scaling.factor", float(4.0));
        let older = ("rope.scale_linear", float(4.0));
        assert_eq!(with(&[factor()]).unwrap(), linear);
        assert_eq!(with(std::slice::from_ref(&older)).unwrap(), linear);
        let named = [factor(), ("rope.scaling.type", text("linear"))];
        assert_eq!(with(&named).unwrap(), linear);
        // The newer key counts, and a kind that is none scales nothing.
        let both = [("rope.scaling.factor", float(1.0)), older];
        assert_eq!(with(&both).unwrap(), with(&[]).unwrap());
        let none = [factor(), ("rope.scaling.type", text("none"))];
        assert_eq!(with(&none).unwrap(), with(&[]).unwrap());

        let yarn = |more: &[(&str, MetaValue)]| {
            let kind = [factor(), ("rope.scaling.type", text("yarn"))];
            with(&[&kind[..], more].concat()).unwrap()
        };
        let scaling = serde_json::json!({"rope_type": "yarn", "factor": 4.0});
        assert_eq!(yarn(&[]), folder(scaling));
        let scaling = serde_json::json!({
            "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 8.0, "beta_slow": 2.0,
        });
        let more = [
            ("rope.scaling.original_context_length", MetaValue::Int(16)),
            ("rope.scaling.yarn_beta_fast", float(8.0)),
            ("rope.scaling.yarn_beta_slow", float(2.0)),
            ("rope.scaling.yarn_ext_factor", float(1.0)),
        ];
        assert_eq!(yarn(&more), folder(scaling));
        let wrong = with(&[("rope.scaling.factor", float(-4.0))]);
        assert!(matches!(wrong, Err(ModelError::Invalid { .. })));
    }

    /// Both at once is nothing that this transformer computes.
    #[test]
    fn divided_frequencies_are_not_scaled_again() {
        let mut keys = BTreeMap::new();
        let sizes = ["embedding_length", "block_count", "feed_forward_length"];
        for key in sizes {
            keys.insert(format!("llama.{key}"), MetaValue::Int(24));
        }
        keys.insert("general.architecture".to_owned(), text("llama"));
        keys.insert("llama.attention.head_count".to_owned(), MetaValue::Int(4));
        keys.insert("llama.context_length".to_owned(), MetaValue::Int(64));
        keys.insert(format!("llama.{EPSILON}"), float(1e-5));
        let divided = |keys: &BTreeMap<String, MetaValue>| {
            read_config(&ByHand(keys.clone()), 37, true, Some(&[1.0, 1.0, 1.0]))
        };
        divided(&keys).unwrap();
        keys.insert("llama.rope.scaling.factor".to_owned(), float(4.0));
        let error = divided(&keys).unwrap_err().to_string();
        assert!(error.contains("rope_freqs.weight"), "{error}");
        // Heads of a width that would fill the memory with frequencies.
        keys.remove("llama.rope.scaling.factor");
        let width = ("llama.attention.key_length", MetaValue::Int(1 << 50));
        keys.insert(width.0.to_owned(), width.1);
        let error = divided(&keys).unwrap_err().to_string();
        assert!(error.contains("rope_freqs.weight"), "{error}");
    }
}
