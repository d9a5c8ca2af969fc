//! Tables and tasks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One class of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskClass {
    /// Its name.
    pub name: String,
    /// What the label column holds for it.
    pub values: Vec<String>,
    /// Words of the vocabulary that speak for it.
    pub words: Vec<String>,
}

/// A task file as a form: the same fields (`tasks/README.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskForm {
    /// Name.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// How a row becomes text.
    pub template: String,
    /// What the prompt starts from.
    pub init_text: String,
    /// Most tokens of text and template.
    pub max_length: usize,
    /// Whether a label word of several tokens counts by its first.
    pub first_token: bool,
    /// Label values whose rows are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored_labels: Vec<String>,
    /// Column whose equal values stay on one side of the split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_column: Option<String>,
    /// Column of each field of the template, and of `label`.
    pub columns: BTreeMap<String, String>,
    /// The classes.
    pub classes: Vec<TaskClass>,
}

/// How a table's rows are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// Columns, template, classes.
    pub task: TaskForm,
    /// Share of the rows held out for testing, in `[0, 0.5]`.
    pub test_share: f64,
    /// Leave out later rows with the same text.
    pub drop_duplicates: bool,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its header.
    pub name: String,
    /// **Private**: its values with their counts, commonest first, where there are at most 20.
    pub values: Vec<(String, usize)>,
}

/// A row of the preview. **Private**.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Line of the file.
    pub line: usize,
    /// One cell for each column, shortened.
    pub cells: Vec<String>,
}

/// A table as it was read. **Private**.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableSummary {
    /// The file's name.
    pub name: String,
    /// CSV, TSV or JSON lines.
    pub format: String,
    /// Rows that could be read.
    pub rows: usize,
    /// The columns.
    pub columns: Vec<Column>,
    /// The first rows.
    pub preview: Vec<Row>,
    /// Lines that could not be read.
    pub trouble: Trouble,
}

/// Lines that are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// How many.
    pub count: usize,
    /// The first of them, each with its line and reason.
    pub first: Vec<String>,
}

/// The rows as the task reads them. **Private**.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSummary {
    /// Rows to tune on.
    pub train: usize,
    /// Rows held out.
    pub test: usize,
    /// Class name and rows of it, held-out ones included.
    pub classes: Vec<(String, usize)>,
    /// Lines left out.
    pub trouble: Trouble,
    /// Rows left out because the task ignores their label.
    pub ignored: usize,
    /// Later rows with the text of an earlier one.
    pub duplicates: usize,
    /// Of these, the ones with another label.
    pub contradictions: usize,
    /// Longest text in tokens.
    pub longest: usize,
    /// Rows that were cut at the start.
    pub truncated: usize,
    /// A histogram of lengths: upper end of each bucket in tokens, and rows.
    pub lengths: Vec<(usize, usize)>,
    /// The first row as the model reads it.
    pub example: String,
    /// N as the world will know it.
    pub public_size: u64,
}
