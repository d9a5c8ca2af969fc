//! The report: one page with table and plots.

use std::collections::BTreeMap;

use anyhow::Result;
use post_core::report::{
    Align, Axis, Bar, BarChart, Block, LineChart, Section, Series, Table, html,
};
use toml::Value;

use super::methods::Method;
use super::probes;
use super::program::{UNKNOWN, short};
use super::results::{Results, Spent};
use super::table::{Group, axes, cell, gather, number, table};

/// More bars than these are a table's business.
const MOST_BARS: usize = 40;

/// The page. `settings` is the experiment's file, `failed` how many jobs failed.
///
/// # Errors
/// When a finding can't be read.
pub(crate) fn page(
    title: &str,
    results: &Results,
    settings: &str,
    failed: usize,
) -> Result<String> {
    let groups = &gather(&results.rows);
    let mut sections = Vec::new();
    if failed > 0 {
        sections.push(incomplete(failed));
    }
    if !groups.is_empty() {
        sections.push(accuracies(groups));
    }
    let lines: Vec<Block> = axes(groups)
        .iter()
        .filter_map(|axis| along(groups, axis))
        .collect();
    if !lines.is_empty() {
        sections.push(Section {
            heading: "Along the grid".into(),
            blocks: lines,
        });
    }
    if !groups.is_empty() {
        sections.extend([costs(groups), privacy(groups)]);
    }
    sections.extend(probes::sections(&results.findings)?);
    let mut blocks: Vec<Block> = made_by(results).into_iter().collect();
    blocks.push(Block::Code(settings.to_owned()));
    sections.push(Section {
        heading: "Settings".into(),
        blocks,
    });
    Ok(html(title, &sections))
}

fn incomplete(failed: usize) -> Section {
    let text = format!("{failed} jobs failed: what is shown is not the whole experiment");
    Section {
        heading: "Not complete".into(),
        blocks: vec![Block::Notice(text)],
    }
}

fn accuracies(groups: &[Group]) -> Section {
    let mut blocks = Vec::new();
    if groups.len() <= MOST_BARS {
        let axes = axes(groups);
        let mut methods: Vec<Method> = groups.iter().map(|group| group.method).collect();
        methods.dedup();
        let bar = |group: &Group| Bar {
            label: name(group, &axes),
            value: group.accuracy.accuracy,
            low: group.accuracy.low,
            high: group.accuracy.high,
            group: methods
                .iter()
                .position(|&method| method == group.method)
                .unwrap_or(0),
        };
        blocks.push(Block::Bars(BarChart {
            id: "accuracy".into(),
            title: "Accuracy on held-out rows, with 95 % intervals".into(),
            label: "accuracy".into(),
            bars: groups.iter().map(bar).collect(),
            mark: None,
        }));
    }
    let caption = "Accuracy: mean over the runs; its 95 % interval is Wilson's for the rows tested and Student's for \
                   the runs, added in squares. Of the gap: (accuracy − zero-shot) / (upper bound − zero-shot), and its 95 % interval";
    blocks.push(Block::Table(caption.into(), table(groups)));
    Section {
        heading: "Accuracy".into(),
        blocks,
    }
}

/// A method, and where it stands on these axes.
fn name(group: &Group, axes: &[String]) -> String {
    let mut name = group.method.label().to_owned();
    for axis in axes {
        if let Some(value) = group.coordinates.get(axis) {
            name += &format!(", {axis} {}", cell(Some(value)));
        }
    }
    name
}

/// Accuracy along an axis of numbers; none for an axis with fewer than two.
fn along(groups: &[Group], axis: &str) -> Option<Block> {
    let others: Vec<String> = axes(groups)
        .into_iter()
        .filter(|other| other != axis)
        .collect();
    let mut lines: BTreeMap<String, Vec<(f64, &Group)>> = BTreeMap::new();
    for group in groups {
        if let Some(value) = group.coordinates.get(axis).and_then(position) {
            let line = lines.entry(name(group, &others)).or_default();
            line.push((value, group));
        }
    }
    lines.retain(|_, points| points.len() > 1);
    let values = lines.values().flatten().map(|point| point.0);
    let scale = Places::of(values.collect())?;
    let series = lines.into_iter().map(|(name, mut points)| {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let points = points
            .into_iter()
            .map(|(value, group)| (scale.of_value(value), group.accuracy));
        let (points, band) = points
            .map(|(x, found)| ((x, found.accuracy), (x, found.low, found.high)))
            .unzip();
        Series { name, points, band }
    });
    Some(Block::Lines(LineChart {
        id: format!("along-{axis}"),
        title: format!("Accuracy by {axis}"),
        series: series.collect(),
        x: scale.axis(axis),
        y: Axis {
            label: "accuracy".into(),
            ..Axis::default()
        },
    }))
}

/// A coordinate as a number, an ε without privacy among them.
fn position(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("inf") => Some(f64::INFINITY),
        _ => number(value),
    }
}

