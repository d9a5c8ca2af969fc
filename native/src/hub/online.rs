//! What a model needs, out of the cache or from the hub.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use hf_hub::api::sync::{ApiBuilder, ApiRepo};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use post_core::checkpoint::{pytorch, safetensors};
use post_core::dp::receipt::sha256;
use sha1::{Digest, Sha1};

use super::environment::Environment;
use super::{GGUF, Name};
use crate::failure::{Hint, hinted};
use crate::{files, term};

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
/// Weights in one file, else the index of those in several; as transformers prefers them.
const WEIGHTS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    pytorch::INDEX,
];
/// Files that an error lists.
const LISTED: usize = 12;

/// Fetches what a model needs and names the folder it lies in, or the file that it is.
/// Where the environment forbids the network only the cache is asked.
///
/// # Errors
/// When a file is missing, or the network is.
pub(crate) fn fetch(name: &Name) -> Result<PathBuf> {
    let revision = name.revision.as_deref().unwrap_or("main").to_owned();
    let handle = Repo::with_revision(name.repo.clone(), RepoType::Model, revision);
    let environment = Environment::read()?;
    let cached = Cached::open(&handle, &environment);
    let found = match &name.file {
        Some(file) => cached.get(file),
        None => cached.complete(environment.offline.is_some()),
    };
    if let Some(path) = found {
        return Ok(path);
    }
    if let Some(variable) = environment.offline {
        return Err(anyhow!(
            "{name} is not in the hub's cache, or not all of it"
        ))
        .hint(format!("unset {variable} once, so that it can be fetched"));
    }
    let online = Online::open(handle, cached, &environment)?;
    let there = online.list(&name.repo)?;
    match &name.file {
        Some(file) if there.contains(file) => online.get(file),
        Some(file) => Err(anyhow!("{} has no {file}", name.repo)).hint(way_on(name, &there)),
        None => online.folder(name, &there),
    }
}

/// What to name instead of a model that isn't there.
fn way_on(name: &Name, there: &BTreeSet<String>) -> String {
    let known = WEIGHTS.join(", ");
    match ggufs(there)[..] {
        [] => format!("a model is a .gguf file, or has one of {known}"),
        [first, ..] => {
            let named = Name {
                file: Some(first.to_owned()),
                ..name.clone()
            };
            format!("name a GGUF file that is there, as in {named}")
        }
    }
}

fn ggufs(there: &BTreeSet<String>) -> Vec<&str> {
    let names = there.iter().map(String::as_str);
    names.filter(|name| name.ends_with(GGUF)).collect()
}

