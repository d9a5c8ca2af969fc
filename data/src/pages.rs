//! A Parquet file's pages, looked at before the library decodes them: it makes room for as many texts as a page of
//! deltas says that it holds, and no error can be made of memory that isn't there.

use std::fs::File;

use parquet::basic::Encoding;
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

/// What the library takes for each text of such a page, before it has any.
const LENGTH: u64 = size_of::<i32>() as u64;

/// The library's reader, whose pages are looked at.
pub(crate) struct Watched {
    pub(crate) reader: SerializedFileReader<File>,
    /// Bytes that lengths of one page's texts may take.
    pub(crate) limit: u64,
}

impl FileReader for Watched {
    fn metadata(&self) -> &ParquetMetaData {
        self.reader.metadata()
    }

    fn num_row_groups(&self) -> usize {
        self.reader.num_row_groups()
    }

    fn get_row_group(&self, i: usize) -> Result<Box<dyn RowGroupReader + '_>> {
        Ok(Box::new(Group {
            reader: self.reader.get_row_group(i)?,
            limit: self.limit,
        }))
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_file(projection, self)
    }
}

struct Group<'a> {
    reader: Box<dyn RowGroupReader + 'a>,
    limit: u64,
}

impl RowGroupReader for Group<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.reader.metadata()
    }

    fn num_columns(&self) -> usize {
        self.reader.num_columns()
    }

    fn get_column_page_reader(&self, i: usize) -> Result<Box<dyn PageReader>> {
        let column = self.metadata().column(i).column_descr();
        let levels = [column.max_rep_level(), column.max_def_level()];
        Ok(Box::new(Pages {
            reader: self.reader.get_column_page_reader(i)?,
            levels: levels.into_iter().filter(|&most| most > 0).count(),
            limit: self.limit,
        }))
    }

    fn get_column_bloom_filter(&self, i: usize) -> Option<&Sbbf> {
        self.reader.get_column_bloom_filter(i)
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

struct Pages {
    reader: Box<dyn PageReader>,
    /// How many lists of levels stand before a page's values.
    levels: usize,
    limit: u64,
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.reader.get_next_page()?;
        page.iter()
            .try_for_each(|page| check(page, self.levels, self.limit))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.reader.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.reader.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.reader.at_record_boundary()
    }
}

/// Refuses a page that says it holds more texts than it has values, or than `limit` bytes of lengths. `levels` is how
/// many lists of levels stand before its values.
fn check(page: &Page, levels: usize, limit: u64) -> Result<()> {
    let most = u64::from(page.num_values()).min(limit / LENGTH);
    let values = values(page, levels);
    let honest = match page.encoding() {
        Encoding::DELTA_LENGTH_BYTE_ARRAY => {
            values.and_then(Deltas::read).map(|one| one.count <= most)
        }
        Encoding::DELTA_BYTE_ARRAY => values.and_then(|values| {
            let prefixes = Deltas::read(values)?;
            // Not walked through before it is known to be short.
            if prefixes.count > most {
                return Some(false);
            }
            let suffixes = Deltas::read(prefixes.behind()?)?;
            Some(suffixes.count <= most)
        }),
        _ => Some(true),
    };
    match honest {
        Some(true) => Ok(()),
        _ => Err(ParquetError::General(
            "a page does not hold the texts that it says it does".to_owned(),
        )),
    }
}

/// What stands behind a page's levels.
fn values(page: &Page, levels: usize) -> Option<&[u8]> {
    match page {
        Page::DataPage { buf, .. } => (0..levels).try_fold(&buf[..], |rest, _| {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            rest.get(u32::from_le_bytes(*length) as usize..)
        }),
        Page::DataPageV2 {
            buf,
            def_levels_byte_len,
            rep_levels_byte_len,
            ..
        } => {
            let levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
            buf.get(usize::try_from(levels).ok()?..)
        }
        Page::DictionaryPage { buf, .. } => Some(buf),
    }
}

/// A list of numbers as differences, packed in blocks of blocks (`DELTA_BINARY_PACKED` of Parquet's format).
struct Deltas<'a> {
    count: u64,
    /// Packed blocks of a block, and numbers of each of those.
    parts: usize,
    numbers: u64,
    /// The blocks, and what follows.
    rest: &'a [u8],
}

