//! What a closed tab leaves behind: the ledger, an interrupted run, a finished prompt.
//!
//! None of it holds an example. The ledger holds keyed fingerprints of rows, the checkpoint only what
//! the steps released.

use anyhow::{Context as _, Result};
use post_core::dp::{DataId, Entropy, Ledger, Plan, Quote, Reserved};
use post_core::task::Row;
use post_core::tune::identify;

use super::storage::Storage;
use super::suggest;
use crate::protocol::{Finished, Kept};

const LEDGER: &str = "ledger.json";
const RUN: &str = "run.json";
const CHECKPOINT: &str = "run.checkpoint";
const INITIAL: &str = "run.initial.zip";
const RESULT: &str = "result.zip";
const FINISHED: &str = "result.json";

/// ε that all runs on one data set may cost together, unless the ledger says otherwise: two runs of
/// the largest budget that is suggested, and a small one.
const CAP: f64 = 20.0;

/// What the data has spent, entered before it is.
///
/// # Errors
/// When the ledger is damaged.
async fn ledger(storage: &Storage, delta: f64) -> Result<Ledger> {
    match storage.read(LEDGER).await? {
        Some(bytes) => Ok(Ledger::from_json(&bytes)?),
        None => Ok(Ledger::new(CAP, delta, Entropy::from_os()?)),
    }
}

/// What a run would promise and cost on these rows, and the cap.
///
/// # Errors
/// When the ledger is damaged or the accountant refuses.
pub async fn quote(storage: &Storage, rows: &[Row], plan: &Plan) -> Result<(Quote, f64)> {
    let ledger = ledger(storage, plan.delta()).await?;
    let quote = ledger.quote(&identify(&ledger, rows), plan)?;
    Ok((quote, ledger.cap().0))
}

/// Enters a run, and writes the ledger before the run may start.
///
/// # Errors
/// When the data would pass its cap, or the ledger can't be kept.
pub async fn reserve(storage: &Storage, rows: &[Row], plan: &Plan) -> Result<Reserved> {
    let mut ledger = ledger(storage, plan.delta()).await?;
    let data = identify(&ledger, rows);
    let reserved = ledger.reserve(&data, plan)?;
    let written = storage.write(LEDGER, &ledger.to_json()?).await;
    written.context("what the run costs can't be remembered, so it doesn't start")?;
    Ok(reserved)
}

/// The entry of a run that goes on.
///
/// # Errors
/// When there is none for these rows and this plan.
pub async fn resume(storage: &Storage, rows: &[Row], plan: &Plan) -> Result<Reserved> {
    let ledger = ledger(storage, plan.delta()).await?;
    let data: DataId = identify(&ledger, rows);
    Ok(ledger.resume(&data, plan)?)
}

/// The interrupted run.
pub async fn run(storage: &Storage) -> Option<Kept> {
    let bytes = storage.read(RUN).await.ok().flatten()?;
    serde_json::from_slice(&bytes).ok()
}

/// Whether the kept run was made on these rows.
pub async fn fits(storage: &Storage, kept: &Kept, rows: &[Row]) -> bool {
    match suggest::plan(&kept.settings) {
        Ok(plan) => resume(storage, rows, &plan).await.is_ok(),
        Err(_) => false,
    }
}

/// Keeps a run with its checkpoint.
///
/// # Errors
/// When there is no room.
pub async fn keep(storage: &Storage, kept: &Kept, checkpoint: &[u8]) -> Result<()> {
    // The checkpoint says itself how many steps it holds; the other file only tells people.
    storage.write(CHECKPOINT, checkpoint).await?;
    storage.write(RUN, &serde_json::to_vec(kept)?).await
}

/// Keeps the prompt that the run starts from, or that it starts from none.
///
/// # Errors
/// When there is no room.
pub async fn begin(storage: &Storage, initial: Option<&[u8]>) -> Result<()> {
    match initial {
        Some(zip) => storage.write(INITIAL, zip).await,
        None => storage.remove(INITIAL).await,
    }
}

/// The prompt that the kept run started from, if it was one.
///
/// # Errors
/// When it can't be read.
pub async fn initial(storage: &Storage) -> Result<Option<Vec<u8>>> {
    storage.read(INITIAL).await
}

/// The checkpoint of the kept run.
///
/// # Errors
/// When it can't be read, or there is none.
pub async fn checkpoint(storage: &Storage) -> Result<Vec<u8>> {
    let read = storage.read(CHECKPOINT).await?;
    read.context("the run's checkpoint is gone; start anew")
}

/// Forgets the run. What it has cost stays in the ledger.
///
/// # Errors
/// When the browser refuses.
pub async fn discard(storage: &Storage) -> Result<()> {
    storage.remove(RUN).await?;
    storage.remove(INITIAL).await?;
    storage.remove(CHECKPOINT).await
}

/// Keeps a finished prompt until the next run, so that a closed tab doesn't lose it.
///
/// # Errors
/// When there is no room.
pub async fn finish(storage: &Storage, finished: &Finished, zip: &[u8]) -> Result<()> {
    storage.write(RESULT, zip).await?;
    storage
        .write(FINISHED, &serde_json::to_vec(finished)?)
        .await?;
    discard(storage).await
}

/// The finished prompt, with what may be said about it.
pub async fn finished(storage: &Storage) -> Option<(Finished, Vec<u8>)> {
    let said = storage.read(FINISHED).await.ok().flatten()?;
    let zip = storage.read(RESULT).await.ok().flatten()?;
    Some((serde_json::from_slice(&said).ok()?, zip))
}
