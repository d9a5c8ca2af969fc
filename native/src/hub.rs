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
        "rebuild with `--features hub`, or download the model and name its folder",
    ))
}

#[cfg(feature = "hub")]
pub(crate) use online::fetch;

#[cfg(feature = "hub")]
mod online {
    use super::{PathBuf, Result};

    use anyhow::{Context, anyhow};
    use hf_hub::api::sync::{ApiBuilder, ApiRepo};
    use hf_hub::{Cache, CacheRepo, Repo, RepoType};
    use post_core::checkpoint::safetensors;

    use crate::failure::Hint;

    const INDEX: &str = "model.safetensors.index.json";

    /// See the module's other `fetch`.
    pub(crate) fn fetch(repo: &str, revision: Option<&str>) -> Result<PathBuf> {
        let revision = revision.unwrap_or("main").to_owned();
        let handle = Repo::with_revision(repo.to_owned(), RepoType::Model, revision);
        let files = Files::open(handle)?;
        let config = files.get("config.json")?;
        files.get("tokenizer.json")?;
        if files.get("model.safetensors").is_err() {
            let index = files.get(INDEX)?;
            for shard in safetensors::shard_names(&crate::files::read(&index)?)? {
                files.get(&shard)?;
            }
        }
        let folder = config.parent().context("the hub's cache has no folder")?;
        Ok(folder.to_owned())
    }

    enum Files {
        Online(Box<ApiRepo>),
        Cached(CacheRepo),
    }

    impl Files {
        fn open(repo: Repo) -> Result<Self> {
            if offline() {
                return Ok(Self::Cached(Cache::from_env().repo(repo)));
            }
            let mut builder = ApiBuilder::from_env();
            if let Ok(token) = std::env::var("HF_TOKEN") {
                builder = builder.with_token(Some(token));
            }
            Ok(Self::Online(Box::new(builder.build()?.repo(repo))))
        }

        fn get(&self, name: &str) -> Result<PathBuf> {
            match self {
                Self::Online(api) => api
                    .get(name)
                    .with_context(|| format!("could not fetch {name} from the hub"))
                    .hint("check the name and the network; set HF_TOKEN for gated models"),
                Self::Cached(cache) => cache
                    .get(name)
                    .ok_or_else(|| anyhow!("{name} is not in the hub's cache"))
                    .hint("unset HF_HUB_OFFLINE once, so that it can be fetched"),
            }
        }
    }

    /// Any value but `0` and the empty string counts, as in `huggingface_hub`.
    fn offline() -> bool {
        std::env::var("HF_HUB_OFFLINE").is_ok_and(|v| !v.is_empty() && v != "0")
    }
}
