//! `post-native report`: what a whole run of the method gave, as one page and one table.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use post_core::report::{Align, Axis, Bar, BarChart, Block, LineChart, Section, Series, Table};
use post_core::report::{html, percent};
use serde_json::Value;

use crate::files;
use crate::term::{self, Terminal};

/// Draw what a run of the whole method gave: a table on stdout, and report.html in its folder
///
/// Reads RUN/results.json, and from the run folders in RUN their settings and losses. The page needs
/// no network.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  post-native report --run runs/quickstart")]
pub(crate) struct Args {
    /// Folder with results.json and the folders of the single runs
    #[arg(long, value_name = "FOLDER")]
    run: PathBuf,
    /// Where the page goes [default: RUN/report.html]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The keys of `results.json` in the order of the table, what they stand for, and the group that
/// their bars share.
const MEASURED: [(&str, &str, usize); 12] = [
    ("teacher_zero_shot", "teacher, zero-shot", 0),
    (
        "teacher_calibrated",
        "teacher, calibrated on public rows",
        0,
    ),
    ("student_zero_shot", "student, zero-shot", 1),
    ("student_prompt", "student + prompt, no DP", 1),
    ("student_prompt_dp", "student + prompt, DP", 1),
    (
        "direct",
        "teacher + the student's prompt as it is, no DP",
        2,
    ),
    (
        "direct_dp",
        "teacher + the student's prompt as it is, DP",
        2,
    ),
    ("post", "teacher + POST prompt, no DP", 3),
    ("post_dp", "teacher + POST prompt, DP", 3),
    (
        "post_calibrated",
        "teacher + POST prompt, calibrated, no DP",
        3,
    ),
    (
        "post_calibrated_dp",
        "teacher + POST prompt, calibrated, DP",
        3,
    ),
    (
        "upper_bound",
        "teacher + prompt tuned on the teacher (leaks)",
        4,
    ),
];

/// An accuracy of `results.json`.
struct Measured {
    label: &'static str,
    group: usize,
    accuracy: f64,
    low: f64,
    high: f64,
    n: u64,
}

/// Reads, prints the table, writes the page.
///
/// # Errors
/// When there are no results, or something can't be read or written.
pub(crate) fn run(args: &Args, term: &Terminal) -> Result<()> {
    let path = args.run.join("results.json");
    let results: Value = serde_json::from_str(&files::read_text(&path)?)
        .with_context(|| format!("{} is not JSON", path.display()))?;
    let measured =
        measured(&results).with_context(|| format!("{} holds no accuracies", path.display()))?;
    let table = table(&measured);
    let runs = runs(&args.run)?;
    let sections = [
        accuracies(&measured, table.clone(), &results),
        losses(&runs)?,
        costs(&results),
        settings(&runs)?,
    ];
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| args.run.join("report.html"));
    let page = html("Privacy of soft-prompt transfer: one run", &sections);
    files::write_atomic(&out, page.as_bytes())?;
    term::data(table.to_text())?;
    term.note(format!("the report is {}", out.display()));
    Ok(())
}

/// What was measured; `None` when nothing was.
fn measured(results: &Value) -> Option<Vec<Measured>> {
    let found: Vec<Measured> = MEASURED
        .iter()
        .filter_map(|&(key, label, group)| {
            let entry = results.get(key)?;
            let number = |name: &str| entry.get(name)?.as_f64();
            Some(Measured {
                label,
                group,
                accuracy: number("accuracy")?,
                low: number("low")?,
                high: number("high")?,
                n: entry.get("n")?.as_u64()?,
            })
        })
        .collect();
    (!found.is_empty()).then_some(found)
}

fn table(measured: &[Measured]) -> Table {
    let right = ["accuracy", "95 % from", "to", "rows"].map(|title| (title, Align::Right));
    let mut table = Table::new([("model", Align::Left)].into_iter().chain(right));
    for row in measured {
        table.push([
            row.label.to_owned(),
            percent(row.accuracy),
            percent(row.low),
            percent(row.high),
            row.n.to_string(),
        ]);
    }
    table
}

