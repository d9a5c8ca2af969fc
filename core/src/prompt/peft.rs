//! PEFT's folder: `adapter_config.json`, `adapter_model.safetensors`, `README.md`.
//!
//! The fields and the tensor's name are those of Hugging Face PEFT's `PromptTuningConfig` and
//! `save_pretrained` (read from peft 0.21.2). Only fields that every PEFT since 0.7 knows are
//! written, because PEFT warns of those that it does not; but for `prompt_place`, where a prompt stands
//! that PEFT would put elsewhere, so that it had better warn.

use std::borrow::Cow;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use super::{Files, PromptError, PromptPlace, SoftPrompt};
use crate::model::Config;

/// The configuration's file name.
pub const CONFIG: &str = "adapter_config.json";
/// The weights' file name.
pub const WEIGHTS: &str = "adapter_model.safetensors";
/// The weights' file name where they are saved with `torch.save`, as PEFT did before 0.6; [`read`] wants
/// the other, which [`weights`] makes.
pub const PICKLED: &str = "adapter_model.bin";
/// The model card's file name.
pub const README: &str = "README.md";
/// The one tensor's name.
pub const TENSOR: &str = "prompt_embeddings";

/// What PEFT calls prompt tuning.
const PROMPT_TUNING: &str = "PROMPT_TUNING";

/// Why a folder is not a prompt that can be read.
#[derive(Debug, thiserror::Error)]
pub enum PeftError {
    /// A file is missing.
    #[error("`{name}` is missing; a PEFT prompt is a folder or zip with {CONFIG} and {WEIGHTS}")]
    Missing {
        /// The file's name.
        name: &'static str,
    },
    /// The configuration is no JSON, or lacks a field.
    #[error("{CONFIG} does not read: {0}")]
    Config(#[from] serde_json::Error),
    /// LoRA and its kin.
    #[error("{CONFIG} says peft_type {found}; only {PROMPT_TUNING} is a soft prompt")]
    OtherType {
        /// The type.
        found: String,
    },
    /// Encoder-decoder prompts.
    #[error(
        "{CONFIG} says num_transformer_submodules {found}; encoder-decoder models are not supported"
    )]
    Submodules {
        /// How many.
        found: usize,
    },
    /// Not safetensors.
    #[error("{WEIGHTS} does not read: {0}")]
    Weights(#[from] safetensors::SafeTensorError),
    /// The tensor has another shape than the configuration.
    #[error(
        "{WEIGHTS}: {TENSOR} has shape {found:?}, but {CONFIG} says [{num_virtual_tokens}, {token_dim}]"
    )]
    Shape {
        /// The tensor's shape.
        found: Vec<usize>,
        /// The configuration's virtual tokens.
        num_virtual_tokens: usize,
        /// The configuration's width.
        token_dim: usize,
    },
    /// Integers and such.
    #[error("{WEIGHTS}: {TENSOR} is {found}; F32, F16 and BF16 are read")]
    Dtype {
        /// The type.
        found: String,
    },
    /// The numbers are no prompt.
    #[error("{WEIGHTS}: {0}")]
    Prompt(#[from] PromptError),
}

/// `adapter_config.json`, with PEFT's field names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterConfig {
    /// The model it belongs to, as a hub name or path.
    pub base_model_name_or_path: Option<String>,
    /// Always true on disk: PEFT then neither trains nor initialises it.
    #[serde(default)]
    pub inference_mode: bool,
    /// Attention heads of the model.
    pub num_attention_heads: Option<usize>,
    /// Blocks of the model.
    pub num_layers: Option<usize>,
    /// 1, or 2 for encoder-decoder models.
    pub num_transformer_submodules: Option<usize>,
    /// Virtual tokens.
    pub num_virtual_tokens: usize,
    /// `PROMPT_TUNING`.
    pub peft_type: String,
    /// `TEXT`, `SAMPLE_VOCAB` or `RANDOM`: how it was initialised.
    #[serde(default = "random")]
    pub prompt_tuning_init: String,
    /// The sentence, for `TEXT`.
    #[serde(default)]
    pub prompt_tuning_init_text: Option<String>,
    /// Revision of the model.
    #[serde(default)]
    pub revision: Option<String>,
    /// `CAUSAL_LM` for decoders.
    pub task_type: Option<String>,
    /// Width of an embedding.
    pub token_dim: usize,
    /// The tokenizer of `TEXT`.
    #[serde(default)]
    pub tokenizer_name_or_path: Option<String>,
    /// Where the prompt stands. No field of PEFT's, which puts every prompt before BOS.
    #[serde(default, skip_serializing_if = "PromptPlace::is_before_bos")]
    pub prompt_place: PromptPlace,
}

