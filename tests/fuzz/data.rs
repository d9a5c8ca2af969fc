//! What people bring beside models: tables, packed files, tasks, ledgers, and a server's list of students.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use post_core::bundle::{Catalog, Listed, Sample};
use post_core::checkpoint::{Gguf, tokenizer};
use post_core::dp::{
    Adjacency, Budget, Clipping, Entropy, Ledger, Length, Plan, PlanConfig, PrivacyUnit,
};
use post_core::task::table::{self as tables, Format};
use post_core::task::{LabelWords, Labels, READY, Table, Task};
use tempfile::TempDir;
use tokenizers::Tokenizer;

use crate::targets::{Outcome, fixture, fixtures, said};

const TASK: &str = r#"
name = "small"
template = "{text}It was"
init_text = "Good or bad"
max_length = 12
[columns]
text = "text"
[[classes]]
name = "negative"
values = ["0", "1"]
words = ["bad", "awful"]
[[classes]]
name = "positive"
words = ["good"]
"#;

pub(crate) fn table_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "text,label\n\"a \"\"fine\"\" film,\r\nindeed\",1\n\na bad one,0\n",
        "text;label\n5\" disk;1\n\"\";positive\n",
        "text\tlabel\nso \"good\"\t1\n\"a\tb\n",
        "{\"text\":\"a\\nb\",\"label\":1}\n{\"text\":null,\"other\":0.5}\n{\"text\":[1]}\n",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

/// In every format, whatever it is.
pub(crate) fn table(bytes: &[u8]) -> Outcome {
    for format in [Format::Csv, Format::Semicolon, Format::Tsv, Format::Jsonl] {
        if let Ok(table) = said(tables::read(bytes, format)) {
            check(&table);
        }
    }
    let table = said(tables::read(bytes, Format::sniff(None, bytes)))?;
    rows(&table)
}

/// Every row has a cell for every column; no error is without words.
fn check(table: &Table) {
    for row in &table.rows {
        assert_eq!(row.cells.len(), table.columns.len(), "line {}", row.line);
    }
    assert!(table.bad.iter().all(|bad| !bad.to_string().is_empty()));
}

/// The table as a task reads it.
fn rows(table: &Table) -> Outcome {
    check(table);
    let task = Task::from_toml(TASK).unwrap();
    let mut dataset = said(task.dataset(table, Labels::Required))?;
    let (before, copies) = (dataset.rows.len(), dataset.duplicates().len());
    let removed = dataset.remove_copies().len();
    assert_eq!(dataset.rows.len() + removed, before);
    assert!(removed <= copies);
    let [bad, copies] = [!dataset.bad.is_empty(), removed > 0];
    Ok(format!("rows, bad {bad}, copies {copies}"))
}

/// A file with these bytes, in memory where the system has such a folder; it goes with its folder.
fn placed(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    let folder = folder.unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// A file's table, and its texts one after the other. Errors name the file, which is another every time.
fn file(name: &str, bytes: &[u8]) -> Outcome {
    let (_folder, path) = placed(name, bytes);
    let shown = path.display().to_string();
    let found = said(post_data::passages(&path, "text")).map(|passages| {
        for passage in passages.take(10_000) {
            match said(passage) {
                Ok(Ok(passage)) => assert!(!passage.text.trim().is_empty()),
                Ok(Err(bad)) => assert!(!bad.to_string().is_empty()),
                Err(error) => assert!(error.contains(&shown), "{error}"),
            }
        }
    });
    let table = said(post_data::table(&path));
    for error in [found.err(), table.as_ref().err().cloned()] {
        assert!(error.is_none_or(|error| error.contains(&shown)));
    }
    rows(&table.map_err(|error| error.replace(&shown, ""))?)
}

pub(crate) fn parquet_seeds() -> Vec<Vec<u8>> {
    fixtures(&[
        "data/plain.parquet",
        "data/snappy.parquet",
        "data/gzip.parquet",
        "data/zstd.parquet",
        "data/brotli.parquet",
        "data/nested.parquet",
        "data/empty.parquet",
    ])
}

pub(crate) fn parquet(bytes: &[u8]) -> Outcome {
    file("x.parquet", bytes)
}

/// Files in two parts, and small ones, where damage hits more often.
pub(crate) fn packed_seeds() -> Vec<Vec<u8>> {
    let mut seeds = fixtures(&[
        "data/rows.csv.gz",
        "data/rows.csv.bz2",
        "data/rows.csv.zst",
        "data/rows.jsonl.gz",
    ]);
    for text in table_seeds() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&text).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        bzip2.write_all(&text).unwrap();
        let mut zstd = Vec::new();
        zstd::stream::copy_encode(text.as_slice(), &mut zstd, 3).unwrap();
        seeds.extend([gzip.finish().unwrap(), bzip2.finish().unwrap(), zstd]);
    }
    seeds
}

