//! The engine's log, in the browser's console; what the graphics stack calls an error is fatal.
//!
//! A shader that fails validation is skipped by WebGPU without an error to the caller, and the numbers
//! are then wrong (cubecl #1641). All that tells of it is a line in the log.

use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};

/// The crates between the tensors and the graphics card.
const GRAPHICS: [&str; 4] = ["wgpu", "cubecl", "naga", "burn"];

static FATAL: Mutex<Option<String>> = Mutex::new(None);

struct Console;

/// Sends all warnings and errors to the console from here on.
pub fn install() {
    // A second installation finds the first one at work.
    if log::set_logger(&Console).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

/// The first error of the graphics stack since it was last asked for.
pub(super) fn take_fatal() -> Option<String> {
    FATAL.lock().ok()?.take()
}

/// Reports a failure that came by another way than the log.
pub(super) fn fatal(message: String) {
    if let Ok(mut fatal) = FATAL.lock() {
        fatal.get_or_insert(message);
    }
}

impl Log for Console {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = format!("{}: {}", record.target(), record.args());
        if record.level() > Level::Error {
            web_sys::console::warn_1(&line.into());
            return;
        }
        web_sys::console::error_1(&line.clone().into());
        if GRAPHICS
            .iter()
            .any(|name| record.target().starts_with(name))
        {
            fatal(line);
        }
    }

    fn flush(&self) {}
}
