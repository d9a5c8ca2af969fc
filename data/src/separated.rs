//! The texts in a column of CSV or TSV, block by block.
//!
//! A quote may close lines later. So a block ends before the first record that is open at its end, which
//! then begins the next block; each block is read as a table of its own, behind the file's header. What
//! comes out is what the whole table would give, but for records that are longer than a line may be:
//! their quote counts as never closed.

use std::path::{Path, PathBuf};
use std::vec;

use post_core::task::table::{self, Format};
use post_core::task::{BadReason, BadRow, Table, TableError};

use crate::DataError;
use crate::lines::LONGEST;
use crate::passages::{Passage, passage};

/// Bytes that are read as one table, or more where a record is longer.
const BLOCK: usize = 1 << 20;

/// A table whose rows come one after the other.
pub(crate) struct Separated<L> {
    path: PathBuf,
    format: Format,
    /// Which column holds the text.
    column: usize,
    lines: L,
    /// No line is left.
    over: bool,
    /// The header, and what was read of the rows and is not a row yet.
    buffer: Vec<u8>,
    /// Bytes of the header.
    header: usize,
    /// Lines behind the header that the buffer has let go of.
    gone: usize,
    rows: vec::IntoIter<Result<Passage, BadRow>>,
    block: usize,
    longest: usize,
}

impl<L: Iterator<Item = Result<Vec<u8>, DataError>>> Separated<L> {
    /// Reads the header, and the first rows. `ahead` are the lines that were read before.
    ///
    /// # Errors
    /// [`DataError`] where there is no such column, no usable header, or a line can't be read.
    pub(crate) fn open(
        path: &Path,
        column: &str,
        format: Format,
        ahead: Vec<u8>,
        lines: L,
    ) -> Result<Self, DataError> {
        Self::in_blocks(path, column, format, ahead, lines, [BLOCK, LONGEST])
    }

    fn in_blocks(
        path: &Path,
        column: &str,
        format: Format,
        ahead: Vec<u8>,
        lines: L,
        [block, longest]: [usize; 2],
    ) -> Result<Self, DataError> {
        let mut rows = Self {
            path: path.to_owned(),
            format,
            column: 0,
            lines,
            over: false,
            buffer: ahead,
            header: 0,
            gone: 0,
            rows: Vec::new().into_iter(),
            block,
            longest,
        };
        let table = rows.first_block()?;
        rows.column = table.column(column).ok_or_else(|| DataError::NoColumn {
            path: path.to_owned(),
            column: column.to_owned(),
            columns: table.columns.join(", "),
        })?;
        let firsts = [
            table.rows.first().map(|row| row.line),
            table.bad.first().map(|bad| bad.line),
        ];
        let first = firsts.into_iter().flatten().min();
        rows.header = first.map_or(rows.buffer.len(), |line| start(&rows.buffer, line));
        rows.keep(table);
        Ok(rows)
    }

    /// The table at the file's begin, with its whole header.
    fn first_block(&mut self) -> Result<Table, DataError> {
        loop {
            self.fill()?;
            let read = table::read(&self.buffer, self.format);
            let goes_on = match &read {
                Err(TableError::Empty) => true,
                Err(TableError::Header { reason, .. }) => *reason == BadReason::OpenQuote,
                _ => false,
            };
            if self.over || !goes_on || self.buffer.len() >= self.longest {
                return read.map_err(DataError::table(&self.path));
            }
        }
    }

