//! Models from the Hugging Face hub, kept in its shared cache (`HF_HOME`).

use std::path::PathBuf;

use anyhow::Result;

/// Fetches what a model needs and names the folder it lies in.
/// With `HF_HUB_OFFLINE` set only the cache is asked.
///
/// # Errors
/// When a file is missing, the network is, or this build has no `hub` feature.
#[cfg(not(feature = "hub"))]
pub(crate) fn fetch(repo: &str, _revision: Option<&str>) -> Result<PathBuf> {
    Err(crate::failure::hinted(
        anyhow::anyhow!("hub:{repo} can't be fetched: this build has no hub support"),
        "this program was built without its feature `hub`: rebuild with it, or download the model and name its folder",
    ))
}

#[cfg(feature = "hub")]
pub(crate) use online::fetch;

#[cfg(feature = "hub")]
mod online {
    use super::{PathBuf, Result};

    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use anyhow::{Context, anyhow};
    use hf_hub::api::sync::{ApiBuilder, ApiRepo};
    use hf_hub::{Cache, CacheRepo, Repo, RepoType};
    use post_core::checkpoint::{pytorch, safetensors};
    use post_core::dp::receipt::sha256;
    use sha1::{Digest, Sha1};

    use crate::failure::Hint;
    use crate::files;

    const CONFIG: &str = "config.json";
    const TOKENIZER: &str = "tokenizer.json";
    /// Weights in one file, else the index of those in several; as transformers prefers them.
    const WEIGHTS: [&str; 4] = [
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        pytorch::INDEX,
    ];

    /// See the module's other `fetch`.
    pub(crate) fn fetch(repo: &str, revision: Option<&str>) -> Result<PathBuf> {
        let revision = revision.unwrap_or("main").to_owned();
        let handle = Repo::with_revision(repo.to_owned(), RepoType::Model, revision);
        let cached = Cached::open(&handle);
        if let Some(folder) = cached.complete() {
            return Ok(folder);
        }
        if offline() {
            return Err(anyhow!(
                "{repo} is not in the hub's cache, or not all of it"
            ))
            .hint("unset HF_HUB_OFFLINE once, so that it can be fetched");
        }
        let online = Online::open(handle, cached)?;
        let there = online.list(repo)?;
        let config = online.get(CONFIG)?;
        if there.contains(TOKENIZER) {
            online.get(TOKENIZER)?;
        }
        let weights = WEIGHTS.into_iter().find(|name| there.contains(*name));
        let weights = weights
            .ok_or_else(|| anyhow!("{repo} has no weights that are read"))
            .hint(format!("a model has one of {}", WEIGHTS.join(", ")))?;
        for shard in shards(&online.get(weights)?)? {
            online.get(&shard)?;
        }
        let folder = config.parent().context("the hub's cache has no folder")?;
        Ok(folder.to_owned())
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
        fn open(repo: &Repo) -> Self {
            let cached = cache().repo(repo.clone());
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
        fn complete(&self) -> Option<PathBuf> {
            let config = self.get(CONFIG)?;
            if self.get(TOKENIZER).is_none() && !offline() {
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
        fn open(repo: Repo, cached: Cached) -> Result<Self> {
            let mut builder = ApiBuilder::from_cache(cache());
            if let Some(endpoint) = variable("HF_ENDPOINT") {
                builder = builder.with_endpoint(endpoint);
            }
            if let Some(token) = variable("HF_TOKEN") {
                builder = builder.with_token(Some(token));
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
                    "check the name, the revision and the network; set HF_TOKEN for gated models",
                )?;
            Ok(info
                .siblings
                .into_iter()
                .map(|file| file.rfilename)
                .collect())
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

    /// `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else in the home folder, as in `huggingface_hub`.
    fn cache() -> Cache {
        match variable("HF_HUB_CACHE") {
            Some(path) => Cache::new(path.into()),
            None => Cache::from_env(),
        }
    }

    /// Any value but `0` and the empty string counts, as in `huggingface_hub`.
    fn offline() -> bool {
        variable("HF_HUB_OFFLINE").is_some_and(|value| value != "0")
    }

    fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }
}
