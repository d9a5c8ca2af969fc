//! The students to choose from, and the one that is loaded.

use post_web::protocol::{BundleCard, From, Listed, Request, TaskForm};
use wasm_bindgen::JsCast as _;
use web_sys::{Element, HtmlElement};

use crate::dom::{self, Outcome};
use crate::steps::{self, Step};
use crate::words;
use crate::{Page, data, drop, loading, mapping, privacy, start};

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

/// Shows what can be loaded. Where only what is stored has changed, the buttons stay, and the keyboard's
/// place among them.
pub(crate) fn list(page: &Page, bundles: Vec<Listed>) -> Outcome {
    let hashes = |bundles: &[Listed]| -> Vec<String> {
        let each = bundles.iter().map(|bundle| bundle.card.hash.clone());
        each.collect()
    };
    if !bundles.is_empty() && hashes(&bundles) == hashes(&page.bundles.borrow()) {
        let rows = dom::by_id::<Element>("bundles")?.query_selector_all("li")?;
        for (at, bundle) in (0..).zip(&bundles) {
            if let Some(row) = rows.get(at) {
                stored(&row.unchecked_into(), bundle)?;
            }
        }
        page.bundles.replace(bundles);
        return Ok(());
    }
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
    suggest(page)
}

/// The only one there is, is the one to take, as long as none is taken.
fn suggest(page: &Page) -> Outcome {
    let only = page.bundles.borrow().len() == 1 && page.card.borrow().is_none();
    let list: Element = dom::by_id("bundles")?;
    if let Some(row) = list.first_element_child() {
        let class = if only { "primary" } else { "" };
        dom::part::<Element>(&row, "load")?.set_attribute("class", class)?;
    }
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
    let before = page.card.borrow().as_ref().map(|card| card.hash.clone());
    let same = before.as_ref() == Some(&card.hash);
    describe(&card)?;
    page.card.replace(Some(card));
    suggest(page)?;
    if !same {
        start::offer(page, None)?;
    }
    if page.running.get() {
        // The run lost its graphics card, and goes on with the processor.
        return loading::over();
    }
    loading::ended()?;
    steps::done(Step::Student)?;
    mapping::offer_tasks(&tasks)?;
    page.tasks.replace(tasks);
    read_again(page, same)
}

fn describe(card: &BundleCard) -> Outcome {
    dom::text("loaded-name", &format!("{} is loaded", card.name))?;
    dom::text("loaded-teacher", &card.teacher)?;
    dom::text(
        "loaded-size",
        &format!("{} layers, {} wide", card.layers, card.hidden_size),
    )?;
    dom::text("loaded-license", &card.license)?;
    dom::text("loaded-hash", &words::short(&card.hash))?;
    dom::attribute("loaded-hash", "title", &card.hash)?;
    dom::show("loaded", true)
}

/// A table that is open already was encoded for the student before; the same one on another device
/// reads it alike, but takes another time.
fn read_again(page: &Page, same: bool) -> Outcome {
    if page.table.borrow().is_none() {
        steps::open(Step::Data)?;
        data::ask(page)?;
        return dom::go_to("data-heading");
    }
    if same {
        return privacy::ask(page);
    }
    let mapping = page.mapping.borrow().clone();
    mapping.map_or(Ok(()), |mapping| mapping::send(page, mapping))
}

/// It could not be moved to another device, and has to be loaded again.
pub(crate) fn lost(page: &Page) -> Outcome {
    if page.card.take().is_some() {
        suggest(page)?;
        dom::show("loaded", false)?;
        for step in [Step::Data, Step::Privacy, Step::Try] {
            steps::lock(step)?;
        }
    }
    loading::cancelled(page)
}
