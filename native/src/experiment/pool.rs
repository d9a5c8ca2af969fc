//! Jobs as processes of this program, as many at a time as there are places.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use toml::Table;

use super::jobs::{ALSO, Job, Plan};
use super::program::{Program, UNKNOWN};
use crate::files;

const DONE: &str = "done.json";
const SETTINGS: &str = "settings.toml";
/// What the process says to people.
const LOG: &str = "log.txt";
const OUTPUT: &str = "output.json";
/// SHA-256 of the builds of this program that worked on the job, a line each.
const PROGRAM: &str = "program.sha256";
/// How often processes are looked after.
const TICK: Duration = Duration::from_millis(200);
/// Commands with a run folder of their own, whose checkpoints are small: one after each step.
const STEPWISE: [&str; 2] = ["tune", "transfer"];
/// Commands that compute a teacher's hidden states, which are the same for all jobs on the same text.
const SHARING: [&str; 2] = ["distill", "transfer"];

/// Where and how jobs run.
pub(crate) struct Pool {
    pub(crate) program: Program,
    /// The experiment's folder.
    pub(crate) folder: PathBuf,
    /// One for each job that runs at the same time.
    pub(crate) places: Vec<String>,
}

/// Hears how things go.
pub(crate) trait Events {
    /// These jobs were done by earlier calls.
    ///
    /// # Errors
    /// As [`done`](Self::done).
    fn already(&mut self, jobs: &[&Job]) -> Result<()>;
    /// A job is done. The table may have a new row.
    ///
    /// # Errors
    /// What ends the experiment, a full disk for example.
    fn done(&mut self, job: &Job) -> Result<()>;
    /// A job failed; those that need it will not run.
    fn failed(&mut self, job: &Job, why: &str);
    /// What runs now: each job with the last line that it said.
    fn running(&mut self, jobs: &[(&Job, String)]);
}

