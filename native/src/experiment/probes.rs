//! What is measured beside accuracies: attacks on the grid's runs and on its students, how well public text suits a
//! prompt, and what a pair of models costs.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use post_core::audit::Verdict;
use post_core::audit::roc::{Estimate, Reached};
use post_core::report::{Align, Bar, BarChart, Block, Section, Table};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::grid::{Cell, Coordinates};
use super::jobs::Plan;
use super::methods::Method;
use super::pool::Pool;
use super::results::programs;
use super::table::{cell, place, varying};
use crate::findings::{Costs, Lira, MinK, Scored, with_interval};

/// A command that measures something other than an accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Probe {
    /// Which rows was a prompt tuned on?
    Lira,
    /// Is a run's ε at least so large?
    Canaries,
    /// Which texts was a student distilled on?
    MinK,
    /// How well does a public set suit a prompt?
    Score,
    /// What do distilling, tuning and transferring cost?
    Bench,
}

/// A probe of a cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Probed {
    pub(crate) probe: Probe,
    pub(crate) coordinates: Coordinates,
    pub(crate) job: String,
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Finding {
    pub(crate) probe: Probe,
    #[serde(flatten)]
    pub(crate) coordinates: Coordinates,
    /// What the command prints with `--json`.
    pub(crate) found: Value,
    pub(crate) seconds: f64,
    pub(crate) job: String,
    /// SHA-256 of the builds of this program that did this job and those that it needs.
    pub(crate) program: BTreeSet<String>,
}

impl Probe {
    const ALL: [Self; 5] = [
        Self::Lira,
        Self::Canaries,
        Self::MinK,
        Self::Score,
        Self::Bench,
    ];

    pub(super) fn command(self) -> &'static str {
        match self {
            Self::Lira => "audit lira",
            Self::Canaries => "audit canaries",
            Self::MinK => "audit min-k",
            Self::Score => "score",
            Self::Bench => "bench",
        }
    }

    /// What tells the cell from others, as far as it changes what is found. One seed of a grid is enough for
    /// most: LiRA tunes many prompts, canaries draw from the system, and a student and its costs depend on none.
    pub(super) fn coordinates(self, cell: &Cell) -> Coordinates {
        let mut all = cell.coordinates(match self {
            Self::Lira | Self::Canaries | Self::Score => Method::Student,
            Self::MinK | Self::Bench => Method::StudentZeroShot,
        });
        match self {
            Self::Lira | Self::Canaries => drop(all.remove("seed")),
            Self::Score => {
                let public = cell
                    .public
                    .clone()
                    .map(|name| ("public".into(), name.into()));
                all.extend(public);
            }
            Self::MinK | Self::Bench => {
                all.retain(|axis, _| !["seed", "task"].contains(&axis.as_str()))
            }
        }
        all
    }

    fn caption(self) -> &'static str {
        match self {
            Self::Lira => {
                "LiRA: which rows was a prompt tuned on? An AUC of 0.5 is guessing; at most: what no attack can pass \
                 if ε and δ hold"
            }
            Self::Canaries => {
                "Canaries: what a run's ε is at least; one above the claim refutes it"
            }
            Self::MinK => {
                "Min-K%: which texts was a student distilled on? An AUC of 0.5 is guessing"
            }
            Self::Score => {
                "Public text: how far the student behind its prompt tells its rows apart, before anything is \
                 transferred; 0 is not at all"
            }
            Self::Bench => "Whole runs, at the measured speed of single steps",
        }
    }
}

/// Of the probes whose jobs are done.
///
/// # Errors
/// When a finished job's mark is damaged.
pub(super) fn read(plan: &Plan, pool: &Pool) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for Probed {
        probe,
        coordinates,
        job,
    } in &plan.probes
    {
        if let Some((found, seconds)) = pool.summary(job)? {
            findings.push(Finding {
                probe: *probe,
                coordinates: coordinates.clone(),
                found,
                seconds,
                job: job.clone(),
                program: programs(job, plan, pool),
            });
        }
    }
    findings.sort_by_key(|finding| (finding.probe, place(&finding.coordinates)));
    Ok(findings)
}

