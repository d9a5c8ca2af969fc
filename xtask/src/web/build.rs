//! From Rust to `dist`: compile, shrink, bind, copy, seal.

mod seal;
mod size;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::shell::{self, cargo, path_with, say};
use crate::tools;

/// The two programs of `post-web`, and how many bytes of them may be sent.
const PROGRAMS: [(&str, usize); 2] = [("page", 350_000), ("worker", 3_500_000)];
/// The page is built without the engine, which would make it many times as large.
const PAGE_ONLY: [&str; 1] = ["--no-default-features"];
const SOURCE: &str = "www";
/// The style of plots and tables, which the page shares with the report.
const STYLE: &str = "text/src/report/style.css";
/// Small before fast to build: everybody who opens the page loads it.
pub(crate) const PROFILE: &str = "wasm";

pub(super) fn run(dist: &Path) -> Result<()> {
    tools::wasm_target()?;
    for (program, _) in PROGRAMS {
        compile(program)?;
    }
    empty(dist)?;
    for file in sources()? {
        copy(&file, dist)?;
    }
    finish(dist)
}

/// Puts the compiled programs into a folder that has the rest of the page, and seals it.
pub(super) fn finish(dist: &Path) -> Result<()> {
    tools::wasm_opt()?;
    let path = path_with(&tools::wasm_tools()?)?;
    for (program, limit) in PROGRAMS {
        bind(program, dist, &path)?;
        size::check(program, limit, dist)?;
        seal::loader(program, dist)?;
    }
    seal::seal(dist)
}

fn compile(program: &str) -> Result<()> {
    say(&format!("Building the {program}"));
    let mut build = cargo("build");
    build.args(["--package", "post-web", "--bin", program]);
    build.args(["--profile", PROFILE, "--target", tools::WASM]);
    if program == "page" {
        build.args(PAGE_ONLY);
    }
    shell::run(&mut build)
}

