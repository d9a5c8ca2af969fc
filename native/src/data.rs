//! Tasks and tables from files: what can't be used is said line by line, nothing vanishes.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use post_core::optim::SplitMix64;
use post_core::task::{self, Dataset, Encoder, Example, Labels, Row, Seen, Task};

use crate::failure::Hint;
use crate::files;
use crate::term::Terminal;

/// As many bad rows are named one by one; the rest is counted.
pub(crate) const NAMED: usize = 5;

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

/// One data set, which may be spread over several files.
pub(crate) struct Rows {
    /// The rows of all files, file after file, without copies of a row.
    pub(crate) rows: Vec<Row>,
    /// How many of them are whose.
    files: Vec<(PathBuf, usize)>,
}

/// The rows of all files that the patterns name, as the task reads them. A row that repeats one of
/// the same or of an earlier file to the last byte is left out.
///
/// # Errors
/// When a file can't be read, is no table, lacks a column, or has not one usable row.
pub(crate) fn rows(
    patterns: &[PathBuf],
    task: &Task,
    labels: Labels,
    term: &Terminal,
) -> Result<Rows> {
    let (mut rows, mut files, mut seen) = (Vec::new(), Vec::new(), Seen::default());
    for path in post_data::files::expand(patterns)? {
        let mut dataset = dataset(&path, task, labels, term)?;
        let copies = seen.remove_copies(&mut dataset);
        let alike = seen.count_alike(&dataset);
        term.note(format!(
            "{}: {} rows used, {} bad, {} ignored by the task, {copies} copies removed, {alike} alike but for case, \
             space or label kept",
            path.display(),
            dataset.rows.len(),
            dataset.bad.len(),
            dataset.ignored.len(),
        ));
        files.push((path, dataset.rows.len()));
        rows.append(&mut dataset.rows);
    }
    Ok(Rows { rows, files })
}

impl Rows {
    /// Keeps at most `most` of the rows, drawn by `seed`, in their order.
    pub(crate) fn draw(&mut self, most: usize, seed: u64) {
        let mut drawn: Vec<usize> = (0..self.rows.len()).collect();
        SplitMix64::new(seed).shuffle(&mut drawn);
        let drawn: HashSet<usize> = drawn.into_iter().take(most).collect();
        let mut start = 0;
        for (_, count) in &mut self.files {
            let end = start + *count;
            *count = (start..end).filter(|row| drawn.contains(row)).count();
            start = end;
        }
        let mut at = 0..;
        self.rows
            .retain(|_| at.next().is_some_and(|row| drawn.contains(&row)));
    }

    /// Encodes all rows.
    ///
    /// # Errors
    /// When a row can't be encoded; its file and line are named.
    pub(crate) fn encode(&self, encoder: &Encoder<'_>) -> Result<Vec<Example>> {
        let (mut examples, mut rest) = (Vec::new(), self.rows.as_slice());
        for (path, count) in &self.files {
            let (rows, others) = rest.split_at(*count);
            let encoded = encoder.encode_all(rows);
            examples.extend(encoded.with_context(|| path.display().to_string())?);
            rest = others;
        }
        Ok(examples)
    }
}

/// The rows of one file, copies included.
fn dataset(path: &Path, task: &Task, labels: Labels, term: &Terminal) -> Result<Dataset> {
    let table = post_data::table(path)?;
    let dataset = task
        .dataset(&table, labels)
        .with_context(|| path.display().to_string())
        .hint("`tasks/README.md` says how a task names its columns")?;
    say_bad(path, &dataset, term);
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use post_core::task::{Head, Label};
    use serde_json::json;
    use tokenizers::Tokenizer;

    const TASK: &str = r#"
name = "small"
template = "{text} was"
init_text = "was"
max_length = 12
[columns]
text = "text"
label = "label"
[[classes]]
name = "0"
words = ["bad"]
[[classes]]
name = "1"
words = ["good"]
"#;

    /// Knows six words and fails on others.
    fn tokenizer() -> Tokenizer {
        let words = ["It", "was", "bad", "good", "one", "two"];
        let vocab: serde_json::Map<_, _> = (0..)
            .zip(words)
            .map(|(i, w)| (w.into(), json!(i)))
            .collect();
        let description = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "none"}
        });
        Tokenizer::from_bytes(description.to_string()).unwrap()
    }

    #[test]
    fn several_files_are_one_data_set_whose_rows_know_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("b.tsv", "text\tlabel\none\t1\ntwo\t0\n");
        write("a.csv", "label,text\n1,one\n0,one\n1,one\n");
        write(
            "c.jsonl",
            "{\"text\":\"two\",\"label\":0}\n{\"text\":\"three\",\"label\":1}\n",
        );
        let task = Task::from_toml(TASK).unwrap();
        let term = Terminal::new(true);
        let patterns = [folder.path().join("*.?sv"), folder.path().join("c.jsonl")];
        let rows = rows(&patterns, &task, Labels::Required, &term).unwrap();
        let texts = rows
            .rows
            .iter()
            .map(|row| (row.line, row.texts[0].as_str(), row.label.clone()));
        let class = |class| Some(Label::Class(class));
        let expected = [
            (2, "one", class(1)),
            (3, "one", class(0)),
            (3, "two", class(0)),
            (2, "three", class(1)),
        ];
        assert_eq!(texts.collect::<Vec<_>>(), expected);

        let tokenizer = tokenizer();
        let encoder = Encoder::new(&task, &tokenizer, 100, Head::Causal).unwrap();
        let error = format!("{:#}", rows.encode(&encoder).unwrap_err());
        assert!(
            error.contains("c.jsonl") && error.contains("line 2"),
            "{error}"
        );
        let known = Rows {
            rows: rows.rows[..3].to_vec(),
            files: rows.files[..2].to_vec(),
        };
        assert_eq!(known.encode(&encoder).unwrap().len(), 3);

        let drawn = |most, seed| {
            let mut rows = Rows {
                rows: rows.rows.clone(),
                files: rows.files.clone(),
            };
            rows.draw(most, seed);
            let counted: usize = rows.files.iter().map(|(_, count)| count).sum();
            assert_eq!(counted, rows.rows.len());
            rows.rows
                .into_iter()
                .map(|row| row.texts[0].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(drawn(9, 0), ["one", "one", "two", "three"]);
        assert_eq!((drawn(2, 0).len(), drawn(2, 0)), (2, drawn(2, 0)));
        assert!((1..20).any(|seed| drawn(2, seed) != drawn(2, 0)));
    }

    #[test]
    fn a_column_that_is_missing_in_one_file_is_named_with_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.csv"), "text,label\none,1\n").unwrap();
        std::fs::write(folder.path().join("b.csv"), "body,label\ntwo,1\n").unwrap();
        let task = Task::from_toml(TASK).unwrap();
        let pattern = [folder.path().join("*.csv")];
        let error = rows(&pattern, &task, Labels::Required, &Terminal::new(true))
            .err()
            .unwrap();
        let error = format!("{error:#}");
        assert!(
            error.contains("b.csv") && error.contains("`text`"),
            "{error}"
        );
    }
}
