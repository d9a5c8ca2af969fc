//! How text is cut before byte-level BPE, by the name that a GGUF gives (`tokenizer.ggml.pre`).

use tokenizers::Tokenizer;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::normalizer::SplitDelimiterBehavior;

use super::super::{CheckpointError, Gguf};

const KEY: &str = "tokenizer.ggml.pre";

/// What a pre-tokenizer's name stands for.
pub(super) struct Pre {
    name: &'static str,
    cut: Cut,
    /// Whether text is composed (NFC) first.
    compose: bool,
    /// Whether a piece that is a token as a whole skips the merges.
    pub(super) ignore_merges: bool,
    /// Whether a beginning-of-sequence token is added when the file doesn't say.
    pub(super) add_bos: bool,
}

enum Cut {
    /// GPT-2's expression.
    Gpt2,
    /// Every digit alone, then GPT-2's expression.
    Digits,
    /// An expression of the family's own.
    Pattern(&'static str),
}

/// Llama 3's expression (`tokenizer.json` of Meta-Llama-3-8B).
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen2's: as Llama 3's, with single digits (`tokenizer.json` of Qwen2-0.5B).
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const KNOWN: [Pre; 5] = [
    Pre {
        name: "gpt-2",
        cut: Cut::Gpt2,
        compose: false,
        ignore_merges: false,
        add_bos: false,
    },
    Pre {
        name: "smollm",
        cut: Cut::Digits,
        compose: false,
        ignore_merges: false,
        add_bos: false,
    },
    Pre {
        name: "llama-bpe",
        cut: Cut::Pattern(LLAMA3),
        compose: false,
        ignore_merges: true,
        add_bos: true,
    },
    // What llama.cpp's converter calls SmolLM3's: Llama 3's expression, and no beginning.
    Pre {
        name: "smaug-bpe",
        cut: Cut::Pattern(LLAMA3),
        compose: false,
        ignore_merges: true,
        add_bos: false,
    },
    Pre {
        name: "qwen2",
        cut: Cut::Pattern(QWEN2),
        compose: true,
        ignore_merges: false,
        add_bos: false,
    },
];

/// The pre-tokenizer that a GGUF names.
pub(super) fn find(gguf: &Gguf) -> Result<&'static Pre, CheckpointError> {
    let found = gguf.text(KEY).unwrap_or("");
    KNOWN.iter().find(|pre| pre.name == found).ok_or_else(|| {
        let known = KNOWN.map(|pre| pre.name).join(", ");
        CheckpointError::metadata(
            KEY,
            format!("pre-tokenizer `{found}` is not known (known: {known}); convert the model with a current llama.cpp, or give it as a Hugging Face folder"),
        )
    })
}

impl Pre {
    /// Sets normalizer, pre-tokenizer, post-processor and decoder.
    pub(super) fn install(&self, tokenizer: &mut Tokenizer) -> Result<(), CheckpointError> {
        // Offsets include leading blanks, as in the published tokenizer.json of the families.
        let bytes = |use_regex| ByteLevel::new(false, true, use_regex);
        let cut: Vec<PreTokenizerWrapper> = match self.cut {
            Cut::Gpt2 => vec![bytes(true).into()],
            Cut::Digits => vec![Digits::new(true).into(), bytes(true).into()],
            Cut::Pattern(pattern) => {
                let pattern = SplitPattern::Regex(pattern.to_owned());
                let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(
                    |reason| {
                        CheckpointError::Tokenizer(format!("pattern of `{}`: {reason}", self.name))
                    },
                )?;
                vec![split.into(), bytes(false).into()]
            }
        };
        tokenizer.with_pre_tokenizer(Some(Sequence::new(cut)));
        tokenizer.with_decoder(Some(bytes(true)));
        if self.compose {
            tokenizer
                .with_normalizer(Some(NFC))
                .map_err(|reason| CheckpointError::Tokenizer(reason.to_string()))?;
        }
        Ok(())
    }
}
