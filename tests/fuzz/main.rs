//! Fuzz targets, one for each format that is read: `cargo xtask fuzz`.
//!
//! `fuzz FORMAT SECONDS SEED FOLDER` damages seeds for so long. A case that panics, takes longer than
//! [`SLOW`] or more memory than [`MEMORY`] is a finding: its bytes are kept in FOLDER, and the exit code is 1.
//! The bytes of the case under way are kept, too, so that one that kills the process is not lost.
//!
//! There is no coverage to steer by on the stable compiler. Instead an input whose outcome was not seen
//! before (an error's words without its figures, or what was read) becomes a seed itself, so that the
//! search goes on behind each check that it has once got past.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod damage;
mod data;
mod targets;
#[path = "../tests/attacks/tiny.rs"]
mod tiny;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use damage::Random;
use targets::{TARGETS, Target};

/// No small file may take longer.
const SLOW: Duration = Duration::from_secs(5);
/// In KiB: what one small file may add to the process's memory.
const MEMORY: u64 = 512 << 10;
/// More inputs than this are not kept as seeds.
const KEPT: usize = 4000;
/// No input grows beyond this.
const LONGEST: usize = 1 << 20;

/// Where the last panic was.
static PLACE: Mutex<String> = Mutex::new(String::new());

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, seconds, seed, folder] = &args[..] else {
        // Another target's filter, or a bare `cargo test`: say what there is.
        TARGETS
            .iter()
            .for_each(|target| println!("{}", target.name));
        return ExitCode::SUCCESS;
    };
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let (seconds, seed) = (seconds.parse().unwrap(), seed.parse().unwrap());
    watch(target.name);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        *PLACE.lock().unwrap() = place.unwrap_or_default();
    }));
    let findings = Fuzzer::new(target, seed, folder).run(Duration::from_secs(seconds));
    ExitCode::from(u8::from(findings > 0))
}

/// How many cases were begun.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// Ends the process when one case takes a minute: its bytes are kept already.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread that hangs cannot be asked to return"
)]
fn watch(name: &'static str) {
    std::thread::spawn(move || {
        loop {
            let before = STARTED.load(Ordering::Relaxed);
            std::thread::sleep(Duration::from_secs(60));
            if before > 0 && STARTED.load(Ordering::Relaxed) == before {
                println!("{name}: hangs at {name}-now.bin");
                std::process::exit(1);
            }
        }
    });
}

struct Fuzzer {
    target: &'static Target,
    seed: u64,
    random: Random,
    corpus: Vec<Vec<u8>>,
    /// Outcomes that were seen.
    seen: HashSet<String>,
    folder: PathBuf,
    cases: u64,
    findings: u64,
    slowest: Duration,
}

impl Fuzzer {
    fn new(target: &'static Target, seed: u64, folder: &str) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        Self {
            target,
            seed,
            random: Random::new(seed),
            corpus: (target.seeds)(),
            seen: HashSet::new(),
            folder: Path::new(folder).to_owned(),
            cases: 0,
            findings: 0,
            slowest: Duration::ZERO,
        }
    }

    fn run(mut self, time: Duration) -> u64 {
        let (started, first) = (Instant::now(), self.corpus.clone());
        for seed in first {
            self.case(seed);
        }
        while started.elapsed() < time {
            let input = self.input();
            self.case(input);
        }
        println!(
            "{:<12} {:>5} s {:>10} cases {:>5} seeds {:>5} outcomes, slowest {:>5} ms, peak {:>4} MiB, \
             {} findings (seed {})",
            self.target.name,
            started.elapsed().as_secs(),
            self.cases,
            self.corpus.len(),
            self.seen.len(),
            self.slowest.as_millis(),
            peak() >> 10,
            self.findings,
            self.seed,
        );
        self.findings
    }

    fn input(&mut self) -> Vec<u8> {
        let pick =
            |random: &mut Random, corpus: &[Vec<u8>]| corpus[random.below(corpus.len())].clone();
        let one = pick(&mut self.random, &self.corpus);
        let other = pick(&mut self.random, &self.corpus);
        let mut out = damage::damaged(&mut self.random, one, &other, self.target.words);
        out.truncate(LONGEST);
        out
    }

    fn case(&mut self, input: Vec<u8>) {
        std::fs::write(
            self.folder.join(format!("{}-now.bin", self.target.name)),
            &input,
        )
        .unwrap();
        STARTED.fetch_add(1, Ordering::Relaxed);
        let (started, before) = (Instant::now(), peak());
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.target.read)(&input)));
        let (took, grown) = (started.elapsed(), peak().saturating_sub(before));
        self.cases += 1;
        self.slowest = self.slowest.max(took);
        match outcome {
            Err(panic) => {
                let words = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied());
                let words = words.unwrap_or_default().to_owned();
                let place = PLACE.lock().unwrap().clone();
                self.found(&input, &format!("panic at {place}: {words}"));
            }
            Ok(_) if took > SLOW => self.found(&input, "slow"),
            Ok(_) if grown > MEMORY => self.found(&input, "memory"),
            Ok(outcome) => {
                let (Ok(text) | Err(text)) = &outcome;
                if self.corpus.len() < KEPT && self.seen.insert(shape(text)) {
                    self.corpus.push(input);
                }
            }
        }
    }

    /// Each kind of finding is kept once.
    fn found(&mut self, input: &[u8], what: &str) {
        if !self.seen.insert(shape(what)) {
            return;
        }
        self.findings += 1;
        let name = format!("{}-{}.bin", self.target.name, self.findings);
        let path = self.folder.join(name);
        std::fs::write(&path, input).unwrap();
        println!("{}: {what}: {}", self.target.name, path.display());
    }
}

/// An outcome's words, without figures and without what was quoted from the input.
fn shape(text: &str) -> String {
    let plain = text.split(['`', '"', '\'']).step_by(2).flat_map(str::chars);
    plain.filter(char::is_ascii_lowercase).take(120).collect()
}

/// The most memory that this process has held, in KiB; 0 where the system doesn't say.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    figure.unwrap_or(0)
}