    /// Reads a block of lines, or as much again as a record has that no block held.
    fn fill(&mut self) -> Result<(), DataError> {
        let enough = self.block.max(2 * self.buffer.len());
        while self.buffer.len() < enough {
            match self.lines.next() {
                Some(line) => self.buffer.extend(line?),
                None => {
                    self.over = true;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Makes rows of the buffer, as far as what is yet to be read can't change them.
    fn keep(&mut self, table: Table) {
        let open = self.open_record(&table.bad);
        let end = open.map_or(self.buffer.len(), |line| start(&self.buffer, line));
        let before = |line: usize| open.is_none_or(|open| line < open);
        let texts = table.rows.into_iter().filter(|row| before(row.line));
        let texts = texts.filter_map(|mut row| {
            let line = row.line + self.gone;
            let text = row.cells.swap_remove(self.column);
            passage(line, text).map(|passage| (line, Ok(passage)))
        });
        let bad = table.bad.into_iter().filter(|bad| before(bad.line));
        let bad = bad.map(|bad| {
            let line = bad.line + self.gone;
            (line, Err(BadRow { line, ..bad }))
        });
        let mut rows: Vec<_> = texts.chain(bad).collect();
        rows.sort_by_key(|(line, _)| *line);
        let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
        self.rows = rows.into_iter();
        self.gone += breaks(&self.buffer[self.header..end]);
        self.buffer.drain(self.header..end);
    }

    /// The line of the first record whose quote may close in what is yet to be read.
    fn open_record(&self, bad: &[BadRow]) -> Option<usize> {
        // One that begins before this is as long as any may be.
        let given_up = self.buffer.len().saturating_sub(self.longest);
        let last = 1 + breaks(&self.buffer[..given_up]);
        let open = |bad: &&BadRow| bad.reason == BadReason::OpenQuote && bad.line > last;
        bad.iter()
            .find(open)
            .map(|bad| bad.line)
            .filter(|_| !self.over)
    }

    fn next_block(&mut self) -> Result<(), DataError> {
        self.fill()?;
        let table = table::read(&self.buffer, self.format).map_err(DataError::table(&self.path))?;
        self.keep(table);
        Ok(())
    }
}

impl<L: Iterator<Item = Result<Vec<u8>, DataError>>> Iterator for Separated<L> {
    type Item = Result<Result<Passage, BadRow>, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.rows.next() {
                return Some(Ok(row));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.next_block() {
                self.over = true;
                return Some(Err(error));
            }
        }
    }
}

fn breaks(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

/// Where a line begins, counted from 1.
fn start(bytes: &[u8], line: usize) -> usize {
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    match line {
        0 | 1 => 0,
        _ => ends.nth(line - 2).map_or(bytes.len(), |(at, _)| at + 1),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use post_core::optim::SplitMix64;

    /// A line, and the text that begins there or why there is none.
    type Row = (usize, Result<String, BadReason>);

    fn lines(bytes: &[u8]) -> Vec<Result<Vec<u8>, DataError>> {
        let lines = bytes.split_inclusive(|&byte| byte == b'\n');
        lines.map(|line| Ok(line.to_vec())).collect()
    }

    fn plain(row: Result<Passage, BadRow>) -> Row {
        match row {
            Ok(passage) => (passage.line, Ok(passage.text)),
            Err(bad) => (bad.line, Err(forgetful(bad.reason))),
        }
    }

    /// Of bytes behind a broken record, which one is named depends on what was read before.
    fn forgetful(reason: BadReason) -> BadReason {
        match reason {
            BadReason::NotUtf8 { .. } => BadReason::NotUtf8 { at: 0 },
            other => other,
        }
    }

    fn in_blocks(bytes: &[u8], column: &str, format: Format, sizes: [usize; 2]) -> Vec<Row> {
        let lines = lines(bytes).into_iter();
        let path = Path::new("a.csv");
        let rows = Separated::in_blocks(path, column, format, Vec::new(), lines, sizes).unwrap();
        rows.map(|row| plain(row.unwrap())).collect()
    }

    fn whole(table: Table) -> Vec<Row> {
        let texts = table
            .rows
            .into_iter()
            .map(|row| (row.line, Ok(row.cells[0].clone())));
        let texts = texts.filter(|(_, text)| !matches!(text, Ok(text) if text.trim().is_empty()));
        let bad = table
            .bad
            .into_iter()
            .map(|bad| (bad.line, Err(forgetful(bad.reason))));
        let mut rows: Vec<Row> = texts.chain(bad).collect();
        rows.sort_by_key(|(line, _)| *line);
        rows
    }

    #[test]
    fn blocks_give_what_the_whole_table_gives() {
        let mut random = SplitMix64::new(7);
        let pieces = [
            "a", "\"", "\"\"", ",", ";", "\t", "\n", "\n", "\r\n", "\"b\"", "\"c\nd\"", "é",
        ];
        let mut tables = 0;
        for _ in 0..20_000 {
            let mut text =
                ["x,y\n", "x\n", "\n\"x\n\",y\r\n", "x;y\n", "\"x\n"][random.below(5)].to_owned();
            text.extend((0..random.below(40)).map(|_| pieces[random.below(pieces.len())]));
            let mut bytes = text.into_bytes();
            if random.below(8) == 0 {
                let at = random.below(bytes.len());
                bytes[at] = 0xff;
            }
            for format in [Format::Csv, Format::Semicolon, Format::Tsv] {
                let block = 1 + random.below(30);
                let sizes = [block, usize::MAX];
                match table::read(&bytes, format) {
                    Ok(table) => {
                        let column = table.columns[0].clone();
                        let found = in_blocks(&bytes, &column, format, sizes);
                        let text = String::from_utf8_lossy(&bytes);
                        assert_eq!(found, whole(table), "{text:?} in blocks of {block}");
                        tables += 1;
                    }
                    Err(_) => {
                        let lines = lines(&bytes).into_iter();
                        let path = Path::new("a.csv");
                        assert!(
                            Separated::in_blocks(path, "x", format, Vec::new(), lines, sizes)
                                .is_err()
                        );
                    }
                }
            }
        }
        assert!(tables > 10_000, "{tables}");
    }

    /// A table without end, which nothing could hold whole.
    #[test]
    fn the_first_texts_come_before_the_last_are_read() {
        let row = |row: usize| ["\"text\n".to_owned(), format!("{row}\",x\n")];
        let lines = (0..).flat_map(row).map(|line| Ok(line.into_bytes()));
        let path = Path::new("a.csv");
        let header = b"text,label\n".to_vec();
        let rows = Separated::open(path, "text", Format::Csv, header, lines).unwrap();
        let rows: Vec<Row> = rows.take(100_000).map(|row| plain(row.unwrap())).collect();
        for (at, row) in rows.iter().enumerate() {
            assert_eq!(*row, (2 + 2 * at, Ok(format!("text\n{at}"))));
        }
    }

    #[test]
    fn no_more_is_held_than_the_longest_record_that_is_read() {
        let lines = (0..100_000).map(|row| Ok(format!("{row},x\n").into_bytes()));
        let header = b"text,label\n\"open,x\n".to_vec();
        let path = Path::new("a.csv");
        let sizes = [1 << 8, 1 << 10];
        let mut rows =
            Separated::in_blocks(path, "text", Format::Csv, header, lines, sizes).unwrap();
        let mut found = Vec::new();
        while let Some(row) = rows.next() {
            found.push(plain(row.unwrap()));
            assert!(
                rows.buffer.capacity() < 1 << 13,
                "{}",
                rows.buffer.capacity()
            );
        }
        assert_eq!(found[0], (2, Err(BadReason::OpenQuote)));
        assert_eq!(found.len(), 100_001);
        assert_eq!(found[100_000], (100_002, Ok("99999".to_owned())));
    }

    #[test]
    fn a_record_may_be_longer_than_a_block() {
        let long = "word\n".repeat(1000);
        let text = format!("text,label\nfirst,0\n\"{long}\",1\nlast,0\n");
        let rows = in_blocks(text.as_bytes(), "text", Format::Csv, [64, 1 << 20]);
        let expected = [
            (2, Ok("first".into())),
            (3, Ok(long)),
            (1004, Ok("last".into())),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn an_error_in_the_middle_ends_the_texts() {
        let broken = || Err(DataError::damaged(Path::new("a.csv.gz"), "gzip", "cut off"));
        let lines = (0..1000).map(|row| match row {
            500 => broken(),
            _ => Ok(b"one,x\n".to_vec()),
        });
        let path = Path::new("a.csv.gz");
        let header = b"text,label\n".to_vec();
        let rows =
            Separated::in_blocks(path, "text", Format::Csv, header, lines, [64, 1 << 20]).unwrap();
        let rows: Vec<_> = rows.collect();
        let (last, before) = rows.split_last().unwrap();
        assert!(matches!(last, Err(DataError::Damaged { .. })), "{last:?}");
        assert!(before.len() > 400 && before.iter().all(Result::is_ok));
    }
}
