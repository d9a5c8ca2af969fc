//! What a transformer is made of, as data.

use serde::{Deserialize, Serialize};

use super::{ModelError, family::Family};

/// Description of a transformer. Field names are those of Hugging Face's `config.json`
/// (Llama's where the families differ); [`Family`] reads and writes each family's own spelling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Whose names tensors and options have on disk.
    pub family: Family,
    /// Rows of the embedding table, V.
    pub vocab_size: usize,
    /// Width of the residual stream, d.
    pub hidden_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Number of query heads, H.
    pub num_attention_heads: usize,
    /// Number of key/value heads, G; a divisor of H.
    pub num_key_value_heads: usize,
    /// Width of one head, c.
    pub head_dim: usize,
    /// Width inside the MLP, f.
    pub intermediate_size: usize,
    /// Longest sequence, prompt included.
    pub max_position_embeddings: usize,
    /// Which normalisation.
    pub norm: NormKind,
    /// Added to the variance (LayerNorm) or the mean square (RMSNorm).
    pub norm_eps: f64,
    /// Where in a block the normalisation stands.
    pub norm_placement: NormPlacement,
    /// How a token knows its place.
    pub position: Position,
    /// Activation of the MLP.
    pub hidden_act: Activation,
    /// Whether the MLP is `down(act(gate(x)) * up(x))` instead of `down(act(up(x)))`.
    pub gated_mlp: bool,
    /// Whether the query, key and value projections have biases.
    pub qkv_bias: bool,
    /// Whether attention's output projection has a bias.
    pub attention_output_bias: bool,
    /// Whether the MLP's projections have biases.
    pub mlp_bias: bool,
    /// Whether a token sees only itself and earlier ones.
    pub causal: bool,
    /// What stands between the last hidden state and the vocabulary.
    pub head: HeadKind,
    /// Whether the head's matrix is the embedding table.
    pub tie_word_embeddings: bool,
}

/// Kinds of normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormKind {
    /// `(x − mean) / sqrt(var + eps) · weight + bias`
    LayerNorm,
    /// `x / sqrt(mean(x²) + eps) · weight`
    RmsNorm,
}

/// Where the normalisation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormPlacement {
    /// `x + f(norm(x))`, and a final norm after the last block.
    Pre,
    /// `norm(x + f(x))`, and a norm after the embeddings.
    Post,
}

/// How a token knows its place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// Queries and keys are rotated by `position · theta^(−2i/c)`, half against half.
    Rotary {
        /// The base of the angles, `rope_theta`.
        theta: f64,
    },
    /// A learned row is added to each embedding.
    Learned {
        /// The row of position 0 (RoBERTa keeps rows for padding in front: 2).
        offset: usize,
    },
}

/// Activation functions by Hugging Face's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x · σ(x)`
    Silu,
    /// `x · Φ(x)`, by the error function
    Gelu,
    /// `x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`
    GeluNew,
    /// `max(x, 0)`
    Relu,
}

impl Activation {
    /// The activation that Hugging Face calls `name`.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for any other.
    pub fn from_name(field: &str, name: &str) -> Result<Self, ModelError> {
        match name {
            "silu" | "swish" => Ok(Self::Silu),
            "gelu" => Ok(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Self::GeluNew),
            "relu" => Ok(Self::Relu),
            _ => Err(ModelError::unsupported(field, name)),
        }
    }

    /// Hugging Face's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Silu => "silu",
            Self::Gelu => "gelu",
            Self::GeluNew => "gelu_new",
            Self::Relu => "relu",
        }
    }
}

/// What stands between the last hidden state and the vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// One matrix.
    Linear,
    /// `matrix(norm(gelu(dense(h)))) + bias`, the masked-LM head of BERT and RoBERTa.
    MaskedLm,
}

impl Config {
    /// Reads Hugging Face's `config.json`, by its `model_type`.
    ///
    /// # Errors
    /// [`ModelError`] names the field that is missing, has a value that can't be, or asks for
    /// something that this transformer can't compute.
    pub fn from_hf(json: &serde_json::Value) -> Result<Self, ModelError> {
        Family::of(json)?.read(json)?.validated()
    }

    /// Writes Hugging Face's `config.json`, so that transformers loads what was saved.
    #[must_use]
    pub fn to_hf(&self) -> serde_json::Value {
        self.family.write(self)
    }

    /// The same configuration with another number of blocks.
    #[must_use]
    pub fn with_layers(&self, layers: usize) -> Self {
        Self {
            num_hidden_layers: layers,
            ..self.clone()
        }
    }

    /// Query heads per key/value head.
    #[must_use]
    pub fn group(&self) -> usize {
        self.num_attention_heads / self.num_key_value_heads
    }

    /// Width of all query heads together, `H·c`.
    #[must_use]
    pub fn query_width(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of all key (or value) heads together, `G·c`.
    #[must_use]
    pub fn key_width(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }

    /// The same configuration, if its numbers belong together.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] with the first field that doesn't fit.
    pub fn validated(self) -> Result<Self, ModelError> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        // A tab's `usize` has 32 bits: sums of a few sizes fit, and what is multiplied further is first
        // held against the file.
        let most = 1 << 24;
        if let Some((field, size)) = sizes
            .into_iter()
            .find(|(_, size)| !(1..most).contains(size))
        {
            return Err(ModelError::invalid(
                field,
                format!("{size} is not between 1 and 2^24"),
            ));
        }
        let width = self.num_attention_heads.checked_mul(self.head_dim);
        if width.is_none_or(|width| width >= most) {
            let reason = format!(
                "{} heads are wider than 2^24 together",
                self.num_attention_heads
            );
            return Err(ModelError::invalid("head_dim", reason));
        }
        if !self
            .num_attention_heads
            .is_multiple_of(self.num_key_value_heads)
        {
            let reason = format!(
                "{} heads can't share {}",
                self.num_attention_heads, self.num_key_value_heads
            );
            return Err(ModelError::invalid("num_key_value_heads", reason));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps.is_finite()) {
            return Err(ModelError::invalid(
                "norm_eps",
                format!("{} is not a positive number", self.norm_eps),
            ));
        }
        match self.position {
            Position::Rotary { .. } if !self.head_dim.is_multiple_of(2) => Err(
                ModelError::invalid("head_dim", "rotary positions need an even width"),
            ),
            Position::Rotary { theta } if !(theta > 0.0 && theta.is_finite()) => Err(
                ModelError::invalid("rope_theta", format!("{theta} is not a positive number")),
            ),
            Position::Learned { offset } if offset >= self.max_position_embeddings => Err(
                ModelError::invalid("max_position_embeddings", "no row is left after the offset"),
            ),
            _ => Ok(self),
        }
    }
}
