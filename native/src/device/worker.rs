//! Devices of other machines: `ws://host:port[/i]`, which `post-native worker` serves there.
//!
//! What is computed and on what goes over the connection as it is, without encryption, so only work on
//! public text takes them: `distill` and `transfer`.

use std::fmt;
use std::net::TcpListener;
use std::str::FromStr;

use anyhow::{Error, Result};
use burn::tensor::Device;

use crate::failure::hinted;
use crate::term::Terminal;

/// What names them.
const SCHEME: &str = "ws://";

/// Where both sides find the word that lets clients in.
const TOKEN: &str = "POST_WORKER_TOKEN";

/// A worker's i-th device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Worker {
    /// `ws://host:port`.
    url: String,
    index: usize,
}

impl Worker {
    /// Whether a person who wrote this meant a worker.
    pub(crate) fn is_one(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Connects to it, and says so on stderr.
    ///
    /// # Errors
    /// When it can't be reached, lets nobody in or has no such device; or this build speaks to none.
    pub(crate) fn open(&self, term: &Terminal) -> Result<Device> {
        let device = remote::connect(self)?;
        term.note(format!("device: {self}"));
        Ok(device)
    }

    /// The error of work that was on it, after it has gone.
    pub(crate) fn lost(&self, error: Error) -> Error {
        hinted(
            error.context(format!("the worker {self} no longer answers")),
            "start it again, or leave it out of --devices, and run the same command with --resume: it goes on from \
             the last checkpoint",
        )
    }
}

impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.url, self.index)
    }
}

impl FromStr for Worker {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown =
            || format!("`{text}` is no worker's device: write ws://host:port, or ws://host:port/1");
        let place = text.strip_prefix(SCHEME).ok_or_else(unknown)?;
        let (place, index) = match place.split_once('/') {
            Some((place, index)) => (place, index.parse().map_err(|_| unknown())?),
            None => (place, 0),
        };
        let port = place.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        let port = port.and_then(|(_, port)| port.parse::<u16>().ok());
        port.filter(|&port| port > 0).ok_or_else(unknown)?;
        Ok(Self {
            url: format!("{SCHEME}{place}"),
            index,
        })
    }
}

/// Serves devices until the process ends.
///
/// # Errors
/// When they can't be served together; or this build can't serve any.
pub(crate) fn serve(devices: Vec<Device>, listener: TcpListener) -> Result<()> {
    remote::serve(devices, listener)
}

/// Whether a word is set that lets clients in.
pub(crate) fn has_token() -> bool {
    token().is_some()
}

fn token() -> Option<String> {
    std::env::var(TOKEN).ok().filter(|token| !token.is_empty())
}

#[cfg(feature = "remote")]
mod remote {
    use std::net::TcpListener;

    use anyhow::{Context, Error, Result};
    use burn::remote::{ConnectError, RemoteHost};
    use burn::server::{RemoteServer, TokenAuthorizer, WebSocketTransport};
    use burn::tensor::Device;
    use tokio::runtime;

    use super::{TOKEN, Worker, token};
    use crate::failure::hinted;

    pub(super) fn connect(worker: &Worker) -> Result<Device> {
        let host = RemoteHost::websocket(&worker.url).with_credential(token().unwrap_or_default());
        let opened = Device::remote_options(&host)
            .device_index(worker.index)
            .init();
        opened.map_err(|error| {
            let hint = way_out(&error);
            let error = Error::new(error).context(format!("could not compute on {worker}"));
            hinted(error, hint)
        })
    }

    fn way_out(error: &ConnectError) -> String {
        match error {
            ConnectError::Unauthorized => format!("set {TOKEN} to what it is where the worker runs"),
            ConnectError::NoSuchDevice { .. } => "count its devices from 0, as in ws://host:port/0".into(),
            ConnectError::IncompatibleProtocol { .. } => "build both from the same commit".into(),
            _ => "start `post-native worker` there, and see that nothing between the two stops the connection".into(),
        }
    }

    pub(super) fn serve(devices: Vec<Device>, listener: TcpListener) -> Result<()> {
        let mut server = RemoteServer::new(devices);
        if let Some(token) = token() {
            server = server.with_authorizer(TokenAuthorizer::new(token)?);
        }
        let runtime = runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("could not start the worker's threads")?;
        let _within = runtime.enter();
        let serving = server.serve_async(WebSocketTransport::from_listener(listener));
        Ok(runtime.block_on(serving)?)
    }
}

#[cfg(not(feature = "remote"))]
mod remote {
    use std::net::TcpListener;

    use anyhow::{Error, Result, anyhow};
    use burn::tensor::Device;

    use super::Worker;
    use crate::failure::hinted;

    pub(super) fn connect(_: &Worker) -> Result<Device> {
        Err(without())
    }

    pub(super) fn serve(_: Vec<Device>, _: TcpListener) -> Result<()> {
        Err(without())
    }

    fn without() -> Error {
        hinted(
            anyhow!("this build knows no devices of other machines"),
            "rebuild with `--features remote`, here and there",
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_named_by_host_port_and_device() {
        for (text, name) in [
            ("ws://gpu:9000", "ws://gpu:9000/0"),
            ("ws://10.0.0.7:80/3", "ws://10.0.0.7:80/3"),
            ("ws://[::1]:9000", "ws://[::1]:9000/0"),
        ] {
            assert_eq!(text.parse::<Worker>().unwrap().to_string(), name);
        }
        for text in [
            "ws://gpu",
            "ws://gpu:x",
            "ws://:9000",
            "ws://gpu:0",
            "ws://gpu:9000/",
            "wss://gpu:9000",
        ] {
            assert!(text.parse::<Worker>().is_err(), "{text}");
        }
    }
}
