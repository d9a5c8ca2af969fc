//! The run folder: settings, metrics, checkpoints and results of one long command.
//!
//! ```text
//! runs/<name>/config.toml       the merged settings; `--config` reads them back
//!             metrics.jsonl     one JSON object per step that was logged
//!             checkpoint.bin    where `--resume` goes on
//!             seconds           what the run has taken so far, over all its calls
//!             done.json         written last: the run is finished
//! ```
//! Every file is written beside its target and renamed, so a run killed at any moment leaves its
//! last checkpoint whole.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toml::Table;

use crate::failure::{Hint, hinted};
use crate::files;

/// Where a run lives and what to do about what is already there.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct RunArgs {
    /// Folder for settings, metrics, checkpoints and results [default: runs/COMMAND]
    #[arg(long, value_name = "FOLDER", help_heading = "Running")]
    pub(crate) run: Option<PathBuf>,
    /// Go on from the last checkpoint in the run folder; a finished run is left as it is
    #[arg(long, help_heading = "Running")]
    #[serde(default)]
    pub(crate) resume: bool,
    /// Throw away what the run folder holds and start anew
    #[arg(long, conflicts_with = "resume", help_heading = "Running")]
    #[serde(default)]
    pub(crate) force: bool,
    /// Steps between checkpoints [default: each while tuning, else as few as take a twentieth of the time]
    #[arg(long, value_name = "STEPS", help_heading = "Running", value_parser = clap::value_parser!(u64).range(1..))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checkpoint_every: Option<u64>,
}

/// What opening a run folder found.
pub(crate) enum Opened {
    /// There is work to do, from the start or from a checkpoint.
    Ready(RunFolder),
    /// `--resume` met a run that had finished with the same settings.
    Finished(RunFolder),
}

/// One run's folder.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    opened: Instant,
    /// Seconds that earlier calls took.
    before: f64,
    /// Steps between checkpoints, where that was asked for.
    every: Option<u64>,
}

/// Settings that a resumed run may change: they move the work, not the numbers asked for.
const MAY_CHANGE: [&str; 4] = ["run", "device", "checkpoint_every", "states"];

/// Work that pays for a checkpoint, in multiples of the time that one takes: a run that is killed loses a step, or
/// so much where steps are shorter.
const CHECKPOINT_TIMES: u32 = 20;

const CONFIG: &str = "config.toml";
const METRICS: &str = "metrics.jsonl";
const CHECKPOINT: &str = "checkpoint.bin";
/// What `transfer` computed once.
pub(crate) const CONSTANTS: &str = "constants.bin";
const SECONDS: &str = "seconds";
const DONE: &str = "done.json";

impl RunArgs {
    /// The folder, which the settings then name, so that `--config` on them finds it again.
    pub(crate) fn settle(&mut self, command: &str) -> PathBuf {
        self.run
            .get_or_insert_with(|| Path::new("runs").join(command))
            .clone()
    }
}

impl RunFolder {
    /// Opens or creates the folder.
    ///
    /// # Errors
    /// When it holds a run and neither `--resume` nor `--force` was given, when `--resume` meets
    /// other settings (they are named), or when it can't be written.
    pub(crate) fn open(path: &Path, settings: &Table, args: &RunArgs) -> Result<Opened> {
        let mut run = Self {
            path: path.to_owned(),
            opened: Instant::now(),
            before: 0.0,
            every: args.checkpoint_every,
        };
        match run.has(CONFIG) {
            true if args.force => run.clear()?,
            true if args.resume => run.same_settings(settings)?,
            true => return Err(run.in_the_way()),
            false => {}
        }
        if run.has(DONE) {
            return Ok(Opened::Finished(run));
        }
        if run.has(SECONDS) {
            let path = run.path(SECONDS);
            let seconds = files::read_text(&path)?.trim().parse();
            run.before = seconds.with_context(|| format!("{} is damaged", path.display()))?;
        }
        run.write(CONFIG, toml::to_string_pretty(settings)?.as_bytes())?;
        Ok(Opened::Ready(run))
    }

    /// A path inside the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What a finished run said of itself.
    ///
    /// # Errors
    /// When its mark can't be read.
    pub(crate) fn summary(&self) -> Result<Value> {
        let path = self.path(DONE);
        let done: Value = serde_json::from_slice(&files::read(&path)?)
            .with_context(|| format!("{} is damaged", path.display()))?;
        Ok(done["summary"].clone())
    }

