//! What was measured, one JSON object for each row of the tables.

use std::path::Path;

use anyhow::{Context, Result};
use post_core::task::metrics::Accuracy;
use serde::Serialize;

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
    /// The job that measured it.
    pub(crate) job: String,
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
            rows.extend(row(planned, pool)?);
        }
        let findings = probes::read(&plan.probes, pool)?;
        Ok(Self { rows, findings })
    }

    /// As they are written and printed.
    pub(crate) fn lines(&self) -> Vec<Line<'_>> {
        let rows = self.rows.iter().map(Line::Accuracy);
        rows.chain(self.findings.iter().map(Line::Finding))
            .collect()
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

fn row(planned: &Planned, pool: &Pool) -> Result<Option<Row>> {
    let Some((summary, eval_seconds)) = pool.summary(&planned.eval)? else {
        return Ok(None);
    };
    let accuracy = serde_json::from_value(summary)
        .with_context(|| format!("{} measured no accuracy", planned.eval))?;
    let mut training_seconds = 0.0;
    for job in &planned.training {
        training_seconds += pool.summary(job)?.map_or(0.0, |(_, seconds)| seconds);
    }
    Ok(Some(Row {
        method: planned.method,
        shows_private_rows: planned.method.leaks(),
        coordinates: planned.coordinates.clone(),
        accuracy,
        training_seconds,
        eval_seconds,
        job: planned.eval.clone(),
    }))
}
