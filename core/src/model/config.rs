//! What a transformer is made of, as data.

use super::{
    ModelError,
    family::Family,
    rotary::{Rope, RopeScaling},
};

/// Description of a transformer. Field names are those of Hugging Face's `config.json`
/// (Llama's where the families differ); [`Family`] reads and writes each family's own spelling.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Whose names tensors and options have on disk.
    pub family: Family,
    /// Rows of the embedding table, V.
    pub vocab_size: usize,
    /// Width of the residual stream, d.
    pub hidden_size: usize,
    /// Width of the embeddings, and so of a prompt, and of the hidden states that the head reads; d, but for
    /// families that project from one to the other and back.
    pub embedding_size: usize,
    /// What each block's attention sees; one for each block.
    pub layers: Vec<Layer>,
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
    /// The first row of the table of learned positions that is used (RoBERTa and OPT keep rows in
    /// front of it); `None` when there is no table.
    pub learned_positions: Option<usize>,
    /// Multiplies the embeddings of tokens; those of a prompt are taken as they are.
    pub embedding_scale: f64,
    /// Which normalisation.
    pub norm: NormKind,
    /// Added to the variance (LayerNorm) or the mean square (RMSNorm).
    pub norm_eps: f64,
    /// Where in a block the normalisation stands.
    pub norm_placement: NormPlacement,
    /// Whether each head's queries and keys are normalised, before they are turned.
    pub query_key_norm: bool,
    /// The scores are divided by its root; c unless a family says otherwise.
    pub query_pre_attn_scalar: usize,
    /// Whether the scores of block i are also divided by i + 1.
    pub scale_attn_by_inverse_layer_idx: bool,
    /// The scores s become `cap · tanh(s / cap)`.
    pub attn_logit_softcapping: Option<f64>,
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
    /// The logits l become `cap · tanh(l / cap)`.
    pub final_logit_softcapping: Option<f64>,
    /// Whether the head's matrix is the embedding table.
    pub tie_word_embeddings: bool,
}

/// What a block's attention sees, and how it tells places apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    /// A place sees itself and `window − 1` places before it; `None`: all of them.
    pub window: Option<usize>,
    /// How queries and keys are turned, if they are.
    pub rope: Option<Rope>,
}

/// Kinds of normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// `(x − mean) / sqrt(var + eps) · weight + bias`
    LayerNorm,
    /// `x / sqrt(mean(x²) + eps) · weight`
    RmsNorm,
    /// `x / sqrt(mean(x²) + eps) · (1 + weight)`, Gemma's.
    OffsetRmsNorm,
}

/// Where the normalisation stands, and so how attention and MLP follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormPlacement {
    /// `x + f(norm(x))`, attention first, and a final norm after the last block.
    Pre,
    /// `norm(x + f(x))`, and a norm after the embeddings.
    Post,
    /// `x + norm(f(norm(x)))`, and a final norm.
    Both,
    /// `x + attention(norm(x)) + mlp(norm'(x))`, and a final norm.
    Parallel,
}

/// Activation functions by Hugging Face's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x · σ(x)`
    Silu,
    /// `x · Φ(x)`, by the error function
    Gelu,
    /// `x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`, which goes by several names
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
            "gelu" | "gelu_python" => Ok(Self::Gelu),
            "gelu_new" | "gelu_fast" | "gelu_accurate" | "gelu_pytorch_tanh"
            | "gelu_python_tanh" => Ok(Self::GeluNew),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadKind {
    /// One matrix.
    Linear,
    /// `matrix(norm(act(dense(h)))) + bias`, the masked-LM head of BERT and RoBERTa.
    MaskedLm(Activation),
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

    /// Number of blocks.
    #[must_use]
    pub fn num_hidden_layers(&self) -> usize {
        self.layers.len()
    }

    /// The same configuration with these blocks, named by their numbers.
    ///
    /// # Panics
    /// If there is no such block.
    #[must_use]
    pub fn with_blocks(&self, chosen: &[usize]) -> Self {
        self.with_layers(chosen.iter().map(|&block| self.layers[block]).collect())
    }

    /// The same configuration around other blocks.
    #[must_use]
    pub fn with_layers(&self, layers: Vec<Layer>) -> Self {
        Self {
            layers,
            ..self.clone()
        }
    }

    /// What multiplies the scores of block `layer`.
    #[must_use]
    pub fn score_scale(&self, layer: usize) -> f64 {
        let depth = match self.scale_attn_by_inverse_layer_idx {
            true => layer + 1,
            false => 1,
        };
        (self.query_pre_attn_scalar as f64).powf(-0.5) / depth as f64
    }

    /// Whether angles would change with the length of a text beyond `max_position_embeddings`.
    #[must_use]
    pub fn is_stretched_by_length(&self) -> bool {
        let scaling = |layer: &Layer| layer.rope.map(|rope| rope.scaling);
        self.layers
            .iter()
            .any(|layer| matches!(scaling(layer), Some(RopeScaling::Dynamic { .. })))
    }

    /// Whether a norm follows the last block.
    #[must_use]
    pub fn has_final_norm(&self) -> bool {
        self.norm_placement != NormPlacement::Post
    }

    /// Whether embeddings are projected to the blocks' width, and hidden states back.
    #[must_use]
    pub fn has_projections(&self) -> bool {
        self.embedding_size != self.hidden_size
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
        self.check_sizes()?;
        let positive = [
            ("norm_eps", Some(self.norm_eps)),
            ("embedding_scale", Some(self.embedding_scale)),
            ("attn_logit_softcapping", self.attn_logit_softcapping),
            ("final_logit_softcapping", self.final_logit_softcapping),
        ];
        for (field, number) in positive {
            if number.is_some_and(|number| !(number > 0.0 && number.is_finite())) {
                let reason = format!("{} is not a positive number", number.unwrap_or_default());
                return Err(ModelError::invalid(field, reason));
            }
        }
        if self
            .learned_positions
            .is_some_and(|first| first >= self.max_position_embeddings)
        {
            let reason = "no row is left after the offset";
            return Err(ModelError::invalid("max_position_embeddings", reason));
        }
        for layer in &self.layers {
            if layer.window == Some(0) {
                return Err(ModelError::invalid(
                    "sliding_window",
                    "nothing is seen through 0 places",
                ));
            }
            if let Some(rope) = &layer.rope {
                rope.check(self.head_dim)?;
            }
        }
        Ok(self)
    }

    fn check_sizes(&self) -> Result<(), ModelError> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("embedding_size", self.embedding_size),
            ("num_hidden_layers", self.layers.len()),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("intermediate_size", self.intermediate_size),
            ("query_pre_attn_scalar", self.query_pre_attn_scalar),
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
        let (heads, shared) = (self.num_attention_heads, self.num_key_value_heads);
        let width = heads.checked_mul(self.head_dim);
        if width.is_none_or(|width| width >= most) {
            let reason = format!("{heads} heads are wider than 2^24 together");
            return Err(ModelError::invalid("head_dim", reason));
        }
        if !heads.is_multiple_of(shared) {
            let reason = format!("{heads} heads can't share {shared}");
            return Err(ModelError::invalid("num_key_value_heads", reason));
        }
        Ok(())
    }
}