impl<'a> Deltas<'a> {
    fn read(mut bytes: &'a [u8]) -> Option<Self> {
        let [block, parts, count, first] = [(); 4].map(|()| varint(&mut bytes));
        let (block, parts) = (block?, parts?);
        first?;
        Some(Self {
            count: count?,
            parts: usize::try_from(parts).ok()?,
            numbers: block.checked_div(parts)?,
            rest: bytes,
        })
    }

    /// What follows the list.
    fn behind(&self) -> Option<&'a [u8]> {
        let mut rest = self.rest;
        // The first number stands in the header.
        let mut left = self.count.saturating_sub(1);
        while left > 0 {
            varint(&mut rest)?;
            let (widths, packed) = rest.split_at_checked(self.parts)?;
            rest = packed;
            for &width in widths {
                if left > 0 {
                    let bytes = u64::from(width).checked_mul(self.numbers)? / 8;
                    rest = rest.get(usize::try_from(bytes).ok()?..)?;
                }
                // A part without numbers would never end the list.
                left = left.saturating_sub(self.numbers.max(1));
            }
        }
        Some(rest)
    }
}

/// A number in groups of seven bits, the lowest first.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A list's header: blocks of 128 numbers in four parts, `count` numbers of which the first is 0.
    fn header(count: u64) -> Vec<u8> {
        let mut bytes = vec![0x80, 0x01, 4];
        let mut left = count;
        while left >= 0x80 {
            bytes.push(left as u8 | 0x80);
            left >>= 7;
        }
        bytes.extend([left as u8, 0]);
        bytes
    }

    /// 33 numbers, whose differences take two of a block's parts: of 1 bit each and of none.
    fn two_parts() -> Vec<u8> {
        let mut bytes = header(34);
        bytes.extend([0, 1, 0, 7, 7]);
        bytes.extend([0xff; 4]);
        bytes
    }

    fn page(encoding: Encoding, values: Vec<u8>) -> Page {
        Page::DataPage {
            buf: values.into(),
            num_values: 34,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        }
    }

    #[test]
    fn a_page_may_not_claim_more_texts_than_values() {
        let lengths = |count| page(Encoding::DELTA_LENGTH_BYTE_ARRAY, header(count));
        assert!(check(&lengths(34), 0, 1 << 20).is_ok());
        for claimed in [35, 635_841_272_263_852, u64::MAX] {
            assert!(check(&lengths(claimed), 0, 1 << 20).is_err(), "{claimed}");
        }
        // Nor more than the file could be worth, whatever its footer says.
        assert!(check(&lengths(34), 0, 34 * LENGTH).is_ok());
        assert!(check(&lengths(34), 0, 33 * LENGTH).is_err());
        // Numbers of other encodings are the library's business.
        assert!(check(&page(Encoding::PLAIN, header(35)), 0, 1 << 20).is_ok());
    }

    #[test]
    fn suffixes_are_found_behind_the_prefixes() {
        let both = |count| {
            page(
                Encoding::DELTA_BYTE_ARRAY,
                [two_parts(), header(count)].concat(),
            )
        };
        assert!(check(&both(34), 0, 1 << 20).is_ok());
        assert!(check(&both(1 << 40), 0, 1 << 20).is_err());
        let cut = page(Encoding::DELTA_BYTE_ARRAY, two_parts()[..9].to_vec());
        assert!(check(&cut, 0, 1 << 20).is_err());
    }

    #[test]
    fn levels_stand_before_the_values() {
        let values = [vec![3, 0, 0, 0, 9, 9, 9], header(1 << 40)].concat();
        let lengths = page(Encoding::DELTA_LENGTH_BYTE_ARRAY, values);
        assert!(check(&lengths, 1, 1 << 20).is_err());
        let values = [vec![3, 0, 0, 0, 9, 9, 9], header(34)].concat();
        let lengths = page(Encoding::DELTA_LENGTH_BYTE_ARRAY, values);
        assert!(check(&lengths, 1, 1 << 20).is_ok());
    }

    #[test]
    fn a_list_that_never_ends_is_none() {
        // Parts of no numbers, and no bytes behind them.
        let mut bytes = &[0, 4, 200, 1, 0][..];
        let list = Deltas::read(bytes).unwrap();
        assert!(list.behind().is_none());
        assert_eq!(varint(&mut bytes), Some(0));
        assert!(Deltas::read(&[0x80; 11]).is_none());
        assert!(Deltas::read(&[1, 0, 1, 0]).is_none(), "no parts");
    }
}
