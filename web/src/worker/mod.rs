//! The worker: model, data and privacy engine. The page only draws what is said here.
//!
//! A private example comes in as a file that only this thread reads, and never goes out again but in
//! the preview that its owner sees. After a student is loaded nothing is fetched but what its owner asks
//! for: the sample set, or another device, whose helpers are started from the page's own files.

pub mod device;
mod evaluate;
mod exclusive;
pub mod files;
mod handover;
mod helper;
mod helpers;
pub mod kept;
mod library;
pub mod logs;
mod port;
mod runs;
mod session;
pub mod storage;
mod student;
pub mod suggest;
mod tables;

use wasm_bindgen::JsCast as _;

use crate::protocol::{Answer, Stage};

/// Starts the worker: it listens until its tab is closed.
pub fn run() {
    logs::install();
    std::panic::set_hook(Box::new(|panic| {
        web_sys::console::error_1(&panic.to_string().into());
        port::last_words(&Answer::Error {
            during: Stage::Boot,
            message: format!(
                "the engine stopped ({panic}); reload the page: a run goes on from its last checkpoint"
            ),
        });
    }));
    let scope: web_sys::DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    if scope.name() == helpers::NAME {
        wasm_bindgen_futures::spawn_local(helper::serve(scope));
        return;
    }
    let (port, inbox) = port::open();
    wasm_bindgen_futures::spawn_local(session::serve(port, inbox));
}

/// What a browser threw, as an error that a person can read.
fn thrown(value: wasm_bindgen::JsValue) -> anyhow::Error {
    let text = value.dyn_ref::<js_sys::Error>().map(|error| {
        format!(
            "{}: {}",
            String::from(error.name()),
            String::from(error.message())
        )
    });
    anyhow::anyhow!(text.unwrap_or_else(|| format!("{value:?}")))
}
