//! From Rust to `dist`: compile, bind, shrink, copy.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::shell::{self, cargo, path_with, say};
use crate::tools;

/// The two programs of `post-web`.
const PROGRAMS: [&str; 2] = ["page", "worker"];
const SOURCE: &str = "www";

pub(super) fn run(dist: &Path) -> Result<()> {
    tools::wasm_target()?;
    tools::wasm_opt()?;
    let path = path_with(&tools::wasm_tools()?)?;
    say("Building the page and its worker");
    shell::run(cargo("build").args([
        "--release",
        "--package",
        "post-web",
        "--target",
        tools::WASM,
    ]))?;
    fs::create_dir_all(dist).with_context(|| format!("cannot create {}", dist.display()))?;
    for program in PROGRAMS {
        bind(program, dist, &path)?;
    }
    copy(Path::new(SOURCE), dist)
}

/// What rustc emits for wasm, and `wasm-opt` has to be told.
const FEATURES: [&str; 7] = [
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// Writes a program's wasm, its JavaScript glue and the line that starts it.
///
/// Shrinks before it binds: binding adds a second table, and binaryen 108 (Debian 12) writes the
/// exports of tables as if there were one, after which the program fails at its first line.
fn bind(program: &str, dist: &Path, path: &OsStr) -> Result<()> {
    let folder = shell::target().join(tools::WASM);
    let file = format!("{program}.wasm");
    let (built, shrunk) = (folder.join("release").join(&file), folder.join(&file));
    say(&format!("Shrinking {program}"));
    let mut shrink = Command::new("wasm-opt");
    shell::run(
        shrink
            .arg("-Oz")
            .args(FEATURES)
            .args([built.as_path(), Path::new("-o"), &shrunk]),
    )?;
    let mut bindgen = Command::new("wasm-bindgen");
    bindgen
        .args(["--target", "web", "--no-typescript", "--out-dir"])
        .arg(dist)
        .arg(&shrunk);
    shell::run(bindgen.env("PATH", path))?;

    let loader = dist.join(format!("{program}_loader.js"));
    // A file of its own: the page's policy forbids inline scripts.
    fs::write(
        &loader,
        format!("import init from \"./{program}.js\";\nawait init();\n"),
    )
    .with_context(|| format!("cannot write {}", loader.display()))
}

/// Copies the files beside the programs; what only Trunk reads is left out of the page.
fn copy(source: &Path, dist: &Path) -> Result<()> {
    for entry in
        fs::read_dir(source).with_context(|| format!("cannot read {}", source.display()))?
    {
        let from = entry?.path();
        let to = dist.join(from.file_name().context("a file has a name")?);
        let failed = || format!("cannot copy {} to {}", from.display(), to.display());
        if from.extension() == Some(OsStr::new("html")) {
            let page = fs::read_to_string(&from).with_context(failed)?;
            fs::write(&to, without_trunk(&page)).with_context(failed)?;
        } else {
            fs::copy(&from, &to).with_context(failed)?;
        }
    }
    Ok(())
}

fn without_trunk(page: &str) -> String {
    page.lines()
        .filter(|line| !line.contains("data-trunk"))
        .flat_map(|line| [line, "\n"])
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_only_files_that_are_built_or_copied() {
        let page = without_trunk(&fs::read_to_string("../www/index.html").unwrap());
        let mut named = page.split(['"', '\'']).filter(|text| {
            [".js", ".css", ".svg", ".wasm"]
                .iter()
                .any(|end| text.ends_with(end))
        });
        assert!(named.clone().count() >= 3);
        assert!(named.all(|name| {
            Path::new("../www").join(name).is_file()
                || PROGRAMS
                    .iter()
                    .any(|program| name == format!("{program}_loader.js"))
        }));
    }

    #[test]
    fn the_page_has_a_strict_policy_and_nothing_inline() {
        let page = fs::read_to_string("../www/index.html").unwrap();
        assert!(page.contains("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"));
        for inline in [
            "<style", "style=", "onclick=", "<script>", "http://", "https://",
        ] {
            assert!(!page.contains(inline), "{inline}");
        }
    }
}
