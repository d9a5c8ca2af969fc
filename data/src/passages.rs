//! Texts to distil on, out of files of any size: one at a time, never a whole file.

use std::path::Path;

use post_core::task::table::Format;
use post_core::task::{BadReason, BadRow};
use serde_json::{Map, Value};

use crate::lines::Lines;
use crate::separated::Separated;
use crate::unpack::Packing;
use crate::{DataError, parquet, table};

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
/// `.ndjson`, `.csv`, `.tsv`, `.tab`), packed or not. What is blank is skipped.
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
        "csv" | "tsv" | "tab" => of_table(path, inner, column),
        "jsonl" | "ndjson" => Ok(of_json(Lines::open(path)?, column)),
        _ => Ok(Box::new(Texts::new(Lines::open(path)?, |line| {
            Ok(line.to_owned())
        }))),
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

fn of_table(path: &Path, inner: &str, column: &str) -> Result<Passages, DataError> {
    let mut lines = Lines::open(path)?;
    // The first line that isn't blank says what stands between the cells.
    let mut ahead = Vec::new();
    while ahead.trim_ascii().is_empty()
        && let Some(line) = lines.next()
    {
        ahead.extend(line?);
    }
    table::not_packed_parquet(path, &ahead)?;
    match Format::sniff(Some(inner), &ahead) {
        Format::Jsonl => {
            let ahead = ahead.split_inclusive(|&byte| byte == b'\n');
            let ahead: Vec<_> = ahead.map(|line| Ok(line.to_vec())).collect();
            Ok(of_json(ahead.into_iter().chain(lines), column))
        }
        format => Ok(Box::new(Separated::open(
            path, column, format, ahead, lines,
        )?)),
    }
}

fn of_json(
    lines: impl Iterator<Item = Result<Vec<u8>, DataError>> + 'static,
    column: &str,
) -> Passages {
    let column = column.to_owned();
    Box::new(Texts::new(lines, move |line| field(line, &column)))
}

/// A text, unless it is blank.
pub(crate) fn passage(line: usize, text: String) -> Option<Passage> {
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

/// A text in each line.
struct Texts<L, F> {
    lines: L,
    /// Lines that were read.
    line: usize,
    read: F,
}

impl<L, F: Fn(&str) -> Result<String, BadReason>> Texts<L, F> {
    fn new(lines: L, read: F) -> Self {
        Self {
            lines,
            line: 0,
            read,
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

impl<L, F> Iterator for Texts<L, F>
where
    L: Iterator<Item = Result<Vec<u8>, DataError>>,
    F: Fn(&str) -> Result<String, BadReason>,
{
    type Item = Result<Result<Passage, BadRow>, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let bytes = match self.lines.next()? {
                Ok(bytes) => bytes,
                Err(error) => return Some(Err(error)),
            };
            self.line += 1;
            let line = self.line;
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            match self.text(&bytes) {
                Ok(text) => match passage(line, text) {
                    Some(passage) => return Some(Ok(Ok(passage))),
                    None => continue,
                },
                Err(reason) => return Some(Ok(Err(BadRow { line, reason }))),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Lines and texts of a file of that name; of a row that is none, its line alone.
    fn read(name: &str, bytes: &[u8]) -> Result<Vec<(usize, Option<String>)>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let rows = passages(&path, "text")?.map(|row| match row? {
            Ok(passage) => Ok((passage.line, Some(passage.text))),
            Err(bad) => Ok((bad.line, None)),
        });
        rows.collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Three megabytes, some blocks: cells of two lines, blank ones, and rows that are none.
    #[test]
    fn a_packed_table_gives_its_texts_in_their_order() {
        let (mut table, mut expected) = ("\u{feff}label;text\r\n".to_owned(), Vec::new());
        let mut line = 2;
        for row in 0..120_000 {
            let (text, found) = match row % 10 {
                3 => (
                    format!("\"a \"\"{row}\"\"\r\nfilm\""),
                    Some(format!("a \"{row}\"\r\nfilm")),
                ),
                5 => (" ".to_owned(), None),
                7 => (format!("\"{row}\"x"), None),
                _ => (format!("a film of the {row} that were made"), None),
            };
            table += &format!("1;{text}\n");
            match (row % 10, found) {
                (3, found) => expected.push((line, found)),
                (5, _) => {}
                (7, _) => expected.push((line, None)),
                _ => expected.push((line, Some(text))),
            }
            line += 1 + usize::from(row % 10 == 3);
        }
        assert!(table.len() > 3 << 20);
        let found = read("a.csv.gz", &gzip(table.as_bytes())).unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_name_between_kinds_of_text_is_not_believed() {
        let json = "\n{\"text\":\"one\"}\n{\"text\":\"two\"}\n";
        let found = read("a.csv", json.as_bytes()).unwrap();
        let expected = [(2, Some("one".into())), (3, Some("two".into()))];
        assert_eq!(found, expected);
        let says = |name: &str, bytes: &[u8], words: &[&str]| {
            let error = read(name, bytes).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        };
        says("a.csv.gz", &gzip(b"PAR1"), &["a.csv.gz", "packed Parquet"]);
        says("a.csv", b"\xff\xfet\0\n\0", &["a.csv", "UTF-16"]);
        says("a.csv", b"\n\n", &["a.csv", "empty"]);
        says("a.tsv", b"body\tlabel\n", &["`text`", "body, label"]);
        says("a.csv", b"text,\"label\n", &["line 1", "never closed"]);
    }
}
