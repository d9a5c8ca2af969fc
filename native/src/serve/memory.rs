//! Files that are kept in memory, whole and compressed: the page's own, which are small and asked for
//! together.

use std::io::{self, Cursor, Write as _};
use std::sync::{Arc, OnceLock};

use flate2::Compression;
use flate2::write::GzEncoder;
use post_core::dp::receipt::sha256;

use super::conditions;
use super::kind::Kind;
use super::reply::{Asked, Body, Reply};

/// One file.
#[derive(Debug)]
pub(super) struct Kept {
    kind: Kind,
    bytes: Arc<[u8]>,
    hash: String,
    /// Made when it is first asked for; `None` where it isn't worth it.
    zipped: OnceLock<Option<Arc<[u8]>>>,
}

impl Kept {
    pub(super) fn new(kind: Kind, bytes: Vec<u8>) -> Self {
        Self {
            kind,
            hash: sha256(&bytes),
            bytes: bytes.into(),
            zipped: OnceLock::new(),
        }
    }

    /// The file, or that the client has it. It asks again each time, so that a new page is never mixed
    /// with an old one's parts.
    pub(super) fn reply(&self, asked: &Asked) -> Reply {
        let zipped = match conditions::takes_gzip(asked.header("accept-encoding")) {
            true => self.zipped(),
            false => None,
        };
        // Two encodings are two things to a cache.
        let etag = match zipped {
            Some(_) => format!("\"{}-gz\"", self.hash),
            None => format!("\"{}\"", self.hash),
        };
        let known = conditions::has(asked.header("if-none-match"), &etag);
        let mut reply = Reply::new(if known { 304 } else { 200 })
            .with("content-type", self.kind.mime)
            .with("cache-control", "no-cache")
            .with("etag", etag);
        if self.kind.shrinks {
            reply = reply.with("vary", "Accept-Encoding");
        }
        if zipped.is_some() {
            reply = reply.with("content-encoding", "gzip");
        }
        let bytes = Arc::clone(zipped.unwrap_or(&self.bytes));
        reply.sends(bytes.len() as u64, Body::Bytes(Cursor::new(bytes)))
    }

    fn zipped(&self) -> Option<&Arc<[u8]>> {
        let zip = || {
            let zipped = self
                .kind
                .shrinks
                .then(|| gzip(&self.bytes).ok())
                .flatten()?;
            (zipped.len() < self.bytes.len()).then(|| zipped.into())
        };
        self.zipped.get_or_init(zip).as_ref()
    }
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn asked(headers: &[(&str, &str)]) -> Asked {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Asked {
            headers: headers.collect(),
            ..Asked::default()
        }
    }

    fn body(mut reply: Reply) -> Vec<u8> {
        let mut bytes = Vec::new();
        reply.body.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, reply.length);
        bytes
    }

    #[test]
    fn what_shrinks_is_sent_compressed_and_comes_back_as_it_was() {
        let text = b"let a = 1;\n".repeat(100);
        let file = Kept::new(Kind::of("a.js"), text.clone());
        let plain = file.reply(&asked(&[]));
        assert_eq!(plain.header("content-encoding"), None);
        let tag = plain.header("etag").unwrap().to_owned();
        assert_eq!(body(plain), text);

        let zipped = file.reply(&asked(&[("accept-encoding", "gzip, br")]));
        assert_eq!(zipped.header("content-encoding"), Some("gzip"));
        assert_eq!(zipped.header("vary"), Some("Accept-Encoding"));
        assert_ne!(zipped.header("etag").unwrap(), tag);
        let zipped = body(zipped);
        assert!(zipped.len() < text.len() / 4);
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&zipped[..])
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, text);
    }

    #[test]
    fn what_does_not_shrink_is_sent_as_it_is() {
        for (name, bytes) in [("a.js", &b"x"[..]), ("a.png", &[7; 999])] {
            let file = Kept::new(Kind::of(name), bytes.to_vec());
            let reply = file.reply(&asked(&[("accept-encoding", "gzip")]));
            assert_eq!(reply.header("content-encoding"), None, "{name}");
            assert_eq!(body(reply), bytes);
        }
    }

    #[test]
    fn a_known_file_is_not_sent_again_and_a_changed_one_is() {
        let file = Kept::new(Kind::of("a.css"), b"a{}".to_vec());
        let tag = file.reply(&asked(&[])).header("etag").unwrap().to_owned();
        let known = [("if-none-match", tag.as_str())];
        assert_eq!(file.reply(&asked(&known)).status, 304);
        let changed = Kept::new(Kind::of("a.css"), b"b{}".to_vec());
        assert_eq!(changed.reply(&asked(&known)).status, 200);
    }
}
