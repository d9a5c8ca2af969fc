//! `post-native experiment`: a grid of runs, shared where they agree, and the table of what they gave.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use super::{audit, bench, distill, eval, score, transfer, tune};
use crate::experiment::{
    Config, Events, Inputs, Job, Plan, Pool, Program, Results, UNKNOWN, gather, page, table, tables,
};
use crate::failure::hinted;
use crate::progress::Board;
use crate::term::{self, Terminal};
use crate::{config, data, files};

/// Run a grid of teachers, students, tasks, public sets, ε, α and seeds, and print the table
///
/// Beside accuracies it attacks the runs ([audits.lira], [audits.canaries], [audits.min-k]), scores public
/// text ([score]) and measures what each pair of models costs ([bench]), where its file says so.
///
/// Each job is one call of this program in a folder of its own, named by what its numbers depend on: what
/// several cells need is done once, and what was done is not done again. Results go to RUN/results.jsonl
/// and RUN/report.html after every job that measures something. Each names the build of this program that it is from.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  post-native experiment experiments/smollm2/baselines.toml
  What it would run:
    post-native experiment experiments/smollm2/baselines.toml --dry-run
  On two GPUs, one job on each:
    post-native experiment experiments/paper/roberta-base.toml --devices cuda:0,cuda:1

Killed? Run the same command again: it does what is not done. Jobs that were running lose:
  tune, transfer  a step
  audit lira      a shadow prompt
  distill         what came after its last checkpoint; with `checkpoint_every = 1` in its settings, a step
  others          all of it; they are short
Private runs are entered in a ledger of their own each: this is for measuring, not for handing prompts out.")]
pub(crate) struct Args {
    /// The experiment: a TOML file
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    /// Folder for jobs, results and report [default: runs/ and the file's name]
    #[arg(long, value_name = "FOLDER")]
    run: Option<PathBuf>,
    /// Where jobs run, one at a time on each: auto, cpu, cuda[:i], wgpu[:i] or vulkan[:i]
    #[arg(
        long,
        value_name = "DEVICES",
        value_delimiter = ',',
        default_value = "auto"
    )]
    devices: Vec<String>,
    /// Jobs at a time on each device
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    jobs: u8,
    /// Check the file and count its jobs; models and data need not be there
    #[arg(long, conflicts_with_all = ["dry_run", "json"])]
    check: bool,
    /// Print the calls of all jobs, those that are done marked, and run none
    #[arg(long)]
    dry_run: bool,
    /// Print the results as JSON instead of the table
    #[arg(long)]
    json: bool,
}

/// Runs what isn't done and prints the table.
///
/// # Errors
/// When the experiment's file is bad, a file that it names is missing, or a job failed.
pub(crate) fn run(args: &Args, term: &Terminal) -> Result<()> {
    let config = Config::read(&args.config)?;
    let mut inputs = match args.check {
        true => Inputs::unread(),
        false => Inputs::default(),
    };
    let plan =
        Plan::new(&config, &mut inputs).with_context(|| args.config.display().to_string())?;
    for (name, named) in &config.tasks {
        data::task(&named.task)
            .with_context(|| format!("{}: [tasks.{name}]", args.config.display()))?;
    }
    for job in &plan.jobs {
        check(job).with_context(|| format!("{}: {}", args.config.display(), job.command))?;
    }
    if args.check {
        let (jobs, rows, probes) = (plan.jobs.len(), plan.rows.len(), plan.probes.len());
        let beside = match probes {
            0 => String::new(),
            _ => format!(" and {probes} attacks and measurements"),
        };
        return Ok(term::data(format!(
            "{jobs} jobs for {rows} numbers{beside}"
        ))?);
    }
    let folder = folder(args);
    let places = (0..args.jobs).flat_map(|_| args.devices.iter().cloned());
    let pool = Pool {
        program: Program::running()?,
        folder: folder.clone(),
        places: places.collect(),
    };
    if args.dry_run {
        return dry_run(&plan, &pool);
    }
    let _lock = lock(&folder)?;
    let settings = files::read_text(&args.config)?;
    let mut watch = Watch {
        title: &config.title,
        settings: &settings,
        plan: &plan,
        pool: &pool,
        term,
        done: 0,
        failed: 0,
        board: Board::new(*term),
        shown: String::new(),
    };
    let failed = pool.run(&plan, &mut watch)?;
    watch.board.clear();
    let results = watch.publish()?;
    match args.json {
        true => term::json(&results.lines())?,
        false => term::data(text(&results)?)?,
    }
    term.note(format!("the report is {}", folder.join(REPORT).display()));
    match failed {
        0 => Ok(()),
        failed => Err(hinted(
            anyhow!("{failed} of {} jobs failed", plan.jobs.len()),
            "mend what their log.txt names, and run the same command again",
        )),
    }
}

