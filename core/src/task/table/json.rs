//! JSON lines: one object a line, its keys the columns.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{BadReason, BadRow, Table, TableError, TableRow};

/// Bytes that cells may take for each byte of the file.
const RATIO: u64 = 256;
/// Bytes that they may take in any case.
const FREE: u64 = 64 << 20;

/// Reads every line. Columns are all keys that occur, sorted; a key that a row lacks is an empty
/// cell, as is `null`.
pub(super) fn read(bytes: &[u8]) -> Result<Table, TableError> {
    let mut table = Table::default();
    let mut objects = Vec::new();
    let mut columns = BTreeMap::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match object(line) {
            Ok(cells) => {
                columns.extend(cells.keys().map(|key| (key.clone(), 0)));
                objects.push((index + 1, cells));
            }
            Err(reason) => table.bad.push(BadRow {
                line: index + 1,
                reason,
            }),
        }
    }
    if objects.is_empty() {
        return Err(match table.bad.into_iter().next() {
            Some(BadRow { line, reason }) => TableError::Header { line, reason },
            None => TableError::Empty,
        });
    }
    affordable(objects.len(), columns.len(), bytes.len())?;
    for (index, position) in columns.values_mut().enumerate() {
        *position = index;
    }
    table.rows = objects
        .into_iter()
        .map(|(line, object)| row(line, object, &columns))
        .collect();
    table.columns = columns.into_keys().collect();
    Ok(table)
}

/// Every row gets a cell for every key, so lines with a key of their own each would fill the memory.
fn affordable(rows: usize, columns: usize, bytes: usize) -> Result<(), TableError> {
    let cells = (rows as u64).saturating_mul(columns as u64);
    let taken = cells.saturating_mul(size_of::<String>() as u64);
    match taken > FREE.max((bytes as u64).saturating_mul(RATIO)) {
        true => Err(TableError::Sparse { rows, columns }),
        false => Ok(()),
    }
}

fn row(
    line: usize,
    object: BTreeMap<String, String>,
    columns: &BTreeMap<String, usize>,
) -> TableRow {
    let mut cells = vec![String::new(); columns.len()];
    for (key, cell) in object {
        cells[columns[&key]] = cell;
    }
    TableRow { line, cells }
}

/// The object on one line, every value as text.
fn object(line: &[u8]) -> Result<BTreeMap<String, String>, BadReason> {
    let line = std::str::from_utf8(line).map_err(|error| BadReason::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    let object: Map<String, Value> =
        serde_json::from_str(line).map_err(|error| BadReason::NotAnObject(plain(&error)))?;
    object
        .into_iter()
        .map(|(column, value)| match text(value) {
            Some(text) => Ok((column, text)),
            None => Err(BadReason::Nested { column }),
        })
        .collect()
}

/// serde_json counts lines within what it is given, which here is always one.
fn plain(error: &serde_json::Error) -> String {
    error.to_string().replace("at line 1 column", "at column")
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::String(value) => Some(value),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_become_text_and_missing_keys_empty_cells() {
        let table =
            read(b"{\"t\":\"a\\nb\",\"l\":1}\r\n\n{\"l\":true}\n{\"t\":null,\"x\":0.5}").unwrap();
        assert_eq!(table.columns, ["l", "t", "x"]);
        let rows: Vec<_> = table
            .rows
            .iter()
            .map(|r| (r.line, r.cells.join("|")))
            .collect();
        assert_eq!(
            rows,
            [
                (1, "1|a\nb|".into()),
                (3, "true||".into()),
                (4, "||0.5".into())
            ]
        );
    }

    #[test]
    fn lines_that_are_no_flat_object_are_kept_apart() {
        let table = read(b"{\"t\":1}\n[1]\n{\"t\":[1]}\n{\"t\":\n{\"t\":\"\xff\"}").unwrap();
        assert_eq!(table.rows.len(), 1);
        let lines: Vec<_> = table.bad.iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [2, 3, 4, 5]);
        assert_eq!(
            table.bad[1].reason,
            BadReason::Nested { column: "t".into() }
        );
        assert!(matches!(table.bad[3].reason, BadReason::NotUtf8 { at: 6 }));
    }

    #[test]
    fn keys_of_each_lines_own_do_not_fill_the_memory() {
        let lines = |rows: usize| (0..rows).map(|row| format!("{{\"{row}\":1}}\n"));
        let table = read(lines(1000).collect::<String>().as_bytes()).unwrap();
        assert_eq!((table.rows.len(), table.columns.len()), (1000, 1000));
        // A megabyte of these would be a hundred gigabytes of cells.
        let (rows, columns) = (90_000, 90_000);
        assert_eq!(
            read(lines(rows).collect::<String>().as_bytes()),
            Err(TableError::Sparse { rows, columns })
        );
    }

    #[test]
    fn a_file_without_any_object_is_an_error() {
        assert!(matches!(
            read(b"text,label\n"),
            Err(TableError::Header { line: 1, .. })
        ));
    }
}
