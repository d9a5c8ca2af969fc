//! Hashes of everything that the page loads: what was built is what runs, also offline.
//!
//! Where a file was changed on its way, the browser refuses it. The service worker keeps exactly the
//! files that are listed in it, and a change of any of them makes it another version.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256, Sha384};

const PAGE: &str = "index.html";
const SERVICE: &str = "sw.js";
/// What the build replaces in the service worker.
const FILES: &str = "[\"FILES\"]";
const VERSION: &str = "\"VERSION\"";
/// Elements whose file the browser compares with a hash, and the attribute that names it.
const HASHED: [(&str, &str); 3] = [
    ("<link rel=\"stylesheet\"", "href"),
    ("<link rel=\"modulepreload\"", "href"),
    ("<script type=\"module\"", "src"),
];

/// Writes the lines that start a program. A file of its own: the page's policy forbids inline scripts.
pub(super) fn loader(program: &str, dist: &Path) -> Result<()> {
    let wasm = format!("{program}_bg.wasm");
    let integrity = integrity(&read(dist, &wasm)?);
    let lines = format!(
        "import init from \"./{program}.js\";\n\
         const wasm = new URL(\"{wasm}\", import.meta.url);\n\
         await init({{ module_or_path: fetch(wasm, {{ integrity: \"{integrity}\" }}) }});\n"
    );
    write(dist, &format!("{program}_loader.js"), &lines)
}

/// Writes the hashes into the page, then the list of all files into the service worker.
pub(super) fn seal(dist: &Path) -> Result<()> {
    let page = String::from_utf8(read(dist, PAGE)?)?;
    let lines: Result<Vec<_>> = page.lines().map(|line| hashed(line, dist)).collect();
    write(dist, PAGE, &(lines?.join("\n") + "\n"))?;
    let mut names = names(dist, "")?;
    names.retain(|name| name != SERVICE);
    names.sort();
    let version = version(dist, &names)?;
    let service = String::from_utf8(read(dist, SERVICE)?)?;
    ensure!(
        service.contains(FILES) && service.contains(VERSION),
        "{SERVICE} has no place for {FILES} and {VERSION}"
    );
    // The folder itself is the page.
    names.insert(0, "./".to_owned());
    let list = serde_json::to_string_pretty(&names)?;
    let service = service
        .replace(FILES, &list)
        .replace(VERSION, &format!("\"{version}\""));
    write(dist, SERVICE, &service)
}

/// A line of the page, with the hash of the file that it loads.
fn hashed(line: &str, dist: &Path) -> Result<String> {
    let element = HASHED
        .iter()
        .find(|(start, _)| line.trim_start().starts_with(start));
    let Some((_, attribute)) = element else {
        return Ok(line.to_owned());
    };
    let named = format!("{attribute}=\"");
    let name = line
        .split_once(&named)
        .and_then(|(_, rest)| rest.split('"').next())
        .with_context(|| format!("names no file: {line}"))?;
    let integrity = integrity(&read(dist, name)?);
    Ok(line.replacen(&named, &format!("integrity=\"{integrity}\" {named}"), 1))
}

/// Every file below, with `/` between folders.
fn names(dist: &Path, inside: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dist.join(inside))? {
        let entry = entry?;
        let name = entry.file_name().into_string();
        let name = name.map_err(|name| anyhow::anyhow!("cannot list {}", name.display()))?;
        let path = format!("{inside}{name}");
        if entry.file_type()?.is_dir() {
            found.extend(names(dist, &format!("{path}/"))?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// Changes with every name and every byte.
fn version(dist: &Path, names: &[String]) -> Result<String> {
    let mut all = Sha256::new();
    for name in names {
        all.update(name.as_bytes());
        all.update([0]);
        all.update(Sha256::digest(read(dist, name)?));
    }
    let digest = all.finalize();
    Ok(digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn read(dist: &Path, name: &str) -> Result<Vec<u8>> {
    fs::read(dist.join(name)).with_context(|| format!("the page has no {name}"))
}

fn write(dist: &Path, name: &str, text: &str) -> Result<()> {
    fs::write(dist.join(name), text).with_context(|| format!("cannot write {name}"))
}

/// As the attribute `integrity` takes it.
fn integrity(bytes: &[u8]) -> String {
    format!("sha384-{}", base64(&Sha384::digest(bytes)))
}

/// Of a multiple of three bytes, as 48 are: there is nothing to pad.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = |three: &[u8]| {
        let number = three
            .iter()
            .fold(0, |number, &byte| number << 8 | u32::from(byte));
        [18, 12, 6, 0].map(|shift| char::from(LETTERS[(number >> shift & 63) as usize]))
    };
    bytes.chunks_exact(3).flat_map(letters).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn dist() -> tempfile::TempDir {
        let dist = tempfile::tempdir().unwrap();
        let page = "<link rel=\"icon\" href=\"i.svg\">\n  <script type=\"module\" src=\"a_loader.js\"></script>\n";
        for (name, text) in [(PAGE, page), ("i.svg", "<svg/>"), ("a_bg.wasm", "wasm")] {
            fs::write(dist.path().join(name), text).unwrap();
        }
        fs::copy("../www/sw.js", dist.path().join(SERVICE)).unwrap();
        fs::create_dir(dist.path().join("snippets")).unwrap();
        fs::write(dist.path().join("snippets/b.js"), "b").unwrap();
        loader("a", dist.path()).unwrap();
        dist
    }

    fn text(dist: &tempfile::TempDir, name: &str) -> String {
        fs::read_to_string(dist.path().join(name)).unwrap()
    }

    #[test]
    fn hashes_are_those_that_browsers_compute() {
        // From the specification of subresource integrity.
        let known = "sha384-H8BRh8j48O9oYatfu5AZzq6A9RINhZO5H16dQZngK7T62em8MUt1FLm52t+eX6xO";
        assert_eq!(integrity(b"alert('Hello, world.');"), known);
    }

    #[test]
    fn loaders_and_page_carry_the_hashes_of_what_they_load() {
        let dist = dist();
        seal(dist.path()).unwrap();
        let lines = text(&dist, "a_loader.js");
        assert!(lines.contains(&integrity(b"wasm")), "{lines}");
        let page = text(&dist, PAGE);
        let script = format!(
            "integrity=\"{}\" src=\"a_loader.js\"",
            integrity(lines.as_bytes())
        );
        assert!(page.contains(&script), "{page}");
        assert!(
            page.contains("<link rel=\"icon\" href=\"i.svg\">"),
            "{page}"
        );
    }

    #[test]
    fn the_service_worker_lists_every_file_but_itself_and_changes_with_each() {
        let (one, other) = (dist(), dist());
        fs::write(other.path().join("snippets/b.js"), "c").unwrap();
        seal(one.path()).unwrap();
        seal(other.path()).unwrap();
        let service = text(&one, SERVICE);
        for name in [
            "./",
            PAGE,
            "a_bg.wasm",
            "a_loader.js",
            "i.svg",
            "snippets/b.js",
        ] {
            assert!(service.contains(&format!("\"{name}\"")), "{name}");
        }
        assert!(!service.contains("\"sw.js\"") && !service.contains(VERSION));
        assert_ne!(service, text(&other, SERVICE));
    }
}