/// A table for each kind of probe, with its caption.
///
/// # Errors
/// When a finding isn't what its command prints: the job was made by another version of this program.
pub(crate) fn tables(findings: &[Finding]) -> Result<Vec<(&'static str, Table)>> {
    let mut tables = Vec::new();
    for probe in Probe::ALL {
        let own = of(findings, probe);
        if own.is_empty() {
            continue;
        }
        let table = match probe {
            Probe::Lira => table(&own, &LIRA, |lira: Lira| vec![lira_cells(&lira)]),
            Probe::Canaries => table(&own, &CANARIES, |verdict: Verdict| {
                vec![canary_cells(&verdict)]
            }),
            Probe::MinK => table(&own, &MIN_K, |found: MinK| {
                let counts = [found.members, found.others].map(|count| count.to_string());
                vec![[counts.to_vec(), reached(&found.reached)].concat()]
            }),
            Probe::Score => table(&own, &SCORES, |scored: Vec<Scored>| {
                let cells =
                    |of: Scored| vec![of.file, of.rows.to_string(), format!("{:.3}", of.score)];
                scored.into_iter().map(cells).collect()
            }),
            Probe::Bench => table(&own, &COSTS, |costs: Costs| cost_cells(&costs)),
        };
        tables.push((probe.caption(), table?));
    }
    Ok(tables)
}

/// The report's part, if anything was probed.
///
/// # Errors
/// As [`tables`].
pub(super) fn sections(findings: &[Finding]) -> Result<Option<Section>> {
    let mut blocks: Vec<Block> = areas(findings)?.into_iter().collect();
    for (caption, table) in tables(findings)? {
        blocks.push(Block::Table(caption.into(), table));
    }
    Ok((!blocks.is_empty()).then(|| Section {
        heading: "Attacks, scores and costs".into(),
        blocks,
    }))
}

/// How well LiRA tells members from others, run by run.
fn areas(findings: &[Finding]) -> Result<Option<Block>> {
    let own = of(findings, Probe::Lira);
    let axes = axes(&own);
    let mut bars = Vec::new();
    for finding in &own {
        let Estimate { value, low, high } = parsed::<Lira>(finding)?.reached.auc;
        let at = axes.iter().map(|axis| {
            let value = cell(finding.coordinates.get(axis));
            format!("{axis} {value}")
        });
        bars.push(Bar {
            label: at.collect::<Vec<_>>().join(", "),
            value,
            low,
            high,
            group: 0,
        });
    }
    Ok((!bars.is_empty()).then(|| {
        Block::Bars(BarChart {
            id: "lira".into(),
            title: "LiRA's AUC with 95 % intervals; 0.5 is guessing".into(),
            label: "AUC".into(),
            bars,
            mark: Some((0.5, "guessing".into())),
        })
    }))
}

