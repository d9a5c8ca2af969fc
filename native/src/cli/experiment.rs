//! `post-native experiment`: a grid of runs, shared where they agree, and the table of what they gave.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use post_core::report::Table;

use super::{audit, bench, distill, eval, score, transfer, tune};
use crate::experiment::{
    Config, Events, Inputs, Job, Plan, Pool, Results, gather, page, table, tables,
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
/// and RUN/report.html after every job.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  post-native experiment experiments/smollm2/baselines.toml
  What it would run:
    post-native experiment experiments/smollm2/baselines.toml --dry-run
  On two GPUs, one job on each:
    post-native experiment experiments/paper/roberta-base.toml --devices cuda:0,cuda:1

Killed? Run the same command again: it goes on at the last step of each job, while distilling at the last checkpoint.
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
        program: std::env::current_exe().context("this program doesn't know where it lies")?,
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
        shown: Table::default(),
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
    shown: Table,
}

impl Watch<'_> {
    fn publish(&self) -> Result<Results> {
        let results = Results::read(self.plan, self.pool)?;
        results.write(&self.pool.folder.join(RESULTS))?;
        let page = page(self.title, &results, self.settings, self.failed)?;
        files::write_atomic(&self.pool.folder.join(REPORT), page.as_bytes())?;
        Ok(results)
    }
}

impl Events for Watch<'_> {
    fn already(&mut self, jobs: usize) -> Result<()> {
        self.done = jobs;
        self.shown = table(&gather(&self.publish()?.rows));
        if jobs > 0 {
            let all = self.plan.jobs.len();
            self.term
                .note(format!("{jobs} of {all} jobs were done before"));
        }
        Ok(())
    }

    fn done(&mut self, job: &Job) -> Result<()> {
        self.done += 1;
        if job.command == "eval" {
            self.shown = table(&gather(&self.publish()?.rows));
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
        let mut text = self.shown.to_text();
        text += &format!("\n{} of {} jobs done\n", self.done, self.plan.jobs.len());
        for (job, said) in jobs {
            text += &format!("{}: {}\n", job.name, said.trim());
        }
        self.board.show(text);
    }
}