fn random() -> String {
    "RANDOM".into()
}

/// The model that a prompt is written for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseModel {
    /// Hub name or path, for people and for PEFT.
    pub name: String,
    /// Blocks.
    pub num_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Whether it is a causal LM; a masked one is PEFT's `FEATURE_EXTRACTION`, which wraps the model
    /// without touching its head.
    pub causal: bool,
}

impl BaseModel {
    /// A model of this configuration.
    #[must_use]
    pub fn of(name: String, config: &Config) -> Self {
        Self {
            name,
            num_layers: config.num_hidden_layers(),
            num_attention_heads: config.num_attention_heads,
            causal: config.causal,
        }
    }
}

/// A prompt as read from disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// The numbers.
    pub prompt: SoftPrompt,
    /// What PEFT says of them.
    pub config: AdapterConfig,
}

/// The files of PEFT's folder. `init_text` is the sentence that the prompt started from; `notes` is
/// put into the model card as Markdown.
///
/// # Errors
/// [`PeftError::Weights`] or [`PeftError::Config`], neither of which a checked prompt should meet.
pub fn write(
    prompt: &SoftPrompt,
    model: &BaseModel,
    init_text: Option<&str>,
    notes: &str,
) -> Result<Files, PeftError> {
    let config = config(prompt, model, init_text);
    let mut json = serde_json::to_vec_pretty(&config)?;
    json.push(b'\n');
    Ok([
        (CONFIG, json),
        (WEIGHTS, weights(prompt)?),
        (README, readme(prompt, model, notes).into_bytes()),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into())
}

/// Reads PEFT's folder, whoever made it. Files beside the two that it needs are left alone.
///
/// # Errors
/// [`PeftError`] for anything that is not exactly a soft prompt.
pub fn read(files: &Files) -> Result<Adapter, PeftError> {
    let file = |name| files.get(name).ok_or(PeftError::Missing { name });
    let config: AdapterConfig = serde_json::from_slice(file(CONFIG)?)?;
    if config.peft_type != PROMPT_TUNING {
        return Err(PeftError::OtherType {
            found: config.peft_type,
        });
    }
    if let Some(found) = config
        .num_transformer_submodules
        .filter(|&count| count != 1)
    {
        return Err(PeftError::Submodules { found });
    }
    let tensors = SafeTensors::deserialize(file(WEIGHTS)?)?;
    let tensor = tensors.tensor(TENSOR)?;
    let (num_virtual_tokens, token_dim) = (config.num_virtual_tokens, config.token_dim);
    if tensor.shape() != [num_virtual_tokens, token_dim] {
        let found = tensor.shape().to_vec();
        return Err(PeftError::Shape {
            found,
            num_virtual_tokens,
            token_dim,
        });
    }
    let values = floats(&tensor).map_err(|found| PeftError::Dtype { found })?;
    let prompt = SoftPrompt::new(values, num_virtual_tokens, token_dim)?;
    Ok(Adapter {
        prompt: prompt.with_place(config.prompt_place),
        config,
    })
}

fn config(prompt: &SoftPrompt, model: &BaseModel, init_text: Option<&str>) -> AdapterConfig {
    AdapterConfig {
        base_model_name_or_path: Some(model.name.clone()),
        inference_mode: true,
        num_attention_heads: Some(model.num_attention_heads),
        num_layers: Some(model.num_layers),
        num_transformer_submodules: Some(1),
        num_virtual_tokens: prompt.num_virtual_tokens(),
        peft_type: PROMPT_TUNING.into(),
        prompt_tuning_init: init_text.map_or_else(random, |_| "TEXT".into()),
        prompt_tuning_init_text: init_text.map(str::to_owned),
        revision: None,
        task_type: Some(
            if model.causal {
                "CAUSAL_LM"
            } else {
                "FEATURE_EXTRACTION"
            }
            .into(),
        ),
        token_dim: prompt.token_dim(),
        tokenizer_name_or_path: init_text.map(|_| model.name.clone()),
        prompt_place: prompt.place(),
    }
}

/// `adapter_model.safetensors`.
///
/// # Errors
/// [`PeftError::Weights`], which a checked prompt should not meet.
pub fn weights(prompt: &SoftPrompt) -> Result<Vec<u8>, PeftError> {
    let bytes: Vec<u8> = prompt
        .embeddings()
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let shape = vec![prompt.num_virtual_tokens(), prompt.token_dim()];
    let view = TensorView::new(Dtype::F32, shape, &bytes)?;
    // As PEFT writes it; old versions of transformers refuse files without it.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    Ok(serialize([(TENSOR, view)], Some(metadata))?)
}

/// All elements as 32-bit floats, or the name of a type that isn't read.
pub(super) fn floats(tensor: &TensorView<'_>) -> Result<Vec<f32>, String> {
    let bytes = tensor.data();
    let two = |read: fn([u8; 2]) -> f32| bytes.as_chunks().0.iter().map(|&b| read(b)).collect();
    match tensor.dtype() {
        Dtype::F32 => Ok(bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| f32::from_le_bytes(b))
            .collect()),
        Dtype::F16 => Ok(two(|b| f16::from_le_bytes(b).to_f32())),
        Dtype::BF16 => Ok(two(|b| bf16::from_le_bytes(b).to_f32())),
        other => Err(format!("{other:?}")),
    }
}

