//! The table: opened here, read by the worker.

use js_sys::Array;
use post_text::report::{Align, Table};
use post_web::protocol::{Mapping, Request, TableSummary, Trouble};
use web_sys::{Blob, File};

use crate::dom::{self, Drawing, Outcome};
use crate::steps::{self, Step};
use crate::words;
use crate::{Page, drop, fault, mapping};

pub(crate) fn listen(page: &Page) -> Outcome {
    let dropped = page.clone();
    drop::zone("table-drop", "table-file", move |file: File| {
        open(&dropped, Some(file.name()), Some(&file))
    })?;
    let pasted = page.clone();
    dom::on("paste-use", "click", move |_| paste(&pasted))?;
    let page = page.clone();
    dom::on("sample-use", "click", move |_| open(&page, None, None))
}

/// Offers the server's sample set, where there is one.
pub(crate) fn sample(bytes: Option<u64>) -> Outcome {
    dom::show("sample", bytes.is_some())?;
    dom::text("sample-size", &bytes.map(words::bytes).unwrap_or_default())
}

/// Says which table is wanted, when an interrupted run waits for it.
pub(crate) fn ask(page: &Page) -> Outcome {
    let wanted = page.returning.get();
    let words = wanted.then_some("Choose the file that the interrupted run was tuning on.");
    dom::maybe("table-wanted", words)
}

fn open(page: &Page, name: Option<String>, file: Option<&Blob>) -> Outcome {
    fault::clear()?;
    dom::text("table-name", "Reading the table…")?;
    for id in ["table-facts", "table-preview"] {
        dom::clear(id)?;
    }
    dom::show("table", true)?;
    dom::show("how", false)?;
    dom::show("summary", false)?;
    dom::text("map-note", "")?;
    lock(page)?;
    match file {
        Some(file) => page
            .connection
            .send_with(&Request::Open { name }, file.as_ref()),
        None => page.connection.send(&Request::Open { name }),
    }
}

/// What follows from the table before has to wait for the new one.
fn lock(page: &Page) -> Outcome {
    page.table.replace(None);
    page.resumable.set(None);
    steps::open(Step::Data)?;
    steps::lock(Step::Privacy)?;
    steps::lock(Step::Try)
}

/// Pasted text is handed over like a file.
fn paste(page: &Page) -> Outcome {
    let text = dom::value("paste")?;
    if text.trim().is_empty() {
        return fault::say("There is nothing to read.", "Paste some rows first.");
    }
    let name = if text.trim_start().starts_with('{') {
        "pasted rows.jsonl"
    } else if text.lines().next().is_some_and(|line| line.contains('\t')) {
        "pasted rows.tsv"
    } else {
        "pasted rows.csv"
    };
    let blob = Blob::new_with_str_sequence(&Array::of1(&text.into()))?;
    open(page, Some(name.to_owned()), Some(&blob))
}

pub(crate) fn opened(page: &Page, table: TableSummary, suggested: Mapping) -> Outcome {
    dom::text("table-name", &table.name)?;
    let rows = words::several(table.rows, "row", "rows");
    let columns = words::several(table.columns.len(), "column", "columns");
    dom::text(
        "table-facts",
        &format!("{}, {rows}, {columns}", table.format),
    )?;
    dom::list(
        "table-trouble",
        trouble(&table.trouble, "could not be read"),
    )?;
    preview(&table)?;
    dom::show("table", true)?;
    dom::show("how", true)?;
    dom::show("table-wanted", false)?;
    page.table.replace(Some(table));
    mapping::suggest(page, suggested)
}

/// The table can't be opened, or its rows can't be read as the form says.
pub(crate) fn failed(page: &Page) -> Outcome {
    if page.table.borrow().is_some() {
        return mapping::failed(page);
    }
    dom::show("table", false)
}

/// Lines that are left out: how many, and the first of them; nothing where there are none.
pub(crate) fn trouble(trouble: &Trouble, what: &str) -> Vec<String> {
    if trouble.count == 0 {
        return Vec::new();
    }
    let lines = words::several(trouble.count, "line", "lines");
    let first = trouble.first.join("; ");
    let more = trouble.count.saturating_sub(trouble.first.len());
    let rest = match more {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    vec![format!("{lines} {what}: {first}{rest}.")]
}

fn preview(table: &TableSummary) -> Outcome {
    let headers = table
        .columns
        .iter()
        .map(|column| (column.name.clone(), Align::Left));
    let line = ("Line".to_owned(), Align::Right);
    let mut shown = Table::new(std::iter::once(line).chain(headers));
    for row in &table.preview {
        let cells = row.cells.iter().cloned();
        shown.push(std::iter::once(row.line.to_string()).chain(cells));
    }
    let caption = format!("The first rows of {}", table.name);
    dom::draw("table-preview", &Drawing::Table(&caption, &shown))
}
