//! What a data owner wants done: columns, template, label words or answers of text.
//!
//! A private row goes through this room in one direction:
//! bytes → [`table::read`] → [`Task::dataset`] → [`Encoder::encode`] → [`Example`];
//! what the model answers comes back through [`LabelWords::class_logits`] or [`AnswerTokens::text`]
//! into [`metrics`].
//! Nothing is dropped on the way without a line number and a reason.

mod answer_tokens;
mod answers;
mod dataset;
mod encode;
mod file;
pub mod metrics;
mod ready;
mod repeated;
mod shared;
pub mod table;
mod words;

pub use answer_tokens::AnswerTokens;
pub use answers::{Answers, Class, Label, NoClasses, OpenAnswer};
pub use dataset::{Dataset, DatasetError, Duplicate, Labels, Row, Seen, holdout};
pub use encode::{EncodeError, Encoder, Example, Head, Spelled, group_by_length};
pub use file::{Task, TaskError};
pub use post_text::template::{Rendered, Template, TemplateError};
pub use ready::{READY, ready};
pub use repeated::Repeated;
pub use shared::{shared_words, unlike_token};
pub use table::{BadReason, BadRow, Table, TableError};
pub use words::{LabelWords, WordsError, argmax, probabilities};
