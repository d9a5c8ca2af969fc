//! The private table: read, described to its owner, split, encoded.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use post_core::dp::round_public;
use post_core::task::{
    Answers, BadRow, Dataset, Example, Label, Labels, READY, Row, Table, Task, holdout, table,
};

use super::student::Student;
use super::suggest;
use crate::protocol::{self, Column, DataSummary, Mapping, TableSummary, TaskForm, Trouble};

/// Rows of the preview.
const PREVIEW: usize = 20;
/// Characters of a cell in the preview.
const CELL: usize = 200;
/// A column with more distinct values has no list of them.
const VALUES: usize = 20;
/// Bad lines that are named one by one.
const NAMED: usize = 20;
/// Bars of the length histogram.
const BUCKETS: usize = 12;
/// Decides which rows are held out; the same in every session, so that none of them is ever tuned on.
const SPLIT: &str = "post-web";

/// A table as its owner dropped it.
pub(super) struct Opened {
    name: String,
    format: table::Format,
    table: Table,
}

/// The rows as a task reads them.
pub(super) struct Data {
    pub(super) mapping: Mapping,
    pub(super) task: Task,
    pub(super) train: Vec<Row>,
    pub(super) test: Vec<Row>,
    /// Tokens of the longest text.
    pub(super) longest: usize,
    /// Mean tokens of a text.
    pub(super) mean: f64,
}

/// Reads a table.
///
/// # Errors
/// When it is none.
pub(super) fn open(name: Option<String>, bytes: &[u8]) -> Result<Opened> {
    let format = table::Format::sniff(name.as_deref(), bytes);
    Ok(Opened {
        table: table::read(bytes, format)?,
        name: name.unwrap_or_else(|| "pasted text".to_owned()),
        format,
    })
}

impl Opened {
    /// What its owner sees of it.
    pub(super) fn summary(&self) -> TableSummary {
        let format = match self.format {
            table::Format::Csv => "comma-separated values",
            table::Format::Semicolon => "semicolon-separated values",
            table::Format::Tsv => "tab-separated values",
            table::Format::Jsonl => "JSON lines",
        };
        let column = |index: usize| Column {
            name: self.table.columns[index].clone(),
            values: self.values(index),
        };
        let cut = |cell: &String| cell.chars().take(CELL).collect();
        let row = |row: &table::TableRow| protocol::Row {
            line: row.line,
            cells: row.cells.iter().map(cut).collect(),
        };
        TableSummary {
            name: self.name.clone(),
            format: format.to_owned(),
            rows: self.table.rows.len(),
            columns: (0..self.table.columns.len()).map(column).collect(),
            preview: self.table.rows.iter().take(PREVIEW).map(row).collect(),
            trouble: trouble(&self.table.bad),
        }
    }

    /// A column's values with their counts, commonest first; none when they are many.
    fn values(&self, column: usize) -> Vec<(String, usize)> {
        let mut counts = BTreeMap::new();
        for row in &self.table.rows {
            *counts.entry(row.cells[column].trim()).or_insert(0) += 1;
            if counts.len() > VALUES {
                return Vec::new();
            }
        }
        let mut values: Vec<_> = counts
            .into_iter()
            .map(|(value, count)| (value.to_owned(), count))
            .collect();
        values.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        values
    }

    /// A task's columns, as far as they can be guessed: its own names where the table has them, else
    /// the longest texts, and for the label the column of fewest values.
    pub(super) fn guess(&self, mut task: TaskForm) -> TaskForm {
        let missing = |task: &TaskForm, field: &str| {
            let column = task.columns.get(field).map_or(field, String::as_str);
            self.table.column(column).is_none()
        };
        if missing(&task, LABEL)
            && let Some(column) = self.fewest_values()
        {
            task.columns.insert(LABEL.to_owned(), column);
        }
        let fields: Vec<String> = task.columns.keys().cloned().collect();
        for field in fields.iter().filter(|field| *field != LABEL) {
            if missing(&task, field)
                && let Some(column) = self.longest_text(task.columns.values())
            {
                task.columns.insert(field.clone(), column);
            }
        }
        if task
            .group_column
            .as_ref()
            .is_some_and(|column| self.table.column(column).is_none())
        {
            task.group_column = None;
        }
        task
    }

    fn fewest_values(&self) -> Option<String> {
        (0..self.table.columns.len())
            .map(|index| (self.values(index).len(), index))
            .filter(|(count, _)| *count >= 2)
            .min()
            .map(|(_, index)| self.table.columns[index].clone())
    }

