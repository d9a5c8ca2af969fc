//! `cargo xtask quickstart`: the whole method on a real model and real text.

mod phases;
mod results;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::shell::{self, minutes, say};
use crate::{data, fetch};
use phases::{Extras, Phase, Places};
use results::Results;

/// Everything that a run leaves behind.
const FOLDER: &str = "runs/quickstart";
/// glibc gives every large block back to the kernel at once and then faults it in again, for each
/// tensor of each step; kept instead, that is a tenth less time. Other allocators don't read these.
const KEEP_MEMORY: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "4000000000"),
    ("MALLOC_TRIM_THRESHOLD_", "8000000000"),
    ("MALLOC_TOP_PAD_", "100000000"),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only fetch the model and prepare the text
    #[arg(long)]
    data_only: bool,
    /// Also tune a prompt on the teacher itself: what privacy costs at most
    #[arg(long)]
    upper_bound: bool,
    /// Distil the student anew instead of taking the one that comes with the repository
    #[arg(long)]
    from_scratch: bool,
    /// Where the results go
    #[arg(long, value_name = "FOLDER", default_value = FOLDER)]
    folder: PathBuf,
}

/// Fetches, builds and runs; phases that are done are not done again.
///
/// # Errors
/// When something cannot be fetched or built, or a phase fails.
pub(crate) fn run(args: &Args) -> Result<()> {
    let folder = args.folder.as_path();
    let teacher = fetch::fetch(&fetch::MODEL)?;
    let sets = data::prepare(&folder.join("data"))?;
    if args.data_only {
        return Ok(());
    }
    let program = shell::build_tool()?;
    let places = Places {
        folder,
        teacher: &teacher,
        sets: &sets,
    };
    let mut results = Results::default();
    let extras = Extras {
        from_scratch: args.from_scratch,
        upper_bound: args.upper_bound,
    };
    for phase in phases::all(&places, extras) {
        results.took(&phase.name, finish(&program, &phase, folder)?.as_secs_f64());
        if let Some(key) = phase.measures {
            results.evaluation(key, &read(&phase.done)?)?;
        }
    }
    results.receipt(&read(&folder.join("tune-dp/prompt/privacy.json"))?)?;
    report(&program, &results, folder)
}

/// Completes the student that comes with the repository, unless that was done since it changed.
///
/// # Errors
/// When its teacher can't be fetched, or the bundle can't be made.
pub(crate) fn complete(program: &Path, bundle: &Path) -> Result<()> {
    let changed = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    if changed(bundle).is_some_and(|made| Some(made) > changed(Path::new(phases::BLOCKS))) {
        return Ok(());
    }
    let teacher = fetch::fetch(&fetch::MODEL)?;
    say("Making the student's bundle");
    let args = phases::bundle(Path::new(phases::BLOCKS), &teacher, bundle);
    shell::run(Command::new(program).args(args).stdout(Stdio::null()))
}

/// What a finished run has for others to use.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    /// The student's bundle.
    pub(crate) bundle: Option<PathBuf>,
    /// The table that plays the private one, and its task.
    pub(crate) sample: Option<(PathBuf, &'static str)>,
}

impl Ready {
    /// Looks in the folder where runs go unless they are told otherwise.
    pub(crate) fn find() -> Self {
        let folder = Path::new(FOLDER);
        let there = |path: PathBuf| path.is_file().then_some(path);
        let sets = data::Sets::in_folder(&folder.join("data"));
        Self {
            bundle: there(phases::student(folder)),
            sample: there(sets.private_train).map(|path| (path, phases::TASK)),
        }
    }
}

/// Writes `results.json` and has the table printed and `report.html` written.
fn report(program: &Path, results: &Results, folder: &Path) -> Result<()> {
    let file = folder.join("results.json");
    write(&file, &serde_json::to_string_pretty(&results.to_json())?)?;
    say(&format!("The numbers are in {}", file.display()));
    shell::run(Command::new(program).args(["report", "--run"]).arg(folder))
}

/// Runs a phase unless it is done, and returns what it took, then or now.
fn finish(program: &Path, phase: &Phase, folder: &Path) -> Result<Duration> {
    let kept = folder.join("seconds").join(&phase.name);
    if phase.done.is_file() {
        let seconds = read(&kept)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0.0);
        say(&format!("{}: done before{}", phase.what, outdated(phase)));
        return Ok(Duration::from_secs_f64(seconds));
    }
    say(&phase.what);
    let start = Instant::now();
    let mut command = Command::new(program);
    command.args(&phase.args).envs(KEEP_MEMORY);
    match phase.measures {
        Some(_) => keep_output(&mut command, &phase.done)?,
        None => shell::run(command.stdout(Stdio::null()))?,
    }
    let took = start.elapsed();
    write(&kept, &format!("{:.1}\n", took.as_secs_f64()))?;
    say(&format!("took {}", minutes(took)));
    Ok(took)
}

/// What to do where a phase was done with an older file of settings: nothing is thrown away unasked.
fn outdated(phase: &Phase) -> String {
    let written = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let recipe = phase.recipe.as_deref();
    match (recipe, recipe.and_then(written), written(&phase.done)) {
        (Some(recipe), Some(changed), Some(done)) if changed > done => format!(
            ", but {} was changed since; to do it again, remove {} and what was measured with it in eval/",
            recipe.display(),
            phase.done.parent().unwrap_or(&phase.done).display()
        ),
        _ => String::new(),
    }
}

/// Runs a command and keeps its standard output, if it succeeds.
fn keep_output(command: &mut Command, file: &Path) -> Result<()> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start post-native")?;
    if !output.status.success() {
        bail!("the evaluation that writes {} failed", file.display());
    }
    write(file, &String::from_utf8(output.stdout)?)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes a file that is either absent or whole.
fn write(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let partial = PathBuf::from(format!("{}.part", path.display()));
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).with_context(failed)?;
    fs::write(&partial, text).with_context(failed)?;
    fs::rename(&partial, path).with_context(failed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::File;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn settings_that_changed_since_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let [recipe, done] = ["transfer.toml", "done.json"].map(|name| folder.path().join(name));
        let phase = Phase {
            name: "transfer".into(),
            what: "Transferring".into(),
            args: Vec::new(),
            recipe: Some(recipe.clone()),
            done: done.clone(),
            measures: None,
        };
        let now = SystemTime::now();
        let written = |path: &Path, ago: u64| {
            let time = now - Duration::from_secs(ago);
            File::create(path).unwrap().set_modified(time).unwrap();
        };
        written(&done, 20);
        written(&recipe, 30);
        assert_eq!(outdated(&phase), "");
        written(&recipe, 10);
        let said = outdated(&phase);
        assert!(said.contains("transfer.toml was changed since"), "{said}");
        assert!(said.contains(&folder.path().display().to_string()));
        let without = Phase {
            recipe: None,
            ..phase
        };
        assert_eq!(outdated(&without), "");
    }
}
