//! Students: those on the server's list, those stored here, and how one comes from there to here.

use anyhow::{Context as _, Result, bail};
use js_sys::{Reflect, Uint8Array};
use post_core::bundle::{Catalog, Sample};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, Headers, ReadableStreamDefaultReader, RequestInit, Response, WorkerGlobalScope,
};

use super::port::Port;
use super::storage::{Appender, Storage};
use super::{files, thrown};
use crate::protocol::{Answer, BundleCard, Listed, Loading};

/// The server's list.
const CATALOG: &str = "bundles.json";
/// What is stored here, with what it says of itself.
const SHELF: &str = "students.json";
/// Bytes between two words to the page.
const WORD: u64 = 1 << 20;

/// What can be loaded.
pub(super) struct Library {
    listed: Vec<Listed>,
    sample: Option<Sample>,
}

/// One stored student.
#[derive(Clone, Serialize, Deserialize)]
struct Shelved {
    bytes: u64,
    card: BundleCard,
}

/// Loading ended because the person wanted it to.
#[derive(Debug, thiserror::Error)]
#[error("cancelled")]
pub(super) struct Cancelled;

impl Library {
    /// Looks at the server's list and at what is stored. Neither has to be there.
    pub(super) async fn open(storage: &Storage) -> Self {
        let catalog = catalog().await.unwrap_or_else(|error| {
            web_sys::console::warn_1(&format!("{error:#}").into());
            Catalog::default()
        });
        let mut library = Self {
            listed: catalog.bundles.into_iter().map(listed).collect(),
            sample: catalog.sample,
        };
        for shelved in shelf(storage).await {
            let hash = &shelved.card.hash;
            let stored = match storage.file(&place(hash)).await {
                Ok(Some(file)) => file.size() as u64,
                _ => 0,
            };
            match library.find(hash) {
                Some(at) => library.listed[at].stored = stored.min(library.listed[at].bytes),
                None if stored == shelved.bytes => library.listed.push(Listed {
                    file: None,
                    bytes: shelved.bytes,
                    stored,
                    card: shelved.card,
                }),
                None => {}
            }
        }
        library
    }

    /// Everything there is.
    pub(super) fn listed(&self) -> Vec<Listed> {
        self.listed.clone()
    }

    /// The server's sample set.
    pub(super) fn sample(&self) -> Option<&Sample> {
        self.sample.as_ref()
    }

    fn find(&self, hash: &str) -> Option<usize> {
        self.listed
            .iter()
            .position(|listed| listed.card.hash == hash)
    }

    /// A student's file, out of the storage or from the server.
    ///
    /// # Errors
    /// [`Cancelled`]; or what is wrong with network or storage.
    pub(super) async fn obtain(
        &mut self,
        hash: &str,
        keep: bool,
        storage: &Storage,
        port: &Port,
    ) -> Result<Blob> {
        let at = self
            .find(hash)
            .context("that student is not on the list any more")?;
        let listed = self.listed[at].clone();
        if listed.stored == listed.bytes
            && let Some(file) = storage.file(&place(hash)).await?
        {
            return Ok(file);
        }
        let name = listed.file.as_deref();
        let name =
            name.context("that student is not stored completely, and the server has it no more")?;
        let fetching = Fetching {
            name,
            total: listed.bytes,
            port,
        };
        if !keep {
            return fetching.gather().await;
        }
        shelve(storage, &listed).await?;
        let kept = fetching.store(storage, &place(hash)).await;
        let file = storage.file(&place(hash)).await?;
        self.listed[at].stored = file.as_ref().map_or(0, |file| file.size() as u64);
        kept?;
        file.context("the stored student is gone")
    }

    /// A file of the person's own, kept for the next time.
    ///
    /// # Errors
    /// When there is no room.
    pub(super) async fn keep(
        &mut self,
        storage: &Storage,
        file: &Blob,
        card: &BundleCard,
    ) -> Result<()> {
        let appender = storage.append(&place(&card.hash)).await?;
        let bytes = file.size() as u64;
        if appender.size()? != bytes {
            appender.clear()?;
            let file = files::read(file).await?;
            appender.push(&Uint8Array::from(file.as_slice()))?;
        }
        drop(appender);
        let listed = Listed {
            file: None,
            bytes,
            stored: bytes,
            card: card.clone(),
        };
        shelve(storage, &listed).await?;
        match self.find(&card.hash) {
            Some(at) => self.listed[at].stored = bytes,
            None => self.listed.push(listed),
        }
        Ok(())
    }

    /// Deletes a stored student.
    ///
    /// # Errors
    /// When the browser refuses.
    pub(super) async fn forget(&mut self, hash: &str, storage: &Storage) -> Result<()> {
        storage.remove(&place(hash)).await?;
        let mut left = shelf(storage).await;
        left.retain(|shelved| shelved.card.hash != hash);
        storage.write(SHELF, &serde_json::to_vec(&left)?).await?;
        if let Some(at) = self.find(hash) {
            match self.listed[at].file {
                Some(_) => self.listed[at].stored = 0,
                None => drop(self.listed.remove(at)),
            }
        }
        Ok(())
    }
}

