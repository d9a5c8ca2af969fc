//! Bytes of files, in pieces that never double a big one in memory.

use anyhow::{Context as _, Result, anyhow};
use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::JsCast as _;
use wasm_bindgen_futures::JsFuture;
use web_sys::Blob;

use super::thrown;

/// Bytes that are on both sides at once.
const PIECE: usize = 16 << 20;

/// Reads a whole file.
///
/// # Errors
/// When the browser can't, the file is larger than what is left of a tab's memory, or it changed
/// meanwhile.
pub async fn read(file: &Blob) -> Result<Vec<u8>> {
    // What `usize` doesn't hold saturates, and is as much too much.
    let size = file.size() as usize;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| {
        let megabytes = file.size() / 1e6;
        anyhow!(
            "the file has {megabytes:.0} MB, which this tab has no room for; reload the page, or choose a smaller one"
        )
    })?;
    bytes.resize(size, 0);
    for (number, piece) in bytes.chunks_mut(PIECE).enumerate() {
        let from = number * PIECE;
        let slice = file
            .slice_with_f64_and_f64(from as f64, (from + piece.len()) as f64)
            .map_err(thrown)?;
        let buffer = JsFuture::from(slice.array_buffer()).await.map_err(thrown);
        let buffer: ArrayBuffer = buffer
            .context("the file can't be read; was it moved or changed? Choose it again")?
            .unchecked_into();
        let view = Uint8Array::new(&buffer);
        anyhow::ensure!(
            view.length() as usize == piece.len(),
            "the file became shorter while it was read; choose it again"
        );
        view.copy_to(piece);
    }
    Ok(bytes)
}

/// Bytes as a file of the browser's own, which may keep them outside this program's memory.
///
/// # Errors
/// When the browser has no room for it.
pub(super) fn blob(bytes: &[u8]) -> Result<Blob> {
    let parts = Array::of1(&Uint8Array::from(bytes));
    Blob::new_with_u8_array_sequence(&parts).map_err(thrown)
}
