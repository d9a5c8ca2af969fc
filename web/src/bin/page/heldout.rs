//! How good it is on the rows that were held out. **Private**: for their owner's eyes.

use post_text::report::{Align, Bar, BarChart, Table, percent};
use post_web::protocol::{Evaluation, Request, Score};

use crate::Page;
use crate::dom::{self, Drawing, Outcome};
use crate::words;

pub(crate) fn listen(page: &Page) -> Outcome {
    let page = page.clone();
    dom::on("test-go", "click", move |_| {
        crate::fault::clear()?;
        dom::enable("test-go", false)?;
        dom::text("test-note", "Testing…")?;
        clear()?;
        dom::progress("test-bar", None)?;
        dom::show("test-bar", true)?;
        page.connection.send(&Request::Test)
    })
}

/// There are rows to test on, or there are none.
pub(crate) fn offer(there: bool) -> Outcome {
    clear()?;
    dom::text("test-note", "")?;
    dom::show("test", there)
}

/// Results of an earlier test are not shown beside a new prompt.
pub(crate) fn clear() -> Outcome {
    for id in ["tested", "tested-before", "tested-with"] {
        dom::clear(id)?;
    }
    Ok(())
}

pub(crate) fn progress(done: usize, total: usize) -> Outcome {
    dom::progress("test-bar", Some(done as f64 / total.max(1) as f64))
}

pub(crate) fn show(evaluation: &Evaluation) -> Outcome {
    ended()?;
    let rows = words::several(evaluation.rows as usize, "row", "rows");
    dom::text("test-note", &format!("Tested on {rows}."))?;
    let mut bars = vec![bar("without the prompt", &evaluation.before, 4)];
    bars.extend(
        evaluation
            .with
            .iter()
            .map(|score| bar("with the prompt", score, 0)),
    );
    let chart = BarChart {
        id: "tested-chart".into(),
        title: "Right answers on held-out rows".into(),
        label: "right answers, with 95 % intervals".into(),
        bars,
        mark: None,
    };
    dom::draw("tested", &Drawing::Bars(&chart))?;
    let classes = &evaluation.classes;
    confusion(
        "tested-before",
        "Without the prompt",
        classes,
        &evaluation.before,
    )?;
    match &evaluation.with {
        Some(score) => confusion("tested-with", "With the prompt", classes, score),
        None => dom::clear("tested-with"),
    }
}

fn bar(label: &str, score: &Score, group: usize) -> Bar {
    Bar {
        label: label.to_owned(),
        value: score.accuracy,
        low: score.low,
        high: score.high,
        group,
    }
}

/// Rows are the true labels, columns the model's answers.
fn confusion(id: &str, title: &str, classes: &[String], score: &Score) -> Outcome {
    let answers = classes
        .iter()
        .map(|class| (format!("said {class}"), Align::Right));
    let first = ("is".to_owned(), Align::Left);
    let last = ("right".to_owned(), Align::Right);
    let mut table = Table::new(std::iter::once(first).chain(answers).chain([last]));
    for (index, (class, counts)) in classes.iter().zip(&score.counts).enumerate() {
        let all: u64 = counts.iter().sum();
        let right = counts.get(index).copied().unwrap_or_default();
        let share = match all {
            0 => "–".to_owned(),
            all => percent(right as f64 / all as f64),
        };
        let cells = counts.iter().map(|rows| words::count(*rows));
        table.push(std::iter::once(class.clone()).chain(cells).chain([share]));
    }
    dom::draw(id, &Drawing::Table(title, &table))
}

pub(crate) fn failed() -> Outcome {
    dom::text("test-note", "")?;
    ended()
}

fn ended() -> Outcome {
    dom::enable("test-go", true)?;
    dom::show("test-bar", false)
}
