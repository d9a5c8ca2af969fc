//! The report: one page with table and plots.

use std::collections::BTreeMap;

use post_core::report::{
    Align, Axis, Bar, BarChart, Block, LineChart, Section, Series, Table, html,
};

use super::methods::Method;
use super::table::{Group, axes, cell, number, table};

/// More bars than these are a table's business.
const MOST_BARS: usize = 40;

/// The page. `settings` is the experiment's file, `failed` how many jobs failed.
pub(crate) fn page(title: &str, groups: &[Group], settings: &str, failed: usize) -> String {
    let mut sections = vec![accuracies(groups, failed)];
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
    sections.extend([
        costs(groups),
        privacy(groups),
        Section {
            heading: "Settings".into(),
            blocks: vec![Block::Code(settings.to_owned())],
        },
    ]);
    html(title, &sections)
}

fn accuracies(groups: &[Group], failed: usize) -> Section {
    let mut blocks = Vec::new();
    if failed > 0 {
        blocks.push(Block::Notice(format!(
            "{failed} jobs failed: what is shown is not the whole experiment"
        )));
    }
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
                   the runs, added in squares. Of the gap: (accuracy − zero-shot) / (upper bound − zero-shot)";
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
        if let Some(x) = group.coordinates.get(axis).and_then(number) {
            lines
                .entry(name(group, &others))
                .or_default()
                .push((x, group));
        }
    }
    lines.retain(|_, points| points.len() > 1);
    let series = lines.into_iter().map(|(name, mut points)| {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let band = |&(x, group): &(f64, &Group)| (x, group.accuracy.low, group.accuracy.high);
        Series {
            name,
            points: points
                .iter()
                .map(|(x, group)| (*x, group.accuracy.accuracy))
                .collect(),
            band: points.iter().map(band).collect(),
        }
    });
    let series: Vec<Series> = series.collect();
    if series.is_empty() {
        return None;
    }
    let smallest = series
        .iter()
        .flat_map(|line| &line.points)
        .map(|point| point.0);
    let (low, high) = smallest.fold((f64::MAX, 0.0f64), |(low, high), x| {
        (low.min(x), high.max(x))
    });
    Some(Block::Lines(LineChart {
        id: format!("along-{axis}"),
        title: format!("Accuracy by {axis}"),
        x: Axis {
            label: axis.to_owned(),
            log: low > 0.0 && high > 20.0 * low,
        },
        y: Axis {
            label: "accuracy".into(),
            log: false,
        },
        series,
    }))
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
        },
        y: Axis {
            label: "accuracy".into(),
            log: false,
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

fn privacy(groups: &[Group]) -> Section {
    let mut table = Table::new([("method", Align::Left), ("who learns what", Align::Left)]);
    let mut methods: Vec<Method> = groups.iter().map(|group| group.method).collect();
    methods.dedup();
    for method in methods {
        table.push([method.label(), method.privacy()]);
    }
    Section {
        heading: "Privacy".into(),
        blocks: vec![Block::Table(
            "What each method shows of the private rows; a run without DP (ε = ∞) protects none"
                .into(),
            table,
        )],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use post_core::task::Repeated;
    use post_core::task::metrics::Accuracy;
    use toml::Value;

    use super::super::grid::Coordinates;
    use super::*;

    fn group(epsilon: f64, right: u64) -> Group {
        Group {
            method: Method::Post,
            coordinates: Coordinates::from([("epsilon".to_owned(), Value::Float(epsilon))]),
            accuracy: Repeated::of(&[Accuracy::of(right, 100).unwrap()]).unwrap(),
            seconds: 30.0,
            recovered: None,
        }
    }

    #[test]
    fn an_axis_of_numbers_is_drawn_in_its_order() {
        let groups = [group(8.0, 70), group(1.0, 55), group(3.0, 60)];
        let Some(Block::Lines(chart)) = along(&groups, "epsilon") else {
            panic!("no chart")
        };
        assert_eq!(
            chart.series[0].points,
            [(1.0, 0.55), (3.0, 0.6), (8.0, 0.7)]
        );
        assert!(along(&groups[..1], "epsilon").is_none());
    }

    #[test]
    fn a_page_says_what_failed_and_how_it_was_made() {
        let page = page("Films", &[group(8.0, 70)], "title = \"Films\"", 2);
        for part in [
            "2 jobs failed",
            "70.0 %",
            "title = &quot;Films&quot;",
            "the prompt alone",
        ] {
            assert!(page.contains(part), "{part}");
        }
    }
}
