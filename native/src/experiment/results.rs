//! What was measured, one JSON object for each row of the tables.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use post_core::task::metrics::Accuracy;
use serde::{Deserialize, Serialize};

use super::grid::Coordinates;
use super::jobs::{Plan, Planned};
use super::methods::Method;
use super::pool::Pool;
use super::probes::{self, Finding};
use crate::files;

/// A number with everything it depends on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) method: Method,
    /// Whether the provider got to see private rows for it.
    pub(crate) shows_private_rows: bool,
    #[serde(flatten)]
    pub(crate) coordinates: Coordinates,
    #[serde(flatten)]
    pub(crate) accuracy: Accuracy,
    /// What the jobs took that trained for it.
    pub(crate) training_seconds: f64,
    pub(crate) eval_seconds: f64,
    /// What its prompt's private rows paid; null without DP, and where there are no private rows.
    pub(crate) spent: Option<Spent>,
    /// The job that measured it.
    pub(crate) job: String,
    /// SHA-256 of the builds of this program that did this job and those that it needs.
    pub(crate) program: BTreeSet<String>,
}

/// (ε, δ) of a run, as its accountant has it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spent {
    pub(crate) epsilon: f64,
    pub(crate) delta: f64,
}

impl Spent {
    /// What bounds both.
    pub(super) fn most(self, other: Self) -> Self {
        Self {
            epsilon: self.epsilon.max(other.epsilon),
            delta: self.delta.max(other.delta),
        }
    }
}

/// All that was measured so far.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) rows: Vec<Row>,
    pub(crate) findings: Vec<Finding>,
}

/// A line of `results.jsonl`: with a `method` an accuracy, with a `probe` something else.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Line<'a> {
    Accuracy(&'a Row),
    Finding(&'a Finding),
}

impl Results {
    /// Of the jobs that are done.
    ///
    /// # Errors
    /// When a finished job's mark is damaged.
    pub(crate) fn read(plan: &Plan, pool: &Pool) -> Result<Self> {
        let mut rows = Vec::new();
        for planned in &plan.rows {
            rows.extend(row(planned, plan, pool)?);
        }
        let findings = probes::read(plan, pool)?;
        Ok(Self { rows, findings })
    }

    /// As they are written and printed.
    pub(crate) fn lines(&self) -> Vec<Line<'_>> {
        let rows = self.rows.iter().map(Line::Accuracy);
        rows.chain(self.findings.iter().map(Line::Finding))
            .collect()
    }

    /// The builds of this program that they come from.
    pub(super) fn programs(&self) -> BTreeSet<&str> {
        let rows = self.rows.iter().map(|row| &row.program);
        let findings = self.findings.iter().map(|finding| &finding.program);
        let all = rows.chain(findings).flatten();
        all.map(String::as_str).collect()
    }

    /// Writes them as JSON lines.
    ///
    /// # Errors
    /// When the file can't be written.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut lines = String::new();
        for line in self.lines() {
            lines += &serde_json::to_string(&line)?;
            lines.push('\n');
        }
        files::write_atomic(path, lines.as_bytes())
    }
}

/// The builds of this program behind a number: of the job that gave it, and of those that it needs.
pub(super) fn programs(job: &str, plan: &Plan, pool: &Pool) -> BTreeSet<String> {
    let needed = plan.behind(job);
    let jobs = needed.iter().map(String::as_str).chain([job]);
    jobs.flat_map(|job| pool.programs(job)).collect()
}

fn row(planned: &Planned, plan: &Plan, pool: &Pool) -> Result<Option<Row>> {
    let Some((summary, eval_seconds)) = pool.summary(&planned.eval)? else {
        return Ok(None);
    };
    let accuracy = serde_json::from_value(summary)
        .with_context(|| format!("{} measured no accuracy", planned.eval))?;
    let (mut training_seconds, mut spent) = (0.0, None);
    for job in planned.training.iter().filter_map(|name| plan.job(name)) {
        let Some((summary, seconds)) = pool.summary(&job.name)? else {
            continue;
        };
        training_seconds += seconds;
        if job.command == "tune" && summary["private"] == true {
            spent = serde_json::from_value(summary).ok();
        }
    }
    Ok(Some(Row {
        method: planned.method,
        shows_private_rows: planned.method.leaks(),
        coordinates: planned.coordinates.clone(),
        accuracy,
        training_seconds,
        eval_seconds,
        spent,
        job: planned.eval.clone(),
        program: programs(&planned.eval, plan, pool),
    }))
}
