//! The little student, its teacher, its task and a table, as files.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::student::{Model, TASK_FILE, table, tokenizer};

/// The name of the task in the bundle.
pub(crate) const TASK: &str = "toy";

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
        fs::write(tiny.bundle(), Model::Llama.bundle()).unwrap();
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

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models/llama")
}
