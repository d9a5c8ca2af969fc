//! The finished prompt: its guarantee, its receipt, its file.

use js_sys::Array;
use post_web::protocol::{Finished, Request};
use wasm_bindgen::prelude::*;
use web_sys::{Blob, BlobPropertyBag, HtmlElement, Url};

use crate::dom::{self, Outcome};
use crate::steps::{self, Step};
use crate::{Page, words};

pub(crate) fn listen(page: &Page) -> Outcome {
    let page = page.clone();
    dom::on("export", "click", move |_| {
        dom::enable("export", false)?;
        dom::text("export-note", "Packing…")?;
        page.connection.send(&Request::Export)
    })
}

/// A run of this session is finished.
pub(crate) fn show(finished: &Finished) -> Outcome {
    describe(finished)?;
    dom::go_to("result-heading")
}

/// One of an earlier session, which this browser has kept.
pub(crate) fn earlier(finished: &Finished) -> Outcome {
    describe(finished)?;
    dom::text("export-note", "From an earlier run in this browser.")
}

fn describe(finished: &Finished) -> Outcome {
    dom::text("result-statement", &finished.statement)?;
    let total = finished.total.map(|total| {
        format!(
            "All runs on this data that this browser has counted spent {} together.",
            words::epsilon(total)
        )
    });
    dom::maybe("result-total", total.as_deref())?;
    dom::list("not-covered", finished.not_covered.iter().cloned())?;
    dom::text("receipt", &finished.receipt)?;
    dom::text("export-note", "")?;
    dom::enable("export", true)?;
    steps::open(Step::Result)
}

/// Saves the zip that the worker packed.
pub(crate) fn save(name: &str, zip: &JsValue) -> Outcome {
    let kind = BlobPropertyBag::new();
    kind.set_type("application/zip");
    let blob = Blob::new_with_u8_array_sequence_and_options(&Array::of1(zip), &kind)?;
    let address = Url::create_object_url_with_blob(&blob)?;
    let link: HtmlElement = dom::document()?.create_element("a")?.unchecked_into();
    link.set_attribute("href", &address)?;
    link.set_attribute("download", name)?;
    link.click();
    // The browser has to take it up first.
    gloo::timers::callback::Timeout::new(60_000, move || {
        let _ = Url::revoke_object_url(&address);
    })
    .forget();
    dom::enable("export", true)?;
    dom::text("transfer-name", name)?;
    dom::text("export-note", &format!("Saved as {name}"))?;
    steps::done(Step::Result)
}

pub(crate) fn failed() -> Outcome {
    dom::enable("export", true)?;
    dom::text("export-note", "")
}