/// Why a repository is no folder with a model.
fn no_weights(name: &Name, there: &BTreeSet<String>) -> anyhow::Error {
    let (repo, files) = (&name.repo, ggufs(there));
    let said = match files.len() {
        0 => format!("{repo} has no weights that are read"),
        count => {
            let listed = files[..count.min(LISTED)].join(", ");
            let more = match count.saturating_sub(LISTED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("{repo} has no weights that are read but GGUF files: {listed}{more}")
        }
    };
    hinted(anyhow!(said), way_on(name, there))
}

/// The files that an index names; none where the file is no index.
fn shards(weights: &Path) -> Result<Vec<String>> {
    let name = weights.file_name().unwrap_or_default();
    match () {
        () if name == WEIGHTS[1] => Ok(safetensors::shard_names(&files::read(weights)?)?),
        () if name == WEIGHTS[3] => Ok(pytorch::shard_names(&files::read(weights)?)?),
        () => Ok(Vec::new()),
    }
}

/// What Python's `huggingface_hub` and we have fetched before.
struct Cached {
    repo: CacheRepo,
    /// The folder of a commit that was asked for by its hash: Python keeps no reference to it.
    commit: PathBuf,
}

impl Cached {
    fn open(repo: &Repo, environment: &Environment) -> Self {
        let cached = Cache::new(environment.cache.clone()).repo(repo.clone());
        let commit = cached.pointer_path(repo.revision());
        Self {
            repo: cached,
            commit,
        }
    }

    fn get(&self, name: &str) -> Option<PathBuf> {
        let pinned = Some(self.commit.join(name)).filter(|path| path.is_file());
        pinned.or_else(|| self.repo.get(name))
    }

    /// The folder, if nothing is left to be fetched. Offline a model may lack its tokenizer.
    fn complete(&self, offline: bool) -> Option<PathBuf> {
        let config = self.get(CONFIG)?;
        if self.get(TOKENIZER).is_none() && !offline {
            return None;
        }
        let weights = WEIGHTS.into_iter().find_map(|name| self.get(name))?;
        let shards = shards(&weights).ok()?;
        let all = shards.iter().all(|shard| self.get(shard).is_some());
        all.then(|| config.parent().map(Path::to_owned))?
    }
}

struct Online {
    api: ApiRepo,
    cached: Cached,
}

impl Online {
    fn open(repo: Repo, cached: Cached, environment: &Environment) -> Result<Self> {
        // The crate would look for a token beside the cache, wherever that is.
        let mut builder = ApiBuilder::from_cache(Cache::new(environment.cache.clone()))
            .with_token(environment.token()?)
            .with_progress(term::draws_bars());
        if let Some(endpoint) = &environment.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        let api = builder.build()?.repo(repo);
        Ok(Self { api, cached })
    }

    /// The names of all files.
    fn list(&self, repo: &str) -> Result<BTreeSet<String>> {
        let info = self.api.info();
        let info = info
            .with_context(|| format!("could not find {repo} on the hub"))
            .hint(
                "check the name, the revision and the network; for gated models set HF_TOKEN, or log in with \
                 `hf auth login`",
            )?;
        Ok(info
            .siblings
            .into_iter()
            .map(|file| file.rfilename)
            .collect())
    }

    /// Configuration, weights and tokenizer.
    fn folder(&self, name: &Name, there: &BTreeSet<String>) -> Result<PathBuf> {
        let weights = WEIGHTS.into_iter().find(|name| there.contains(*name));
        let weights = weights.ok_or_else(|| no_weights(name, there))?;
        let config = self.get(CONFIG)?;
        if there.contains(TOKENIZER) {
            self.get(TOKENIZER)?;
        }
        for shard in shards(&self.get(weights)?)? {
            self.get(&shard)?;
        }
        let folder = config.parent().context("the hub's cache has no folder")?;
        Ok(folder.to_owned())
    }

    /// A file, fetched unless it is there; where a connection broke the next call goes on.
    fn get(&self, name: &str) -> Result<PathBuf> {
        if let Some(path) = self.cached.get(name) {
            return Ok(path);
        }
        let path = self
            .api
            .download(name)
            .with_context(|| format!("could not fetch {name} from the hub"))
            .hint("run the same command again: what has arrived is kept")?;
        if let Err(error) = intact(&path) {
            remove(&path)?;
            return Err(error).hint("run the same command again: the file is fetched anew");
        }
        Ok(path)
    }
}

/// The hub names each file's content by its hash, and the cache keeps it under that name: SHA-256 for
/// large files, git's own SHA-1 for small ones. Another server's names may be no hashes.
fn intact(path: &Path) -> Result<()> {
    let blob = fs::canonicalize(path)?;
    let name = blob.file_name().unwrap_or_default().to_string_lossy();
    if !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    let bytes = files::map(&blob)?;
    let found = match name.len() {
        64 => sha256(&bytes),
        40 => {
            let mut hash = Sha1::new();
            hash.update(format!("blob {}\0", bytes.len()));
            hash.update(&*bytes);
            format!("{:x}", hash.finalize())
        }
        _ => return Ok(()),
    };
    match found == *name {
        true => Ok(()),
        false => Err(anyhow!(
            "{} arrived damaged: its hash is {found} instead of {name}",
            path.display()
        )),
    }
}

/// A file and what it points to.
fn remove(path: &Path) -> Result<()> {
    fs::remove_file(fs::canonicalize(path)?)?;
    // On Windows the file itself may be in the link's place, and gone already.
    let _ = fs::remove_file(path);
    Ok(())
}
