//! Data files by pyarrow, python-zstandard, gzip and bz2 (`fixtures/data/make.py`).

use std::path::PathBuf;

use post_core::task::Table;
use post_data::{passages, table};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn expected() -> Expected {
    serde_json::from_str(include_str!("../../fixtures/data/expected.json")).unwrap()
}

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "fixtures", "data", name]
        .iter()
        .collect()
}

/// The cells, in the expected order of the columns.
fn assert_expected(table: &Table, name: &str) {
    let expected = expected();
    assert!(table.bad.is_empty(), "{name}: {:?}", table.bad);
    let at: Vec<_> = expected
        .columns
        .iter()
        .map(|column| table.column(column).unwrap())
        .collect();
    assert_eq!(table.columns.len(), expected.columns.len(), "{name}");
    assert_eq!(table.rows.len(), expected.rows.len(), "{name}");
    for (row, want) in table.rows.iter().zip(&expected.rows) {
        let got: Vec<_> = at
            .iter()
            .map(|&column| row.cells[column].as_str())
            .collect();
        assert_eq!(got, *want, "{name}: row {}", row.line);
    }
}

#[test]
fn parquet_of_every_codec_and_encoding_gives_pyarrows_values() {
    for name in ["snappy", "zstd", "gzip", "plain"] {
        let table = table(&fixture(&format!("{name}.parquet"))).unwrap();
        assert_expected(&table, name);
        let lines: Vec<_> = table.rows.iter().map(|row| row.line).collect();
        assert_eq!(lines, (1..=300).collect::<Vec<_>>());
    }
}

#[test]
fn packed_files_unpack_to_the_last_of_their_parts() {
    for name in [
        "rows.csv.gz",
        "rows.csv.bz2",
        "rows.csv.zst",
        "rows.jsonl.gz",
    ] {
        assert_expected(&table(&fixture(name)).unwrap(), name);
    }
}

#[test]
fn texts_come_out_of_every_kind_of_file() {
    let expected = expected();
    let texts = expected.rows.iter().map(|row| row[0].as_str());
    let texts: Vec<_> = texts.filter(|text| !text.is_empty()).collect();
    for name in ["snappy.parquet", "rows.jsonl.gz", "rows.csv.bz2"] {
        let found: Vec<_> = passages(&fixture(name), "text")
            .unwrap()
            .map(|passage| passage.unwrap().unwrap().text)
            .collect();
        assert_eq!(found, texts, "{name}");
    }
    let error = passages(&fixture("snappy.parquet"), "spans").err().unwrap();
    let error = error.to_string();
    assert!(
        error.contains("`spans`") && error.contains("large, kind"),
        "{error}"
    );
}