/// More ticks than these would touch.
const MOST_TICKS: usize = 8;

/// Where an axis's values stand: ∞ a step behind the others.
struct Places {
    log: bool,
    /// In their order, each once.
    values: Vec<f64>,
    infinity: f64,
}

impl Places {
    /// None without values.
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        values.dedup();
        let finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
        let (low, high) = (*finite.first()?, *finite.last()?);
        let log = low > 0.0 && high > 20.0 * low;
        let steps = finite.len() as f64 - 1.0;
        let infinity = match log {
            true => high * (high / low).powf(1.0 / steps),
            false if steps > 0.0 => high + (high - low) / steps,
            false => high + high.abs().max(1.0),
        };
        Some(Self {
            log,
            values,
            infinity,
        })
    }

    fn of_value(&self, value: f64) -> f64 {
        if value.is_finite() {
            value
        } else {
            self.infinity
        }
    }

    fn axis(&self, label: &str) -> Axis {
        let tick = |&value: &f64| {
            let name = match value.is_finite() {
                true => value.to_string(),
                false => "∞".to_owned(),
            };
            (self.of_value(value), name)
        };
        let all = self.values.len() <= MOST_TICKS || self.values.contains(&f64::INFINITY);
        Axis {
            label: label.to_owned(),
            log: self.log,
            ticks: match all {
                true => self.values.iter().map(tick).collect(),
                false => Vec::new(),
            },
        }
    }
}

/// What training took against what it gave.
fn costs(groups: &[Group]) -> Section {
    let axes = axes(groups);
    let trained = groups.iter().filter(|group| group.seconds > 0.0);
    let mut by_method: BTreeMap<Method, Vec<(f64, f64)>> = BTreeMap::new();
    let mut table = Table::new([
        ("method", Align::Left),
        ("seconds of training", Align::Right),
    ]);
    for group in trained {
        let point = (group.seconds, group.accuracy.accuracy);
        by_method.entry(group.method).or_default().push(point);
        table.push([name(group, &axes), format!("{:.0}", group.seconds)]);
    }
    let line = |(method, mut points): (Method, Vec<(f64, f64)>)| {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Series {
            name: method.label().to_owned(),
            points,
            band: Vec::new(),
        }
    };
    let chart = LineChart {
        id: "cost".into(),
        title: "Accuracy against the time that training took".into(),
        x: Axis {
            label: "seconds".into(),
            log: true,
            ..Axis::default()
        },
        y: Axis {
            label: "accuracy".into(),
            ..Axis::default()
        },
        series: by_method.into_iter().map(line).collect(),
    };
    let text =
        "Mean over the runs of distilling, tuning and transferring, on the machine that ran them.";
    Section {
        heading: "Cost".into(),
        blocks: vec![
            Block::Text(text.into()),
            Block::Lines(chart),
            Block::Table("Seconds of training".into(), table),
        ],
    }
}

/// Who learns what, and the (ε, δ) that the runs came to.
fn privacy(groups: &[Group]) -> Section {
    let tasks = axes(groups).into_iter().filter(|axis| axis == "task");
    let tasks: Vec<String> = tasks.collect();
    let mut columns = vec![("method", Align::Left)];
    columns.extend(tasks.iter().map(|axis| (axis.as_str(), Align::Left)));
    columns.extend([
        ("ε", Align::Right),
        ("δ", Align::Right),
        ("who learns what", Align::Left),
    ]);
    let mut table = Table::new(columns);
    let mut lines = Vec::new();
    for group in groups {
        let mut line = vec![group.method.label().to_owned()];
        line.extend(tasks.iter().map(|axis| cell(group.coordinates.get(axis))));
        line.extend(budget(group));
        line.push(group.method.privacy().to_owned());
        if !lines.contains(&line) {
            lines.push(line.clone());
            table.push(line);
        }
    }
    let text = "ε and δ are of one run, as its accountant has them, ε rounded up; whom they protect, the receipt in the \
                run's folder says (prompt/privacy.json). Runs on the same rows add up: who is handed several of \
                these prompts learns more. A run without DP (ε = ∞) protects nobody.";
    Section {
        heading: "Privacy".into(),
        blocks: vec![
            Block::Text(text.into()),
            Block::Table("What each method shows of the private rows".into(), table),
        ],
    }
}

/// ε and δ of a group's runs.
fn budget(group: &Group) -> [String; 2] {
    let none = || "–".to_owned();
    match group.spent {
        Some(Spent { epsilon, delta }) => [
            format!("{:.3}", (epsilon * 1000.0).ceil() / 1000.0),
            format!("{delta:e}"),
        ],
        None if !group.method.tunes() => [none(), none()],
        // The bound has none on its axis.
        None => {
            let asked = group.coordinates.get("epsilon");
            [
                asked.map_or("∞".to_owned(), |asked| cell(Some(asked))),
                none(),
            ]
        }
    }
}

