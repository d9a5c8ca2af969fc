//! The folder of the page. A file that is built anew while it is served is read anew.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

use anyhow::{Context, Result, ensure};

use super::kind::Kind;
use super::memory::Kept;
use super::stamp::Stamp;
use crate::failure::Hint;

const INDEX: &str = "index.html";

/// The folder, and what was asked for of it.
#[derive(Debug)]
pub(super) struct Page {
    /// Without links, so that what lies in it is told by its path.
    folder: PathBuf,
    kept: Mutex<HashMap<PathBuf, (Stamp, Arc<Kept>)>>,
}

impl Page {
    /// # Errors
    /// When there is no page in the folder.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let opened = || {
            let canonical = folder.canonicalize()?;
            ensure!(canonical.join(INDEX).is_file(), "there is no {INDEX}");
            Ok(canonical)
        };
        let folder = opened()
            .with_context(|| format!("{} holds no page", folder.display()))
            .hint("build it with `cargo xtask web --build-only`, or name its folder with --page")?;
        Ok(Self {
            folder,
            kept: Mutex::default(),
        })
    }

    /// Whether a file of this name lies in the folder itself.
    pub(super) fn has(&self, name: &str) -> bool {
        self.folder.join(name).exists()
    }

    /// The file at `parts`, which are plain names; the page itself where there are none.
    ///
    /// # Errors
    /// When it isn't there, is no file, lies outside the folder (a link), or can't be read.
    pub(super) fn file(&self, parts: &[String]) -> io::Result<Arc<Kept>> {
        let mut path = self.folder.clone();
        path.extend(parts);
        if parts.is_empty() {
            path.push(INDEX);
        }
        let path = path.canonicalize()?;
        let meta = fs::metadata(&path)?;
        if !path.starts_with(&self.folder) || !meta.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let stamp = Stamp::of(&meta)?;
        if let Some((_, kept)) = self.lock().get(&path).filter(|(own, _)| *own == stamp) {
            return Ok(Arc::clone(kept));
        }
        let name = path.to_string_lossy();
        let kept = Arc::new(Kept::new(Kind::of(&name), fs::read(&path)?));
        self.lock().insert(path, (stamp, Arc::clone(&kept)));
        Ok(kept)
    }

    /// A thread that panicked can't have left the map half changed.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, (Stamp, Arc<Kept>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn files_inside_are_found_and_folders_and_the_absent_are_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("fonts")).unwrap();
        fs::write(dir.path().join("fonts/a.woff2"), "a").unwrap();
        fs::write(dir.path().join(INDEX), "page").unwrap();
        let page = Page::open(dir.path()).unwrap();
        assert!(page.file(&[]).is_ok());
        assert!(page.file(&parts(&["fonts", "a.woff2"])).is_ok());
        assert!(page.file(&parts(&["fonts"])).is_err());
        assert!(page.file(&parts(&["b"])).is_err());
    }

    #[test]
    fn a_folder_without_a_page_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = Page::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains("holds no page"));
        assert!(Page::open(&dir.path().join("none")).is_err());
    }

    #[test]
    fn a_file_built_anew_is_sent_anew() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(INDEX), "old").unwrap();
        let page = Page::open(dir.path()).unwrap();
        let old = page.file(&[]).unwrap();
        assert!(Arc::ptr_eq(&old, &page.file(&[]).unwrap()));
        fs::write(dir.path().join(INDEX), "newer").unwrap();
        assert!(!Arc::ptr_eq(&old, &page.file(&[]).unwrap()));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_the_outside_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, secret) = (dir.path().join("in"), dir.path().join("secret"));
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join(INDEX), "page").unwrap();
        fs::write(&secret, "s").unwrap();
        std::os::unix::fs::symlink(&secret, inside.join("link")).unwrap();
        std::os::unix::fs::symlink(dir.path(), inside.join("up")).unwrap();
        let page = Page::open(&inside).unwrap();
        assert!(page.file(&parts(&["link"])).is_err());
        assert!(page.file(&parts(&["up", "secret"])).is_err());
    }
}
