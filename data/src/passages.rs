//! Texts to distil on, out of files of any size: one at a time, never a whole file.

use std::path::{Path, PathBuf};

use post_core::task::{BadReason, BadRow};
use serde_json::{Map, Value};

use crate::unpack::{self, Packing, Unpacked};
use crate::{DataError, parquet, table};

/// The longest line that is read: a thick book.
const LINE: usize = 16 << 20;

/// One text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Line of the file, from 1; in Parquet the row.
    pub line: usize,
    /// The text, not blank.
    pub text: String,
}

/// A file's texts in its order. A row that is none says why, and reading goes on; after an error it
/// ends.
pub type Passages = Box<dyn Iterator<Item = Result<Result<Passage, BadRow>, DataError>>>;

/// The texts of a file: the lines of plain text, or the `column` of a table (`.parquet`, `.jsonl`,
/// `.ndjson`, `.csv`, `.tsv`, `.tab`), packed or not. What is blank is skipped. CSV and TSV are held in
/// memory, a file at a time, because a quote may close anywhere; the others are not.
///
/// # Errors
/// [`DataError`] where the file can't be opened or has no such column.
pub fn passages(path: &Path, column: &str) -> Result<Passages, DataError> {
    if parquet::is(path) {
        return of_parquet(path, column);
    }
    let name = path.to_string_lossy();
    let (_, inner) = Packing::of_name(&name);
    table::not_parquet(path, inner)?;
    let ending = inner.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending.to_ascii_lowercase().as_str() {
        "csv" | "tsv" | "tab" => of_table(path, column),
        "jsonl" | "ndjson" => {
            let column = column.to_owned();
            let read = move |line: &str| field(line, &column);
            Ok(Box::new(Lines::open(path, read)?))
        }
        _ => Ok(Box::new(Lines::open(path, |line| Ok(line.to_owned()))?)),
    }
}

fn of_parquet(path: &Path, column: &str) -> Result<Passages, DataError> {
    let rows = parquet::Rows::open(path, |name| name == column);
    let rows = rows.map_err(|error| match error {
        DataError::Columns { path, reason } => DataError::NoColumn {
            path,
            column: column.to_owned(),
            columns: reason,
        },
        other => other,
    })?;
    Ok(Box::new(rows.filter_map(|row| match row {
        Ok((line, Ok(mut cells))) => passage(line, cells.swap_remove(0)).map(|p| Ok(Ok(p))),
        Ok((line, Err(reason))) => Some(Ok(Err(BadRow { line, reason }))),
        Err(error) => Some(Err(error)),
    })))
}

fn of_table(path: &Path, column: &str) -> Result<Passages, DataError> {
    let table = table(path)?;
    let at = table.column(column).ok_or_else(|| DataError::NoColumn {
        path: path.to_owned(),
        column: column.to_owned(),
        columns: table.columns.join(", "),
    })?;
    let bad = table.bad.into_iter().map(|bad| Ok(Err(bad)));
    let rows = table.rows.into_iter().filter_map(move |mut row| {
        passage(row.line, row.cells.swap_remove(at)).map(|passage| Ok(Ok(passage)))
    });
    Ok(Box::new(bad.chain(rows)))
}

fn passage(line: usize, text: String) -> Option<Passage> {
    (!text.trim().is_empty()).then_some(Passage { line, text })
}

/// The text in one line of JSON; other fields may hold anything.
fn field(line: &str, column: &str) -> Result<String, BadReason> {
    let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| {
        let reason = error.to_string();
        BadReason::NotAnObject(reason.replace("at line 1 column", "at column"))
    })?;
    match object.get(column) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Null) => Ok(String::new()),
        None => Err(BadReason::NoText {
            columns: format!("`{column}`; name another column with --text-column"),
        }),
        Some(Value::Array(_) | Value::Object(_)) => Err(BadReason::Nested {
            column: column.to_owned(),
        }),
        Some(other) => Ok(other.to_string()),
    }
}

struct Lines<F> {
    path: PathBuf,
    file: Unpacked,
    line: usize,
    read: F,
    over: bool,
}

impl<F: Fn(&str) -> Result<String, BadReason>> Lines<F> {
    fn open(path: &Path, read: F) -> Result<Self, DataError> {
        Ok(Self {
            path: path.to_owned(),
            file: unpack::open(path)?,
            line: 0,
            read,
            over: false,
        })
    }

    /// The next line that isn't blank.
    fn passage(&mut self) -> Result<Option<Result<Passage, BadRow>>, DataError> {
        loop {
            let bytes = self.file.line(LINE, &self.path)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            self.line += 1;
            let line = self.line;
            if bytes.len() == LINE && !bytes.ends_with(b"\n") {
                let (path, limit) = (self.path.clone(), LINE);
                return Err(DataError::Line { path, line, limit });
            }
            let bytes = match line {
                1 => bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes),
                _ => &bytes,
            };
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            match self.text(bytes) {
                Ok(text) => match passage(line, text) {
                    Some(passage) => return Ok(Some(Ok(passage))),
                    None => continue,
                },
                Err(reason) => return Ok(Some(Err(BadRow { line, reason }))),
            }
        }
    }

    fn text(&self, bytes: &[u8]) -> Result<String, BadReason> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|error| BadReason::NotUtf8 {
            at: error.valid_up_to(),
        })?;
        (self.read)(text)
    }
}

impl<F: Fn(&str) -> Result<String, BadReason>> Iterator for Lines<F> {
    type Item = Result<Result<Passage, BadRow>, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.passage().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}
