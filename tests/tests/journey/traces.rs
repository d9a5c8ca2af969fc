//! What a browser that has quit leaves behind: its log of the network, and its profile on disk.

use std::path::PathBuf;

use tempfile::TempDir;

use super::canary::{self, Found};
use super::netlog::{self, Asked};

/// The folder of a browser that has quit.
pub(crate) struct Traces(TempDir);

impl Traces {
    pub(super) fn new(folder: TempDir) -> Self {
        Self(folder)
    }

    /// Where the log of the network is.
    pub(crate) fn log(&self) -> PathBuf {
        self.0.path().join("net.json")
    }

    /// Where the profile is: cache, storage, databases, history.
    pub(crate) fn profile(&self) -> PathBuf {
        self.0.path().join("profile")
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

    /// Nothing was asked of anybody but the server, by its origin `http://ip:port`.
    #[track_caller]
    pub(crate) fn assert_only(&self, origin: &str) {
        let asked = self.asked();
        let ours = |url: &&String| {
            url.strip_prefix(origin)
                .is_none_or(|rest| !rest.starts_with('/'))
        };
        let others: Vec<_> = asked.urls.iter().filter(ours).collect();
        assert!(others.is_empty(), "requests to others: {others:#?}");
        let place = origin.trim_start_matches("http://");
        let elsewhere: Vec<_> = asked.reached.iter().filter(|to| *to != place).collect();
        assert!(
            elsewhere.is_empty(),
            "connections to others: {elsewhere:#?}"
        );
        assert!(
            asked.reached.contains(place),
            "the log has no connection at all"
        );
    }
}
