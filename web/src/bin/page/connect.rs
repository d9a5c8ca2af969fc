//! The worker, and the messages to and from it.

use js_sys::Array;
use post_web::protocol::{Answer, Request, Stage};
use wasm_bindgen::prelude::*;
use web_sys::{Event, MessageEvent, Worker, WorkerOptions, WorkerType};

use crate::dom::{self, Outcome};
use crate::{Page, fault, run};

/// The file that starts `worker.rs`.
const WORKER: &str = "./worker_loader.js";

/// The page's end of the line.
pub(crate) struct Connection {
    worker: Worker,
}

impl Connection {
    pub(crate) fn open() -> Outcome<Self> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(WORKER, &options)?;
        Ok(Self { worker })
    }

    /// Says something to the worker.
    pub(crate) fn send(&self, request: &Request) -> Outcome {
        self.post(request, None)
    }

    /// Hands a file or text over with it. The page itself never reads it.
    pub(crate) fn send_with(&self, request: &Request, attachment: &JsValue) -> Outcome {
        self.post(request, Some(attachment))
    }

    fn post(&self, request: &Request, attachment: Option<&JsValue>) -> Outcome {
        let text = serde_json::to_string(request).map_err(|error| error.to_string())?;
        let message = Array::of1(&text.into());
        if let Some(attachment) = attachment {
            message.push(attachment);
        }
        self.worker.post_message(&message)
    }
}

/// Hands every answer, with what came beside it, to `hear`.
pub(crate) fn listen(
    page: &Page,
    hear: impl Fn(&Page, Answer, JsValue) -> Outcome + 'static,
) -> Outcome {
    let worker = &page.connection.worker;
    let listener = page.clone();
    dom::listen(worker, "message", move |event| {
        let (text, attachment) = parts(event);
        let answer = serde_json::from_str(&text)
            .map_err(|error| format!("the engine said what this page does not know: {error}"))?;
        hear(&listener, answer, attachment)
    });
    dom::listen(worker, "messageerror", |_| {
        Err("a message of the engine arrived broken: reload the page".into())
    });
    let page = page.clone();
    dom::listen(worker, "error", move |event| {
        event.prevent_default();
        if page.broken.get() {
            // Its last words said more than the browser does.
            return Ok(());
        }
        broken(&page)?;
        fault::show(Stage::Boot, &reason(event))
    });
    Ok(())
}

/// The worker is gone: nothing on the page leads anywhere until it is loaded again.
pub(crate) fn broken(page: &Page) -> Outcome {
    page.broken.set(true);
    dom::text("status", "The engine does not run. Reload the page.")?;
    let status = dom::by_id("status")?;
    dom::flag(&status, "data-busy", false)?;
    dom::flag(&status, "data-broken", true)?;
    run::lost(page)
}

fn parts(event: &Event) -> (String, JsValue) {
    let data = event.unchecked_ref::<MessageEvent>().data();
    let array: Array = data.unchecked_into();
    (array.get(0).as_string().unwrap_or_default(), array.get(1))
}

/// What the browser tells about a worker that failed, and the way out.
fn reason(event: &Event) -> String {
    let message = js_sys::Reflect::get(event, &"message".into())
        .ok()
        .and_then(|message| message.as_string())
        .filter(|message| !message.is_empty());
    let cause = message.map_or_else(String::new, |message| format!(" ({message})"));
    format!(
        "The engine stopped or could not be loaded{cause}. Reload the page; a run goes on from its last checkpoint."
    )
}
