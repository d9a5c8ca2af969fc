//! `cargo xtask fuzz`: damaged files of every format, for as long as is asked.

use std::process::{Child, Command};

use anyhow::{Context as _, Result, bail};

use crate::shell::{self, NATIVE, cargo, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these formats [default: all of them]
    format: Vec<String>,
    /// Minutes for each format
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0)]
    minutes: f64,
    /// Formats at a time
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    jobs: usize,
    /// Decides what is damaged and how
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
}

/// Builds the targets and runs each for its time; what they find lies in `target/fuzz`.
///
/// # Errors
/// When a target doesn't build, or one of them found something.
pub(crate) fn run(args: &Args) -> Result<()> {
    let program = build()?;
    let listed = shell::output(&program, &[]).context("the fuzz targets don't start")?;
    let all: Vec<&str> = listed.lines().collect();
    let wanted: Vec<&str> = match args.format.is_empty() {
        true => all.clone(),
        false => args.format.iter().map(String::as_str).collect(),
    };
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        bail!(
            "there is no format `{unknown}`; there are {}",
            all.join(", ")
        );
    }
    let folder = shell::target().join("fuzz");
    let seconds = (args.minutes * 60.0).ceil().to_string();
    say(&format!(
        "Fuzzing {}, {} min each",
        wanted.join(", "),
        args.minutes
    ));
    let mut found = Vec::new();
    for group in wanted.chunks(args.jobs.max(1)) {
        let start = |name: &&str| -> Result<(String, Child)> {
            let mut command = Command::new(&program);
            command.args([name, seconds.as_str(), &args.seed.to_string()]);
            let child = command.arg(&folder).spawn();
            Ok((
                (*name).to_owned(),
                child.with_context(|| format!("cannot start {name}"))?,
            ))
        };
        let running: Vec<_> = group.iter().map(start).collect::<Result<_>>()?;
        for (name, mut child) in running {
            if !child.wait()?.success() {
                found.push(name);
            }
        }
    }
    if !found.is_empty() {
        let folder = folder.display();
        bail!(
            "found something in {}: the inputs lie in {folder}",
            found.join(", ")
        );
    }
    Ok(())
}

/// The program with the targets.
fn build() -> Result<String> {
    say("Building the fuzz targets");
    let targets = [
        "--features",
        "post-tests/fuzz",
        "--test",
        "fuzz",
        "--no-run",
    ];
    let mut build = cargo("test");
    build
        .args(NATIVE)
        .args(targets)
        .arg("--message-format=json");
    let output = build.output().context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!(
            "the fuzz targets don't build:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let path = text
        .lines()
        .filter(|line| line.contains("\"name\":\"fuzz\""))
        .find_map(|line| line.split("\"executable\":\"").nth(1)?.split('"').next());
    Ok(path
        .context("cargo names no program for the fuzz targets")?
        .to_owned())
}
