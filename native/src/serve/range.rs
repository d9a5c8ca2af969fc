//! The `Range` header: a download that broke off goes on where it was.

use std::ops::Range;

/// What of a file is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it. So is whatever isn't one range of bytes, which RFC 9110 allows to ignore.
    Whole,
    /// Some bytes of it, at least one.
    Part(Range<u64>),
    /// Bytes that it doesn't have.
    Beyond,
}

/// Reads a `Range` header for a file of `length` bytes.
pub(super) fn wanted(header: Option<&str>, length: u64) -> Wanted {
    let Some((first, last)) = header.and_then(one) else {
        return Wanted::Whole;
    };
    let range = match (first, last) {
        (Some(first), None) => first..length,
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        // The last so many bytes.
        (None, Some(count)) => length.saturating_sub(count)..length,
        _ => return Wanted::Whole,
    };
    match range.is_empty() {
        true => Wanted::Beyond,
        false => Wanted::Part(range),
    }
}

/// The two numbers of `bytes=first-last`, of which one may be absent.
fn one(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, range) = header.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    let numbers = (number(first)?, number(last)?);
    unit.trim().eq_ignore_ascii_case("bytes").then_some(numbers)
}

/// Digits alone: `parse` would take a sign.
fn number(text: &str) -> Option<Option<u64>> {
    match text {
        "" => Some(None),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok().map(Some),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_cut_to_the_file() {
        for (header, range) in [
            ("bytes=0-", 0..10),
            ("bytes=0-0", 0..1),
            ("bytes=4-7", 4..8),
            ("bytes=9-99", 9..10),
            ("Bytes=-3", 7..10),
            ("bytes=-99", 0..10),
            ("bytes=3-18446744073709551615", 3..10),
        ] {
            assert_eq!(wanted(Some(header), 10), Wanted::Part(range), "{header}");
        }
    }

    #[test]
    fn bytes_that_are_not_there_are_refused() {
        for header in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(wanted(Some(header), 10), Wanted::Beyond, "{header}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Beyond);
    }

    #[test]
    fn what_is_no_single_range_is_ignored() {
        for header in [
            "bytes=0-1,4-5",
            "bytes=5-4",
            "bytes=-",
            "bytes=a-b",
            "bytes=+1-2",
            "lines=0-1",
            "bytes",
            "bytes=99999999999999999999-",
            "",
        ] {
            assert_eq!(wanted(Some(header), 10), Wanted::Whole, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
    }
}
