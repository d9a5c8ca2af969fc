//! The form that says how a table's rows are read.

use std::collections::BTreeMap;

use post_web::protocol::{Mapping, Request, TaskForm};
use web_sys::Element;

use crate::dom::{self, Outcome};
use crate::steps::{self, Step};
use crate::words;
use crate::{Page, classes, columns, fault, privacy};

pub(crate) fn listen(page: &Page) -> Outcome {
    let typed = page.clone();
    dom::on("mapping", "input", move |_| changed(&typed))?;
    let chosen = page.clone();
    dom::on("task", "change", move |_| choose_task(&chosen))?;
    let templated = page.clone();
    dom::on("template", "change", move |_| new_template(&templated))?;
    let page = page.clone();
    dom::on("mapping", "submit", move |event| {
        event.prevent_default();
        match read(&page)? {
            Ok(mapping) => send(&page, mapping),
            Err(missing) => fault::say("Something is missing.", &missing),
        }
    })
}

/// Fills the list of tasks.
pub(crate) fn offer_tasks(tasks: &[TaskForm]) -> Outcome {
    let select: Element = dom::by_id("task")?;
    select.replace_children_with_node_0();
    for task in tasks {
        let words = if task.description.is_empty() {
            &task.name
        } else {
            &task.description
        };
        dom::child(&select, "option", words)?.set_attribute("value", &task.name)?;
    }
    Ok(())
}

/// Takes up what the worker suggests, or what the interrupted run had; reads the rows at once where
/// nothing is left to be said.
pub(crate) fn suggest(page: &Page, suggested: Mapping) -> Outcome {
    let kept = page.kept.borrow().as_ref().map(|kept| kept.mapping.clone());
    let mapping = kept.filter(|_| page.returning.get()).unwrap_or(suggested);
    fill(page, &mapping)?;
    page.mapping.replace(Some(mapping));
    changed(page)?;
    match read(page)? {
        Ok(mapping) if classes::unnamed(page)?.is_empty() => {
            unfold(false)?;
            send(page, mapping)
        }
        _ => {
            unfold(true)?;
            dom::text(
                "map-note",
                "Say how the rows are to be read, then read them.",
            )?;
            dom::go_to("table-name")
        }
    }
}

fn unfold(open: bool) -> Outcome {
    dom::flag(&dom::by_id("how")?, "open", open)
}

fn fill(page: &Page, mapping: &Mapping) -> Outcome {
    let task = &mapping.task;
    dom::set_value("task", &task.name)?;
    dom::text("task-description", &about(task))?;
    dom::set_value("template", &task.template)?;
    dom::set_value("init-text", &task.init_text)?;
    dom::set_value("max-length", &task.max_length.to_string())?;
    dom::set_value("test-share", &format!("{:.0}", 100.0 * mapping.test_share))?;
    dom::set_value("ignored", &task.ignored_labels.join(", "))?;
    dom::set_checked("drop-duplicates", mapping.drop_duplicates)?;
    dom::set_checked("first-token", task.first_token)?;
    let group: Element = dom::by_id("group")?;
    columns::options(
        &group,
        &names(page),
        task.group_column.as_deref(),
        "no column",
    )?;
    columns::fill(
        &columns::fields(&task.template).unwrap_or_default(),
        &names(page),
        &task.columns,
    )?;
    classes::fill(page, &task.classes)
}

fn about(task: &TaskForm) -> String {
    format!("The model reads each row as: {}", task.template)
}

/// Headers of the open table.
fn names(page: &Page) -> Vec<String> {
    let table = page.table.borrow();
    let columns = table.iter().flat_map(|table| &table.columns);
    columns.map(|column| column.name.clone()).collect()
}

/// Another task; columns that were chosen stay where its fields have the same names.
fn choose_task(page: &Page) -> Outcome {
    let name = dom::value("task")?;
    let task = page
        .tasks
        .borrow()
        .iter()
        .find(|task| task.name == name)
        .cloned();
    let (Some(mut task), Some(mut mapping)) = (task, page.mapping.borrow().clone()) else {
        return Ok(());
    };
    let here = names(page);
    let mut columns: BTreeMap<_, _> = columns::read()?;
    task.columns.retain(|_, column| here.contains(column));
    columns.extend(task.columns);
    task.columns = columns;
    mapping.task = task;
    fill(page, &mapping)?;
    page.mapping.replace(Some(mapping));
    changed(page)
}

