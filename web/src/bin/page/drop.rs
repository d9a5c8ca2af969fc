//! Files that are chosen or dropped.

use wasm_bindgen::JsCast;
use web_sys::{DragEvent, Element, Event, File, FileList, HtmlInputElement};

use crate::dom::{self, Outcome};

/// Hands `take` the file that is chosen with the button `input` or dropped on `zone`.
pub(crate) fn zone(
    zone: &str,
    input: &str,
    take: impl Fn(File) -> Outcome + Clone + 'static,
) -> Outcome {
    let chosen = take.clone();
    let field: HtmlInputElement = dom::by_id(input)?;
    dom::listen(&field.clone(), "change", move |_| {
        let file = first(field.files());
        // So that the same file can be chosen again.
        field.set_value("");
        file.map_or(Ok(()), &chosen)
    });
    let zone: Element = dom::by_id(zone)?;
    for event in ["dragenter", "dragover"] {
        let over = zone.clone();
        dom::listen(&zone, event, move |event| {
            event.prevent_default();
            dom::flag(&over, "data-over", true)
        });
    }
    let left = zone.clone();
    dom::listen(&zone, "dragleave", move |_| {
        dom::flag(&left, "data-over", false)
    });
    let dropped = zone.clone();
    dom::listen(&zone, "drop", move |event| {
        event.prevent_default();
        dom::flag(&dropped, "data-over", false)?;
        if dropped.closest("fieldset:disabled")?.is_some() {
            return Ok(());
        }
        first(files(event)).map_or(Ok(()), &take)
    });
    Ok(())
}

/// A file dropped beside a zone would replace the page, and end its run.
pub(crate) fn nowhere_else() -> Outcome {
    let document = dom::document()?;
    for event in ["dragover", "drop"] {
        dom::listen(&document, event, |event| {
            event.prevent_default();
            Ok(())
        });
    }
    Ok(())
}

fn files(event: &Event) -> Option<FileList> {
    event
        .unchecked_ref::<DragEvent>()
        .data_transfer()
        .and_then(|transfer| transfer.files())
}

fn first(files: Option<FileList>) -> Option<File> {
    files.and_then(|files| files.get(0))
}
