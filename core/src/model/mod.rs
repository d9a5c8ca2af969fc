//! One transformer, described by data.
//!
//! [`Config`] says what it is made of, [`family`] how a published model's options and tensor names map
//! onto that, and [`Lm`] runs it: forward from token ids or embeddings, with or without a prompt, with
//! logits only where they are asked for. Nothing here knows of tasks or privacy.
//!
//! ```text
//! TokenBatch → Lm::embed (or embed_with_prompt) → Input → Lm::hidden_at → Lm::logits or HeadRows::logits
//! ```
//!
//! Letters in shapes: b batch, s places, d width, H query heads, G key/value heads, c width of a head,
//! f width of the MLP, n virtual tokens, V vocabulary. Between the layers, rows of all sequences are
//! flattened to `[b·s, d]`.

mod attention;
mod block;
pub mod config;
mod embedding;
mod error;
pub mod family;
mod head;
mod input;
mod kept;
mod linear;
mod lm;
mod load;
mod mask;
mod mlp;
mod norm;
mod past;
mod place;
mod replica;
pub mod rotary;
mod save;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod writing;

pub use attention::Attention;
pub use block::Block;
pub use config::{Config, HeadKind};
pub use embedding::Embedding;
pub use error::ModelError;
pub use head::{Head, HeadRows};
pub use input::{Input, TokenBatch};
pub use kept::WeightType;
pub use linear::Linear;
pub use lm::Lm;
pub use mlp::Mlp;
pub use norm::Norm;
pub use past::Past;
pub use place::PromptPlace;
pub use save::NamedTensors;
pub use writing::Writing;
