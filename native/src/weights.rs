//! The weights of a folder: in one file or several, as safetensors or as PyTorch saves them.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use post_core::checkpoint::pytorch::{self, File, Pytorch, PytorchReader};
use post_core::checkpoint::{Checkpoint, hf, safetensors};

use crate::failure::hinted;
use crate::models::{optional, shared};

const SAFETENSORS: [&str; 2] = ["model.safetensors", "model.safetensors.index.json"];
const PYTORCH: [&str; 2] = ["pytorch_model.bin", pytorch::INDEX];

/// Which files to open, and how.
pub(crate) struct Weights {
    kind: Kind,
    index: Option<Vec<u8>>,
    /// Names within the folder.
    pub(crate) names: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Safetensors,
    Pytorch,
}

impl Weights {
    /// The weights of a folder; safetensors where both are there, as transformers has it.
    ///
    /// # Errors
    /// When there are none, or an index can't be read.
    pub(crate) fn find(folder: &Path) -> Result<Self> {
        for (kind, [single, index]) in [(Kind::Safetensors, SAFETENSORS), (Kind::Pytorch, PYTORCH)]
        {
            if folder.join(single).is_file() {
                let names = vec![single.to_owned()];
                return Ok(Self {
                    kind,
                    index: None,
                    names,
                });
            }
            let path = folder.join(index);
            if let Some(index) = optional(&path)? {
                let names = match kind {
                    Kind::Safetensors => safetensors::shard_names(&index),
                    Kind::Pytorch => pytorch::shard_names(&index),
                };
                let names = names.with_context(|| format!("{} is damaged", path.display()))?;
                return Ok(Self {
                    kind,
                    index: Some(index),
                    names,
                });
            }
        }
        let known = [SAFETENSORS, PYTORCH].concat().join(", ");
        Err(hinted(
            anyhow!("{} has no weights", folder.display()),
            format!("put one of these there, or name the file of weights itself: {known}"),
        ))
    }

    /// One file, by its path.
    ///
    /// # Errors
    /// When it has no name.
    pub(crate) fn one(file: &Path) -> Result<Self> {
        let name = file.file_name().context("the file has no name")?;
        let name = name.to_string_lossy().into_owned();
        let kind = match name.ends_with(".safetensors") {
            true => Kind::Safetensors,
            false => Kind::Pytorch,
        };
        Ok(Self {
            kind,
            index: None,
            names: vec![name],
        })
    }

    /// Opens them and puts them together with the rest of the folder; no tensor is decoded.
    ///
    /// # Errors
    /// Names the file, and the tensor or field in it.
    pub(crate) fn load(self, path: &Path, mut folder: hf::Folder) -> Result<Checkpoint> {
        if self.kind == Kind::Pytorch {
            let files = self
                .names
                .iter()
                .map(|name| pickled(&path.join(name), name));
            let files = files.collect::<Result<_>>()?;
            let weights = match &self.index {
                Some(index) => Pytorch::sharded(index, files)?,
                None => Pytorch::new(files)?,
            };
            return Ok(folder.with(weights)?);
        }
        let files = self.names.into_iter().map(|name| {
            let bytes = shared(&path.join(&name))?;
            Ok((name, bytes))
        });
        folder.weights = files.collect::<Result<_>>()?;
        folder.index = self.index;
        Ok(folder.read()?)
    }
}

/// A file of PyTorch's; tensors are fetched from it when they are asked for.
///
/// # Errors
/// When it can't be read, or is no such file.
pub(crate) fn pickled(path: &Path, name: &str) -> Result<File> {
    let bytes = shared(path)?;
    let file = File::open(name, bytes.as_ref().as_ref(), || PytorchReader::new(path));
    Ok(file?)
}
