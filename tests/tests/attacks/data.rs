//! Data files that are cut, damaged, misnamed or made to fill the memory: each is an error that names
//! the file, never a panic, never gigabytes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use post_core::optim::SplitMix64;
use post_data::{DataError, passages, table, unpack};

const CSV: &str = "text,label\na fine film,1\na bad one,0\n";

fn fixture(name: &str) -> Vec<u8> {
    let folder = [env!("CARGO_MANIFEST_DIR"), "fixtures", "data", name];
    fs::read(folder.iter().collect::<PathBuf>()).unwrap()
}

/// Puts `bytes` into a file of that name and reads it as a table; the error must name the file.
fn read(name: &str, bytes: &[u8]) -> Result<usize, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let found = table(&path).map(|table| table.rows.len());
    if let Err(error) = &found {
        let error = error.to_string();
        assert!(error.contains(path.to_str().unwrap()), "{name}: {error}");
    }
    found
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn packed_files_that_end_too_soon_are_damaged() {
    for name in ["rows.csv.gz", "rows.csv.bz2", "rows.csv.zst"] {
        let whole = fixture(name);
        assert_eq!(read(name, &whole).unwrap(), 300, "{name}");
        // Not where the second part begins: what is left there is a whole file.
        for length in [12, 100, whole.len() - 40, whole.len() - 1] {
            let error = read(name, &whole[..length]).unwrap_err();
            assert!(
                matches!(error, DataError::Damaged { .. }),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn a_changed_byte_does_not_go_unnoticed() {
    for name in ["rows.csv.gz", "rows.csv.bz2"] {
        let mut bytes = fixture(name);
        let middle = bytes.len() / 4;
        bytes[middle] ^= 0x10;
        let error = read(name, &bytes).unwrap_err();
        assert!(
            matches!(error, DataError::Damaged { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn bombs_are_given_up_early() {
    let zeros = vec![b'a'; 80 << 20];
    let mut zstd = Vec::new();
    zstd::stream::copy_encode(zeros.as_slice(), &mut zstd, 19).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bzip2.write_all(&zeros).unwrap();
    let bombs = [
        ("a.csv.gz", gzip(&zeros)),
        ("a.csv.zst", zstd),
        ("a.csv.bz2", bzip2.finish().unwrap()),
    ];
    for (name, bytes) in bombs {
        assert!(
            (bytes.len() as u64) < unpack::FREE / unpack::RATIO,
            "{name}"
        );
        let error = read(name, &bytes).unwrap_err();
        let limit = unpack::FREE;
        assert!(
            matches!(error, DataError::TooLarge { limit: found, .. } if found == limit),
            "{name}: {error}"
        );
    }
}

/// Ten million rows in a few kilobytes: a column of one repeated value.
#[test]
fn parquet_of_endless_repetitions_is_given_up_early() {
    let error = read("repeated.parquet", &fixture("repeated.parquet")).unwrap_err();
    assert!(matches!(error, DataError::TooLarge { .. }), "{error}");
}

/// `plain.parquet`, whose footer says at these of ten places that there are as many rows or values as can be
/// counted.
fn endless(places: &[usize]) -> Vec<u8> {
    // Thrift's compact protocol: "the next field but one, an i64", and 300 or the largest, zigzag.
    let (said, most) = (
        b"\x16\xd8\x04",
        b"\x16\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    );
    let whole = fixture("plain.parquet");
    let (rest, end) = whole.split_at(whole.len() - 8);
    let length = u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize;
    let (data, mut footer) = rest.split_at(rest.len() - length);
    let (mut forged, mut found): (Vec<u8>, usize) = (Vec::new(), 0);
    while let Some(at) = footer.windows(said.len()).position(|window| window == said) {
        forged.extend(&footer[..at]);
        match places.contains(&found) {
            true => forged.extend(most),
            false => forged.extend(said),
        }
        footer = &footer[at + said.len()..];
        found += 1;
    }
    assert_eq!(found, 10);
    forged.extend(footer);
    let length = (forged.len() as u32).to_le_bytes();
    [data, &forged, &length, b"PAR1"].concat()
}

/// The table's rows, a column's values, a group's rows, all of them.
#[test]
fn parquet_that_claims_more_rows_than_can_be_is_read_as_far_as_it_goes_or_refused() {
    assert_eq!(read("endless.parquet", &endless(&[])).unwrap(), 300);
    for places in [
        &[0][..],
        &[1],
        &[9],
        &[0, 9],
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    ] {
        if let Ok(rows) = read("endless.parquet", &endless(places)) {
            assert_eq!(rows, 300, "{places:?}");
        }
    }
}

/// A frame of four bytes that asks for a window of two gigabytes.
#[test]
fn zstandard_that_asks_for_much_memory_is_refused() {
    let frame = b"\x28\xb5\x2f\xfd\x00\xa8\x21\x00\x00a,b\n";
    let error = read("a.csv.zst", frame).unwrap_err();
    assert!(matches!(error, DataError::Damaged { .. }), "{error}");
}

/// Small files that cost the square of their size where a reader starts again at every line, compares every header
/// with all others, or gives every row a cell for every key.
#[test]
fn tables_cost_no_more_than_their_size() {
    let quotes = format!("a,b\n{}", "b\"\"\",\"\n".repeat(1 << 17));
    assert_eq!(read("quotes.csv", quotes.as_bytes()).unwrap(), 0);
    let names: Vec<String> = (0..1 << 17).map(|column| format!("c{column}")).collect();
    let header = names.join(",");
    assert_eq!(read("wide.csv", header.as_bytes()).unwrap(), 0);
    let twice = read("twice.csv", format!("{header},c7\n").as_bytes()).unwrap_err();
    assert!(twice.to_string().contains("`c7`"), "{twice}");
    let keys: String = names
        .iter()
        .map(|name| format!("{{\"{name}\":1}}\n"))
        .collect();
    let error = read("keys.jsonl", keys.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("131072 different keys"), "{error}");
}

#[test]
fn names_that_lie_are_named() {
    let misnamed = |name: &str, bytes: &[u8], word: &str| {
        let error = read(name, bytes).unwrap_err();
        assert!(
            matches!(error, DataError::Misnamed { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(word), "{name}: {error}");
    };
    misnamed("a.csv.gz", CSV.as_bytes(), "rename it");
    misnamed("a.csv.zst", &gzip(CSV.as_bytes())[1..], "fetch it again");
    misnamed("a.parquet", CSV.as_bytes(), "Parquet");
    misnamed(
        "a.parquet",
        b"version https://git-lfs.github.com/spec/v1\n",
        "git lfs pull",
    );
    misnamed("a.parquet", b"", "Parquet");
    // What a file is, it says itself.
    assert_eq!(read("a.csv", &gzip(CSV.as_bytes())).unwrap(), 2);
    assert_eq!(read("a.bz2", &gzip(CSV.as_bytes())).unwrap(), 2);
    assert_eq!(read("a.csv", &fixture("snappy.parquet")).unwrap(), 300);
}

#[test]
fn what_is_no_table_is_named_with_a_way_out() {
    let says = |name: &str, bytes: &[u8], word: &str| {
        let error = read(name, bytes).unwrap_err().to_string();
        assert!(error.contains(word), "{name}: {error}");
    };
    says("a.csv.gz", &gzip(&gzip(CSV.as_bytes())), "packed with gzip");
    says("a.xlsx", b"PK\x03\x04....", "save the sheet");
    says("a.arrow", b"ARROW1\0\0", "export it");
    says("a.csv.gz", &gzip(b""), "empty");
    says(
        "a.csv.gz",
        &gzip(&fixture("snappy.parquet")),
        "packed Parquet",
    );
    says("brotli.parquet", &fixture("brotli.parquet"), "BROTLI");
    says("none.parquet", &fixture("empty.parquet"), "empty");
    says(
        "nested.parquet",
        &fixture("nested.parquet"),
        "lists and structures",
    );
    let folder = tempfile::tempdir().unwrap();
    let error = table(folder.path()).unwrap_err();
    assert!(matches!(&error, DataError::Folder { .. }), "{error}");
    let error = table(&folder.path().join("gone.csv")).unwrap_err();
    assert!(error.to_string().contains("gone.csv"), "{error}");
}

/// Whatever is read of a damaged file, nothing panics and memory stays.
#[test]
fn damaged_files_never_panic() {
    let mut random = SplitMix64::new(1);
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "snappy.parquet",
        "zstd.parquet",
        "plain.parquet",
        "rows.csv.zst",
        "rows.csv.bz2",
        "rows.jsonl.gz",
    ];
    for name in names {
        let (good, path) = (fixture(name), folder.path().join(name));
        for _ in 0..150 {
            let mut bytes = good.clone();
            for _ in 0..=random.below(3) {
                // Half of the damage hits the footer, which says where everything is.
                let from = random.below(2) * bytes.len().saturating_sub(1500);
                let at = from + random.below(bytes.len() - from);
                bytes[at] = random.next_u64() as u8;
            }
            if random.below(4) == 0 {
                bytes.truncate(random.below(bytes.len()));
            }
            fs::write(&path, bytes).unwrap();
            read_all(&path);
        }
    }
}

fn read_all(path: &Path) {
    let _ = table(path);
    if let Ok(passages) = passages(path, "text") {
        assert!(passages.take(10_000).count() < 10_000);
    }
}

#[test]
fn lines_without_end_are_given_up_and_bad_ones_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    fs::write(&path, vec![b'a'; 17 << 20]).unwrap();
    let found: Vec<_> = passages(&path, "text").unwrap().collect();
    assert!(matches!(&found[..], [Err(DataError::Line { line: 1, .. })]));

    fs::write(&path, b"\xef\xbb\xbfone\r\n \n\xff\ntwo").unwrap();
    let found = passages(&path, "text").unwrap().map(Result::unwrap);
    let found: Vec<_> = found
        .map(|passage| passage.map(|p| (p.line, p.text)).map_err(|bad| bad.line))
        .collect();
    let expected = [Ok((1, "one".to_owned())), Err(3), Ok((4, "two".to_owned()))];
    assert_eq!(found, expected);

    let path = folder.path().join("a.jsonl");
    let lines = "{\"text\":\"one\",\"meta\":{\"a\":[1]}}\n{\"body\":1}\n[1]\n{\"text\":[1]}\n{\"text\":null}\n";
    fs::write(&path, lines).unwrap();
    let found = passages(&path, "text").unwrap().map(Result::unwrap);
    let found: Vec<_> = found
        .map(|passage| passage.map(|p| p.line).map_err(|bad| bad.to_string()))
        .collect();
    assert_eq!(found[0], Ok(1));
    for (found, words) in found[1..].iter().zip([
        ["line 2", "text-column"],
        ["line 3", "object"],
        ["line 4", "list"],
    ]) {
        let error = found.as_ref().unwrap_err();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
    assert_eq!(found.len(), 4);
}
