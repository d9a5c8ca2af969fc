//! The loop around a long job: progress, metrics, checkpoints. The job itself is `core`'s.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::progress::Progress;
use crate::run::RunFolder;
use crate::term::Terminal;

/// What the loop needs to know of a job in `core`.
pub(crate) trait Job {
    /// What a step says of itself: one line of the metrics file, with its `step`.
    type Report: Serialize;

    /// What the progress line calls it.
    const PHASE: &'static str;

    /// Steps made so far, those before a resume included.
    fn done(&self) -> u64;

    /// Steps in all, as far as that can be known.
    fn total(&self) -> u64;

    /// Makes one step; `None` when there is none left.
    ///
    /// # Errors
    /// Whatever the step failed with.
    fn step(&mut self) -> Result<Option<Self::Report>>;

    /// The latest figures, for a person.
    fn detail(report: &Self::Report) -> String;

    /// Whether the job may stop here, before its last step. Only public figures may decide it.
    fn enough(_: &Self::Report) -> bool {
        false
    }

    /// Everything that a resumed run needs.
    ///
    /// # Errors
    /// When the state can't be read from the device.
    fn checkpoint(&self) -> Result<Vec<u8>>;
}

/// Drives a job to its end, with a checkpoint whenever the run has one due.
///
/// # Errors
/// When a step fails or the run folder can't be written; the last checkpoint is intact then.
pub(crate) fn drive<J: Job>(job: &mut J, run: &RunFolder, term: &Terminal) -> Result<()> {
    let mut metrics = run.metrics(job.done())?;
    // From here on the run is resumed, not begun again: what it reserved is reserved once.
    let mut took = save(job, run)?;
    let mut last = Instant::now();
    let mut progress = Progress::new(*term, J::PHASE, job.total(), job.done());
    while let Some(report) = job.step()? {
        metrics.push(&report)?;
        progress.set(job.done(), &J::detail(&report));
        if J::enough(&report) {
            break;
        }
        if run.due(job.done(), last.elapsed(), took) {
            took = save(job, run)?;
            last = Instant::now();
        }
    }
    // A failure after the last step (a full disk) must not cost the whole run.
    save(job, run)?;
    progress.finish();
    Ok(())
}

/// Saves a checkpoint, and says how long that took.
fn save<J: Job>(job: &J, run: &RunFolder) -> Result<Duration> {
    let start = Instant::now();
    run.save_checkpoint(&job.checkpoint()?)?;
    Ok(start.elapsed())
}
