//! Separated values, read strictly.
//!
//! The `csv` crate reads whatever it is given: an unclosed quote silently swallows the rest of the
//! file into one cell. Here that is a bad row with its line, and reading goes on at the next one.

use super::BadReason;

/// One record: the line it starts on (from 1), and its cells.
pub(super) struct Record {
    pub line: usize,
    pub cells: Result<Vec<String>, BadReason>,
}

/// The records of `bytes`, blank lines skipped.
///
/// Cells in quotes may hold separators, `""` for a quote and, except in TSV, line breaks. In TSV a
/// cell that only begins with a quote is taken literally, since many TSV files never quote.
pub(super) fn records(bytes: &[u8], separator: u8) -> impl Iterator<Item = Record> {
    let mut reader = Reader {
        bytes,
        at: 0,
        line: 1,
        separator,
        doomed: None,
    };
    std::iter::from_fn(move || reader.record())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
    separator: u8,
    /// Where a record ended that didn't read, and why. Whatever comes upon a line's end before that place
    /// within quotes goes on as that record did, and would end as it did: without this, a file of quotes is
    /// read from each of its lines to its end.
    doomed: Option<(usize, Broken)>,
}

/// Why a record doesn't read; places are in the whole file.
#[derive(Clone, Copy)]
enum Broken {
    OpenQuote,
    AfterQuote,
    NotUtf8 { at: usize },
}

impl Broken {
    fn reason(self, start: usize) -> BadReason {
        match self {
            Self::OpenQuote => BadReason::OpenQuote,
            Self::AfterQuote => BadReason::AfterQuote,
            Self::NotUtf8 { at } => BadReason::NotUtf8 { at: at - start },
        }
    }
}

/// What ended a cell.
#[derive(PartialEq)]
enum End {
    Cell,
    Record,
}

impl Reader<'_> {
    fn record(&mut self) -> Option<Record> {
        while self.at < self.bytes.len() && line_end(&self.bytes[self.at..]).is_some() {
            self.skip_line();
        }
        if self.at == self.bytes.len() {
            return None;
        }
        let (start, line) = (self.at, self.line);
        let cells = self.cells().map_err(|broken| {
            let end = match broken {
                Broken::NotUtf8 { at } => at,
                _ => self.at,
            };
            if self.doomed.is_none_or(|(known, _)| known < end) {
                self.doomed = Some((end, broken));
            }
            // Whatever follows may be sound: go on after the first line of the broken record.
            (self.at, self.line) = (start, line);
            self.skip_line();
            broken.reason(start)
        });
        Some(Record { line, cells })
    }

    fn cells(&mut self) -> Result<Vec<String>, Broken> {
        let mut cells = Vec::new();
        loop {
            let before = self.at;
            let (cell, end) = self.cell()?;
            let text = String::from_utf8(cell).map_err(|error| Broken::NotUtf8 {
                at: before + error.utf8_error().valid_up_to(),
            })?;
            cells.push(text);
            if end == End::Record {
                return Ok(cells);
            }
        }
    }

    fn cell(&mut self) -> Result<(Vec<u8>, End), Broken> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return Ok(self.bare());
        }
        let before = (self.at, self.line);
        match self.quoted() {
            Err(_) if self.separator == b'\t' => {
                (self.at, self.line) = before;
                Ok(self.bare())
            }
            other => other,
        }
    }

    /// Everything up to the next separator or line end.
    fn bare(&mut self) -> (Vec<u8>, End) {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&b| b == self.separator || b == b'\n');
        let length = length.unwrap_or(rest.len());
        let mut cell = rest[..length].to_vec();
        self.at += length;
        let end = self.delimiter();
        if end == End::Record && cell.last() == Some(&b'\r') {
            cell.pop();
        }
        (cell, end)
    }

    /// A cell that starts with a quote, up to its closing one.
    fn quoted(&mut self) -> Result<(Vec<u8>, End), Broken> {
        let mut cell = Vec::new();
        self.at += 1;
        loop {
            let byte = *self.bytes.get(self.at).ok_or(Broken::OpenQuote)?;
            self.at += 1;
            match byte {
                b'"' if self.bytes.get(self.at) == Some(&b'"') => self.at += 1,
                b'"' => break,
                b'\n' if self.separator == b'\t' => return Err(Broken::OpenQuote),
                b'\n' => self.next_line()?,
                _ => {}
            }
            cell.push(byte);
        }
        let rest = &self.bytes[self.at..];
        if rest.first() != Some(&self.separator) {
            self.at += line_end(rest).ok_or(Broken::AfterQuote)?;
        }
        Ok((cell, self.delimiter()))
    }

    /// A line's end within quotes, which was stepped over.
    fn next_line(&mut self) -> Result<(), Broken> {
        self.line += 1;
        match self.doomed {
            Some((end, broken)) if self.at <= end => Err(broken),
            _ => Ok(()),
        }
    }

    /// Steps over the separator or line end that stands here.
    fn delimiter(&mut self) -> End {
        match self.bytes.get(self.at) {
            Some(&byte) if byte == self.separator => {
                self.at += 1;
                End::Cell
            }
            Some(_) => {
                self.at += 1;
                self.line += 1;
                End::Record
            }
            None => End::Record,
        }
    }

    fn skip_line(&mut self) {
        let rest = &self.bytes[self.at..];
        match rest.iter().position(|&byte| byte == b'\n') {
            Some(length) => {
                self.at += length + 1;
                self.line += 1;
            }
            None => self.at = self.bytes.len(),
        }
    }
}

