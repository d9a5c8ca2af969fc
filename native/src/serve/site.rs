//! What is served, and what a request gets.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use post_core::bundle::{Bundle, Catalog, Listed, Sample};
use post_core::task::{self, Task};

use super::hosts::Hosts;
use super::kind::JSON;
use super::memory::Kept;
use super::names;
use super::offers::{Keep, Offers};
use super::page::Page;
use super::reply::{Asked, Reply};
use crate::failure::Hint;
use crate::models;

const CATALOG: &str = "bundles.json";

/// What a site is made of.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    /// The folder of the page.
    pub(crate) page: &'a Path,
    /// Bundles, complete ones.
    pub(crate) bundles: &'a [PathBuf],
    /// A table to try them on, and the task that it is of.
    pub(crate) sample: Option<(&'a Path, Option<&'a str>)>,
    /// Where the server will listen.
    pub(crate) address: IpAddr,
}

/// Everything that can be asked for.
#[derive(Debug)]
pub(crate) struct Site {
    page: Page,
    offers: Offers,
    catalog: Catalog,
    /// The content of `bundles.json`.
    json: Kept,
    hosts: Hosts,
}

impl Site {
    /// Opens and checks everything: what is served later can be loaded.
    ///
    /// # Errors
    /// Names the file, what is wrong and the way out.
    pub(crate) fn open(contents: &Contents<'_>) -> Result<Self> {
        let page = Page::open(contents.page)?;
        let (mut offers, mut catalog) = (Offers::default(), Catalog::default());
        let mut tasks = Vec::new();
        for path in contents.bundles {
            let (file, bytes) = offers.add(path, Keep::Nothing)?;
            let bundle = models::open_bundle(path)?;
            catalog.bundles.push(Listed::of(&bundle, file, bytes));
            tasks.extend(bundle.card().tasks.clone());
            complete(bundle, path)?;
        }
        if let Some((path, task)) = contents.sample {
            task.map_or(Ok(()), |name| known(name, &tasks))?;
            let (file, bytes) = offers.add(path, Keep::Asking)?;
            let task = task.map(str::to_owned);
            catalog.sample = Some(Sample { file, bytes, task });
        }
        let taken = |name: &&str| *name == CATALOG || page.has(name);
        if let Some(name) = offers.names().find(taken) {
            let folder = contents.page.display();
            return Err(anyhow!(
                "{name} would take the place of the page's in {folder}"
            ))
            .hint("rename it, or take it out of the page's folder");
        }
        let json = Kept::new(JSON, serde_json::to_vec(&catalog)?);
        let hosts = Hosts::of(contents.address);
        Ok(Self {
            page,
            offers,
            catalog,
            json,
            hosts,
        })
    }

    /// What is on offer.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The reply to a request.
    pub(super) fn answer(&self, asked: &Asked) -> Reply {
        if !self.hosts.allow(asked.all("host")) {
            return Reply::text(421, "this server is addressed as localhost or 127.0.0.1");
        }
        if !matches!(asked.method.as_str(), "GET" | "HEAD") {
            return Reply::text(405, "only GET and HEAD").with("allow", "GET, HEAD");
        }
        let Some(parts) = names::parts(&asked.url) else {
            return Reply::missing();
        };
        if let [name] = parts.as_slice() {
            if name == CATALOG {
                return self.json.reply(asked);
            }
            if let Some(reply) = self.offers.reply(name, asked) {
                return reply;
            }
        }
        match self.page.file(&parts) {
            Ok(file) => file.reply(asked),
            Err(_) => Reply::missing(),
        }
    }
}

/// The tab has nothing to complete a bundle with, and no better words for what is wrong with it.
fn complete(bundle: Bundle, path: &Path) -> Result<()> {
    bundle
        .into_checkpoint()
        .with_context(|| format!("bundle {} can't be used in a tab", path.display()))
        .hint(
            "complete it with its teacher: `post-native bundle --student … --teacher … --out …`",
        )?;
    Ok(())
}

/// The page finds a task by name among those that are built in and those in the bundles.
fn known(name: &str, tasks: &[String]) -> Result<()> {
    let mut own = tasks.iter().filter_map(|text| Task::from_toml(text).ok());
    match own.any(|task| task.name() == name) {
        true => Ok(()),
        false => task::ready(name).map(drop).context("--sample-task"),
    }
}
