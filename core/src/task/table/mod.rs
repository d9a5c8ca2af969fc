//! CSV, TSV and JSON lines, from bytes to rows; what is not a row is kept with its line and reason.
//!
//! UTF-8 with or without byte order mark, `\n` or `\r\n`. A blank line is not a row.

mod json;
mod separated;
mod sniff;

use std::collections::BTreeSet;

pub use sniff::Format;

/// Why a line is not a row. Quotes the data, so it is for its owner's eyes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReason {
    /// More or fewer cells than columns.
    #[error(
        "it has {found} cells where the header has {expected}; is a separator or a quote missing or unescaped?"
    )]
    Ragged {
        /// Cells in this row.
        found: usize,
        /// Columns of the table.
        expected: usize,
    },
    /// Bytes that are not UTF-8.
    #[error("byte {at} of it is not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// Offset from the start of the row.
        at: usize,
    },
    /// A quoted cell without end.
    #[error(
        "a quote is opened in it and never closed; close it, or write \"\" for a quote inside a cell"
    )]
    OpenQuote,
    /// `"a"b`.
    #[error("text follows a closing quote in it; write \"\" for a quote inside a cell")]
    AfterQuote,
    /// Not one JSON object.
    #[error("it is not a JSON object: {0}")]
    NotAnObject(String),
    /// A list or an object where a text is expected.
    #[error(
        "its `{column}` is a list or an object; only text, numbers, true, false and null are read"
    )]
    Nested {
        /// The column.
        column: String,
    },
    /// Nothing for the model to read.
    #[error("it has no text in {columns}")]
    NoText {
        /// The text columns.
        columns: String,
    },
    /// No label.
    #[error("its label column `{column}` is empty")]
    NoLabel {
        /// The label column.
        column: String,
    },
    /// A label that no class lists.
    #[error(
        "its label `{value}` belongs to no class (known are {known}); add it to a class's `values` or to `ignored_labels`"
    )]
    UnknownLabel {
        /// The value found, shortened.
        value: String,
        /// The values that the task lists.
        known: String,
    },
    /// An answer that would be over before it is complete.
    #[error(
        "its answer in `{column}` holds {end:?}, which ends an answer; give the task another `end` under [answer]"
    )]
    EndWithin {
        /// The label column.
        column: String,
        /// The text that ends an answer.
        end: String,
    },
}

/// A line that is not a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} left out: {reason}")]
pub struct BadRow {
    /// Line of the file where it starts, from 1.
    pub line: usize,
    /// Why.
    pub reason: BadReason,
}

/// One row and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// Line of the file where it starts, from 1.
    pub line: usize,
    /// One cell for each column.
    pub cells: Vec<String>,
}

/// A table in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// Headers, distinct and not blank.
    pub columns: Vec<String>,
    /// The rows that could be read.
    pub rows: Vec<TableRow>,
    /// The ones that could not.
    pub bad: Vec<BadRow>,
}

/// Why a file is no table at all; callers add its path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// No bytes but blanks.
    #[error("the file is empty; a table needs a header and rows")]
    Empty,
    /// Excel's "Unicode text".
    #[error("the file is UTF-16; save it as UTF-8 (in Excel: CSV UTF-8)")]
    Utf16,
    /// A file that has to be unpacked or exported first.
    #[error("the file is {kind}, not text; {way_out}")]
    NotText {
        /// What it is, with its article.
        kind: &'static str,
        /// What to do about it.
        way_out: &'static str,
    },
    /// The header row cannot be read.
    #[error("line {line}, the header, does not read: {reason}")]
    Header {
        /// Its line.
        line: usize,
        /// Why.
        reason: BadReason,
    },
    /// The same header twice.
    #[error("line {line}: two columns are named `{column}`; rename one")]
    SameColumn {
        /// Line of the header.
        line: usize,
        /// The name.
        column: String,
    },
    /// JSON lines of which hardly two have a key in common.
    #[error(
        "its {rows} rows have {columns} different keys together, so that almost every cell would be empty; keep the keys that are needed"
    )]
    Sparse {
        /// Rows.
        rows: usize,
        /// Different keys.
        columns: usize,
    },
    /// A column without name, next to others that have one.
    #[error("line {line}: column {number} has no name; give it one")]
    NamelessColumn {
        /// Line of the header.
        line: usize,
        /// Which column, from 1.
        number: usize,
    },
}