    /// Writes one file of the run.
    ///
    /// # Errors
    /// See [`files::write_atomic`].
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        files::write_atomic(&self.path(name), bytes)
    }

    /// The last checkpoint, if there is one.
    ///
    /// # Errors
    /// When it is there and can't be read.
    pub(crate) fn checkpoint(&self) -> Result<Option<Vec<u8>>> {
        match self.has(CHECKPOINT) {
            true => files::read(&self.path(CHECKPOINT)).map(Some),
            false => Ok(None),
        }
    }

    /// Replaces the checkpoint.
    ///
    /// # Errors
    /// See [`files::write_atomic`]; the earlier checkpoint is intact then.
    pub(crate) fn save_checkpoint(&self, bytes: &[u8]) -> Result<()> {
        self.write(CHECKPOINT, bytes)?;
        self.note_time()
    }

    /// Whether another checkpoint is due, after so many steps and so long after the last one, which `took` so long
    /// itself.
    pub(crate) fn due(&self, done: u64, since: Duration, took: Duration) -> bool {
        match self.every {
            Some(every) => done.is_multiple_of(every.max(1)),
            None => since >= took * CHECKPOINT_TIMES,
        }
    }

    /// Notes what the run has taken so far: a call that is killed later has taken that.
    ///
    /// # Errors
    /// See [`files::write_atomic`].
    pub(crate) fn note_time(&self) -> Result<()> {
        self.write(SECONDS, self.seconds().to_string().as_bytes())
    }

    /// What the run has taken so far, over all its calls.
    fn seconds(&self) -> f64 {
        self.before + self.opened.elapsed().as_secs_f64()
    }

    /// The metrics of this run up to and with step `done`; later ones belong to steps that a
    /// resumed run does again.
    ///
    /// # Errors
    /// When the file can't be read or written.
    pub(crate) fn metrics(&self, done: u64) -> Result<Metrics> {
        let path = self.path(METRICS);
        let kept = match path.is_file() {
            true => keep_until(&files::read_text(&path)?, done),
            false => String::new(),
        };
        files::write_atomic(&path, kept.as_bytes())?;
        let file = fs::OpenOptions::new().append(true).open(&path);
        let file = file.with_context(|| format!("could not open {}", path.display()))?;
        Ok(Metrics { path, file })
    }

    /// Marks the run as finished, with the seconds that all its calls took, and drops the checkpoint.
    ///
    /// # Errors
    /// When the mark can't be written.
    pub(crate) fn finish(&self, summary: &Value) -> Result<()> {
        let done = json!({ "seconds": self.seconds(), "summary": summary });
        self.write(DONE, serde_json::to_string_pretty(&done)?.as_bytes())?;
        for name in [CHECKPOINT, SECONDS] {
            // What can't be removed costs space, not correctness.
            let _ = fs::remove_file(self.path(name));
        }
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        self.path(name).is_file()
    }

    fn clear(&self) -> Result<()> {
        for name in [DONE, CHECKPOINT, SECONDS, METRICS, CONFIG, CONSTANTS] {
            if self.has(name) {
                let path = self.path(name);
                fs::remove_file(&path)
                    .with_context(|| format!("could not remove {}", path.display()))?;
            }
        }
        Ok(())
    }

    fn same_settings(&self, settings: &Table) -> Result<()> {
        let path = self.path(CONFIG);
        let kept: Table = files::read_text(&path)?
            .parse()
            .with_context(|| format!("{} is damaged", path.display()))
            .hint("start anew with --force")?;
        let names = kept.keys().chain(settings.keys());
        let changed: BTreeSet<&str> = names
            .filter(|name| kept.get(*name) != settings.get(*name))
            .map(String::as_str)
            .filter(|name| !MAY_CHANGE.contains(name))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        let changed = changed.into_iter().collect::<Vec<_>>().join(", ");
        Err(hinted(
            anyhow!(
                "{} was run with other settings: {changed}",
                self.path.display()
            ),
            "resume with the same settings (`--config` on its config.toml), \
             name another --run folder, or start anew with --force",
        ))
    }

    fn in_the_way(&self) -> anyhow::Error {
        let path = self.path.display();
        match self.has(DONE) {
            true => hinted(
                anyhow!("{path} holds a finished run"),
                "name another --run folder, or overwrite it with --force",
            ),
            false => hinted(
                anyhow!("{path} holds an unfinished run"),
                "go on with --resume, or start anew with --force",
            ),
        }
    }
}

