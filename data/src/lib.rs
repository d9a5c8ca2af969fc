//! Files that hold data, as people have them: CSV, TSV, JSON lines, Parquet and plain text, each
//! also packed with gzip, bzip2 or Zstandard, one or several.
//!
//! ```text
//! patterns → files::expand → table        one file's table, whole (tasks' rows)
//!                          → passages     one file's texts, one after the other (distillation)
//!                                         → Draw → as many as a run will look at
//! ```
//! What a file is, its first bytes say; its name only chooses between kinds of text. Nothing that a
//! file claims of itself is believed: what comes out of one is bounded by what goes in ([`unpack`]).

mod draw;
mod error;
pub mod files;
mod lines;
mod pages;
mod parquet;
mod passages;
mod separated;
mod table;
pub mod unpack;

pub use draw::Draw;
pub use error::DataError;
pub use passages::{Passage, Passages, passages};
pub use table::table;
