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
