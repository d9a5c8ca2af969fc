//! The loop around a long job: progress, metrics, checkpoints. The job itself is `core`'s.

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

/// Drives a job to its end, with a checkpoint every `every` steps.
///
/// # Errors
/// When a step fails or the run folder can't be written; the last checkpoint is intact then.
pub(crate) fn drive<J: Job>(
    job: &mut J,
    run: &RunFolder,
    every: u64,
    term: &Terminal,
) -> Result<()> {
    let mut metrics = run.metrics(job.done())?;
    // From here on the run is resumed, not begun again: what it reserved is reserved once.
    run.save_checkpoint(&job.checkpoint()?)?;
    let mut progress = Progress::new(*term, J::PHASE, job.total(), job.done());
    while let Some(report) = job.step()? {
        metrics.push(&report)?;
        progress.set(job.done(), &J::detail(&report));
        if J::enough(&report) {
            break;
        }
        if job.done().is_multiple_of(every.max(1)) {
            run.save_checkpoint(&job.checkpoint()?)?;
        }
    }
    // A failure after the last step (a full disk) must not cost the whole run.
    run.save_checkpoint(&job.checkpoint()?)?;
    progress.finish();
    Ok(())
}
