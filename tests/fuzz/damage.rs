//! Damage to an input: bytes, numbers, pieces, and the members of an archive.

use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// splitmix64: the same seed gives the same cases.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, which is at least 1.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Numbers at which readers go wrong.
const WORDS: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 32,
    1 << 62,
    i64::MAX as u64,
    u64::MAX,
];
const FIGURES: [&str; 12] = [
    "0",
    "-1",
    "1",
    "2",
    "7",
    "256",
    "65536",
    "4294967296",
    "18446744073709551615",
    "1e308",
    "-0.0",
    "1e-320",
];

/// One to four kinds of damage; `other` is where pieces come from, `words` are of the format.
pub(crate) fn damaged(
    random: &mut Random,
    mut bytes: Vec<u8>,
    other: &[u8],
    words: &[&str],
) -> Vec<u8> {
    if bytes.starts_with(b"PK")
        && random.below(4) > 0
        && let Some(packed) = within(random, &bytes, other, words)
    {
        return packed;
    }
    for _ in 0..=random.below(4) {
        hit(random, &mut bytes, other, words);
    }
    bytes
}

fn hit(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8], words: &[&str]) {
    if bytes.is_empty() {
        bytes.push(random.below(256) as u8);
    }
    // Where the rules are: half of the damage goes to the first kilobyte.
    let end = match random.below(2) {
        0 => bytes.len().min(1024),
        _ => bytes.len(),
    };
    let at = random.below(end);
    match random.below(10) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.below(256) as u8,
        2 => {
            let word = WORDS[random.below(WORDS.len())].to_le_bytes();
            let width = [1, 2, 4, 8][random.below(4)].min(bytes.len() - at);
            bytes[at..at + width].copy_from_slice(&word[..width]);
        }
        3 => bytes.truncate(at),
        4 => {
            let piece = bytes[at..(at + 1 + random.below(64)).min(bytes.len())].to_vec();
            bytes.splice(at..at, piece);
        }
        5 => {
            let end = (at + 1 + random.below(64)).min(bytes.len());
            bytes.drain(at..end);
        }
        6 if !other.is_empty() => {
            let from = random.below(other.len());
            let piece = &other[from..(from + 1 + random.below(256)).min(other.len())];
            let end = (at + random.below(64)).min(bytes.len());
            bytes.splice(at..end, piece.iter().copied());
        }
        7 | 8 => figure(random, bytes, at),
        _ if !words.is_empty() => {
            let word = words[random.below(words.len())];
            bytes.splice(at..at, word.bytes());
        }
        _ => bytes[at] = bytes[at].wrapping_add(1),
    }
}

/// Replaces the next run of digits, if there is one.
fn figure(random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit) else {
        return;
    };
    let start = at + start;
    let digits = bytes[start..].iter().take_while(|b| b.is_ascii_digit());
    let end = start + digits.count();
    let figure = FIGURES[random.below(FIGURES.len())];
    bytes.splice(start..end, figure.bytes());
}

/// Damages one member of an archive and packs it again, so that the checksums are right.
fn within(random: &mut Random, bytes: &[u8], other: &[u8], words: &[&str]) -> Option<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let chosen = random.below(archive.len());
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let method =
        [CompressionMethod::Stored, CompressionMethod::Deflated][usize::from(random.below(8) == 0)];
    let options = SimpleFileOptions::default().compression_method(method);
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).ok()?;
        let mut content = Vec::new();
        entry
            .by_ref()
            .take(1 << 20)
            .read_to_end(&mut content)
            .ok()?;
        let name = entry.name().to_owned();
        if index == chosen {
            hit(random, &mut content, other, words);
        }
        writer.start_file(name, options).ok()?;
        writer.write_all(&content).ok()?;
    }
    Some(writer.finish().ok()?.into_inner())
}