/// The tables.
fn text(results: &Results) -> Result<String> {
    let mut text = Vec::new();
    if !results.rows.is_empty() {
        text.push(table(&gather(&results.rows)).to_text());
    }
    for (caption, table) in tables(&results.findings)? {
        text.push(format!("{caption}\n{}", table.to_text()));
    }
    Ok(text.join("\n"))
}

const RESULTS: &str = "results.jsonl";
const REPORT: &str = "report.html";

fn folder(args: &Args) -> PathBuf {
    let name = args.config.file_stem().unwrap_or_default();
    args.run
        .clone()
        .unwrap_or_else(|| Path::new("runs").join(name))
}

/// Whether the command would take the job's settings: better now than after hours.
fn check(job: &Job) -> Result<()> {
    let settings = &job.settings;
    match job.command {
        "distill" => config::check::<distill::Args>(settings),
        "tune" => config::check::<tune::Args>(settings),
        "transfer" => config::check::<transfer::Args>(settings),
        "score" => config::check::<score::Args>(settings),
        "bench" => config::check::<bench::Args>(settings),
        audit if audit.starts_with("audit") => audit::check(audit, settings),
        _ => config::check::<eval::Args>(settings),
    }
}

/// Two experiments in one folder would run the same jobs at once.
fn lock(folder: &Path) -> Result<File> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("could not make {}", folder.display()))?;
    let path = folder.join("lock");
    let file =
        File::create(&path).with_context(|| format!("could not write {}", path.display()))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(hinted(
            anyhow!("an experiment is running in {}", folder.display()),
            "wait for it, end it, or name another folder with --run",
        )),
        // Where nothing can be locked, there is nothing to be said.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

fn dry_run(plan: &Plan, pool: &Pool) -> Result<()> {
    for job in &plan.jobs {
        pool.write_settings(job)?;
        let done = match pool.summary(&job.name)? {
            Some((_, seconds)) => format!("done in {seconds:.0} s"),
            None => "to do".to_owned(),
        };
        term::data(format!("# {} ({done})\n{}", job.what, pool.line(job)))?;
    }
    Ok(())
}

/// Keeps results and report up to date, and the person at the terminal.
struct Watch<'a> {
    title: &'a str,
    settings: &'a str,
    plan: &'a Plan,
    pool: &'a Pool,
    term: &'a Terminal,
    done: usize,
    failed: usize,
    board: Board,
    /// The tables so far.
    shown: String,
}

impl Watch<'_> {
    fn publish(&self) -> Result<Results> {
        let results = Results::read(self.plan, self.pool)?;
        results.write(&self.pool.folder.join(RESULTS))?;
        let page = page(self.title, &results, self.settings, self.failed)?;
        files::write_atomic(&self.pool.folder.join(REPORT), page.as_bytes())?;
        Ok(results)
    }

    /// Says which of the jobs that were done before are not this build's.
    fn say_builds(&self, jobs: &[&Job]) {
        let (mut others, mut unknown) = (0, 0);
        for job in jobs {
            let marks = self.pool.programs(&job.name);
            if marks.iter().any(|mark| self.pool.program.differs(mark)) {
                others += 1;
            } else if marks.contains(UNKNOWN) {
                unknown += 1;
            }
        }
        let (all, folder) = (self.plan.jobs.len(), self.pool.folder.display());
        if others > 0 {
            self.term.note(format!(
                "{others} of {all} jobs were done by another build of this program; remove {folder} or their folders \
                 to do them again"
            ));
        }
        if unknown > 0 {
            self.term.note(format!(
                "{unknown} of {all} jobs don't say which build of this program did them"
            ));
        }
    }
}

