//! While a run is under way the tab is not closed by mistake, and while it computes the screen stays on.

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::prelude::*;

use crate::Page;
use crate::dom::{self, Outcome};

pub(crate) fn listen(page: &Page) -> Outcome {
    let leaving = page.clone();
    let window = dom::window()?;
    dom::listen(&window, "beforeunload", move |event| {
        if leaving.running.get() {
            event.prevent_default();
        }
        Ok(())
    });
    // A hidden tab loses its hold on the screen.
    let page = page.clone();
    let document = dom::document()?;
    dom::listen(&document, "visibilitychange", move |_| {
        if computes(&page) && !dom::document()?.hidden() {
            hold(&page)?;
        }
        Ok(())
    });
    Ok(())
}

/// A run that waits for its owner needs no screen.
fn computes(page: &Page) -> bool {
    page.running.get() && !page.paused.get()
}

/// Asks that the screen stays on. A browser that can't or won't is no reason not to run.
pub(crate) fn hold(page: &Page) -> Outcome {
    let Some(asked) = request()? else {
        return Ok(());
    };
    let holder = page.clone();
    let held = Closure::once(move |lock: JsValue| {
        if computes(&holder) {
            holder.screen.replace(Some(lock));
        } else {
            let _ = call(&lock, "release");
        }
    });
    let refused = Closure::once(|_: JsValue| {});
    let _ = asked.then2(&held, &refused);
    held.forget();
    refused.forget();
    Ok(())
}

pub(crate) fn release(page: &Page) -> Outcome {
    match page.screen.take() {
        Some(lock) => call(&lock, "release").map(|_| ()),
        None => Ok(()),
    }
}

/// `navigator.wakeLock.request("screen")`, which web-sys counts as unstable.
fn request() -> Outcome<Option<Promise>> {
    let lock = Reflect::get(&dom::window()?.navigator(), &"wakeLock".into())?;
    if lock.is_undefined() {
        return Ok(None);
    }
    let request: Function = Reflect::get(&lock, &"request".into())?.dyn_into()?;
    let asked = request.call1(&lock, &"screen".into())?;
    Ok(Some(asked.unchecked_into()))
}

fn call(object: &JsValue, method: &str) -> Outcome<JsValue> {
    let method: Function = Reflect::get(object, &method.into())?.dyn_into()?;
    method.call0(object)
}