/// The run's metrics file, one JSON object a line.
pub(crate) struct Metrics {
    path: PathBuf,
    file: fs::File,
}

impl Metrics {
    /// Appends one line. `row` has a `step`.
    ///
    /// # Errors
    /// When the disk is full.
    pub(crate) fn push(&mut self, row: &impl Serialize) -> Result<()> {
        use std::io::Write;
        let mut line = serde_json::to_string(row)?;
        line.push('\n');
        // One write a line, so that a kill leaves whole lines.
        self.file
            .write_all(line.as_bytes())
            .with_context(|| format!("could not write {}", self.path.display()))
            .hint("free some space and run the same command again with --resume")
    }
}

fn keep_until(lines: &str, done: u64) -> String {
    let step = |line: &str| {
        let row: Value = serde_json::from_str(line).ok()?;
        row.get("step")?.as_u64()
    };
    let kept = lines
        .lines()
        .filter(|line| step(line).is_some_and(|step| step <= done));
    kept.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn args(resume: bool, force: bool) -> RunArgs {
        RunArgs {
            run: None,
            resume,
            force,
            checkpoint_every: None,
        }
    }

    fn settings(steps: i64) -> Table {
        Table::from_iter([("steps".to_owned(), steps.into())])
    }

    #[test]
    fn a_run_is_resumed_only_with_its_own_settings() {
        let dir = tempfile::tempdir().unwrap();
        let open = |steps, resume, force| {
            RunFolder::open(dir.path(), &settings(steps), &args(resume, force))
        };
        let Opened::Ready(run) = open(5, false, false).unwrap() else {
            panic!("nothing is there")
        };
        run.save_checkpoint(b"at 3").unwrap();
        let error = |r: Result<Opened>| r.err().unwrap().to_string();
        assert!(error(open(5, false, false)).contains("unfinished run"));
        assert!(error(open(6, true, false)).contains("other settings: steps"));
        let Opened::Ready(run) = open(5, true, false).unwrap() else {
            panic!("it is unfinished")
        };
        assert_eq!(run.checkpoint().unwrap().unwrap(), b"at 3");

        run.finish(&Value::Null).unwrap();
        assert!(error(open(5, false, false)).contains("finished run"));
        assert!(matches!(open(5, true, false).unwrap(), Opened::Finished(_)));
        let Opened::Ready(run) = open(6, false, true).unwrap() else {
            panic!("forced")
        };
        assert!(run.checkpoint().unwrap().is_none());
    }

    #[test]
    fn checkpoints_come_as_often_as_they_cost_little() {
        let dir = tempfile::tempdir().unwrap();
        let Opened::Ready(mut run) =
            RunFolder::open(dir.path(), &settings(5), &args(false, false)).unwrap()
        else {
            panic!("nothing is there")
        };
        let ms = Duration::from_millis;
        assert!(run.due(1, ms(2000), ms(100)));
        assert!(!run.due(2, ms(1999), ms(100)));
        run.every = Some(3);
        assert_eq!(
            [1, 2, 3, 6].map(|done| run.due(done, ms(0), ms(100))),
            [false, false, true, true]
        );
    }

    #[test]
    fn a_resumed_run_took_what_all_its_calls_took() {
        let dir = tempfile::tempdir().unwrap();
        let open =
            |resume, force| match RunFolder::open(dir.path(), &settings(5), &args(resume, force))
                .unwrap()
            {
                Opened::Ready(run) => run,
                Opened::Finished(_) => panic!("it is not finished"),
            };
        let mut run = open(false, false);
        run.before = 100.0;
        run.save_checkpoint(b"at 3").unwrap();
        let run = open(true, false);
        assert!(run.seconds() >= 100.0, "{}", run.seconds());
        assert!(
            open(false, true).seconds() < 100.0,
            "a forced run begins anew"
        );
        run.note_time().unwrap();
        open(true, false).finish(&Value::Null).unwrap();
        let done: Value = serde_json::from_slice(&files::read(&run.path(DONE)).unwrap()).unwrap();
        assert!(done["seconds"].as_f64().unwrap() >= 100.0, "{done}");
        assert!(!run.has(SECONDS));
    }

    #[test]
    fn metrics_after_the_checkpoint_and_torn_lines_are_dropped() {
        let lines = "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"st";
        assert_eq!(keep_until(lines, 2), "{\"step\":1}\n{\"step\":2}\n");
    }
}
