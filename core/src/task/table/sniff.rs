//! Which format a file is in.

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values (RFC 4180).
    Csv,
    /// Separated by semicolons, as Excel writes "CSV" where the comma is the decimal mark.
    Semicolon,
    /// Tab-separated values.
    Tsv,
    /// One JSON object a line.
    Jsonl,
}

impl Format {
    /// Guesses from the file's name where it says so (`.tsv`, `.tab`, `.jsonl`, `.ndjson`), else
    /// from the first line: `{` means JSON lines, otherwise the commonest separator outside quotes.
    pub fn sniff(name: Option<&str>, bytes: &[u8]) -> Self {
        let extension = name
            .and_then(|name| name.rsplit_once('.'))
            .map(|(_, end)| end);
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("tsv" | "tab") => Self::Tsv,
            Some("jsonl" | "ndjson") => Self::Jsonl,
            _ => Self::from_first_line(bytes),
        }
    }

    /// The byte between cells; none in JSON lines.
    pub(super) fn separator(self) -> Option<u8> {
        match self {
            Self::Csv => Some(b','),
            Self::Semicolon => Some(b';'),
            Self::Tsv => Some(b'\t'),
            Self::Jsonl => None,
        }
    }

    fn from_first_line(bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let line = bytes
            .split(|&byte| byte == b'\n')
            .map(<[u8]>::trim_ascii)
            .find(|line| !line.is_empty())
            .unwrap_or_default();
        if line.starts_with(b"{") {
            return Self::Jsonl;
        }
        let count = |format: Self| format.separator().map_or(0, |s| count_unquoted(line, s));
        let (csv, semicolon, tsv) = (count(Self::Csv), count(Self::Semicolon), count(Self::Tsv));
        if tsv > csv.max(semicolon) {
            Self::Tsv
        } else if semicolon > csv {
            Self::Semicolon
        } else {
            Self::Csv
        }
    }
}

fn count_unquoted(line: &[u8], separator: u8) -> usize {
    let mut quoted = false;
    let mut count = 0;
    for &byte in line {
        quoted ^= byte == b'"';
        count += usize::from(!quoted && byte == separator);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn formats_are_told_apart() {
        let sniff = |bytes: &[u8]| Format::sniff(None, bytes);
        assert_eq!(sniff(b"\n \nlabel,text\n"), Format::Csv);
        assert_eq!(sniff(b"text\n"), Format::Csv);
        assert_eq!(sniff(b"label\ttext, really\n"), Format::Csv);
        assert_eq!(sniff(b"label\ttext\tid, really\n"), Format::Tsv);
        assert_eq!(sniff(b"label;\"text, a, b\"\n1;2"), Format::Semicolon);
        assert_eq!(sniff(b"\xef\xbb\xbf {\"a\": 1}\n"), Format::Jsonl);
        assert_eq!(sniff(b""), Format::Csv);
    }

    #[test]
    fn a_telling_name_wins() {
        assert_eq!(Format::sniff(Some("a.b.TSV"), b"a,b"), Format::Tsv);
        assert_eq!(Format::sniff(Some("x.jsonl"), b"a,b"), Format::Jsonl);
        assert_eq!(Format::sniff(Some("x.csv"), b"a;b"), Format::Semicolon);
    }
}
