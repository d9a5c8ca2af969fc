//! What is kept in this browser: students, the ledger, a run's checkpoint. Never a private example.
//!
//! It lies in the origin's private file system, which no other site and no other program reads.
//! Where a browser has none (a private window, say) it lasts as long as the tab.

use std::cell::RefCell;
use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetFileOptions,
    FileSystemReadWriteOptions, FileSystemSyncAccessHandle, FileSystemWritableFileStream,
    WorkerGlobalScope,
};

use super::{files, thrown};

const FULL: &str = "the browser has no room to keep this; load the student without keeping it, delete a stored one, or free \
     some disk space";

/// How often a file is opened that can't be read, until it is given up.
const READS: usize = 10;

/// Named files.
pub enum Storage {
    /// In the browser.
    Kept(FileSystemDirectoryHandle),
    /// In this tab.
    Tab(RefCell<BTreeMap<String, Vec<u8>>>),
}

impl Storage {
    /// The browser's storage, or the tab's and the reason why.
    pub async fn open() -> (Self, Option<String>) {
        match kept().await {
            Ok(folder) => (Self::Kept(folder), None),
            Err(error) => (
                Self::in_tab(),
                Some(format!(
                    "this browser keeps nothing beyond this tab ({error:#}): students are fetched anew, and \
                     a closed tab forgets its run and what the data has spent"
                )),
            ),
        }
    }

    /// Storage that lasts as long as the tab.
    #[must_use]
    pub fn in_tab() -> Self {
        Self::Tab(RefCell::default())
    }

    /// A file's bytes; none when there is no such file.
    ///
    /// # Errors
    /// When the browser can't read it.
    pub async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Tab(held) => Ok(held.borrow().get(name).cloned()),
            Self::Kept(_) => self.read_kept(name).await,
        }
    }

    /// A file that another tab replaces between its opening and its reading can't be read any more; the
    /// new one can.
    async fn read_kept(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let mut attempts = 0;
        while let Some(file) = self.file(name).await? {
            attempts += 1;
            match files::read(&file).await {
                Err(_) if attempts < READS => {}
                read => return read.map(Some),
            }
        }
        Ok(None)
    }

    /// The file itself, to be read piece by piece.
    ///
    /// # Errors
    /// When the browser can't open it.
    pub async fn file(&self, name: &str) -> Result<Option<Blob>> {
        match self {
            Self::Tab(held) => held
                .borrow()
                .get(name)
                .map(|bytes| files::blob(bytes))
                .transpose(),
            Self::Kept(folder) => {
                let Some(handle) = handle(folder, name, false).await? else {
                    return Ok(None);
                };
                let file = JsFuture::from(handle.get_file()).await.map_err(thrown)?;
                Ok(Some(file.unchecked_into()))
            }
        }
    }

    /// Replaces a file as a whole: whoever reads it finds the old bytes or the new ones.
    ///
    /// # Errors
    /// When there is no room.
    pub async fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let folder = match self {
            Self::Tab(held) => {
                held.borrow_mut().insert(name.to_owned(), bytes.to_vec());
                return Ok(());
            }
            Self::Kept(folder) => folder,
        };
        let handle = created(folder, name).await?;
        // The browser writes beside the file and renames at `close`.
        let written = async {
            let stream = JsFuture::from(handle.create_writable()).await;
            let stream: FileSystemWritableFileStream = stream.map_err(thrown)?.unchecked_into();
            let writing = stream.write_with_js_u8_array(&Uint8Array::from(bytes));
            JsFuture::from(writing.map_err(thrown)?)
                .await
                .map_err(thrown)?;
            JsFuture::from(stream.close()).await.map_err(thrown)
        };
        written.await.context(FULL).map(drop)
    }

    /// Deletes a file, if it is there.
    ///
    /// # Errors
    /// When the browser refuses.
    pub async fn remove(&self, name: &str) -> Result<()> {
        match self {
            Self::Tab(held) => {
                held.borrow_mut().remove(name);
                Ok(())
            }
            Self::Kept(folder) => match JsFuture::from(folder.remove_entry(name)).await {
                Err(error) if !is_missing(&error) => Err(thrown(error)),
                _ => Ok(()),
            },
        }
    }

    /// Opens a file to write at its end what comes in piece by piece; what is written is there, even
    /// if the tab is closed the next moment.
    ///
    /// # Errors
    /// When the browser refuses, or another tab writes it.
    pub async fn append(&self, name: &str) -> Result<Appender<'_>> {
        match self {
            Self::Tab(held) => {
                held.borrow_mut().entry(name.to_owned()).or_default();
                Ok(Appender(Tail::Tab(held, name.to_owned())))
            }
            Self::Kept(folder) => {
                let handle = created(folder, name).await?;
                let access = JsFuture::from(handle.create_sync_access_handle()).await;
                let access: FileSystemSyncAccessHandle = access
                    .map_err(thrown)
                    .context("the stored file is in use; close other tabs of this page")?
                    .unchecked_into();
                Ok(Appender(Tail::Kept(access)))
            }
        }
    }
}