type Column = (&'static str, Align);

const fn right(title: &'static str) -> Column {
    (title, Align::Right)
}

const fn left(title: &'static str) -> Column {
    (title, Align::Left)
}

const LIRA: [Column; 8] = [
    right("rows"),
    right("prompts"),
    right("AUC"),
    right("at most"),
    right("TPR at 1 % FPR"),
    right("at most"),
    right("TPR at 0.1 % FPR"),
    right("at most"),
];
const CANARIES: [Column; 6] = [
    right("canaries"),
    right("guessed"),
    right("right"),
    right("ε is at least"),
    right("claimed"),
    left("claim"),
];
const MIN_K: [Column; 5] = [
    right("members"),
    right("others"),
    right("AUC"),
    right("TPR at 1 % FPR"),
    right("TPR at 0.1 % FPR"),
];
const SCORES: [Column; 3] = [left("file"), right("rows"), right("score")];
const COSTS: [Column; 8] = [
    left("run"),
    left("by"),
    right("examples"),
    right("TFLOP"),
    right("weights read, GB"),
    right("seconds"),
    right("examples/s"),
    right("of matmul"),
];

fn of(findings: &[Finding], probe: Probe) -> Vec<&Finding> {
    let own = findings.iter().filter(|finding| finding.probe == probe);
    own.collect()
}

fn axes(findings: &[&Finding]) -> Vec<String> {
    varying(findings.iter().map(|finding| &finding.coordinates))
}

fn parsed<T: DeserializeOwned>(finding: &Finding) -> Result<T> {
    serde_json::from_value(finding.found.clone())
        .with_context(|| format!("{} found something else; remove its folder", finding.job))
}

/// Rows of one finding each, or of several, behind where it stands in the grid.
fn table<T: DeserializeOwned>(
    findings: &[&Finding],
    columns: &[Column],
    cells: impl Fn(T) -> Vec<Vec<String>>,
) -> Result<Table> {
    let axes = axes(findings);
    let place = axes.iter().map(|axis| (axis.as_str(), Align::Right));
    let mut table = Table::new(place.chain(columns.to_vec()));
    for finding in findings {
        for row in cells(parsed(finding)?) {
            let place = axes.iter().map(|axis| cell(finding.coordinates.get(axis)));
            table.push(place.chain(row));
        }
    }
    Ok(table)
}

fn reached(reached: &Reached) -> Vec<String> {
    [
        reached.auc,
        reached.tpr_at_1_percent,
        reached.tpr_at_01_percent,
    ]
    .map(|estimate| with_interval(&estimate))
    .to_vec()
}

fn lira_cells(found: &Lira) -> Vec<String> {
    let most = found.allowed.as_ref().map(|allowed| {
        [
            allowed.auc,
            allowed.tpr_at_1_percent,
            allowed.tpr_at_01_percent,
        ]
    });
    let most = most.map_or([const { String::new() }; 3], |most| {
        most.map(|most| format!("{most:.3}"))
    });
    let figures = reached(&found.reached).into_iter().zip(most);
    let counts = [found.rows, found.shadows].map(|count| count.to_string());
    let figures = figures.flat_map(|(figure, most)| [figure, most]);
    counts.into_iter().chain(figures).collect()
}

fn canary_cells(verdict: &Verdict) -> Vec<String> {
    let guesses = &verdict.guesses;
    let counts = [guesses.canaries, guesses.guessed, guesses.right];
    let judged = match (verdict.claim.epsilon, verdict.refuted) {
        (None, _) => "none made",
        (Some(_), true) => "REFUTED",
        (Some(_), false) => "not refuted",
    };
    let claimed = verdict.claim.epsilon;
    let mut cells = counts.map(|count| count.to_string()).to_vec();
    cells.extend([
        format!("{:.3}", verdict.epsilon_lower_bound),
        claimed.map_or("–".to_owned(), |epsilon| format!("{epsilon:.3}")),
        judged.to_owned(),
    ]);
    cells
}

fn cost_cells(costs: &Costs) -> Vec<Vec<String>> {
    let speed = |phase: &str| {
        let mut measured = costs.measured.iter();
        let step = measured.find(|step| step.phase == phase);
        step.map_or([const { String::new() }; 2], |step| {
            [
                format!("{:.1}", step.examples_per_second),
                format!("{:.0} %", 100.0 * step.share_of_matmul),
            ]
        })
    };
    let row = |run: &crate::findings::Run| {
        let [examples_per_second, of_matmul] = speed(&run.phase);
        vec![
            run.phase.clone(),
            run.who.clone(),
            format!("{:.0}", run.examples),
            format!("{:.2}", run.flops / 1e12),
            format!("{:.1}", run.bytes / 1e9),
            format!("{:.0}", run.seconds),
            examples_per_second,
            of_matmul,
        ]
    };
    costs.runs.iter().map(row).collect()
}
