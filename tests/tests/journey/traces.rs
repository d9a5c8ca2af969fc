//! What a browser that has quit leaves behind: its log of the network, and its profile on disk.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::canary::{self, Found};
use super::netlog::{self, Asked};
use super::place;

/// The folder of a browser that has quit.
pub(crate) struct Traces {
    folder: TempDir,
    /// Of the test.
    name: String,
}

impl Traces {
    pub(super) fn new(folder: TempDir, name: String) -> Self {
        Self { folder, name }
    }

    /// Where the log of the network is.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("net.json")
    }

    /// Where the profile is: cache, storage, databases, history.
    pub(crate) fn profile(&self) -> PathBuf {
        self.folder.path().join("profile")
    }

    /// All requests that were made, by the page, its workers and the browser itself.
    pub(crate) fn asked(&self) -> Asked {
        netlog::read(&self.log())
    }

    /// Every trace of a text, on the network and on disk. Downloads, which the person asked for, don't
    /// count.
    pub(crate) fn of(&self, text: &str) -> Vec<Found> {
        let mut found = canary::search(&self.log(), text);
        found.extend(canary::search(&self.profile(), text));
        found
    }

    /// The page, which was opened, asked nothing of anybody but the server, by its origin
    /// `http://ip:port`. A log that says something else is kept.
    #[track_caller]
    pub(crate) fn assert_only(&self, origin: &str) {
        let asked = self.asked();
        assert!(
            asked.has(&format!("{origin}/")),
            "the log has no page at all"
        );
        let elsewhere = asked.elsewhere(origin);
        if !elsewhere.is_empty() {
            let kept = place::output().join(format!("{}-net.json", self.name));
            fs::copy(self.log(), &kept).unwrap();
            panic!("others were asked: {elsewhere:#?}\nlog: {}", kept.display());
        }
    }
}