fn readme(prompt: &SoftPrompt, model: &BaseModel, notes: &str) -> String {
    let (name, count, width) = (&model.name, prompt.num_virtual_tokens(), prompt.token_dim());
    let quoted = yaml_string(name);
    let usage = match prompt.place() {
        PromptPlace::BeforeBos => with_peft(model, &quoted),
        PromptPlace::AfterBos => WITHOUT_PEFT.to_owned(),
    };
    format!(
        "---\nbase_model: {quoted}\nlibrary_name: peft\ntags:\n- prompt-tuning\n---\n\n\
         # A soft prompt for {name}\n\n\
         {count} virtual tokens of width {width}, f32, in `{WEIGHTS}` as `{TENSOR}`.\n\
         {usage}\n\n{notes}"
    )
}

fn with_peft(model: &BaseModel, quoted: &str) -> String {
    let class = if model.causal {
        "AutoModelForCausalLM"
    } else {
        "AutoModelForMaskedLM"
    };
    format!(
        "They are put before the embedded input; the model itself is unchanged.\n\n\
         ```python\n\
         from transformers import {class}\n\
         from peft import PeftModel\n\n\
         model = {class}.from_pretrained({quoted})\n\
         model = PeftModel.from_pretrained(model, \"path/of/this/folder\")\n\
         ```"
    )
}

/// `docs/interop.md` says how to do it by hand.
const WITHOUT_PEFT: &str = "They are put behind the first token's embedding, where **PEFT puts none**; the \
     model itself is unchanged.";

