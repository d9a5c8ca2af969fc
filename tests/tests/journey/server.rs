//! `post-native serve` as a child.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::place;

/// A running server, ended when it is dropped.
pub(crate) struct Served {
    child: Child,
    /// `http://127.0.0.1:port`, without a slash at the end.
    pub(crate) origin: String,
}

impl Served {
    /// Serves the page with some bundles and a sample.
    #[track_caller]
    pub(crate) fn start(bundles: &[&Path], sample: Option<(&Path, &str)>) -> Self {
        Self::start_at("0", &place::page(), bundles, sample)
    }

    /// Serves another page.
    #[track_caller]
    pub(crate) fn start_page(page: &Path, bundles: &[&Path]) -> Self {
        Self::start_at("0", page, bundles, None)
    }

    /// The same server, from which every bundle was taken away.
    #[track_caller]
    pub(crate) fn without_bundles(self) -> Self {
        let port = self.origin.rsplit(':').next().unwrap().to_owned();
        drop(self);
        Self::start_at(&port, &place::page(), &[], None)
    }

    #[track_caller]
    fn start_at(port: &str, page: &Path, bundles: &[&Path], sample: Option<(&Path, &str)>) -> Self {
        let mut command = Command::new(place::post_native());
        command.args(["serve", "--port", port, "--page"]).arg(page);
        for bundle in bundles {
            command.arg("--bundle").arg(bundle);
        }
        if let Some((table, task)) = sample {
            command
                .arg("--sample")
                .arg(table)
                .args(["--sample-task", task]);
        }
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut heard = String::new();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let origin = lines.map_while(Result::ok).find_map(|line| {
            heard += &format!("{line}\n");
            let address = line.strip_prefix("Open ")?.split(' ').next()?;
            Some(address.to_owned())
        });
        match origin {
            Some(origin) => Self { child, origin },
            None => panic!("`post-native serve` did not start:\n{heard}"),
        }
    }

    /// The address of a file; the page itself for an empty name.
    pub(crate) fn url(&self, file: &str) -> String {
        format!("{}/{file}", self.origin)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
