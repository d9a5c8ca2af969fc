//! Where a model comes from: a folder, a `.gguf` file, a bundle, or the Hugging Face hub.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::failure::hinted;
use crate::hub;

/// A model as a person names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum ModelSource {
    /// A folder in Hugging Face's layout, a `.gguf` file or a bundle.
    Path(PathBuf),
    /// `hub:org/name[/FILE.gguf][@revision]`.
    Hub(hub::Name),
}

impl FromStr for ModelSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match hub::Name::is_meant_by(text) {
            true => text.parse().map(Self::Hub),
            false => Ok(Self::Path(text.into())),
        }
    }
}

impl TryFrom<String> for ModelSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ModelSource> for String {
    fn from(source: ModelSource) -> Self {
        source.to_string()
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Hub(name) => name.fmt(f),
        }
    }
}

/// The shape of what lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Located {
    /// `config.json`, `*.safetensors` or `pytorch_model*.bin`, `tokenizer.json`.
    Folder(PathBuf),
    /// One file of weights in such a folder, whatever it is called.
    Weights(PathBuf),
    /// One file with weights, configuration and tokenizer.
    Gguf(PathBuf),
    /// A student as a provider publishes it.
    Bundle(PathBuf),
}

impl ModelSource {
    /// Finds the model on this machine, fetching it first when it is on the hub.
    ///
    /// # Errors
    /// When nothing is there, when it is no kind of model that is known, or when it can't be fetched.
    pub(crate) fn locate(&self) -> Result<Located> {
        match self {
            Self::Path(path) => locate(path),
            Self::Hub(name) => locate(&hub::fetch(name)?),
        }
    }
}

fn locate(path: &Path) -> Result<Located> {
    let owned = || path.to_owned();
    if path.is_dir() {
        return match path.join("config.json").is_file() {
            true => Ok(Located::Folder(owned())),
            false => Err(hinted(
                anyhow!("{} has no config.json", path.display()),
                "name a folder as Hugging Face lays it out: config.json, model.safetensors or \
                 pytorch_model.bin, tokenizer.json",
            )),
        };
    }
    let name = path.to_string_lossy();
    match () {
        () if !path.exists() => Err(hinted(
            anyhow!("no model at {name}"),
            format!(
                "name a folder, a .gguf file, a .post.safetensors bundle, or {}",
                hub::FORM
            ),
        )),
        () if name.ends_with(".gguf") => Ok(Located::Gguf(owned())),
        () if name.ends_with(".post.safetensors") => Ok(Located::Bundle(owned())),
        () if is_weights(&name) => match path.with_file_name("config.json").is_file() {
            true => Ok(Located::Weights(owned())),
            false => Err(hinted(
                anyhow!("{name} is weights alone, without configuration and tokenizer"),
                "put the model's config.json and tokenizer.json beside it",
            )),
        },
        () => Err(hinted(
            anyhow!("{name} is no model file that is known"),
            "models are folders, .gguf files and .post.safetensors bundles",
        )),
    }
}

/// Whether a file of this name holds weights and nothing else.
fn is_weights(name: &str) -> bool {
    let ends = [".safetensors", ".bin", ".pt", ".pth"];
    ends.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hub_names_come_back_as_written() {
        let texts = [
            "hub:org/name",
            "hub:org/name@v1.0",
            "hub:org/name/a.gguf",
            "hub:org/name/q4/a.gguf@v1.0",
            "some/folder",
            "a.gguf",
        ];
        for text in texts {
            let source: ModelSource = text.parse().unwrap();
            assert_eq!(source.to_string(), text);
        }
    }

    #[test]
    fn half_a_hub_name_is_refused() {
        for text in ["hub:name", "hub:/name", "hub:a/b/c", "hub:a/b@", "hub:"] {
            assert!(text.parse::<ModelSource>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_lies_there_decides() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let files = [
            "m.gguf",
            "s.post.safetensors",
            "w.safetensors",
            "w.pt",
            "notes.txt",
        ];
        for name in files {
            std::fs::write(at(name), b"x").unwrap();
        }
        assert_eq!(locate(&at("m.gguf")).unwrap(), Located::Gguf(at("m.gguf")));
        let bundle = at("s.post.safetensors");
        assert_eq!(locate(&bundle).unwrap(), Located::Bundle(bundle));
        for name in ["w.safetensors", "w.pt", "notes.txt", "absent", "."] {
            assert!(locate(&at(name)).is_err(), "{name}");
        }
        std::fs::write(at("config.json"), b"{}").unwrap();
        for name in ["w.safetensors", "w.pt"] {
            assert_eq!(locate(&at(name)).unwrap(), Located::Weights(at(name)));
        }
    }
}
