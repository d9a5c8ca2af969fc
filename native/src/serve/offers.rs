//! Bundles and the sample: files from anywhere, checked when the server starts, under their bare names.
//! They are read from disk while they are sent, whole or in part.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use super::conditions;
use super::kind::Kind;
use super::names;
use super::range::{Wanted, wanted};
use super::reply::{Asked, Body, Reply};
use super::stamp::Stamp;
use crate::failure::Hint;

/// What a browser may keep of a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keep {
    /// All, and asks each time whether it is still right.
    Asking,
    /// Nothing: the page stores bundles itself, and twice is too much of a disk.
    Nothing,
}

/// A file on offer.
#[derive(Debug)]
struct Offer {
    path: PathBuf,
    /// As it was when it was checked.
    stamp: Stamp,
    keep: Keep,
}

/// Files by name.
#[derive(Debug, Default)]
pub(super) struct Offers(BTreeMap<String, Offer>);

impl Offers {
    /// Adds a file and returns its bare name and its length.
    ///
    /// # Errors
    /// When it can't be read, has a name that no address can have, or one that is taken.
    pub(super) fn add(&mut self, path: &Path, keep: Keep) -> Result<(String, u64)> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name
            .filter(|name| names::is_plain(name))
            .ok_or_else(|| anyhow!("{} can't be served under its name", path.display()))
            .hint("rename it: a name in UTF-8 without `:` and `\\` that doesn't start with a dot")?
            .to_owned();
        let stamp = look(path).with_context(|| format!("could not read {}", path.display()));
        let stamp = stamp.hint("check the path; it is taken relative to the current directory")?;
        if let Some(other) = self.0.get(&name) {
            let (one, two) = (other.path.display(), path.display());
            return Err(anyhow!("{one} and {two} would be served under one name"))
                .hint("rename one of them, or leave one out");
        }
        let path = path.to_owned();
        self.0.insert(name.clone(), Offer { path, stamp, keep });
        Ok((name, stamp.bytes))
    }

    /// The names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The answer to a request for the file `name`; `None` where there is none.
    pub(super) fn reply(&self, name: &str, asked: &Asked) -> Option<Reply> {
        let offer = self.0.get(name)?;
        let failed = |error: anyhow::Error| Reply::text(500, &format!("{name}: {error:#}"));
        Some(offer.reply(name, asked).unwrap_or_else(failed))
    }
}

fn look(path: &Path) -> io::Result<Stamp> {
    let meta = File::open(path)?.metadata()?;
    match meta.is_file() {
        true => Stamp::of(&meta),
        false => Err(io::Error::other("it is no file")),
    }
}

impl Offer {
    /// # Errors
    /// When the file is gone, or isn't the one any more that was checked.
    fn reply(&self, name: &str, asked: &Asked) -> Result<Reply> {
        let file = File::open(&self.path).context("the file is gone from the server")?;
        if Stamp::of(&file.metadata()?)? != self.stamp {
            bail!(
                "the file was changed after it was checked: start `post-native serve` there again"
            );
        }
        let (etag, length) = (self.stamp.etag(), self.stamp.bytes);
        let reply = |status| {
            let keep = match self.keep {
                Keep::Asking => "no-cache",
                Keep::Nothing => "no-store",
            };
            Reply::new(status)
                .with("content-type", Kind::of(name).mime)
                .with("cache-control", keep)
                .with("accept-ranges", "bytes")
                .with("etag", etag.clone())
        };
        if conditions::has(asked.header("if-none-match"), &etag) {
            return part(reply(304), file, 0..length);
        }
        // A range is a matter of GET, and of the file that the client has the beginning of.
        let ranged =
            asked.method == "GET" && conditions::continues(asked.header("if-range"), &etag);
        match wanted(asked.header("range").filter(|_| ranged), length) {
            Wanted::Whole => part(reply(200), file, 0..length),
            Wanted::Part(range) => {
                let said = format!("bytes {}-{}/{length}", range.start, range.end - 1);
                part(reply(206).with("content-range", said), file, range)
            }
            Wanted::Beyond => Ok(reply(416).with("content-range", format!("bytes */{length}"))),
        }
    }
}

/// The reply with these bytes of the file.
fn part(reply: Reply, mut file: File, range: Range<u64>) -> Result<Reply> {
    file.seek(SeekFrom::Start(range.start))?;
    let length = range.end - range.start;
    Ok(reply.sends(length, Body::File(file.take(length))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    fn offered() -> (tempfile::TempDir, Offers) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.post.safetensors");
        fs::write(&path, "0123456789").unwrap();
        let mut offers = Offers::default();
        let (name, bytes) = offers.add(&path, Keep::Nothing).unwrap();
        assert_eq!((name.as_str(), bytes), ("a.post.safetensors", 10));
        (dir, offers)
    }

    fn get(offers: &Offers, headers: &[(&str, &str)]) -> (Reply, String) {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let asked = Asked {
            method: "GET".to_owned(),
            headers: headers.collect(),
            ..Asked::default()
        };
        let mut reply = offers.reply("a.post.safetensors", &asked).unwrap();
        let mut body = String::new();
        reply.body.read_to_string(&mut body).unwrap();
        (reply, body)
    }

    #[test]
    fn a_download_resumes_where_it_was_unless_the_file_is_another() {
        let (_dir, offers) = offered();
        let (whole, body) = get(&offers, &[]);
        assert_eq!((whole.status, body.as_str()), (200, "0123456789"));
        assert_eq!(whole.header("accept-ranges"), Some("bytes"));
        assert_eq!(whole.header("cache-control"), Some("no-store"));
        let tag = whole.header("etag").unwrap();

        let (rest, body) = get(&offers, &[("range", "bytes=7-"), ("if-range", tag)]);
        assert_eq!((rest.status, body.as_str()), (206, "789"));
        assert_eq!(rest.header("content-range"), Some("bytes 7-9/10"));
        assert_eq!(rest.length, 3);

        let (other, body) = get(&offers, &[("range", "bytes=7-"), ("if-range", "\"x\"")]);
        assert_eq!((other.status, body.len()), (200, 10));
        let (beyond, body) = get(&offers, &[("range", "bytes=10-")]);
        assert_eq!((beyond.status, body.as_str()), (416, ""));
        assert_eq!(beyond.header("content-range"), Some("bytes */10"));
        assert_eq!(get(&offers, &[("if-none-match", tag)]).0.status, 304);
    }

    #[test]
    fn a_file_that_changed_is_not_served_as_the_one_that_was_checked() {
        let (dir, offers) = offered();
        fs::write(dir.path().join("a.post.safetensors"), "01234567890").unwrap();
        let (reply, body) = get(&offers, &[]);
        assert_eq!(reply.status, 500);
        assert!(body.contains("was changed after it was checked"), "{body}");
        fs::remove_file(dir.path().join("a.post.safetensors")).unwrap();
        assert!(get(&offers, &[]).1.contains("gone"));
    }

    #[test]
    fn two_files_of_one_name_are_refused() {
        let (dir, mut offers) = offered();
        let inner = dir.path().join("b");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("a.post.safetensors"), "x").unwrap();
        let twice = offers.add(&inner.join("a.post.safetensors"), Keep::Nothing);
        assert!(twice.unwrap_err().to_string().contains("under one name"));
        fs::write(dir.path().join(".hidden"), "x").unwrap();
        assert!(
            offers
                .add(&dir.path().join(".hidden"), Keep::Asking)
                .is_err()
        );
        assert!(offers.add(&inner, Keep::Asking).is_err());
    }
}
