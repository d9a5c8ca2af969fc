//! Where public tables have what a task reads, which their makers named otherwise.

use std::str::FromStr;

use anyhow::Result;
use post_core::task::Task;
use serde::{Deserialize, Serialize};

use crate::failure::{Hint, Usage};

/// Columns of public rows.
#[derive(Debug, Clone, Default, clap::Args, Serialize, Deserialize)]
pub(super) struct PublicColumns {
    /// Where the public rows have a field of the task's template under another header than the task's own rows:
    /// text=review. An empty header leaves the field empty
    #[arg(long, value_name = "FIELD=HEADER", num_args = 1.., value_delimiter = ',')]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    public_columns: Vec<Column>,
}

/// A field of the template, and the header of its column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Column {
    field: String,
    header: String,
}

impl PublicColumns {
    /// The task as it reads public rows.
    ///
    /// # Errors
    /// When the template lacks a field.
    pub(super) fn of(&self, task: &Task) -> Result<Task> {
        self.public_columns
            .iter()
            .try_fold(task.clone(), |task, column| {
                let fields = task.template().fields().join(", ");
                let name = task.name().to_owned();
                task.with_column(&column.field, &column.header)
                    .map_err(|_| {
                        Usage(format!(
                            "the template of `{name}` has no field `{}`",
                            column.field
                        ))
                    })
                    .hint(format!("--public-columns may name: {fields}"))
            })
    }
}

impl FromStr for Column {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').filter(|(field, _)| !field.is_empty());
        let (field, header) = parts.ok_or_else(|| format!("`{text}` is not FIELD=HEADER"))?;
        Ok(Self {
            field: field.to_owned(),
            header: header.to_owned(),
        })
    }
}

impl TryFrom<String> for Column {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Column> for String {
    fn from(column: Column) -> Self {
        format!("{}={}", column.field, column.header)
    }
}
