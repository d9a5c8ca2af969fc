//! One line of progress with an estimate of the time left: a bar on a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::term::Terminal;

/// A plain line at most this often: a log of hours stays readable.
const PLAIN_EVERY: Duration = Duration::from_secs(15);

/// Progress of one phase, counted in steps (or bytes, or rows) out of a known total.
pub(crate) struct Progress {
    term: Terminal,
    bar: Option<ProgressBar>,
    phase: String,
    total: u64,
    done: u64,
    /// Steps that an earlier process did: they tell nothing of this one's speed.
    before: u64,
    start: Instant,
    said: Instant,
}

impl Progress {
    /// Starts a phase of `total` steps of which `done` were made before.
    pub(crate) fn new(term: Terminal, phase: &str, total: u64, done: u64) -> Self {
        let bar = term.bars().then(|| bar(phase, total, done));
        let now = Instant::now();
        if bar.is_none() {
            term.note(format!("{phase}: {done}/{total}"));
        }
        let phase = phase.to_owned();
        Self {
            term,
            bar,
            phase,
            total,
            done,
            before: done,
            start: now,
            said: now,
        }
    }

    /// `done` steps are made by now; `detail` is the latest figure worth seeing.
    pub(crate) fn set(&mut self, done: u64, detail: &str) {
        self.done = done;
        match &self.bar {
            Some(bar) => {
                bar.set_message(detail.to_owned());
                bar.set_position(done);
            }
            None if self.said.elapsed() >= PLAIN_EVERY => self.say(detail),
            None => {}
        }
    }

    /// Ends the phase and says how long it took.
    pub(crate) fn finish(self) -> Duration {
        let took = self.start.elapsed();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let Self {
            term, phase, done, ..
        } = self;
        term.note(format!("{phase}: {done} done in {}", HumanDuration(took)));
        took
    }

    fn say(&mut self, detail: &str) {
        let detail = match detail {
            "" => String::new(),
            detail => format!(", {detail}"),
        };
        let left = self
            .left()
            .map_or_else(String::new, |t| format!(", {} left", HumanDuration(t)));
        let Self {
            phase, done, total, ..
        } = self;
        self.term
            .note(format!("{phase}: {done}/{total}{detail}{left}"));
        self.said = Instant::now();
    }

    fn left(&self) -> Option<Duration> {
        let made = self.done.checked_sub(self.before).filter(|&n| n > 0)?;
        let rest = self.total.saturating_sub(self.done);
        Some(self.start.elapsed().mul_f64(rest as f64 / made as f64))
    }
}

fn bar(phase: &str, total: u64, done: u64) -> ProgressBar {
    // The template is a constant: it parses or no test passes.
    let style = ProgressStyle::with_template(
        "{prefix:>14} {wide_bar} {pos}/{len} {per_sec} ETA {eta} {msg}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(4))
        .with_style(style)
        .with_prefix(phase.to_owned())
        .with_position(done)
}

/// Text that is drawn over itself on a terminal, and nowhere else.
pub(crate) struct Board {
    term: Terminal,
    bar: Option<ProgressBar>,
}

impl Board {
    /// An empty one.
    pub(crate) fn new(term: Terminal) -> Self {
        Self { term, bar: None }
    }

    /// Puts a text in the place of the last one.
    pub(crate) fn show(&mut self, text: String) {
        if self.term.bars() {
            self.bar.get_or_insert_with(board).set_message(text);
        }
    }

    /// Takes the text away.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn board() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}");
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4))
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