/// A process, ended with this one's interest in it.
struct Running<'a> {
    job: &'a Job,
    place: usize,
    child: Child,
    since: Instant,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // It has its checkpoints; a finished one doesn't mind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Pool {
    /// Runs every job that isn't done, and returns how many failed.
    ///
    /// # Errors
    /// When a process can't be started or something can't be written; what was done stays done.
    pub(crate) fn run(&self, plan: &Plan, events: &mut impl Events) -> Result<usize> {
        let is_done = |job: &&Job| self.file(&job.name, DONE).is_file();
        let (before, mut open): (Vec<&Job>, Vec<&Job>) = plan.jobs.iter().partition(is_done);
        let mut done: BTreeSet<&str> = before.iter().map(|job| job.name.as_str()).collect();
        events.already(&before)?;
        let (mut running, mut failed): (Vec<Running<'_>>, _) = (Vec::new(), BTreeSet::new());
        while !open.is_empty() || !running.is_empty() {
            for place in 0..self.places.len() {
                let taken = running.iter().any(|process| process.place == place);
                let ready = |job: &&Job| job.needs.iter().all(|need| done.contains(&*need.job));
                if let Some(next) = open.iter().position(ready).filter(|_| !taken) {
                    running.push(self.start(open.remove(next), place)?);
                }
            }
            sleep(TICK);
            let mut left = Vec::new();
            for mut process in running {
                let job = process.job;
                match process.child.try_wait()? {
                    None => left.push(process),
                    Some(status) if status.success() => {
                        self.keep(job, process.since.elapsed())?;
                        done.insert(&job.name);
                        events.done(job)?;
                    }
                    Some(status) => {
                        failed.insert(&*job.name);
                        let said = self.last_lines(&job.name, 3);
                        events.failed(job, &format!("{status}\n{said}"));
                    }
                }
            }
            running = left;
            while let Some(at) = open.iter().position(|job| needs_any(job, &failed)) {
                let job = open.remove(at);
                failed.insert(&job.name);
                events.failed(job, "a job that it needs failed");
            }
            let now = running.iter();
            let now = now.map(|process| (process.job, self.last_lines(&process.job.name, 1)));
            events.running(&now.collect::<Vec<_>>());
        }
        Ok(failed.len())
    }

    /// What a finished job said of itself, and the seconds it took.
    ///
    /// # Errors
    /// When its mark is damaged.
    pub(crate) fn summary(&self, job: &str) -> Result<Option<(Value, f64)>> {
        let path = self.file(job, DONE);
        if !path.is_file() {
            return Ok(None);
        }
        let done: Value = serde_json::from_slice(&files::read(&path)?)
            .with_context(|| format!("{} is damaged", path.display()))?;
        let seconds = done["seconds"].as_f64().unwrap_or_default();
        Ok(Some((done["summary"].clone(), seconds)))
    }

    /// The builds of this program that worked on a job.
    pub(crate) fn programs(&self, job: &str) -> BTreeSet<String> {
        let mark = fs::read_to_string(self.file(job, PROGRAM)).unwrap_or_default();
        match mark.trim() {
            "" => BTreeSet::from([UNKNOWN.to_owned()]),
            mark => mark.lines().map(str::to_owned).collect(),
        }
    }

    /// Adds this program to those that worked on a job; to none where its work starts anew.
    fn sign(&self, job: &Job) -> Result<()> {
        let goes_on = has_run_folder(job) && self.file(&job.name, LOG).is_file();
        let mut all = match goes_on {
            true => self.programs(&job.name),
            false => BTreeSet::new(),
        };
        all.insert(self.program.hash.clone());
        let lines: String = all.iter().map(|hash| format!("{hash}\n")).collect();
        files::write_atomic(&self.file(&job.name, PROGRAM), lines.as_bytes())
    }

    /// The call as one would type it.
    pub(crate) fn line(&self, job: &Job) -> String {
        let words = self.arguments(job, self.places.first().map_or("auto", String::as_str));
        format!("post-native {}", words.join(" "))
    }

    /// Writes the job's settings, so that its call can be made by hand.
    ///
    /// # Errors
    /// When they can't be written.
    pub(crate) fn write_settings(&self, job: &Job) -> Result<()> {
        let text = toml::to_string_pretty(&self.settings(job))?;
        files::write_atomic(&self.file(&job.name, SETTINGS), text.as_bytes())
    }

    fn start<'a>(&self, job: &'a Job, place: usize) -> Result<Running<'a>> {
        self.write_settings(job)?;
        self.sign(job)?;
        let create = |name| {
            let path = self.file(&job.name, name);
            File::create(&path).with_context(|| format!("could not write {}", path.display()))
        };
        let child = self
            .program
            .command()
            .args(self.arguments(job, &self.places[place]))
            // Held open as long as this process lives.
            .arg("--end-with-stdin")
            .stdin(Stdio::piped())
            .stdout(create(OUTPUT)?)
            .stderr(create(LOG)?)
            .spawn()
            .with_context(|| format!("could not start {}", self.line(job)))?;
        Ok(Running {
            job,
            place,
            child,
            since: Instant::now(),
        })
    }

    fn arguments(&self, job: &Job, device: &str) -> Vec<String> {
        let folder = self.place_of(&job.name);
        let settings = folder.join(SETTINGS).to_string_lossy().into_owned();
        let flags = ["--config", &settings, "--device", device, "--json"];
        let words = job.command.split(' ').chain(flags);
        let mut words: Vec<String> = words.map(str::to_owned).collect();
        if has_run_folder(job) {
            let folder = folder.to_string_lossy().into_owned();
            words.extend(["--run".to_owned(), folder, "--resume".to_owned()]);
        }
        words
    }

    /// The job's settings with the files that other jobs made.
    fn settings(&self, job: &Job) -> Table {
        let mut settings = job.settings.clone();
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        for need in &job.needs {
            let file = toml::Value::String(text(self.file(&need.job, need.file)));
            if need.setting != ALSO {
                settings.insert(need.setting.to_owned(), file);
                continue;
            }
            // The one setting that may name several.
            let several = settings
                .entry(ALSO)
                .or_insert_with(|| Vec::<toml::Value>::new().into());
            if let toml::Value::Array(several) = several {
                several.push(file);
            }
        }
        if STEPWISE.contains(&job.command) {
            settings.insert("checkpoint_every".into(), 1.into());
        }
        if SHARING.contains(&job.command) {
            settings.insert("states".into(), text(self.folder.join("states")).into());
        }
        if settings.contains_key("target_epsilon") {
            // What plays private data here must not use up the budget of anybody's real data.
            let ledger = text(self.file(&job.name, "ledger.json"));
            settings.insert("ledger".into(), ledger.into());
        }
        settings
    }

    /// Marks a job as done whose command has no run folder to do so.
    fn keep(&self, job: &Job, took: Duration) -> Result<()> {
        if has_run_folder(job) {
            return Ok(());
        }
        let path = self.file(&job.name, OUTPUT);
        let summary: Value = serde_json::from_slice(&files::read(&path)?)
            .with_context(|| format!("{} is not JSON", path.display()))?;
        let done = json!({ "seconds": took.as_secs_f64(), "summary": summary });
        files::write_atomic(
            &self.file(&job.name, DONE),
            serde_json::to_string_pretty(&done)?.as_bytes(),
        )
    }

    fn last_lines(&self, job: &str, count: usize) -> String {
        let log = fs::read(self.file(job, LOG)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    fn place_of(&self, job: &str) -> PathBuf {
        self.folder.join("jobs").join(job)
    }

    fn file(&self, job: &str, name: impl AsRef<Path>) -> PathBuf {
        self.place_of(job).join(name)
    }
}

fn has_run_folder(job: &Job) -> bool {
    ["distill", "tune", "transfer", "audit lira"].contains(&job.command)
}

fn needs_any(job: &Job, names: &BTreeSet<&str>) -> bool {
    job.needs.iter().any(|need| names.contains(&*need.job))
}
