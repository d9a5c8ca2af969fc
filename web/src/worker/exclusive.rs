//! One tab at a time spends: two that write the ledger at once would forget each other's run.

use futures_channel::oneshot;
use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;

const LOCK: &str = "post-run";

/// Takes the browser's lock for the rest of this worker's life; false while another tab has it.
///
/// A browser without locks gives none to anybody, and is taken at its word.
pub(super) async fn hold() -> bool {
    let (sender, held) = oneshot::channel();
    match ask(sender) {
        Some(()) => held.await.unwrap_or(true),
        None => true,
    }
}

/// Asks once, without waiting for another tab to end.
fn ask(sender: oneshot::Sender<bool>) -> Option<()> {
    let get = |object: &JsValue, key: &str| Reflect::get(object, &key.into()).ok();
    let locks = get(&get(&js_sys::global(), "navigator")?, "locks")?;
    let request: Function = get(&locks, "request")?.dyn_into().ok()?;
    let options = Object::new();
    Reflect::set(&options, &"ifAvailable".into(), &true.into()).ok()?;
    let mut sender = Some(sender);
    let given = Closure::<dyn FnMut(JsValue) -> JsValue>::new(move |lock: JsValue| {
        let held = !lock.is_null();
        if let Some(sender) = sender.take() {
            // Nobody waits any more when the session is over.
            let _ = sender.send(held);
        }
        // The lock is held until this promise ends, which is never.
        if held {
            Promise::new(&mut |_, _| {}).into()
        } else {
            JsValue::NULL
        }
    });
    let asked = request.call3(&locks, &LOCK.into(), &options, given.as_ref());
    given.forget();
    asked.ok().map(drop)
}