    fn longest_text<'a>(&self, taken: impl Iterator<Item = &'a String> + Clone) -> Option<String> {
        let length = |index: usize| -> usize {
            let cells = self.table.rows.iter().map(|row| row.cells[index].len());
            cells.sum()
        };
        (0..self.table.columns.len())
            .filter(|&index| !taken.clone().any(|name| *name == self.table.columns[index]))
            .max_by_key(|&index| length(index))
            .map(|index| self.table.columns[index].clone())
    }

    /// Reads the rows by a mapping and describes them.
    ///
    /// # Errors
    /// When the task is none, doesn't fit the table or the student, or leaves no row to tune on.
    pub(super) fn map(&self, mapping: Mapping, student: &Student) -> Result<(Data, DataSummary)> {
        let task = task(&mapping.task)?;
        ensure!(
            (0.0..=0.5).contains(&mapping.test_share),
            "the share held out for testing must be between 0 and a half"
        );
        let mut dataset = task.dataset(&self.table, Labels::Required)?;
        let duplicates = dataset.duplicates();
        if mapping.drop_duplicates {
            dataset.remove_copies();
        }
        let examples = encode(student, &task, &dataset.rows)?;
        let summary = DataSummary {
            train: 0,
            test: 0,
            classes: counts(&task, &dataset)?,
            trouble: trouble(&dataset.bad),
            ignored: dataset.ignored.len(),
            duplicates: duplicates.len(),
            contradictions: duplicates.iter().filter(|d| !d.same_label).count(),
            longest: examples.iter().map(|e| e.ids.len()).max().unwrap_or(0),
            truncated: examples.iter().filter(|e| e.removed > 0).count(),
            lengths: histogram(&examples),
            example: as_read(student, &examples)?,
            public_size: 0,
        };
        let mean =
            examples.iter().map(|e| e.ids.len()).sum::<usize>() as f64 / examples.len() as f64;
        let (train, test) = holdout(dataset.rows, mapping.test_share, SPLIT);
        ensure!(
            !train.is_empty(),
            "no row is left to tune on; hold fewer out for testing"
        );
        let summary = DataSummary {
            train: train.len(),
            test: test.len(),
            public_size: round_public(train.len() as u64),
            ..summary
        };
        let longest = summary.longest;
        let data = Data {
            mapping,
            task,
            train,
            test,
            longest,
            mean,
        };
        Ok((data, summary))
    }
}

const LABEL: &str = "label";

/// Refuses a student that was made for nothing that can be done here.
///
/// # Errors
/// When all of its own tasks are answered with text.
pub(super) fn can_be_tuned(own: &[String]) -> Result<()> {
    let tasks = own.iter().filter_map(|source| Task::from_toml(source).ok());
    let tasks: Vec<Task> = tasks.collect();
    let open = |task: &Task| matches!(task.answers(), Answers::Open(_));
    if let Some(task) = tasks.first().filter(|_| tasks.iter().all(open)) {
        bail!(
            "this student's task `{}` is answered with free text, and this page tunes on classes; tune it with `post-native tune`",
            task.name()
        );
    }
    Ok(())
}

/// The student's own tasks, then the ready ones; those that are answered with text are left out.
pub(super) fn tasks(own: &[String]) -> Vec<TaskForm> {
    let sources = own
        .iter()
        .map(String::as_str)
        .chain(READY.iter().map(|(_, source)| *source));
    let mut tasks: Vec<TaskForm> = Vec::new();
    for form in sources.filter_map(|source| form(source).ok()) {
        if tasks.iter().all(|task| task.name != form.name) {
            tasks.push(form);
        }
    }
    tasks
}

/// A task file as a form, its defaults filled in.
fn form(source: &str) -> Result<TaskForm> {
    let task = Task::from_toml(source)?;
    Ok(serde_json::from_value(serde_json::to_value(&task)?)?)
}

fn task(form: &TaskForm) -> Result<Task> {
    let text = toml::to_string(form).context("the task can't be written as a task file")?;
    Ok(Task::from_toml(&text)?)
}

/// Rows as the student reads them behind a prompt of the usual length.
fn encode(student: &Student, task: &Task, rows: &[Row]) -> Result<Vec<Example>> {
    let encoder = student.encoder(task, suggest::settings(1).num_virtual_tokens)?;
    Ok(encoder.encode_all(rows)?)
}

fn trouble(bad: &[BadRow]) -> Trouble {
    Trouble {
        count: bad.len(),
        first: bad.iter().take(NAMED).map(ToString::to_string).collect(),
    }
}

fn counts(task: &Task, dataset: &Dataset) -> Result<Vec<(String, usize)>> {
    let rows_of = |class: usize| {
        let rows = dataset.rows.iter();
        rows.filter(|row| row.label == Some(Label::Class(class)))
            .count()
    };
    let classes = task.classes()?.iter().enumerate();
    Ok(classes
        .map(|(index, class)| (class.name.clone(), rows_of(index)))
        .collect())
}

fn histogram(examples: &[Example]) -> Vec<(usize, usize)> {
    let longest = examples.iter().map(|e| e.ids.len()).max().unwrap_or(0);
    let size = longest.div_ceil(BUCKETS).max(1);
    let mut buckets: Vec<(usize, usize)> = (1..=longest.div_ceil(size))
        .map(|bucket| (bucket * size, 0))
        .collect();
    for example in examples {
        if let Some(bucket) = buckets.get_mut(example.ids.len().saturating_sub(1) / size) {
            bucket.1 += 1;
        }
    }
    buckets
}

/// The first row, back from its tokens: what the model really sees.
fn as_read(student: &Student, examples: &[Example]) -> Result<String> {
    let Some(example) = examples.first() else {
        return Ok(String::new());
    };
    let decoded = student.tokenizer.decode(&example.ids, false);
    decoded.map_err(|error| anyhow::anyhow!("the tokenizer can't read its own tokens: {error}"))
}
