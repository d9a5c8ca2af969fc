//! The worker: everything that computes.

use post_web::cost::answer;
use post_web::protocol::Answer;
use wasm_bindgen::prelude::*;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

fn main() -> Result<(), JsValue> {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    let listener = Closure::<dyn FnMut(MessageEvent) -> Result<(), JsValue>>::new({
        let scope = scope.clone();
        move |event: MessageEvent| {
            let message = event.data().as_string().unwrap_or_default();
            say(&scope, &answer(&message))
        }
    });
    scope.set_onmessage(Some(listener.as_ref().unchecked_ref()));
    // It listens for as long as the worker lives.
    listener.forget();
    say(
        &scope,
        &Answer::Ready {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    )
}

fn say(scope: &DedicatedWorkerGlobalScope, answer: &Answer) -> Result<(), JsValue> {
    let text = serde_json::to_string(answer).map_err(|error| error.to_string())?;
    scope.post_message(&text.into())
}