/// A double-quoted string that YAML and Python read alike.
fn yaml_string(text: &str) -> Cow<'static, str> {
    serde_json::to_string(text).map_or(Cow::Borrowed("\"\""), Cow::Owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prompt() -> SoftPrompt {
        SoftPrompt::new((0..6).map(|i| i as f32 / 7.0 - 0.3).collect(), 2, 3).unwrap()
    }

    fn model() -> BaseModel {
        BaseModel {
            name: "org/model \"x\"".into(),
            num_layers: 4,
            num_attention_heads: 3,
            causal: true,
        }
    }

    fn files() -> Files {
        write(
            &prompt(),
            &model(),
            Some("Good or bad"),
            "Made for a test.\n",
        )
        .unwrap()
    }

    /// The folder with one text of the configuration replaced.
    fn changed(from: &str, to: &str) -> PeftError {
        let mut files = files();
        let config = String::from_utf8(files.remove(CONFIG).unwrap()).unwrap();
        assert!(config.contains(from), "{config}");
        files.insert(CONFIG.into(), config.replace(from, to).into_bytes());
        read(&files).unwrap_err()
    }

    fn with_tensor(dtype: Dtype, shape: Vec<usize>, bytes: &[u8]) -> Result<Adapter, PeftError> {
        let mut files = files();
        let view = TensorView::new(dtype, shape, bytes).unwrap();
        files.insert(WEIGHTS.into(), serialize([(TENSOR, view)], None).unwrap());
        read(&files)
    }

    #[test]
    fn what_is_written_reads_back_bit_for_bit() {
        let adapter = read(&files()).unwrap();
        assert_eq!(adapter.prompt, prompt());
        assert_eq!(adapter.config.prompt_tuning_init, "TEXT");
        assert_eq!(
            adapter.config.tokenizer_name_or_path.as_deref(),
            Some("org/model \"x\"")
        );
        let readme = String::from_utf8(files()[README].clone()).unwrap();
        assert!(
            readme.contains("base_model: \"org/model \\\"x\\\"\"")
                && readme.ends_with("Made for a test.\n")
        );
        let masked = BaseModel {
            causal: false,
            ..model()
        };
        let masked = write(&prompt(), &masked, None, "").unwrap();
        for (files, class) in [
            (&files(), "AutoModelForCausalLM"),
            (&masked, "AutoModelForMaskedLM"),
        ] {
            let readme = std::str::from_utf8(&files[README]).unwrap();
            assert!(readme.contains(&format!("import {class}\n")), "{readme}");
            let load = format!("model = {class}.from_pretrained(");
            assert!(readme.contains(&load), "{readme}");
        }
        assert_eq!(read(&masked).unwrap().config.prompt_tuning_init, "RANDOM");
    }

    /// What is said of a place is said of the other alone, so that PEFT has nothing to warn of and older
    /// folders are what they were.
    #[test]
    fn a_place_behind_bos_is_named_and_the_other_is_not() {
        let config = |files: &Files| String::from_utf8(files[CONFIG].clone()).unwrap();
        assert!(!config(&files()).contains("prompt_place"));
        assert_eq!(
            read(&files()).unwrap().prompt.place(),
            PromptPlace::BeforeBos
        );
        let behind = prompt().with_place(PromptPlace::AfterBos);
        let mut written = write(&behind, &model(), None, "").unwrap();
        assert!(config(&written).contains("\"prompt_place\": \"after-bos\""));
        assert_eq!(read(&written).unwrap().prompt, behind);
        let readme = String::from_utf8(written[README].clone()).unwrap();
        assert!(readme.contains("PEFT puts none") && !readme.contains("PeftModel"));
        let unknown = config(&written).replace("after-bos", "behind");
        written.insert(CONFIG.into(), unknown.into_bytes());
        let error = read(&written).unwrap_err().to_string();
        assert!(
            error.contains(CONFIG) && error.contains("after-bos"),
            "{error}"
        );
    }

    #[test]
    fn half_precision_prompts_are_read() {
        let values = [0.5f32, -2.0, 0.0, 1.0, 3.0, -0.25];
        let half: Vec<u8> = values
            .iter()
            .flat_map(|&v| f16::from_f32(v).to_le_bytes())
            .collect();
        let brain: Vec<u8> = values
            .iter()
            .flat_map(|&v| bf16::from_f32(v).to_le_bytes())
            .collect();
        for (dtype, bytes) in [(Dtype::F16, half), (Dtype::BF16, brain)] {
            assert_eq!(
                with_tensor(dtype, vec![2, 3], &bytes)
                    .unwrap()
                    .prompt
                    .embeddings(),
                values
            );
        }
        let integers = with_tensor(Dtype::I32, vec![2, 3], &[0; 24]);
        assert!(matches!(integers, Err(PeftError::Dtype { found }) if found == "I32"));
    }

    #[test]
    fn shapes_must_agree() {
        let error = with_tensor(Dtype::F32, vec![3, 2], &[0; 24])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("[3, 2]") && error.contains("[2, 3]"),
            "{error}"
        );
        assert!(matches!(
            with_tensor(Dtype::F32, vec![2, 3], &[0xff; 24]),
            Err(PeftError::Prompt(PromptError::NotFinite { token: 0 }))
        ));
        let error = changed("\"token_dim\": 3", "\"token_dim\": 18446744073709551615");
        assert!(matches!(error, PeftError::Shape { .. }));
    }

    #[test]
    fn other_adapters_are_refused_by_name() {
        assert!(
            matches!(changed("PROMPT_TUNING", "LORA"), PeftError::OtherType { found } if found == "LORA")
        );
        assert!(matches!(
            changed("_submodules\": 1", "_submodules\": 2"),
            PeftError::Submodules { found: 2 }
        ));
        assert!(matches!(changed("peft_type", "type"), PeftError::Config(_)));
        for name in [CONFIG, WEIGHTS] {
            let mut files = files();
            files.remove(name);
            assert!(
                matches!(read(&files), Err(PeftError::Missing { name: missing }) if missing == name)
            );
        }
    }

    #[test]
    fn every_truncation_of_the_weights_is_an_error() {
        let mut files = files();
        let weights = files[WEIGHTS].clone();
        for length in 0..weights.len() {
            files.insert(WEIGHTS.into(), weights[..length].to_vec());
            assert!(read(&files).is_err(), "cut to {length}");
        }
    }

    proptest! {
        #[test]
        fn flipped_bytes_never_panic(at in 0usize..10_000, value: u8, in_config: bool) {
            let mut files = files();
            let file = files.get_mut(if in_config { CONFIG } else { WEIGHTS }).unwrap();
            let at = at % file.len();
            file[at] = value;
            if let Ok(adapter) = read(&files) {
                prop_assert_eq!(adapter.prompt.embeddings().len(), 6);
            }
        }
    }
}