/// What lies there from before would be listed as part of the page.
fn empty(dist: &Path) -> Result<()> {
    if dist.exists() {
        fs::remove_dir_all(dist).with_context(|| format!("cannot empty {}", dist.display()))?;
    }
    fs::create_dir_all(dist).with_context(|| format!("cannot create {}", dist.display()))
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

/// Writes a program's wasm and its JavaScript glue.
///
/// Shrinks before it binds: binding adds a second table, and binaryen 108 (Debian 12) writes the
/// exports of tables as if there were one, after which the program fails at its first line.
fn bind(program: &str, dist: &Path, path: &OsStr) -> Result<()> {
    let folder = shell::target().join(tools::WASM);
    let file = format!("{program}.wasm");
    let (built, shrunk) = (folder.join(PROFILE).join(&file), folder.join(&file));
    say(&format!("Shrinking {program}"));
    let mut shrink = Command::new("wasm-opt");
    shell::run(
        shrink
            // The second time finds what the first one left.
            .args(["-Oz", "-Oz"])
            .args(FEATURES)
            .args([built.as_path(), Path::new("-o"), &shrunk]),
    )?;
    let mut bindgen = Command::new("wasm-bindgen");
    bindgen
        .args(["--remove-name-section", "--remove-producers-section"])
        .args(["--target", "web", "--no-typescript", "--out-dir"])
        .arg(dist)
        .arg(&shrunk);
    shell::run(bindgen.env("PATH", path))
}

/// The files beside the programs.
fn sources() -> Result<Vec<PathBuf>> {
    let mut files = vec![PathBuf::from(STYLE)];
    for entry in fs::read_dir(SOURCE).with_context(|| format!("cannot read {SOURCE}"))? {
        files.push(entry?.path());
    }
    Ok(files)
}

/// Copies a file; what only Trunk reads is left out of the page.
fn copy(from: &Path, dist: &Path) -> Result<()> {
    let to = dist.join(from.file_name().context("a file has a name")?);
    let failed = || format!("cannot copy {} to {}", from.display(), to.display());
    if from.extension() == Some(OsStr::new("html")) {
        let page = fs::read_to_string(from).with_context(failed)?;
        return fs::write(&to, without_trunk(&page)).with_context(failed);
    }
    fs::copy(from, &to).with_context(failed).map(|_| ())
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

    fn page() -> String {
        fs::read_to_string("../www/index.html").unwrap()
    }

    /// The page's sources, each with its name.
    fn programs() -> Vec<(PathBuf, String)> {
        let files = fs::read_dir("../web/src/bin/page").unwrap();
        let read = |path: PathBuf| (path.clone(), fs::read_to_string(path).unwrap());
        files.map(|file| read(file.unwrap().path())).collect()
    }

    #[test]
    fn the_page_names_only_files_that_are_built_or_copied() {
        let page = without_trunk(&page());
        let mut named = page.split(['"', '\'']).filter(|text| {
            [".js", ".css", ".svg", ".wasm", ".webmanifest"]
                .iter()
                .any(|end| text.ends_with(end))
        });
        assert!(named.clone().count() >= 6);
        assert!(named.all(|name| {
            Path::new("../www").join(name).is_file()
                || Path::new("..").join(STYLE).ends_with(name)
                || PROGRAMS.iter().any(|(program, _)| {
                    name == format!("{program}_loader.js") || name == format!("{program}.js")
                })
        }));
    }

    #[test]
    fn the_page_has_a_strict_policy_and_nothing_inline() {
        let page = page();
        assert!(page.contains("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"));
        for inline in [
            "<style",
            " style=",
            " onclick=",
            " onload=",
            "<script>",
            "javascript:",
            "http://",
            "https://",
            "unsafe-inline",
        ] {
            assert!(!page.contains(inline), "{inline}");
        }
    }

    #[test]
    fn styles_fetch_nothing() {
        for style in ["../www/page.css", "../text/src/report/style.css"] {
            let style = fs::read_to_string(style).unwrap();
            for fetch in ["@import", "url(", "image-set("] {
                assert!(!style.contains(fetch), "{fetch}");
            }
        }
    }

    #[test]
    fn every_id_is_there_once_and_every_id_that_is_meant_is_there() {
        let page = page();
        let ids: Vec<_> = after(&page, " id=\"").collect();
        let repeated = ids
            .iter()
            .find(|id| ids.iter().filter(|i| i == id).count() > 1);
        assert_eq!(repeated, None);
        for attribute in [
            " for=\"",
            " aria-labelledby=\"",
            " aria-describedby=\"",
            " list=\"",
        ] {
            for id in after(&page, attribute) {
                assert!(ids.contains(&id), "{attribute}{id}");
            }
        }
        let mut found = 0;
        for (path, text) in programs() {
            for call in [
                "dom::",
                "drop::zone(",
                "choice(page, ",
                "unit(page, ",
                "button(page, ",
            ] {
                for id in literals(&text, call) {
                    assert!(ids.contains(&id), "{}: #{id}", path.display());
                    found += 1;
                }
            }
        }
        assert!(found > 150, "{found}");
    }

    #[test]
    fn every_part_of_a_template_that_is_meant_is_there() {
        let page = page();
        let parts: Vec<_> = after(&page, " data-part=\"").collect();
        for (path, text) in programs() {
            for part in after(&text, "(&row, \"") {
                assert!(parts.contains(&part), "{}: {part}", path.display());
            }
        }
    }

    #[test]
    fn only_the_report_makes_markup() {
        for (path, text) in programs() {
            let allowed = usize::from(path.ends_with("dom.rs"));
            assert!(text.matches("set_inner_html").count() <= allowed);
            for way in [
                "insert_adjacent_html",
                "set_outer_html",
                "\"style\"",
                "innerHTML",
            ] {
                assert!(!text.contains(way), "{}: {way}", path.display());
            }
        }
    }

    /// What stands between `start` and the next quotation mark.
    fn after<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(start)
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
    }

    /// The first argument of each call, where it is a literal.
    fn literals<'a>(text: &'a str, call: &'a str) -> Vec<&'a str> {
        let calls = text.split(call).skip(1);
        let arguments = calls.filter_map(|rest| match call.contains('(') {
            true => Some(rest),
            false => {
                let (name, arguments) = rest.split_once('(')?;
                let is_name = |c: char| c.is_alphanumeric() || "_:<>".contains(c);
                name.chars().all(is_name).then_some(arguments)
            }
        });
        let literal = |rest: &'a str| rest.trim_start().strip_prefix('"')?.split('"').next();
        arguments.filter_map(literal).collect()
    }
}
