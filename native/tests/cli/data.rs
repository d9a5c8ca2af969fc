//! Data as people have it: several files, patterns, packed, Parquet.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::journey::Place;

const TUNE: &str = "tune --student @teacher --task @toy.toml --device cpu --num-virtual-tokens 4 \
                    --expected-batch 8 --steps 3 --ledger @ledger.json";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The rows of `rows.csv` spread over three files of three kinds, one row of the first repeated in
/// each of the others.
fn spread(place: &Place) {
    let text = fs::read_to_string(place.path("rows.csv")).unwrap();
    let rows: Vec<(&str, &str)> = text
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap())
        .collect();
    let (first, rest) = rows.split_at(10);
    let (second, third) = rest.split_at(10);
    let lines = |rows: &[(&str, &str)], separator: &str, turned: bool| -> String {
        let line = |&(text, label): &(&str, &str)| match turned {
            true => format!("{label}{separator}{text}\n"),
            false => format!("{text}{separator}{label}\n"),
        };
        rows.iter().map(line).collect()
    };
    fs::create_dir(place.path("parts")).unwrap();
    let csv = format!("text,label\n{}", lines(first, ",", false));
    fs::write(place.path("parts/1.csv"), csv).unwrap();
    let tsv = lines(&[&first[..1], second].concat(), "\t", true);
    let tsv = gzip(&format!("label\ttext\n{tsv}"));
    fs::write(place.path("parts/2.tsv.gz"), tsv).unwrap();
    let json: String = [third, &first[..1]]
        .concat()
        .iter()
        .map(|(text, label)| format!("{}\n", json!({"text": text, "label": label})))
        .collect();
    let json = zstd::encode_all(json.as_bytes(), 3).unwrap();
    fs::write(place.path("parts/3.jsonl.zst"), json).unwrap();
}

#[test]
fn one_data_set_in_several_files_is_the_same_data_set() {
    let place = Place::new();
    spread(&place);
    let prompt = |data: &str, run: &str| {
        place.done(&format!("{TUNE} --no-dp --data {data} --run @{run}"));
        fs::read(place.path(&format!("{run}/prompt/adapter_model.safetensors"))).unwrap()
    };
    let whole = prompt("@rows.csv", "whole");
    assert_eq!(prompt("@parts/*", "pattern"), whole);
    let named = "@parts/1.csv @parts/2.tsv.gz --data @parts/3.jsonl.zst @parts/1.csv";
    assert_eq!(prompt(named, "named"), whole);
    assert_ne!(prompt("@parts/1.csv @parts/2.tsv.gz", "less"), whole);

    // The settings that a run keeps read back, and the ledger knows the rows again.
    let private = "--noise-multiplier 4 --target-delta 1e-3";
    place.done(&format!(
        "{TUNE} {private} --data @parts/1.csv @parts/[23].* --run @private"
    ));
    place.done("tune --resume --config @private/config.toml");
    let ledger = "ledger show --ledger @ledger.json --task @toy.toml --data";
    for data in [
        "@rows.csv",
        "@parts/3.jsonl.zst @parts/1.csv @parts/2.tsv.gz",
    ] {
        let shown = place.done(&format!("{ledger} {data}"));
        assert_eq!(shown["data_sets"][0]["runs"], json!(1), "{data}");
    }
}

#[test]
fn parquet_is_read_wherever_rows_are() {
    let place = Place::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/data");
    fs::copy(fixtures.join("zstd.parquet"), place.path("rows.parquet")).unwrap();
    let task = fs::read_to_string(place.path("toy.toml")).unwrap();
    let task = task
        .replace("label = \"label\"", "label = \"answer\"")
        .replace("\"negative\"", "\"false\"")
        .replace("\"positive\"", "\"true\"");
    fs::write(place.path("toy.toml"), task).unwrap();
    let found =
        place.done("eval --model @teacher --task @toy.toml --data @rows.parquet --device cpu");
    // One of the 300 has no text.
    assert_eq!(found["n"], json!(299));
    let shown: Value = place.done("inspect @rows.parquet");
    assert_eq!(shown["rows"], json!(300));
    assert_eq!(shown["columns"].as_array().unwrap().len(), 7);
    place.done(
        "distill --teacher @teacher --blocks 0,2 --text @rows.parquet @rows.csv --steps 2 --batch 8 \
         --run @distill --device cpu",
    );
}

#[test]
fn a_run_on_much_text_draws_what_it_looks_at() {
    let place = Place::new();
    let words = ["it", "was", "bad", "good", "or", "film", "play", "dull"];
    let line = |i: usize| (0..5).map(move |place| words[(i >> (3 * place)) % 8]);
    let text: String = (0..5000)
        .map(|i| line(i).collect::<Vec<_>>().join(" ") + "\n")
        .collect();
    fs::write(place.path("much.txt.gz"), gzip(&text)).unwrap();
    let distill = "distill --teacher @teacher --blocks 0,2 --text @much.txt.gz --steps 3 --batch 4 \
                   --device cpu";
    let states = |line: &str, run: &str| {
        place.done(&format!("{line} --run @{run}"));
        fs::read(place.path(&format!("{run}/states.bin"))).unwrap()
    };
    let drawn = states(distill, "a");
    // Twelve texts of five tokens, two bytes for each of 18 numbers.
    assert_eq!(drawn.len(), 12 * 5 * 2 * 18);
    let hash = |run: &str| fs::read(place.path(&format!("{run}/states.sha256"))).unwrap();
    assert_eq!(states(distill, "b"), drawn);
    assert_eq!(hash("b"), hash("a"));
    assert_ne!(states(&format!("{distill} --seed 1"), "c"), drawn);
}

#[test]
fn files_that_do_not_read_are_named_with_a_way_out() {
    let place = Place::new();
    let eval = "eval --model @teacher --task @toy.toml --device cpu --data";
    let says = |name: &str, bytes: &[u8], said: &[&str]| {
        fs::write(place.path(name), bytes).unwrap();
        place.refused(&format!("{eval} @{name}"), said);
    };
    let packed = gzip(&fs::read_to_string(place.path("rows.csv")).unwrap());
    says(
        "a.csv.gz",
        &packed[..100],
        &["a.csv.gz", "gzip", "fetch it again"],
    );
    says(
        "b.csv.gz",
        b"text,label\n",
        &["b.csv.gz is not gzip", "rename it"],
    );
    says(
        "c.parquet",
        b"version https://git-lfs",
        &["c.parquet", "git lfs pull"],
    );
    says(
        "d.parquet",
        b"PAR1 no more",
        &["d.parquet", "fetch it again"],
    );
    says(
        "e.xlsx",
        b"PK\x03\x04",
        &["e.xlsx", "save the sheet as CSV UTF-8"],
    );
    says(
        "f.csv",
        b"text\none\n",
        &["f.csv", "no column `label`", "hint:"],
    );
    place.refused(&format!("{eval} @*.tsv"), &["no file matches", "*.tsv"]);
    place.refused(&format!("{eval} @teacher"), &["is a folder", "*.parquet"]);
    place.refused(
        &format!("{eval} @gone.csv"),
        &["gone.csv", "check the path"],
    );
    place.refused(
        "distill --teacher @teacher --text @rows.csv --text-column body --device cpu --run @a",
        &[
            "rows.csv",
            "no column `body`",
            "text, label",
            "--text-column",
        ],
    );
}
