//! The Rust sources, in memory, so that a test can plant a violation.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::source;

/// One source file.
#[derive(Debug)]
pub(super) struct Source {
    /// From the root of the repository, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    /// The text with comments, strings and test modules blanked out, line for line.
    pub(super) code: String,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) sources: Vec<Source>,
}

/// The folders that hold Rust code of ours.
const FOLDERS: [&str; 8] = [
    "core", "data", "native", "text", "web", "tests", "xtask", "benches",
];

impl Tree {
    /// Reads the repository in the working directory.
    ///
    /// # Errors
    /// When a folder or file cannot be read.
    pub(super) fn read() -> Result<Self> {
        Self::read_from(".")
    }

    /// Reads the repository at `root`.
    ///
    /// # Errors
    /// As [`Tree::read`].
    pub(super) fn read_from(root: &str) -> Result<Self> {
        let mut tree = Self::default();
        for folder in FOLDERS {
            let path = Path::new(root).join(folder);
            if path.is_dir() {
                tree.read_folder(&path, folder)?;
            }
        }
        tree.sources.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn read_folder(&mut self, folder: &Path, name: &str) -> Result<()> {
        let place = || format!("cannot read {}", folder.display());
        for entry in fs::read_dir(folder).with_context(place)? {
            let entry = entry.with_context(place)?;
            let path = entry.path();
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            if path.is_dir() {
                if !name.ends_with("/target") {
                    self.read_folder(&path, &name)?;
                }
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                self.add(&name, text);
            }
        }
        Ok(())
    }

    /// Adds a file.
    pub(super) fn add(&mut self, path: &str, text: String) {
        let code = source::without_tests(&source::code(&text));
        self.sources.push(Source {
            path: path.to_owned(),
            text,
            code,
        });
    }

    /// The files under a folder.
    pub(super) fn under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a Source> {
        self.sources
            .iter()
            .filter(move |source| source.path.starts_with(folder))
    }
}

impl Source {
    /// Whether the whole file is a test (or part of one).
    pub(super) fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("/testing.rs")
    }
}

/// A tree of one file, for tests.
#[cfg(test)]
pub(super) fn planted(path: &str, text: &str) -> Tree {
    let mut tree = Tree::default();
    tree.add(path, text.to_owned());
    tree
}
