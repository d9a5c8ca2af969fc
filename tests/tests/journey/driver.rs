//! chromedriver as a child.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use super::place;

/// A running chromedriver, ended when it is dropped.
pub(crate) struct Driver {
    child: Child,
    /// `http://127.0.0.1:port`.
    pub(crate) origin: String,
}

impl Driver {
    /// Starts one on a port that is free.
    #[track_caller]
    pub(crate) fn start() -> Self {
        let path = place::chromedriver();
        let mut child = Command::new(&path)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("could not start {}: {error}", path.display()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let port = line.split("successfully on port ").nth(1)?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.expect("chromedriver says its port");
        // Somebody has to read on: it would wait before a full pipe.
        thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            origin: format!("http://127.0.0.1:{port}"),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