fn accuracies(measured: &[Measured], table: Table, results: &Value) -> Section {
    let bars = measured.iter().map(|row| Bar {
        label: row.label.to_owned(),
        value: row.accuracy,
        low: row.low,
        high: row.high,
        group: row.group,
    });
    let chart = BarChart {
        id: "accuracy".into(),
        title: "Accuracy on held-out rows, with 95 % intervals".into(),
        label: "accuracy".into(),
        bars: bars.collect(),
        mark: None,
    };
    let number = |name: &str| results.get(name).and_then(Value::as_f64);
    let mut blocks = vec![
        Block::Bars(chart),
        Block::Table("Accuracy with its 95 % interval (Wilson)".into(), table),
    ];
    if let (Some(epsilon), Some(delta)) = (number("epsilon"), number("delta")) {
        let text = format!(
            "DP means ε = {epsilon:.2} at δ = {delta:e} for one row added or removed; the rest is not private."
        );
        blocks.insert(0, Block::Text(text));
    }
    Section {
        heading: "Accuracy".into(),
        blocks,
    }
}

/// The folders of single runs, in the order of their names.
fn runs(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read {}", folder.display());
    let mut runs = Vec::new();
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.join("config.toml").is_file() {
            runs.push(path);
        }
    }
    runs.sort();
    Ok(runs)
}

fn losses(runs: &[PathBuf]) -> Result<Section> {
    let why = "Public steps only: the losses of `tune` come from private rows and are not kept.";
    let mut blocks = vec![Block::Text(why.into())];
    for run in runs {
        let path = run.join("metrics.jsonl");
        if path.is_file() {
            let points = points(&files::read_text(&path)?);
            if !points.is_empty() {
                blocks.push(Block::Lines(curve(&name(run), points)));
            }
        }
    }
    Ok(Section {
        heading: "Loss".into(),
        blocks,
    })
}

/// (step, loss) of each line that has both. A line that a kill cut short has none.
fn points(metrics: &str) -> Vec<(f64, f64)> {
    let point = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let loss = line.get("loss")?;
        Some((line.get("step")?.as_f64()?, loss.as_f64()?))
    };
    metrics.lines().filter_map(point).collect()
}

fn curve(name: &str, points: Vec<(f64, f64)>) -> LineChart {
    let axis = |label: &str| Axis {
        label: label.into(),
        log: false,
        ..Axis::default()
    };
    LineChart {
        id: format!("loss-{name}"),
        title: format!("Loss of {name}"),
        x: axis("step"),
        y: axis("loss"),
        series: vec![Series {
            name: name.into(),
            points,
            band: Vec::new(),
        }],
    }
}

fn costs(results: &Value) -> Section {
    let mut table = Table::new([("phase", Align::Left), ("seconds", Align::Right)]);
    let seconds = results.get("seconds").and_then(Value::as_object);
    for (phase, seconds) in seconds.into_iter().flatten() {
        let text = seconds
            .as_f64()
            .map_or("-".to_owned(), |s| format!("{s:.0}"));
        table.push([phase.clone(), text]);
    }
    Section {
        heading: "Time".into(),
        blocks: vec![Block::Table("What each phase took".into(), table)],
    }
}

fn settings(runs: &[PathBuf]) -> Result<Section> {
    let mut blocks = Vec::new();
    for run in runs {
        blocks.push(Block::Text(name(run)));
        blocks.push(Block::Code(files::read_text(&run.join("config.toml"))?));
    }
    Ok(Section {
        heading: "Settings".into(),
        blocks,
    })
}

fn name(run: &Path) -> String {
    let name = run.file_name().unwrap_or(run.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const RESULTS: &str = r#"{"post_dp": {"accuracy": 0.75, "low": 0.7, "high": 0.8, "n": 400},
        "epsilon": 7.99, "delta": 1e-5, "seconds": {"tune-dp": 12.4}}"#;

    #[test]
    fn a_run_becomes_a_page_that_asks_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let run_folder = folder.path().join("distil");
        fs::create_dir(&run_folder).unwrap();
        fs::write(folder.path().join("results.json"), RESULTS).unwrap();
        fs::write(run_folder.join("config.toml"), "steps = 2\n").unwrap();
        let metrics = "{\"step\": 1, \"loss\": 0.5}\n{\"step\": 2, \"lo";
        fs::write(run_folder.join("metrics.jsonl"), metrics).unwrap();
        let args = Args {
            run: folder.path().to_owned(),
            out: None,
        };
        run(&args, &Terminal::new(true)).unwrap();
        let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
        for part in [
            "75.0 %",
            "ε = 7.99",
            "Loss of distil",
            "steps = 2",
            "12</td>",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("<script") && !page.contains("href="));
    }

    #[test]
    fn steps_without_a_loss_draw_nothing() {
        let metrics = "{\"step\": 1, \"loss\": 2.5}\n{\"step\": 2}\n";
        assert_eq!(points(metrics), [(1.0, 2.5)]);
    }

    #[test]
    fn results_without_accuracies_are_refused() {
        assert!(measured(&serde_json::json!({"seconds": {}})).is_none());
    }
}
