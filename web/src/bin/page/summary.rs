//! What was found in the rows. **Private**: for their owner's eyes.

use post_text::report::{Align, Bar, BarChart, Table, percent};
use post_web::protocol::DataSummary;

use crate::dom::{self, Drawing, Outcome};
use crate::words;
use crate::{Page, data, heldout, mapping, try_it};

pub(crate) fn show(page: &Page, data: &DataSummary) -> Outcome {
    mapping::taken(page)?;
    dom::text("summary-train", &words::several(data.train, "row", "rows"))?;
    dom::text("summary-test", &words::several(data.test, "row", "rows"))?;
    dom::text(
        "summary-longest",
        &words::several(data.longest, "token", "tokens"),
    )?;
    dom::text("summary-truncated", &cut(data))?;
    dom::list("summary-findings", findings(page, data))?;
    dom::text("summary-example", &data.example)?;
    labels(data)?;
    lengths(data)?;
    dom::show("summary", true)?;
    heldout::offer(data.test > 0)?;
    let task = page
        .mapping
        .borrow()
        .as_ref()
        .map(|mapping| mapping.task.clone());
    task.map_or(Ok(()), |task| try_it::fields(&task))
}

fn rows(data: &DataSummary) -> usize {
    data.classes.iter().map(|(_, rows)| rows).sum()
}

fn cut(data: &DataSummary) -> String {
    let share = data.truncated as f64 / rows(data).max(1) as f64;
    match data.truncated {
        0 => "none".to_owned(),
        rows => format!("{} ({})", words::count(rows as u64), percent(share)),
    }
}

/// What its owner may want to change in the table.
fn findings(page: &Page, data: &DataSummary) -> Vec<String> {
    let mut found = data::trouble(&data.trouble, "left out");
    let dropped = page
        .mapping
        .borrow()
        .as_ref()
        .is_some_and(|mapping| mapping.drop_duplicates);
    if data.ignored > 0 {
        found.push(format!(
            "{} left out, since their label is to be ignored.",
            words::several(data.ignored, "row is", "rows are")
        ));
    }
    if data.duplicates > 0 {
        let fate = match dropped {
            true => "was left out",
            false => "counts as a row of its own",
        };
        found.push(format!(
            "{} the text of an earlier one; each {fate}.",
            words::several(data.duplicates, "row repeats", "rows repeat")
        ));
    }
    if data.contradictions > 0 {
        found.push(format!(
            "{} with another label than before.",
            words::several(data.contradictions, "of them comes", "of them come")
        ));
    }
    found
}

fn labels(data: &DataSummary) -> Outcome {
    let all = rows(data).max(1);
    let mut table = Table::new([
        ("Class", Align::Left),
        ("Rows", Align::Right),
        ("Share", Align::Right),
    ]);
    for (name, rows) in &data.classes {
        let share = percent(*rows as f64 / all as f64);
        table.push([name.clone(), words::count(*rows as u64), share]);
    }
    dom::draw(
        "summary-labels",
        &Drawing::Table("Rows of each class", &table),
    )
}

fn lengths(data: &DataSummary) -> Outcome {
    let all = rows(data).max(1);
    let bar = |&(end, rows): &(usize, usize)| Bar {
        label: format!(
            "up to {end} tokens: {}",
            words::several(rows, "row", "rows")
        ),
        value: rows as f64 / all as f64,
        low: rows as f64 / all as f64,
        high: rows as f64 / all as f64,
        group: 0,
    };
    let chart = BarChart {
        id: "lengths".into(),
        title: "Lengths of the texts".into(),
        label: "share of the rows".into(),
        bars: data.lengths.iter().map(bar).collect(),
        mark: None,
    };
    dom::draw("summary-lengths", &Drawing::Bars(&chart))
}
