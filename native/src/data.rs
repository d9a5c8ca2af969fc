//! Tasks and tables from files: what can't be used is said line by line, nothing vanishes.

use std::path::Path;

use anyhow::{Context, Result};
use post_core::task::{self, Dataset, Labels, Task, table};

use crate::failure::Hint;
use crate::files;
use crate::term::Terminal;

/// As many bad rows are named one by one; the rest is counted.
const NAMED: usize = 5;

/// A task by the path of its file, or by the name of one that is built in.
///
/// # Errors
/// When the file can't be read, isn't a task, or no such task is built in.
pub(crate) fn task(name: &str) -> Result<Task> {
    let path = Path::new(name);
    if path.is_file() || path.extension().is_some() || name.contains(std::path::MAIN_SEPARATOR) {
        let text = files::read_text(path)?;
        return Task::from_toml(&text).with_context(|| format!("task {name}"));
    }
    Ok(task::ready(name)?)
}

/// The rows of a CSV, TSV or JSONL file as the task reads them, without copies of a row.
///
/// # Errors
/// When the file can't be read, is no table, lacks a column, or has not one usable row.
pub(crate) fn dataset(
    path: &Path,
    task: &Task,
    labels: Labels,
    term: &Terminal,
) -> Result<Dataset> {
    let at = || path.display().to_string();
    let bytes = files::read(path)?;
    let table =
        table::read(&bytes, table::Format::sniff(path.to_str(), &bytes)).with_context(at)?;
    let mut dataset = task
        .dataset(&table, labels)
        .with_context(at)
        .hint("`tasks/README.md` says how a task names its columns")?;
    say_bad(path, &dataset, term);
    let copies = dataset.remove_copies().len();
    let alike = dataset.duplicates().len();
    let (rows, ignored) = (dataset.rows.len(), dataset.ignored.len());
    term.note(format!(
        "{}: {rows} rows used, {} bad, {ignored} ignored by the task, {copies} copies removed, {alike} alike but for case, \
         space or label kept",
        path.display(),
        dataset.bad.len(),
    ));
    Ok(dataset)
}

fn say_bad(path: &Path, dataset: &Dataset, term: &Terminal) {
    for bad in dataset.bad.iter().take(NAMED) {
        term.warn(format!(
            "{}:{}: left out: {}",
            path.display(),
            bad.line,
            bad.reason
        ));
    }
    if let Some(more) = dataset.bad.len().checked_sub(NAMED).filter(|&n| n > 0) {
        term.warn(format!("{}: {more} more rows left out", path.display()));
    }
}