pub(crate) fn packed(bytes: &[u8]) -> Outcome {
    file("x", bytes)
}

pub(crate) fn task_seeds() -> Vec<Vec<u8>> {
    let sources = READY.iter().map(|(_, source)| *source).chain([TASK]);
    sources.map(|source| source.as_bytes().to_vec()).collect()
}

/// What is read must be written so that it reads back, and can be used.
pub(crate) fn task(bytes: &[u8]) -> Outcome {
    let task = said(Task::from_toml(said(std::str::from_utf8(bytes))?))?;
    let again = Task::from_toml(&task.to_toml()).unwrap();
    assert_eq!(again, task);
    assert_eq!(again.hash(), task.hash());
    let values = vec!["a film"; task.template().fields().len()];
    assert_eq!(task.text_columns().count(), values.len());
    let masked = task.template().masked(&values, "<mask>");
    assert!(masked.mask.is_some());
    said(task.template().causal(&values))?;
    said(LabelWords::new(&task, words()))?;
    Ok("a task".to_owned())
}

fn words() -> &'static Tokenizer {
    static WORDS: OnceLock<Tokenizer> = OnceLock::new();
    WORDS.get_or_init(|| {
        let gguf = Gguf::parse(std::sync::Arc::new(fixture("tokenizer/smollm.gguf"))).unwrap();
        tokenizer::from_gguf(&gguf).unwrap()
    })
}

pub(crate) fn catalog_seeds() -> Vec<Vec<u8>> {
    let listed = Listed {
        file: "student of six.post.safetensors".to_owned(),
        bytes: 123_456,
        hash: "0123456789abcdef".repeat(4),
        name: "student".to_owned(),
        teacher: "teacher".to_owned(),
        license: "apache-2.0".to_owned(),
        layers: 6,
        hidden_size: 576,
    };
    let sample = Sample {
        file: "sample.csv".to_owned(),
        bytes: 100,
        task: Some("sst2".to_owned()),
    };
    let full = Catalog {
        bundles: vec![listed.clone(), listed],
        sample: Some(sample),
    };
    [full, Catalog::default()]
        .map(|catalog| serde_json::to_vec_pretty(&catalog).unwrap())
        .into()
}

pub(crate) fn catalog(bytes: &[u8]) -> Outcome {
    let catalog = said(Catalog::from_json(bytes))?;
    let sample = catalog.sample.iter().map(|sample| &sample.file);
    for file in catalog
        .bundles
        .iter()
        .map(|listed| &listed.file)
        .chain(sample)
    {
        let plain = !file.contains(['/', '\\']) && !matches!(file.as_str(), "" | "." | "..");
        assert!(plain, "`{file}` leads elsewhere");
    }
    let again = Catalog::from_json(&serde_json::to_vec(&catalog).unwrap());
    assert_eq!(again.unwrap(), catalog);
    Ok(format!("listed {}", !catalog.bundles.is_empty()))
}

/// Without a run, and with three on two data sets that share rows.
pub(crate) fn ledger_seeds() -> Vec<Vec<u8>> {
    let plan = |steps| {
        let config = PlanConfig {
            budget: Budget::NoiseMultiplier(1.0),
            public_size: 50,
            expected_batch: 10.0,
            length: Length::Steps(steps),
            max_grad_norm: 0.5,
            clipping: Clipping::Threshold,
            target_delta: 1e-2,
            unit: PrivacyUnit::Row,
            adjacency: Adjacency::AddRemove,
        };
        Plan::new(config).unwrap()
    };
    let mut ledger = Ledger::new(1e3, 1e-2, Entropy::insecure(1));
    let empty = ledger.to_json().unwrap();
    let (first, second) = (plan(6), plan(9));
    let small = ledger.identify(["good", "bad"]);
    let grown = ledger.identify(["good", "bad", "fine"]);
    for (data, plan) in [(&small, &first), (&small, &second), (&grown, &second)] {
        ledger.reserve(data, plan).unwrap();
    }
    vec![empty, ledger.to_json().unwrap()]
}

/// As `ledger show` does.
pub(crate) fn ledger(bytes: &[u8]) -> Outcome {
    let ledger = said(Ledger::from_json(bytes))?;
    assert!(Ledger::from_json(&said(ledger.to_json())?).is_ok());
    let mut outcome = "no run";
    for data in ledger.data_sets().into_iter().take(4) {
        let (short, runs) = (data.short(), ledger.runs(data).len());
        assert!(short.len() <= 8);
        let spent = said(ledger.spent(data))?;
        assert!(spent >= 0.0, "{runs} runs on {short} spent {spent}");
        outcome = match spent {
            spent if spent.is_infinite() => "spent without bounds",
            0.0 => "spent nothing",
            _ => "spent",
        };
    }
    Ok(outcome.to_owned())
}
