//! The little that the page needs of the document.
//!
//! The first argument of every function here that takes an id is an id of `www/index.html`; a test of
//! `xtask` holds that, so an error about a missing one never reaches anybody.

use gloo::events::{EventListener, EventListenerOptions};
use js_sys::Reflect;
use post_text::report::{BarChart, LineChart, Table};
use wasm_bindgen::prelude::*;
use web_sys::{Document, Element, Event, EventTarget, HtmlElement, HtmlTemplateElement, Window};

/// What may go wrong is a missing element or API.
pub(crate) type Outcome<T = ()> = Result<T, JsValue>;

pub(crate) fn window() -> Outcome<Window> {
    web_sys::window().ok_or_else(|| "this is no page".into())
}

pub(crate) fn document() -> Outcome<Document> {
    window()?
        .document()
        .ok_or_else(|| "there is no document".into())
}

pub(crate) fn by_id<T: JsCast>(id: &str) -> Outcome<T> {
    let element = document()?
        .get_element_by_id(id)
        .ok_or_else(|| format!("the page has no #{id}"))?;
    Ok(element.unchecked_into())
}

pub(crate) fn text(id: &str, text: &str) -> Outcome {
    by_id::<Element>(id)?.set_text_content(Some(text));
    Ok(())
}

pub(crate) fn show(id: &str, visible: bool) -> Outcome {
    flag(&by_id(id)?, "hidden", !visible)
}

/// Text that is there only where there is something to say.
pub(crate) fn maybe(id: &str, words: Option<&str>) -> Outcome {
    text(id, words.unwrap_or_default())?;
    show(id, words.is_some())
}

pub(crate) fn enable(id: &str, enabled: bool) -> Outcome {
    flag(&by_id(id)?, "disabled", !enabled)
}

/// Marks what is shown as older than what was asked.
pub(crate) fn stale(id: &str, stale: bool) -> Outcome {
    flag(&by_id(id)?, "data-stale", stale)
}

/// An attribute that is there or isn't.
pub(crate) fn flag(element: &Element, name: &str, there: bool) -> Outcome {
    if there {
        element.set_attribute(name, "")
    } else {
        element.remove_attribute(name)
    }
}

pub(crate) fn attribute(id: &str, name: &str, value: &str) -> Outcome {
    by_id::<Element>(id)?.set_attribute(name, value)
}

/// Share done of a bar; `None` while nobody can tell.
pub(crate) fn progress(id: &str, share: Option<f64>) -> Outcome {
    let bar: Element = by_id(id)?;
    match share {
        Some(share) => bar.set_attribute("value", &format!("{share:.4}")),
        None => bar.remove_attribute("value"),
    }
}

/// The only markup that is made here: `report` has escaped every text in it.
pub(crate) enum Drawing<'a> {
    Lines(&'a LineChart),
    Bars(&'a BarChart),
    Table(&'a str, &'a Table),
}

pub(crate) fn draw(id: &str, drawing: &Drawing<'_>) -> Outcome {
    let markup = match drawing {
        Drawing::Lines(chart) => chart.to_svg(),
        Drawing::Bars(chart) => chart.to_svg(),
        Drawing::Table(caption, table) => table.to_html(caption),
    };
    by_id::<Element>(id)?.set_inner_html(&markup);
    Ok(())
}

pub(crate) fn clear(id: &str) -> Outcome {
    by_id::<Element>(id)?.replace_children_with_node_0();
    Ok(())
}

/// Fills a list with one item for each line.
pub(crate) fn list(id: &str, lines: impl IntoIterator<Item = String>) -> Outcome {
    clear(id)?;
    let list: Element = by_id(id)?;
    for line in lines {
        child(&list, "li", &line)?;
    }
    Ok(())
}

/// Appends an element that holds a text.
pub(crate) fn child(parent: &Element, tag: &str, words: &str) -> Outcome<Element> {
    let element = document()?.create_element(tag)?;
    element.set_text_content(Some(words));
    parent.append_child(&element)?;
    Ok(element)
}

/// Appends a copy of a template's only element.
pub(crate) fn copy(template: &str, parent: &Element) -> Outcome<Element> {
    let template: HtmlTemplateElement = by_id(template)?;
    let first = template
        .content()
        .first_element_child()
        .ok_or("an empty template")?;
    let copy: Element = first.clone_node_with_deep(true)?.unchecked_into();
    parent.append_child(&copy)?;
    Ok(copy)
}

/// The part of a copied template with this `data-part`.
pub(crate) fn part<T: JsCast>(copy: &Element, name: &str) -> Outcome<T> {
    let found = copy.query_selector(&format!("[data-part={name}]"))?;
    Ok(found
        .ok_or_else(|| format!("a template has no part {name}"))?
        .unchecked_into())
}

pub(crate) fn part_text(copy: &Element, name: &str, words: &str) -> Outcome {
    part::<Element>(copy, name)?.set_text_content(Some(words));
    Ok(())
}

/// What an input, a select or a text area holds.
pub(crate) fn value_of(element: &Element) -> String {
    let value = Reflect::get(element, &"value".into());
    value
        .ok()
        .and_then(|value| value.as_string())
        .unwrap_or_default()
}

pub(crate) fn set_value_of(element: &Element, value: &str) -> Outcome {
    Reflect::set(element, &"value".into(), &value.into()).map(|_| ())
}

pub(crate) fn value(id: &str) -> Outcome<String> {
    Ok(value_of(&by_id(id)?))
}

pub(crate) fn set_value(id: &str, value: &str) -> Outcome {
    set_value_of(&by_id(id)?, value)
}

/// A field's number; `None` when it holds none.
pub(crate) fn number(id: &str) -> Outcome<Option<f64>> {
    let number = value(id)?.trim().parse::<f64>().ok();
    Ok(number.filter(|number| number.is_finite()))
}

pub(crate) fn checked(id: &str) -> Outcome<bool> {
    Ok(Reflect::get(&by_id(id)?, &"checked".into())?.is_truthy())
}

pub(crate) fn set_checked(id: &str, checked: bool) -> Outcome {
    Reflect::set(&by_id(id)?, &"checked".into(), &checked.into()).map(|_| ())
}

/// Moves the keyboard and the eye to a place, without animation where that is not wanted.
pub(crate) fn go_to(id: &str) -> Outcome {
    let place: HtmlElement = by_id(id)?;
    place.set_attribute("tabindex", "-1")?;
    place.scroll_into_view();
    place.focus()
}

/// Listens as long as the page lives; what goes wrong in a listener is shown.
pub(crate) fn on(
    id: &str,
    event: &'static str,
    listener: impl FnMut(&Event) -> Outcome + 'static,
) -> Outcome {
    listen(&by_id(id)?, event, listener);
    Ok(())
}

pub(crate) fn listen(
    target: &EventTarget,
    event: &'static str,
    mut listener: impl FnMut(&Event) -> Outcome + 'static,
) {
    let options = EventListenerOptions::enable_prevent_default();
    EventListener::new_with_options(target, event, options, move |event| {
        if let Err(error) = listener(event) {
            crate::fault::unexpected(&error);
        }
    })
    .forget();
}
