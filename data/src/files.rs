//! From paths and patterns to files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::DataError;

/// The files that paths and patterns name, each once: in the order of the patterns, those of one
/// pattern by their paths, whatever order the disk has them in.
///
/// # Errors
/// A pattern that is none or that no file matches. A path without pattern is not looked at.
pub fn expand(patterns: &[PathBuf]) -> Result<Vec<PathBuf>, DataError> {
    let (mut files, mut known) = (Vec::new(), HashSet::new());
    for pattern in patterns {
        for file in matches(pattern)? {
            // Two spellings of one file are one file.
            let same = file.canonicalize().unwrap_or_else(|_| file.clone());
            if known.insert(same) {
                files.push(file);
            }
        }
    }
    Ok(files)
}

fn matches(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let pattern = path.to_string_lossy();
    // A file may bear a star or a bracket in its name.
    if !pattern.contains(['*', '?', '[']) || path.exists() {
        return Ok(vec![path.to_owned()]);
    }
    let found = glob::glob(&pattern).map_err(|error| DataError::Pattern {
        pattern: pattern.to_string(),
        reason: error.msg,
    })?;
    let mut files = Vec::new();
    for file in found {
        let file = file.map_err(|error| DataError::Io {
            path: error.path().to_owned(),
            source: error.into(),
        })?;
        if !file.is_dir() {
            files.push(file);
        }
    }
    if files.is_empty() {
        let pattern = pattern.into_owned();
        return Err(DataError::NoMatch { pattern });
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn patterns_give_files_in_one_order_and_each_once() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.csv", "c[1].csv", "d.txt", "deep/e.csv"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        fs::create_dir(folder.path().join("folder.csv")).unwrap();
        let names = |patterns: &[&str]| {
            let patterns: Vec<_> = patterns.iter().map(|p| folder.path().join(p)).collect();
            let files = expand(&patterns)?;
            let inside = |file: PathBuf| {
                let path = file.strip_prefix(folder.path()).unwrap().to_owned();
                path.to_str().unwrap().to_owned()
            };
            Ok::<_, DataError>(files.into_iter().map(inside).collect::<Vec<_>>())
        };
        assert_eq!(names(&["*.csv"]).unwrap(), ["a.csv", "b.csv", "c[1].csv"]);
        let twice = names(&["b.csv", "deep/../b.csv", "?.csv", "c[1].csv"]);
        assert_eq!(twice.unwrap(), ["b.csv", "a.csv", "c[1].csv"]);
        assert_eq!(names(&["**/e.csv"]).unwrap(), ["deep/e.csv"]);
        // Reading says best what is wrong with a file that isn't there.
        assert_eq!(names(&["gone.csv"]).unwrap(), ["gone.csv"]);
        let none = names(&["*.tsv"]).unwrap_err();
        assert!(matches!(&none, DataError::NoMatch { pattern } if pattern.ends_with("*.tsv")));
        let broken = names(&["a[.csv"]).unwrap_err();
        assert!(matches!(broken, DataError::Pattern { .. }), "{broken}");
    }
}