/// Reads a table whose first row is its header (in JSON lines: the keys).
///
/// # Errors
/// [`TableError`] where there is no usable header; single rows that do not read are in
/// [`Table::bad`].
pub fn read(bytes: &[u8], format: Format) -> Result<Table, TableError> {
    match format.separator() {
        Some(separator) => {
            let bytes = utf8_body(bytes)?;
            let mut records = separated::records(bytes, separator);
            let header = records.next().ok_or(TableError::Empty)?;
            let (line, columns) = (header.line, header.cells);
            let columns = columns.map_err(|reason| TableError::Header { line, reason })?;
            check_header(&columns, line)?;
            Ok(collect(columns, records))
        }
        None => json::read(utf8_body(bytes)?),
    }
}

/// Reads separated values that have no header: `columns` are the names of the cells in order.
///
/// # Errors
/// [`TableError`] as for [`read`]; JSON lines carry their own names, so `columns` is unused there.
pub fn read_headerless(
    bytes: &[u8],
    format: Format,
    columns: &[&str],
) -> Result<Table, TableError> {
    let Some(separator) = format.separator() else {
        return read(bytes, format);
    };
    let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
    check_header(&columns, 1)?;
    let table = collect(columns, separated::records(utf8_body(bytes)?, separator));
    if table.rows.is_empty() && table.bad.is_empty() {
        return Err(TableError::Empty);
    }
    Ok(table)
}

impl Table {
    /// Index of a column; space around its name does not count.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|column| column.trim() == name.trim())
    }
}

const UNPACK: &str = "unpack it, or give it to post-native as it is";
const EXPORT: &str = "export it as CSV (in pandas: `to_csv`), or give it to post-native as it is";

/// How files begin that people take for tables, what they are, and what to do.
const NO_TEXT: [(&[u8], &str, &str); 7] = [
    (b"\x1f\x8b", "packed with gzip", UNPACK),
    (b"BZh9", "packed with bzip2", UNPACK),
    (b"\x28\xb5\x2f\xfd", "packed with Zstandard", UNPACK),
    (b"\xfd7zXZ\0", "packed with xz", "unpack it"),
    (b"PAR1", "Parquet", EXPORT),
    (b"ARROW1", "Arrow", "export it as CSV or Parquet"),
    (
        b"PK\x03\x04",
        "a zip archive or a workbook",
        "unpack it, or save the sheet as CSV UTF-8",
    ),
];