/// Which builds of this program the numbers come from.
fn made_by(results: &Results) -> Option<Block> {
    let programs: Vec<&str> = results.programs().into_iter().map(short).collect();
    let all = programs.join(", ");
    match programs[..] {
        [] => None,
        [UNKNOWN] => Some(Block::Text(
            "Which build of this program computed these numbers was not written down.".into(),
        )),
        [_] => Some(Block::Text(format!(
            "One build of this program computed all numbers; its SHA-256 begins with {all}."
        ))),
        _ => Some(Block::Notice(format!(
            "Several builds of this program computed these numbers; their SHA-256 begin with {all}. \
             Which is behind which is in results.jsonl."
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use post_core::task::metrics::Accuracy;

    use super::super::grid::Coordinates;
    use super::super::results::Row;
    use super::*;

    fn row(epsilon: Value, right: u64) -> Row {
        Row {
            method: Method::Post,
            shows_private_rows: false,
            coordinates: Coordinates::from([("epsilon".to_owned(), epsilon)]),
            accuracy: Accuracy::of(right, 100).unwrap(),
            training_seconds: 30.0,
            eval_seconds: 1.0,
            spent: None,
            job: String::new(),
            program: BTreeSet::new(),
        }
    }

    fn groups(rows: &[(Value, u64)]) -> Vec<Group> {
        let rows: Vec<Row> = rows
            .iter()
            .map(|(at, right)| row(at.clone(), *right))
            .collect();
        gather(&rows)
    }

    #[test]
    fn an_axis_of_numbers_is_drawn_in_its_order_and_without_privacy_behind_it() {
        let all = [
            (8.0.into(), 70),
            ("inf".into(), 80),
            (1.0.into(), 55),
            (3.0.into(), 60),
        ];
        let Some(Block::Lines(chart)) = along(&groups(&all), "epsilon") else {
            panic!("no chart")
        };
        assert_eq!(
            chart.series[0].points,
            [(1.0, 0.55), (3.0, 0.6), (8.0, 0.7), (11.5, 0.8)]
        );
        let names: Vec<&str> = chart.x.ticks.iter().map(|tick| tick.1.as_str()).collect();
        assert_eq!(names, ["1", "3", "8", "∞"]);
        let svg = chart.to_svg();
        assert!(svg.contains(">∞<") && svg.contains(">3<"), "{svg}");
        assert!(along(&groups(&all[..1]), "epsilon").is_none());
    }

    #[test]
    fn one_budget_and_none_are_an_axis_too() {
        let all = [(8.0.into(), 70), ("inf".into(), 80)];
        let Some(Block::Lines(chart)) = along(&groups(&all), "epsilon") else {
            panic!("no chart")
        };
        assert_eq!(chart.series[0].points, [(8.0, 0.7), (16.0, 0.8)]);
    }

    #[test]
    fn a_page_says_what_failed_and_how_it_was_made() {
        let results = Results {
            rows: vec![row(8.0.into(), 70)],
            findings: Vec::new(),
        };
        let page = page("Films", &results, "title = \"Films\"", 2).unwrap();
        for part in [
            "2 jobs failed",
            "70.0 %",
            "title = &quot;Films&quot;",
            "the prompt alone",
        ] {
            assert!(page.contains(part), "{part}");
        }
    }

    #[test]
    fn a_page_states_what_private_runs_spent() {
        let mut private = row(8.0.into(), 70);
        private.spent = Some(Spent {
            epsilon: 7.9131,
            delta: 1.5e-5,
        });
        let mut zero = row("inf".into(), 50);
        zero.method = Method::ZeroShot;
        zero.coordinates.clear();
        let section = privacy(&gather(&[private, zero, row("inf".into(), 80)]));
        let Some(Block::Table(_, table)) = section.blocks.last() else {
            panic!("no table")
        };
        let text = table.to_text();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .skip(2)
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                    .collect()
            })
            .collect();
        let budgets: Vec<&[&str]> = lines.iter().map(|line| &line[1..3]).collect();
        assert_eq!(
            budgets,
            [["–", "–"], ["7.914", "1.5e-5"], ["∞", "–"]],
            "{text}"
        );
    }

    #[test]
    fn a_page_names_the_builds_that_computed_it() {
        let page_of = |marks: &[&str]| {
            let of = |mark: &&str| {
                let mut row = row(8.0.into(), 70);
                row.program.insert((*mark).to_owned());
                row
            };
            let results = Results {
                rows: marks.iter().map(of).collect(),
                findings: Vec::new(),
            };
            page("Films", &results, "", 0).unwrap()
        };
        let (one, other) = ("0123456789abcdef", "fedcba9876543210");
        let page = page_of(&[one, one]);
        assert!(page.contains("begins with 0123456789ab."), "{page}");
        let page = page_of(&[one, other, UNKNOWN]);
        assert!(
            page.contains("begin with 0123456789ab, fedcba987654, unknown."),
            "{page}"
        );
        assert!(page_of(&[UNKNOWN]).contains("was not written down"));
    }
}
