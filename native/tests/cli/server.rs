//! A command that serves until it is ended.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// It, ended when it is dropped.
pub(super) struct Server {
    child: Child,
    /// `127.0.0.1:port`.
    pub(super) address: String,
}

impl Server {
    /// Starts it; it says where it is behind the words `lead`.
    pub(super) fn start(args: &[String], environment: &[(&str, &str)], lead: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_post-native"))
            .args(args)
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let opened = lines.map_while(Result::ok).find_map(|line| {
            let address = line.strip_prefix(lead)?.split(' ').next()?;
            Some(address.to_owned())
        });
        Self {
            child,
            address: opened.expect("the server says where it is"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
