//! The students to choose from, and the one that is loaded.

use post_web::protocol::{BundleCard, From, Listed, Mapping, Request, TaskForm};
use web_sys::{Element, HtmlElement};

use crate::dom::{self, Outcome};
use crate::steps::{self, Step};
use crate::words;
use crate::{Page, data, drop, loading, mapping, try_it};

pub(crate) fn listen(page: &Page) -> Outcome {
    let page = page.clone();
    drop::nowhere_else()?;
    drop::zone("bundle-drop", "bundle-file", move |file| {
        loading::began()?;
        let from = From::File { name: file.name() };
        let keep = dom::checked("keep")?;
        page.connection
            .send_with(&Request::Load { from, keep }, &file)
    })
}

/// Shows what can be loaded.
pub(crate) fn list(page: &Page, bundles: Vec<Listed>) -> Outcome {
    dom::clear("bundles")?;
    dom::show("bundles-none", bundles.is_empty())?;
    dom::text(
        "bundles-none",
        "This server lists no student. Use the file that your provider gave you.",
    )?;
    let list: Element = dom::by_id("bundles")?;
    for bundle in &bundles {
        row(page, &list, bundle)?;
    }
    page.bundles.replace(bundles);
    Ok(())
}

fn row(page: &Page, list: &Element, bundle: &Listed) -> Outcome {
    let row = dom::copy("bundle-row", list)?;
    let card = &bundle.card;
    dom::part_text(&row, "name", &card.name)?;
    dom::part_text(&row, "teacher", &format!("made from {}", card.teacher))?;
    dom::part_text(
        &row,
        "facts",
        &format!(
            "{} · {} layers · {} ·",
            words::bytes(bundle.bytes),
            card.layers,
            card.license
        ),
    )?;
    dom::part_text(&row, "hash", &words::short(&card.hash))?;
    stored(&row, bundle)?;
    let button: HtmlElement = dom::part(&row, "load")?;
    button.set_attribute("aria-label", &format!("Load {}", card.name))?;
    let (listener, hash) = (page.clone(), card.hash.clone());
    dom::listen(&button, "click", move |_| load(&listener, &hash));
    let button: HtmlElement = dom::part(&row, "forget")?;
    button.set_attribute("aria-label", &format!("Delete stored {}", card.name))?;
    let (listener, hash) = (page.clone(), card.hash.clone());
    dom::listen(&button, "click", move |_| {
        let hash = hash.clone();
        listener.connection.send(&Request::Forget { hash })
    });
    Ok(())
}

/// Whether it lies in this browser, wholly or in part.
fn stored(row: &Element, bundle: &Listed) -> Outcome {
    let share = 100.0 * bundle.stored as f64 / bundle.bytes.max(1) as f64;
    let badge = match bundle.stored {
        0 => String::new(),
        stored if stored >= bundle.bytes => "stored here".to_owned(),
        _ => format!("{share:.0} % stored here"),
    };
    dom::part_text(row, "stored", &badge)?;
    dom::flag(&dom::part(row, "stored")?, "hidden", bundle.stored == 0)?;
    dom::flag(&dom::part(row, "forget")?, "hidden", bundle.stored == 0)
}

/// Loads one of the list.
pub(crate) fn load(page: &Page, hash: &str) -> Outcome {
    loading::began()?;
    let from = From::Listed {
        hash: hash.to_owned(),
    };
    let keep = dom::checked("keep")?;
    page.connection.send(&Request::Load { from, keep })
}

pub(crate) fn loaded(page: &Page, card: BundleCard, tasks: Vec<TaskForm>) -> Outcome {
    loading::ended()?;
    dom::text("loaded-name", &format!("{} is loaded", card.name))?;
    dom::text("loaded-teacher", &card.teacher)?;
    dom::text(
        "loaded-size",
        &format!("{} layers, {} wide", card.layers, card.hidden_size),
    )?;
    dom::text("loaded-license", &card.license)?;
    dom::text("loaded-hash", &words::short(&card.hash))?;
    dom::attribute("loaded-hash", "title", &card.hash)?;
    dom::show("loaded", true)?;
    steps::done(Step::Student)?;
    page.card.replace(Some(card));
    mapping::offer_tasks(&tasks)?;
    let first = tasks.first().cloned();
    page.tasks.replace(tasks);
    steps::open(Step::Try)?;
    read_again(page, first)
}

/// A table that is open already was encoded for the student before.
fn read_again(page: &Page, first: Option<TaskForm>) -> Outcome {
    let mapping: Option<Mapping> = page.mapping.borrow().clone();
    if let (Some(mapping), true) = (mapping, page.table.borrow().is_some()) {
        steps::open(Step::Data)?;
        return mapping::send(page, mapping);
    }
    if let Some(task) = first {
        try_it::fields(&task)?;
    }
    steps::open(Step::Data)?;
    data::ask(page)?;
    dom::go_to("data-heading")
}
