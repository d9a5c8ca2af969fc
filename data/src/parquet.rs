//! Parquet, as the Hugging Face hub and most data tools write it: columns of plain values, as text.
//!
//! Columns of lists and structures are left out; no task can read one.

use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parquet::basic::{Compression, Repetition};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;
use post_core::task::{BadReason, BadRow, Table, TableError, table::TableRow};

use crate::DataError;
use crate::pages::Watched;
use crate::unpack::allowed;

/// How a Parquet file begins.
pub(crate) const MAGIC: &[u8] = b"PAR1";
/// What a cell takes beside its text.
const CELL: u64 = size_of::<String>() as u64;

/// Whether the file begins as Parquet.
pub(crate) fn is(path: &Path) -> bool {
    // A pipe must not lose its first bytes here.
    let Some(Ok(mut file)) = path.is_file().then(|| File::open(path)) else {
        return false;
    };
    let mut begin = [0; MAGIC.len()];
    file.read_exact(&mut begin).is_ok() && begin == *MAGIC
}

/// The whole table.
pub(crate) fn table(path: &Path) -> Result<Table, DataError> {
    let mut rows = Rows::open(path, |_| true)?;
    let mut table = Table {
        columns: rows.columns.clone(),
        ..Table::default()
    };
    for row in &mut rows {
        let (line, cells) = row?;
        match cells {
            Ok(cells) => table.rows.push(TableRow { line, cells }),
            Err(reason) => table.bad.push(BadRow { line, reason }),
        }
    }
    if table.rows.is_empty() && table.bad.is_empty() {
        return Err(DataError::table(path)(TableError::Empty));
    }
    Ok(table)
}

/// One file's rows, one after the other.
pub(crate) struct Rows {
    path: PathBuf,
    columns: Vec<String>,
    rows: RowIter<'static>,
    /// Rows that were read.
    line: usize,
    /// Bytes that cells took, and may take.
    taken: u64,
    limit: u64,
    broken: bool,
}

/// A row's number, from 1, and its cells.
type Row = (usize, Result<Vec<String>, BadReason>);

impl Rows {
    /// The columns of plain values whose names are `wanted`.
    pub(crate) fn open(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Self, DataError> {
        let file = File::open(path).map_err(DataError::io(path))?;
        let length = file.metadata().map_err(DataError::io(path))?.len();
        let reader = guarded(|| SerializedFileReader::new(file)).map_err(damaged(path))?;
        readable(reader.metadata(), path)?;
        let schema = reader.metadata().file_metadata().schema().clone();
        let plain = plain(&schema);
        let columns: Vec<String> = plain.iter().map(|field| field.name().to_owned()).collect();
        distinct(&columns, path)?;
        let chosen: Vec<_> = plain
            .into_iter()
            .filter(|field| wanted(field.name()))
            .collect();
        if chosen.is_empty() {
            return Err(no_column(path, &columns));
        }
        let reader = Watched {
            reader,
            limit: allowed(length),
        };
        let columns = chosen.iter().map(|field| field.name().to_owned()).collect();
        let projection = Type::group_type_builder(schema.name())
            .with_fields(chosen)
            .build();
        let rows = guarded(|| RowIter::from_file_into(Box::new(reader)).project(Some(projection?)));
        Ok(Self {
            path: path.to_owned(),
            columns,
            rows: rows.map_err(damaged(path))?,
            line: 0,
            taken: 0,
            limit: allowed(length),
            broken: false,
        })
    }

    fn row(&mut self) -> Result<Option<Row>, DataError> {
        let next = guarded(|| self.rows.next().transpose());
        let Some(row) = next.map_err(damaged(&self.path))? else {
            return Ok(None);
        };
        self.line += 1;
        let cells: Result<Vec<_>, _> = row.into_columns().into_iter().map(text).collect();
        for cell in cells.iter().flatten() {
            self.taken += CELL + cell.len() as u64;
        }
        if self.taken > self.limit {
            return Err(DataError::TooLarge {
                path: self.path.clone(),
                limit: self.limit,
            });
        }
        Ok(Some((self.line, cells)))
    }
}

impl Iterator for Rows {
    type Item = Result<Row, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let row = self.row().transpose();
        self.broken = matches!(row, Some(Err(_)));
        row
    }
}

/// The columns that hold one plain value a row.
fn plain(schema: &Type) -> Vec<std::sync::Arc<Type>> {
    let single = |field: &std::sync::Arc<Type>| {
        let info = field.get_basic_info();
        field.is_primitive()
            && !(info.has_repetition() && info.repetition() == Repetition::REPEATED)
    };
    let fields = schema.get_fields().iter();
    fields.filter(|field| single(field)).cloned().collect()
}

/// Every codec is one that this program has.
fn readable(metadata: &ParquetMetaData, path: &Path) -> Result<(), DataError> {
    let groups = metadata.row_groups().iter();
    let mut codecs = groups.flat_map(|group| group.columns().iter().map(|c| c.compression()));
    let other = codecs.find(|codec| {
        !matches!(
            codec,
            Compression::UNCOMPRESSED
                | Compression::SNAPPY
                | Compression::GZIP(_)
                | Compression::ZSTD(_)
        )
    });
    other.map_or(Ok(()), |codec| {
        Err(DataError::Columns {
            path: path.to_owned(),
            reason: format!(
                "its columns are packed with {codec}; write it anew with snappy, gzip or zstd"
            ),
        })
    })
}

fn distinct(columns: &[String], path: &Path) -> Result<(), DataError> {
    let twice = (1..columns.len()).find(|&index| columns[..index].contains(&columns[index]));
    twice.map_or(Ok(()), |index| {
        Err(DataError::Columns {
            path: path.to_owned(),
            reason: format!("two columns are named `{}`; rename one", columns[index]),
        })
    })
}

fn no_column(path: &Path, columns: &[String]) -> DataError {
    let reason = if columns.is_empty() {
        "no column holds plain values, only lists and structures; export the text as a column"
            .into()
    } else {
        format!("its columns of plain values are {}", columns.join(", "))
    };
    let path = path.to_owned();
    DataError::Columns { path, reason }
}

/// A value as JSON lines would give it.
fn text((column, value): (String, Field)) -> Result<String, BadReason> {
    match value {
        Field::Null => Ok(String::new()),
        Field::Str(text) => Ok(text),
        // Some writers don't say that their strings are strings.
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(BadReason::NotUtf8 {
                at: error.valid_up_to(),
            }),
        },
        Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => {
            Err(BadReason::Nested { column })
        }
        // As JSON has them: 0.0, 1e-7.
        Field::Float(number) => Ok(format!("{number:?}")),
        Field::Double(number) => Ok(format!("{number:?}")),
        other => Ok(other.to_string()),
    }
}

/// The library panics on some damaged files; that is an error of the file, like any other.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("its pages contradict its footer".to_owned()),
    }
}

fn damaged(path: &Path) -> impl Fn(String) -> DataError {
    |reason| DataError::damaged(path, "Parquet", reason)
}