fn new_template(page: &Page) -> Outcome {
    match columns::fields(&dom::value("template")?) {
        Ok(fields) => {
            let chosen = columns::read()?;
            columns::fill(&fields, &names(page), &chosen)?;
            changed(page)
        }
        Err(wrong) => fault::say("The template cannot be used.", &wrong),
    }
}

/// The form differs from what was read, so nothing may be started from it.
pub(crate) fn changed(page: &Page) -> Outcome {
    page.unread.set(true);
    dom::text(
        "map-note",
        "This differs from what was read. Read the rows again to go on.",
    )?;
    dom::stale("summary", true)?;
    classes::compare(page)?;
    privacy::allow(page)
}

/// What the form says; the inner error is what its owner has to add.
fn read(page: &Page) -> Outcome<Result<Mapping, String>> {
    let Some(Mapping { mut task, .. }) = page.mapping.borrow().clone() else {
        return Ok(Err("Choose a table first.".to_owned()));
    };
    task.template = dom::value("template")?;
    let fields = match columns::fields(&task.template) {
        Ok(fields) => fields,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let mut chosen = columns::read()?;
    let mut needed = fields.iter().map(String::as_str).chain([columns::LABEL]);
    if let Some(field) = needed.find(|field| !chosen.contains_key(*field)) {
        return Ok(Err(format!("Choose the column that holds the {field}.")));
    }
    chosen.retain(|field, _| field == columns::LABEL || fields.contains(field));
    task.columns = chosen;
    task.classes = classes::read()?;
    if task.classes.len() < 2 {
        return Ok(Err("Name at least two classes.".to_owned()));
    }
    task.init_text = dom::value("init-text")?;
    let Some(longest) = dom::number("max-length")?.filter(|number| *number >= 1.0) else {
        return Ok(Err("The longest text needs a number.".to_owned()));
    };
    task.max_length = longest as usize;
    task.ignored_labels = words::listed(&dom::value("ignored")?);
    task.group_column = Some(dom::value("group")?).filter(|name| !name.is_empty());
    task.first_token = dom::checked("first-token")?;
    let Some(share) = dom::number("test-share")?.filter(|share| (0.0..=50.0).contains(share))
    else {
        return Ok(Err("Hold out between 0 and 50 % for testing.".to_owned()));
    };
    Ok(Ok(Mapping {
        task,
        test_share: share / 100.0,
        drop_duplicates: dom::checked("drop-duplicates")?,
    }))
}

/// Has the worker read the rows.
pub(crate) fn send(page: &Page, mapping: Mapping) -> Outcome {
    fault::clear()?;
    read_rows(page, mapping)
}

/// The same, with a message about something else left in sight.
pub(crate) fn read_rows(page: &Page, mapping: Mapping) -> Outcome {
    dom::text("map-note", "Reading the rows…")?;
    dom::enable("map", false)?;
    page.mapping.replace(Some(mapping.clone()));
    page.connection.send(&Request::Map { mapping })
}

/// The worker has read them.
pub(crate) fn taken(page: &Page) -> Outcome {
    page.unread.set(false);
    dom::enable("map", true)?;
    dom::text("map-note", "")?;
    dom::text("how-short", &in_short(page))?;
    dom::stale("summary", false)?;
    steps::ready(Step::Try)?;
    steps::done(Step::Data)
}

/// `: text from “review”, label from “stars”, 2 classes`.
fn in_short(page: &Page) -> String {
    let mapping = page.mapping.borrow();
    let Some(task) = mapping.as_ref().map(|mapping| &mapping.task) else {
        return String::new();
    };
    let column = |(field, column): (&String, &String)| format!("{field} from “{column}”");
    let mut parts: Vec<_> = task.columns.iter().map(column).collect();
    parts.push(words::several(task.classes.len(), "class", "classes"));
    format!(": {}", parts.join(", "))
}

/// They can't be read like this.
pub(crate) fn failed(page: &Page) -> Outcome {
    unfold(true)?;
    page.unread.set(true);
    dom::enable("map", true)?;
    dom::text(
        "map-note",
        "Change what is above, then read the rows again.",
    )?;
    privacy::allow(page)
}
