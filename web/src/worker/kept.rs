//! What a closed tab leaves behind: the ledger, an interrupted run, a finished prompt.
//!
//! None of it holds an example. The ledger holds keyed fingerprints of rows, the checkpoint only what
//! the steps released.

use anyhow::{Context as _, Result, ensure};
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

/// What the data has spent, entered before it is; a new one has this cap.
///
/// # Errors
/// When the ledger is damaged, or the cap is no number that could cap anything.
async fn ledger(storage: &Storage, delta: f64, cap: f64) -> Result<(Ledger, bool)> {
    if let Some(bytes) = storage.read(LEDGER).await? {
        return Ok((Ledger::from_json(&bytes)?, true));
    }
    ensure!(
        cap.is_finite() && cap > 0.0,
        "the limit for all runs on the same rows must be a number above 0"
    );
    Ok((Ledger::new(cap, delta, Entropy::from_os()?), false))
}

/// A run's price.
pub struct Quoted {
    /// What it would promise and cost.
    pub quote: Quote,
    /// ε that all runs on the same rows may cost together.
    pub cap: f64,
    /// Whether a run has fixed that.
    pub fixed: bool,
}

/// What a run would promise and cost on these rows.
///
/// # Errors
/// When it would pass the cap, the ledger is damaged or the accountant refuses.
pub async fn quote(storage: &Storage, rows: &[Row], plan: &Plan, cap: f64) -> Result<Quoted> {
    let (ledger, fixed) = ledger(storage, plan.delta(), cap).await?;
    let data = identify(&ledger, rows);
    ledger.admit(&data, plan)?;
    let quote = ledger.quote(&data, plan)?;
    let cap = ledger.cap().0;
    Ok(Quoted { quote, cap, fixed })
}

/// Enters a run, and writes the ledger before the run may start. An older run that was kept gives way to
/// it, and the zip of the prompt that it starts from, if it is one, is kept for when it is taken up again.
///
/// # Errors
/// When the data would pass its cap, or there is no room for what must be kept.
pub async fn reserve(
    storage: &Storage,
    rows: &[Row],
    plan: &Plan,
    cap: f64,
    initial: Option<&[u8]>,
) -> Result<Reserved> {
    let (mut ledger, _) = ledger(storage, plan.delta(), cap).await?;
    let data = identify(&ledger, rows);
    let reserved = ledger.reserve(&data, plan)?;
    discard(storage).await?;
    if let Some(zip) = initial {
        let written = storage.write(INITIAL, zip).await;
        written.context("the prompt to start from can't be kept, so the run doesn't start")?;
    }
    let written = storage.write(LEDGER, &ledger.to_json()?).await;
    written.context("what the run costs can't be remembered, so it doesn't start")?;
    Ok(reserved)
}

/// The entry of a run that goes on.
///
/// # Errors
/// When there is none for these rows and this plan.
pub async fn resume(storage: &Storage, rows: &[Row], plan: &Plan) -> Result<Reserved> {
    let bytes = storage.read(LEDGER).await?;
    let ledger =
        Ledger::from_json(&bytes.context("the list of what was spent is gone; start anew")?)?;
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

/// The prompt that the kept run started from, if it was one.
///
/// # Errors
/// When it can't be read.
pub async fn initial(storage: &Storage) -> Result<Option<Vec<u8>>> {
    storage.read(INITIAL).await
}

/// The checkpoint of the kept run; none where it had not come to its first.
///
/// # Errors
/// When it can't be read.
pub async fn checkpoint(storage: &Storage) -> Result<Option<Vec<u8>>> {
    storage.read(CHECKPOINT).await
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
