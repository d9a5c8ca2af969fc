//! Models from the Hugging Face hub, kept in the cache that Python's `huggingface_hub` keeps.

#[cfg(feature = "hub")]
mod environment;
#[cfg(feature = "hub")]
mod online;

use std::fmt;
use std::str::FromStr;

#[cfg(feature = "hub")]
pub(crate) use online::fetch;

/// How a model on the hub is named.
pub(crate) const FORM: &str = "hub:org/name[/FILE.gguf][@revision]";
const PREFIX: &str = "hub:";
const GGUF: &str = ".gguf";

/// A model on the hub: a repository, or one GGUF file in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// `org/name`.
    repo: String,
    /// The file's path in the repository.
    file: Option<String>,
    /// Branch, tag or commit; the hub's default branch when absent.
    revision: Option<String>,
}

impl Name {
    /// Whether a text names a model on the hub, well or badly.
    pub(crate) fn is_meant_by(text: &str) -> bool {
        text.starts_with(PREFIX)
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not of the form {FORM}");
        let name = text.strip_prefix(PREFIX).ok_or_else(wrong)?;
        let (path, revision) = match name.split_once('@') {
            Some((path, revision)) => (path, Some(revision)),
            None => (name, None),
        };
        let (repo, file) = match path.match_indices('/').nth(1) {
            Some((at, _)) => (&path[..at], Some(&path[at + 1..])),
            None => (path, None),
        };
        // The parts become parts of a path in the cache.
        let parts_are_names = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let is_good = parts_are_names
            && repo.contains('/')
            && file.is_none_or(|file| file.ends_with(GGUF))
            && revision != Some("");
        let named = || Self {
            repo: repo.to_owned(),
            file: file.map(str::to_owned),
            revision: revision.map(str::to_owned),
        };
        is_good.then(named).ok_or_else(wrong)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.repo)?;
        if let Some(file) = &self.file {
            write!(f, "/{file}")?;
        }
        match &self.revision {
            Some(revision) => write!(f, "@{revision}"),
            None => Ok(()),
        }
    }
}

/// See the other `fetch`, which this build lacks.
///
/// # Errors
/// Always.
#[cfg(not(feature = "hub"))]
pub(crate) fn fetch(name: &Name) -> anyhow::Result<std::path::PathBuf> {
    Err(crate::failure::hinted(
        anyhow::anyhow!("{name} can't be fetched: this build has no hub support"),
        "this program was built without its feature `hub`: rebuild with it, or download the model and name its folder",
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_third_part_is_a_file() {
        let name: Name = "hub:org/name/q4/m.gguf@refs/pr/1".parse().unwrap();
        let expected = Name {
            repo: "org/name".into(),
            file: Some("q4/m.gguf".into()),
            revision: Some("refs/pr/1".into()),
        };
        assert_eq!(name, expected);
        // A repository may be called like a file.
        let name: Name = "hub:org/name.gguf".parse().unwrap();
        assert_eq!((name.repo.as_str(), name.file), ("org/name.gguf", None));
    }

    #[test]
    fn half_a_name_is_refused() {
        let wrong = [
            "org/name",
            "hub:",
            "hub:name",
            "hub:/name",
            "hub:a/",
            "hub:a/b@",
            "hub:a/b/c",
            "hub:a/b/",
            "hub:a/b/m.safetensors",
            "hub:a/b//m.gguf",
            "hub:a/b/../m.gguf",
            "hub:../b",
            "hub:a/b/m.gguf/",
        ];
        for text in wrong {
            let error = text.parse::<Name>().unwrap_err();
            assert!(error.contains(text) && error.contains(FORM), "{error}");
        }
    }
}
