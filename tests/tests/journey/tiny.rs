//! The little student, its teacher, its task and a table, as files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::place;
use super::student::{Model, TASK_FILE, table, tokenizer};

/// The name of the task in the bundle.
pub(crate) const TASK: &str = "toy";

/// Files in a folder that goes with them.
pub(crate) struct Tiny {
    folder: TempDir,
    tokenizer: Value,
}

impl Tiny {
    /// Makes the bundle `tiny.post.safetensors` and the table `rows.csv` of so many rows.
    pub(crate) fn new(rows: usize) -> Self {
        let tiny = Self {
            folder: tempfile::tempdir().unwrap(),
            tokenizer: tokenizer(),
        };
        fs::write(tiny.bundle(), Model::Llama.bundle()).unwrap();
        fs::write(tiny.table(), table(rows, "")).unwrap();
        tiny
    }

    /// The same of a model whose texts all begin with one token; prompts are tuned behind it. The provider's
    /// program made the bundle.
    pub(crate) fn behind_bos(rows: usize) -> Self {
        let mut tiny = Self::new(rows);
        let part = |name: &str, id: &str| json!({ name: { "id": id, "type_id": 0 } });
        tiny.tokenizer["post_processor"] = json!({
            "type": "TemplateProcessing",
            "single": [part("SpecialToken", "<unk>"), part("Sequence", "A")],
            "pair": [part("Sequence", "A"), part("Sequence", "B")],
            "special_tokens": { "<unk>": { "id": "<unk>", "ids": [0], "tokens": ["<unk>"] } },
        });
        let mut bundle = Command::new(place::post_native());
        bundle.args(["bundle", "--name", "tiny", "--license", "MIT"]);
        bundle.args(["--prompt-place", "after-bos", "--student"]);
        bundle.arg(tiny.teacher()).arg("--task").arg(tiny.task());
        bundle.arg("--out").arg(tiny.bundle());
        let made = bundle.output().unwrap();
        assert!(made.status.success(), "{made:?}");
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
        fs::write(folder.join("tokenizer.json"), self.tokenizer.to_string()).unwrap();
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

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models/llama")
}