impl Events for Watch<'_> {
    fn already(&mut self, jobs: &[&Job]) -> Result<()> {
        self.done = jobs.len();
        self.shown = text(&self.publish()?)?;
        if !jobs.is_empty() {
            let (done, all) = (self.done, self.plan.jobs.len());
            self.term
                .note(format!("{done} of {all} jobs were done before"));
            self.say_builds(jobs);
        }
        Ok(())
    }

    fn done(&mut self, job: &Job) -> Result<()> {
        self.done += 1;
        if self.plan.measures(job) {
            self.shown = text(&self.publish()?)?;
        }
        let (done, all) = (self.done, self.plan.jobs.len());
        if !self.term.bars() {
            self.term
                .note(format!("{done}/{all} {} ({})", job.name, job.what));
        }
        Ok(())
    }

    fn failed(&mut self, job: &Job, why: &str) {
        self.board.clear();
        self.term
            .warn(format!("{} ({}) failed: {why}", job.name, job.what));
        self.failed += 1;
    }

    fn running(&mut self, jobs: &[(&Job, String)]) {
        if !self.term.bars() {
            return;
        }
        let mut text = self.shown.clone();
        text += &format!("\n{} of {} jobs done\n", self.done, self.plan.jobs.len());
        for (job, said) in jobs {
            text += &format!("{}: {}\n", job.name, said.trim());
        }
        self.board.show(text);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    const PROBES: &str = r#"
title = "Costs and scores"
[teachers.t]
model = "t.gguf"
[students.s]
model = "s.gguf"
[tasks.films]
task = "sst2"
train = ["train.csv"]
test = ["test.csv"]
[audits]
min-k = { members = ["a.txt"], others = ["b.txt"] }
[bench]
"#;

    #[test]
    fn what_a_job_measured_is_published_and_shown_when_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::parse(PROBES).unwrap();
        let plan = Plan::new(&config, &mut Inputs::unread()).unwrap();
        let pool = Pool {
            program: Program::running().unwrap(),
            folder: folder.path().to_owned(),
            places: vec!["cpu".into()],
        };
        let term = Terminal::new(true);
        let mut watch = Watch {
            title: "Costs and scores",
            settings: PROBES,
            plan: &plan,
            pool: &pool,
            term: &term,
            done: 0,
            failed: 0,
            board: Board::new(term),
            shown: String::new(),
        };
        watch.already(&[]).unwrap();
        let published = || fs::read_to_string(folder.path().join(RESULTS)).unwrap();
        assert_eq!((published(), watch.shown.as_str()), (String::new(), ""));

        let bench = plan.jobs.iter().find(|job| job.command == "bench").unwrap();
        let run = json!({
            "phase": "transfer", "who": "provider", "examples": 80.0, "flops": 1e12, "bytes": 1e9, "seconds": 10.0
        });
        let step = json!({
            "phase": "transfer", "seconds": 0.5, "examples_per_second": 8.0, "flops_per_second": 1e11,
            "share_of_matmul": 0.5, "peak_bytes": 1_000_000
        });
        let found = json!({ "best_matmul": 2e11, "measured": [step], "runs": [run] });
        let done = json!({ "seconds": 12.0, "summary": found });
        let job = folder.path().join("jobs").join(&bench.name);
        fs::create_dir_all(&job).unwrap();
        fs::write(job.join("done.json"), done.to_string()).unwrap();
        watch.done(bench).unwrap();
        let lines = published();
        assert!(lines.contains("\"probe\":\"bench\""), "{lines}");
        // Where nobody wrote down which build did it.
        assert!(lines.contains("\"program\":[\"unknown\"]"), "{lines}");
        for part in ["Whole runs", "examples/s", "8.0"] {
            assert!(watch.shown.contains(part), "{}", watch.shown);
        }
    }
}
