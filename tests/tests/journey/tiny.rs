//! A bundle of a few kilobytes: the random Llama of the golden tests with a tokenizer of words, a task
//! for it, and a table. It learns nothing, and quickly.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use post_core::bundle::{Card, Contents, Dtype, write};
use post_core::checkpoint::hf::Folder;
use post_core::checkpoint::{Checkpoint, SharedBytes};
use post_core::model::NamedTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The name of the task in the bundle.
pub(crate) const TASK: &str = "toy";

const TASK_FILE: &str = r#"
name = "toy"
template = "{text} it was"
init_text = "good or bad"
max_length = 16
[columns]
text = "text"
label = "label"
[[classes]]
name = "negative"
words = ["bad", "awful"]
[[classes]]
name = "positive"
words = ["good"]
"#;

/// Special tokens first; fewer than the model's 37 rows.
const WORDS: [&str; 12] = [
    "<unk>", "it", "was", "bad", "awful", "good", "or", "film", "play", "dull", "fine", "the",
];

/// Files in a folder that goes with them.
pub(crate) struct Tiny {
    folder: TempDir,
}

impl Tiny {
    /// Makes the bundle `tiny.post.safetensors` and the table `rows.csv` of so many rows.
    pub(crate) fn new(rows: usize) -> Self {
        let tiny = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(tiny.bundle(), bundle()).unwrap();
        fs::write(tiny.table(), table(rows, "")).unwrap();
        tiny
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.folder.path().join("tiny.post.safetensors")
    }

    pub(crate) fn table(&self) -> PathBuf {
        self.folder.path().join("rows.csv")
    }

    /// The teacher that the student stands in for, as a folder: the same model, whole.
    pub(crate) fn teacher(&self) -> PathBuf {
        let folder = self.folder.path().join("teacher");
        fs::create_dir_all(&folder).unwrap();
        for name in ["config.json", "model.safetensors"] {
            fs::copy(fixture().join(name), folder.join(name)).unwrap();
        }
        fs::write(folder.join("tokenizer.json"), tokenizer().to_string()).unwrap();
        folder
    }

    /// The task as a file.
    pub(crate) fn task(&self) -> PathBuf {
        let path = self.folder.path().join("toy.toml");
        fs::write(&path, TASK_FILE).unwrap();
        path
    }

    /// A further table beside it, with a text of one's own in every row.
    pub(crate) fn table_with(&self, name: &str, rows: usize, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, table(rows, text)).unwrap();
        path
    }
}

/// Rows of both classes in turn; no two are the same.
fn table(rows: usize, text: &str) -> String {
    let mut table = "text,label\n".to_owned();
    for row in 0..rows {
        let (word, label) = [("dull", "negative"), ("fine", "positive")][row % 2];
        table += &format!("the {word} film {row} {text},{label}\n");
    }
    table
}

fn bundle() -> Vec<u8> {
    let student = student();
    let tensors = student.tensors.names().into_iter();
    let tensors: NamedTensors = tensors
        .map(|name| {
            let tensor = student.tensors.tensor(&name).unwrap();
            (name, tensor)
        })
        .collect();
    let contents = Contents {
        tensors: &tensors,
        config: &student.config,
        tokenizer: student.tokenizer().unwrap(),
        card: Card {
            name: "tiny".to_owned(),
            teacher: "tiny teacher".to_owned(),
            license: "Apache-2.0".to_owned(),
            blocks: vec![0, 1, 2],
            tasks: vec![TASK_FILE.to_owned()],
        },
    };
    write(&contents, Dtype::F16).unwrap()
}

fn student() -> Checkpoint {
    let folder = fixture();
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let weights: SharedBytes = Arc::new(read("model.safetensors"));
    let folder = Folder {
        config: read("config.json"),
        weights: vec![("model.safetensors".to_owned(), weights)],
        tokenizer: Some(tokenizer().to_string().into_bytes()),
        ..Folder::default()
    };
    folder.read().unwrap()
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models/llama")
}

fn tokenizer() -> Value {
    let vocab: Value = WORDS
        .iter()
        .enumerate()
        .map(|(id, word)| (*word, id))
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "<unk>" },
    })
}