/// What follows the byte order mark.
fn utf8_body(bytes: &[u8]) -> Result<&[u8], TableError> {
    let other = NO_TEXT.iter().find(|(head, ..)| bytes.starts_with(head));
    if let Some(&(_, kind, way_out)) = other {
        return Err(TableError::NotText { kind, way_out });
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(TableError::Utf16);
    }
    Ok(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
}

fn check_header(columns: &[String], line: usize) -> Result<(), TableError> {
    let mut seen = BTreeSet::new();
    for (index, column) in columns.iter().enumerate() {
        let name = column.trim();
        // pandas writes its row numbers under an empty header; everything else blank is a mistake.
        if name.is_empty() && (index > 0 || columns.len() == 1) {
            return Err(TableError::NamelessColumn {
                line,
                number: index + 1,
            });
        }
        if !seen.insert(name) {
            return Err(TableError::SameColumn {
                line,
                column: name.to_owned(),
            });
        }
    }
    Ok(())
}

fn collect(columns: Vec<String>, records: impl Iterator<Item = separated::Record>) -> Table {
    let expected = columns.len();
    let mut table = Table {
        columns,
        ..Table::default()
    };
    for separated::Record { line, cells } in records {
        let reason = match cells {
            Ok(cells) if cells.len() == expected => {
                table.rows.push(TableRow { line, cells });
                continue;
            }
            Ok(cells) => BadReason::Ragged {
                found: cells.len(),
                expected,
            },
            Err(reason) => reason,
        };
        table.bad.push(BadRow { line, reason });
    }
    table
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn byte_order_marks_are_understood() {
        let table = read(b"\xef\xbb\xbfa,b\r\n1,2\r\n", Format::Csv).unwrap();
        assert_eq!(table.columns, ["a", "b"]);
        assert_eq!(
            table.rows,
            [TableRow {
                line: 2,
                cells: vec!["1".into(), "2".into()]
            }]
        );
        assert_eq!(read(b"\xff\xfea\0,\0", Format::Csv), Err(TableError::Utf16));
    }

    #[test]
    fn files_that_are_no_text_are_named() {
        for (head, kind, way_out) in NO_TEXT {
            for format in [Format::Csv, Format::Jsonl] {
                let error = read(&[head, b"text,label\n"].concat(), format).unwrap_err();
                assert_eq!(error, TableError::NotText { kind, way_out });
            }
        }
    }

    #[test]
    fn headers_must_be_distinct_and_named() {
        let same = read(b"a, a\n1,2\n", Format::Csv);
        assert_eq!(
            same,
            Err(TableError::SameColumn {
                line: 1,
                column: "a".into()
            })
        );
        let nameless = read(b"\na,\n1,2\n", Format::Csv);
        assert_eq!(
            nameless,
            Err(TableError::NamelessColumn { line: 2, number: 2 })
        );
        assert_eq!(read(b",a\n0,x\n", Format::Csv).unwrap().rows.len(), 1);
        assert_eq!(read(b"\n\r\n", Format::Csv), Err(TableError::Empty));
        assert_eq!(read(b"", Format::Jsonl), Err(TableError::Empty));
    }

    #[test]
    fn ragged_rows_are_kept_apart_with_their_line() {
        let table = read(b"a,b\n1,2\n3\n\n4,5,6\n7,8", Format::Csv).unwrap();
        let lines: Vec<_> = table.rows.iter().map(|row| row.line).collect();
        assert_eq!(lines, [2, 6]);
        let bad: Vec<_> = table.bad.iter().map(ToString::to_string).collect();
        assert!(
            bad[0].starts_with("line 3") && bad[0].contains("1 cells"),
            "{bad:?}"
        );
        assert!(
            bad[1].starts_with("line 5") && bad[1].contains("3 cells"),
            "{bad:?}"
        );
    }

    #[test]
    fn headerless_files_take_names() {
        let names = ["label", "text"];
        let table = read_headerless(b"\"1\",\"a\"\n2,b\n", Format::Csv, &names).unwrap();
        assert_eq!((table.rows[0].line, table.rows.len()), (1, 2));
        assert_eq!(table.column(" text"), Some(1));
        assert_eq!(
            read_headerless(b"\n", Format::Csv, &names),
            Err(TableError::Empty)
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_rows_fit_the_header(
            bytes in prop::collection::vec(prop::sample::select(b"a,\"\t;\n\r{}:1\xff\xc3 ".to_vec()), 0..200)
        ) {
            for format in [Format::Csv, Format::Semicolon, Format::Tsv, Format::Jsonl, Format::sniff(None, &bytes)] {
                let Ok(table) = read(&bytes, format) else { continue };
                let lines = bytes.iter().filter(|&&b| b == b'\n').count() + 1;
                for row in &table.rows {
                    prop_assert_eq!(row.cells.len(), table.columns.len());
                    prop_assert!(row.line <= lines);
                }
                prop_assert!(table.bad.iter().all(|bad| bad.line <= lines));
            }
        }

        #[test]
        fn any_cells_survive_csv_quoting(
            rows in prop::collection::vec(prop::collection::vec("[a-z,\"\n\r;\té]{0,8}", 2), 1..6)
        ) {
            let quote = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let mut text = String::from("x,y\n");
            for row in &rows {
                text += &(row.iter().map(quote).collect::<Vec<_>>().join(",") + "\r\n");
            }
            let table = read(text.as_bytes(), Format::Csv).unwrap();
            let read: Vec<_> = table.rows.into_iter().map(|row| row.cells).collect();
            prop_assert_eq!(read, rows);
        }
    }
}