/// The server's sample set.
///
/// # Errors
/// When it can't be fetched.
pub(super) async fn fetch_sample(sample: &Sample) -> Result<Vec<u8>> {
    let response = get(&sample.file, 0).await?;
    let buffer = response.array_buffer().map_err(thrown)?;
    let buffer = JsFuture::from(buffer).await.map_err(thrown)?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

/// The name that a student's file is stored under.
fn place(hash: &str) -> String {
    format!("student-{hash}.post.safetensors")
}

fn listed(listed: post_core::bundle::Listed) -> Listed {
    Listed {
        file: Some(listed.file),
        bytes: listed.bytes,
        stored: 0,
        card: BundleCard {
            name: listed.name,
            teacher: listed.teacher,
            license: listed.license,
            layers: listed.layers,
            hidden_size: listed.hidden_size,
            hash: listed.hash,
        },
    }
}

async fn shelf(storage: &Storage) -> Vec<Shelved> {
    let read = storage.read(SHELF).await.ok().flatten();
    read.and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

async fn shelve(storage: &Storage, listed: &Listed) -> Result<()> {
    let mut shelf = shelf(storage).await;
    if shelf
        .iter()
        .any(|shelved| shelved.card.hash == listed.card.hash)
    {
        return Ok(());
    }
    shelf.push(Shelved {
        bytes: listed.bytes,
        card: listed.card.clone(),
    });
    storage.write(SHELF, &serde_json::to_vec(&shelf)?).await
}

async fn catalog() -> Result<Catalog> {
    let response = get(CATALOG, 0).await?;
    let text = JsFuture::from(response.text().map_err(thrown)?).await;
    let text = text.map_err(thrown)?.as_string().unwrap_or_default();
    Ok(Catalog::from_json(text.as_bytes())?)
}

/// Asks this page's own server for a file, from byte `from` on.
async fn get(name: &str, from: u64) -> Result<Response> {
    let options = RequestInit::new();
    if from > 0 {
        let headers = Headers::new().map_err(thrown)?;
        headers
            .set("Range", &format!("bytes={from}-"))
            .map_err(thrown)?;
        options.set_headers(&headers);
    }
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let address = format!("./{}", js_sys::encode_uri_component(name));
    let response = JsFuture::from(scope.fetch_with_str_and_init(&address, &options)).await;
    let response: Response = response
        .map_err(thrown)
        .with_context(|| format!("{name} can't be fetched; is the server still there?"))?
        .unchecked_into();
    if !response.ok() {
        bail!(
            "the server has no {name} (it answers {})",
            response.status()
        );
    }
    Ok(response)
}

/// A student on its way.
struct Fetching<'a> {
    name: &'a str,
    total: u64,
    port: &'a Port,
}

impl Fetching<'_> {
    /// Goes on where an earlier try ended.
    async fn store(&self, storage: &Storage, place: &str) -> Result<()> {
        let file = storage.append(place).await?;
        let mut bytes = file.size()?;
        if bytes > self.total {
            file.clear()?;
            bytes = 0;
        }
        if bytes == self.total {
            return Ok(());
        }
        let response = get(self.name, bytes).await?;
        if bytes > 0 && response.status() != 206 {
            // A server that knows no ranges sends everything again.
            file.clear()?;
            bytes = 0;
        }
        self.pump(&response, bytes, &Sink::Storage(&file)).await
    }

    async fn gather(&self) -> Result<Blob> {
        let response = get(self.name, 0).await?;
        let parts = js_sys::Array::new();
        self.pump(&response, 0, &Sink::Memory(&parts)).await?;
        Blob::new_with_u8_array_sequence(&parts).map_err(thrown)
    }

    async fn pump(&self, response: &Response, from: u64, sink: &Sink<'_>) -> Result<()> {
        let body = response.body().context("the server's answer is empty")?;
        let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
        let (mut bytes, mut said) = (from, 0);
        loop {
            if self.port.cancelled() {
                // What came so far stays; whether the server hears of it doesn't matter.
                let _ = JsFuture::from(reader.cancel()).await;
                return Err(Cancelled.into());
            }
            let piece = JsFuture::from(reader.read()).await.map_err(thrown);
            let piece = piece.context("the connection broke; load again to go on from there")?;
            let done = Reflect::get(&piece, &"done".into()).map_err(thrown)?;
            if done.is_truthy() {
                break;
            }
            let piece: Uint8Array = Reflect::get(&piece, &"value".into())
                .map_err(thrown)?
                .unchecked_into();
            sink.push(&piece)?;
            bytes += u64::from(piece.length());
            if bytes - said >= WORD || bytes == self.total {
                said = bytes;
                let total = self.total;
                let loading = Loading::Fetching { bytes, total };
                self.port.say(&Answer::Loading { loading });
            }
        }
        anyhow::ensure!(
            bytes == self.total,
            "{} of {} bytes came; load again to go on from there",
            bytes,
            self.total
        );
        Ok(())
    }
}

/// Where bytes go.
enum Sink<'a> {
    Storage(&'a Appender<'a>),
    Memory(&'a js_sys::Array),
}

impl Sink<'_> {
    fn push(&self, piece: &Uint8Array) -> Result<()> {
        match self {
            Self::Storage(file) => file.push(piece),
            Self::Memory(parts) => {
                parts.push(piece);
                Ok(())
            }
        }
    }
}
