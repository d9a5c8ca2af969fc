//! The service worker that keeps the page's own files (`www/sw.js`).

use js_sys::{Promise, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{ServiceWorkerContainer, ServiceWorkerRegistration};

use crate::dom::{self, Outcome};

const FILE: &str = "./sw.js";

pub(crate) fn listen() -> Outcome {
    dom::on("update-reload", "click", |_| {
        dom::window()?.location().reload()
    })?;
    match container()? {
        Some(container) => register(&container),
        None => Ok(()),
    }
}

/// Browsers have it only for pages that came safely, over HTTPS or from this machine.
fn container() -> Outcome<Option<ServiceWorkerContainer>> {
    let window = dom::window()?;
    if !window.location().protocol()?.starts_with("http") {
        return Ok(None);
    }
    let container = Reflect::get(&window.navigator(), &"serviceWorker".into())?;
    Ok((!container.is_undefined()).then(|| container.unchecked_into()))
}

/// The page works without it, but not offline; so a refusal is not shown.
fn register(container: &ServiceWorkerContainer) -> Outcome {
    let known = container.controller().is_some();
    let registered = Closure::once(move |registration: JsValue| {
        if known {
            watch(&registration.unchecked_into());
        }
    });
    let refused = Closure::once(|_: JsValue| {});
    let registering: Promise = container.register(FILE).unchecked_into();
    let _ = registering.then2(&registered, &refused);
    registered.forget();
    refused.forget();
    Ok(())
}

/// Says when a newer version than the one on show was fetched.
fn watch(registration: &ServiceWorkerRegistration) {
    let found = registration.clone();
    dom::listen(registration, "updatefound", move |_| {
        let Some(worker) = found.installing() else {
            return Ok(());
        };
        dom::listen(&worker.clone(), "statechange", move |_| {
            match worker.state() {
                web_sys::ServiceWorkerState::Activated => dom::show("update", true),
                _ => Ok(()),
            }
        });
        Ok(())
    });
}