/// A file that grows at its end.
pub struct Appender<'a>(Tail<'a>);

enum Tail<'a> {
    Kept(FileSystemSyncAccessHandle),
    Tab(&'a RefCell<BTreeMap<String, Vec<u8>>>, String),
}

impl Appender<'_> {
    /// Bytes so far.
    ///
    /// # Errors
    /// When the browser can't tell.
    pub fn size(&self) -> Result<u64> {
        match &self.0 {
            Tail::Kept(access) => Ok(access.get_size().map_err(thrown)? as u64),
            Tail::Tab(held, name) => Ok(held.borrow().get(name).map_or(0, Vec::len) as u64),
        }
    }

    /// Starts again from nothing.
    ///
    /// # Errors
    /// When the browser refuses.
    pub fn clear(&self) -> Result<()> {
        match &self.0 {
            Tail::Kept(access) => access.truncate_with_u32(0).map_err(thrown),
            Tail::Tab(held, name) => {
                held.borrow_mut().insert(name.clone(), Vec::new());
                Ok(())
            }
        }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When there is no room.
    pub fn push(&self, bytes: &Uint8Array) -> Result<()> {
        match &self.0 {
            Tail::Kept(access) => {
                let at = FileSystemReadWriteOptions::new();
                at.set_at(access.get_size().map_err(thrown)?);
                let written = access.write_with_js_u8_array_and_options(bytes, &at);
                let written = written.map_err(thrown).context(FULL)?;
                anyhow::ensure!(written as u32 == bytes.length(), FULL);
            }
            Tail::Tab(held, name) => {
                if let Some(file) = held.borrow_mut().get_mut(name) {
                    file.extend(bytes.to_vec());
                }
            }
        }
        Ok(())
    }
}

impl Drop for Appender<'_> {
    fn drop(&mut self) {
        if let Tail::Kept(access) = &self.0 {
            access.close();
        }
    }
}

async fn kept() -> Result<FileSystemDirectoryHandle> {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let storage = scope.navigator().storage();
    // An insecure page has none.
    let missing = Reflect::get(&storage, &"getDirectory".into())
        .map_or(true, |function| function.is_undefined());
    anyhow::ensure!(!missing, "it has no private file system");
    let folder: FileSystemDirectoryHandle = JsFuture::from(storage.get_directory())
        .await
        .map_err(thrown)?
        .unchecked_into();
    // Some browsers hand a folder out and then refuse every file.
    created(&folder, "probe").await?;
    JsFuture::from(folder.remove_entry("probe"))
        .await
        .map_err(thrown)?;
    Ok(folder)
}

async fn created(folder: &FileSystemDirectoryHandle, name: &str) -> Result<FileSystemFileHandle> {
    let handle = handle(folder, name, true).await.context(FULL)?;
    handle.context("the browser made no file")
}

async fn handle(
    folder: &FileSystemDirectoryHandle,
    name: &str,
    create: bool,
) -> Result<Option<FileSystemFileHandle>> {
    let options = FileSystemGetFileOptions::new();
    options.set_create(create);
    match JsFuture::from(folder.get_file_handle_with_options(name, &options)).await {
        Ok(handle) => Ok(Some(handle.unchecked_into())),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(thrown(error)),
    }
}

fn is_missing(error: &JsValue) -> bool {
    let name = Reflect::get(error, &"name".into()).ok();
    name.and_then(|name| name.as_string()).as_deref() == Some("NotFoundError")
}
