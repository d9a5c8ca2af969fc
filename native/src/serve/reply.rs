//! A request and a reply, without sockets.

use std::fs::File;
use std::io::{self, Cursor, Read, Take};
use std::sync::Arc;

/// What holds for every reply, errors too.
///
/// The policy lets the page run its own scripts, workers and wasm and reach nothing but this server: a
/// page that was tampered with has nowhere to send private text. The two isolation headers give the
/// tab a process of its own, and shared memory.
const HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; \
         connect-src 'self'; style-src 'self'; img-src 'self'; manifest-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    (
        "permissions-policy",
        "camera=(), microphone=(), geolocation=()",
    ),
];

/// A request.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) method: String,
    /// As it was sent: the path, still encoded, and what follows a `?`.
    pub(super) url: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
}

impl Asked {
    /// The first header of a name, which is given in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The headers of a name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.headers.iter().filter(move |(own, _)| own == name);
        named.map(|(_, value)| value.as_str())
    }
}

/// What is sent back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    /// Of the body that a GET has.
    pub(super) length: u64,
    pub(super) body: Body,
}

/// Where the bytes come from.
#[derive(Debug)]
pub(super) enum Body {
    /// Kept in memory.
    Bytes(Cursor<Arc<[u8]>>),
    /// Read from disk while it is sent.
    File(Take<File>),
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Bytes(bytes) => bytes.read(buffer),
            Self::File(file) => file.read(buffer),
        }
    }
}

impl Reply {
    /// A reply without a body of its own.
    pub(super) fn new(status: u16) -> Self {
        let headers = HEADERS.map(|(name, value)| (name, value.to_owned()));
        Self {
            status,
            headers: headers.to_vec(),
            length: 0,
            body: Body::Bytes(Cursor::new(Arc::new([]))),
        }
    }

    /// A line for a person.
    pub(super) fn text(status: u16, text: &str) -> Self {
        let bytes: Arc<[u8]> = format!("{text}\n").into_bytes().into();
        let reply = Self::new(status).with("content-type", "text/plain; charset=utf-8");
        let reply = reply.with("cache-control", "no-store");
        reply.sends(bytes.len() as u64, Body::Bytes(Cursor::new(bytes)))
    }

    /// There is no such file.
    pub(super) fn missing() -> Self {
        Self::text(404, "not found")
    }

    /// Adds a header, whose name is given in lower case.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body.
    pub(super) fn sends(mut self, length: u64, body: Body) -> Self {
        (self.length, self.body) = (length, body);
        self
    }

    /// The value of a header, whose name is given in lower case.
    #[cfg(test)]
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(own, _)| *own == name);
        let found = named.next().map(|(_, value)| value.as_str());
        assert!(named.next().is_none(), "{name} is there twice");
        found
    }
}
