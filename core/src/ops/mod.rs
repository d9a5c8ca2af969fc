//! Parts of a transformer as one operation each, with a backward pass of its own, where the device is
//! the host itself.
//!
//! Written as tensor operations, a softmax or a gated activation passes memory five to ten times
//! forward and as often backward, and autodiff keeps what lies between. Here each passes it once, keeps
//! its inputs alone, and computes what it needs of them again on the way back.
//!
//! Every function gives `None` where it has no say (another device, another type of number, gradient
//! checkpointing): then the caller's own tensor operations, which say the same, are run. [`host`] is
//! the place that decides. An operation is plain Rust on slices, compiled for each width of vectors
//! ([`wide`]); sums are taken in a fixed order, so results depend neither on that width nor on the
//! number of threads.

mod attention;
mod divergence;
mod exp;
mod gate;
mod host;
mod norm;
mod product;
mod table;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod testing;
mod wide;

pub(crate) use attention::{Attend, Projected, attend};
pub(crate) use divergence::divergence;
pub(crate) use gate::silu_gate;
pub(crate) use norm::{layer_norm, rms_norm};
pub(crate) use product::{Way, product};
pub(crate) use table::Table;