/// Where `\n` or the end of the file stands if nothing but `\r` comes before it.
fn line_end(rest: &[u8]) -> Option<usize> {
    let after = rest.strip_prefix(b"\r").unwrap_or(rest);
    match after.first() {
        None | Some(b'\n') => Some(rest.len() - after.len()),
        Some(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Read = Vec<(usize, Result<Vec<String>, BadReason>)>;

    fn read(text: &str, separator: u8) -> Read {
        records(text.as_bytes(), separator)
            .map(|r| (r.line, r.cells))
            .collect()
    }

    fn row(cells: &[&str]) -> Result<Vec<String>, BadReason> {
        Ok(cells.iter().map(|&cell| cell.to_owned()).collect())
    }

    #[test]
    fn quotes_hold_separators_quotes_and_line_breaks() {
        let rows = read("\"a,\"\"b\"\"\r\nc\",d\r\n\"\",\n\r\nlast,\"\"", b',');
        let expected = vec![
            (1, row(&["a,\"b\"\r\nc", "d"])),
            (3, row(&["", ""])),
            (5, row(&["last", ""])),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn an_unclosed_quote_costs_one_line() {
        let rows = read("a,\"b\nc,d\ne,f", b',');
        let expected = vec![
            (1, Err(BadReason::OpenQuote)),
            (2, row(&["c", "d"])),
            (3, row(&["e", "f"])),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn text_after_a_quote_is_bad_and_a_quote_within_bare_text_is_not() {
        let rows = read("\"a\"b,c\n5\" disk,d\n", b',');
        assert_eq!(
            rows,
            [
                (1, Err(BadReason::AfterQuote)),
                (2, row(&["5\" disk", "d"]))
            ]
        );
    }

    #[test]
    fn tsv_takes_stray_quotes_literally() {
        let rows = read("\"so\" good\t1\n\"a\tb\n\"c\td\"\te", b'\t');
        let expected = vec![
            (1, row(&["\"so\" good", "1"])),
            (2, row(&["\"a", "b"])),
            (3, row(&["c\td", "e"])),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn broken_utf8_is_named_by_its_byte() {
        let rows: Vec<_> = records(b"ab,c\xff\nd,e", b',')
            .map(|r| (r.line, r.cells))
            .collect();
        assert_eq!(
            rows,
            [
                (1, Err(BadReason::NotUtf8 { at: 4 })),
                (2, row(&["d", "e"]))
            ]
        );
    }

    /// Each line closes the quote that the one before it opened, and opens another: every record is open to the
    /// end of the file. Read from each line to there, that is the square of a megabyte.
    #[test]
    fn quotes_without_end_are_read_once() {
        let lines = 1 << 17;
        let text = "b\"\"\",\"\n".repeat(lines);
        let rows = read(&text, b',');
        assert_eq!(rows.len(), lines);
        for (at, row) in rows.iter().enumerate() {
            assert_eq!(*row, (at + 1, Err(BadReason::OpenQuote)));
        }
        let rows = read(&format!("{text}x\"a"), b',');
        assert_eq!(rows.len(), lines + 1);
        for (at, row) in rows[..lines].iter().enumerate() {
            assert_eq!(*row, (at + 1, Err(BadReason::AfterQuote)));
        }
        assert_eq!(rows[lines], (lines + 1, row(&["x\"a"])));
    }

    #[test]
    fn a_lone_carriage_return_belongs_to_the_text() {
        assert_eq!(read("a\rb,c\r\n", b','), [(1, row(&["a\rb", "c"]))]);
    }

    proptest! {
        /// What is known of earlier records changes nothing that is read of later ones.
        #[test]
        fn records_do_not_depend_on_what_was_broken_before(
            bytes in prop::collection::vec(prop::sample::select(b"a\"\"\"\",,\n\n\r\xff".to_vec()), 0..60)
        ) {
            let mut reader = Reader { bytes: &bytes, at: 0, line: 1, separator: b',', doomed: None };
            let forgetful = std::iter::from_fn(|| {
                reader.doomed = None;
                reader.record()
            });
            for (known, plain) in records(&bytes, b',').zip(forgetful) {
                prop_assert_eq!(known.line, plain.line);
                match (known.cells, plain.cells) {
                    (Err(BadReason::NotUtf8 { .. }), Err(BadReason::NotUtf8 { .. })) => {}
                    (known, plain) => {
                        prop_assert_eq!(known, plain);
                    }
                }
            }
        }
    }
}
