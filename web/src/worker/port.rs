//! Messages in and out, and the few that must be heard while something else is going on.

use std::cell::Cell;
use std::rc::Rc;

use futures_channel::mpsc::{self, UnboundedReceiver};
use gloo::timers::future::TimeoutFuture;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{Blob, DedicatedWorkerGlobalScope, MessageEvent};

use crate::protocol::{Answer, Request, Stage};

/// A request and the file beside it.
pub(super) type Message = (Request, Option<Blob>);

/// Requests in the order in which they came, but for those that [`Signals`] keeps.
pub(super) type Inbox = UnboundedReceiver<Message>;

/// How often a paused run looks whether it may go on, in milliseconds.
const PAUSED: u32 = 50;

/// The way to the page.
#[derive(Clone)]
pub(super) struct Port {
    scope: DedicatedWorkerGlobalScope,
    signals: Rc<Signals>,
}

/// What the person wants of something that is going on.
#[derive(Default)]
struct Signals {
    pause: Cell<bool>,
    stop: Cell<bool>,
    cancel: Cell<bool>,
}

/// Starts to listen.
pub(super) fn open() -> (Port, Inbox) {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    let port = Port {
        scope,
        signals: Rc::default(),
    };
    let (sender, inbox) = mpsc::unbounded();
    let listening = port.clone();
    let listener = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        match read(&event) {
            Ok((request, file)) => {
                if !listening.signals.take(&request) {
                    // It is closed only when the session has ended, which it never does.
                    let _ = sender.unbounded_send((request, file));
                }
            }
            Err(message) => listening.say(&Answer::Error {
                during: Stage::Boot,
                message,
            }),
        }
    });
    port.scope
        .set_onmessage(Some(listener.as_ref().unchecked_ref()));
    // It listens for as long as the worker lives.
    listener.forget();
    (port, inbox)
}

fn read(event: &MessageEvent) -> Result<Message, String> {
    let parts: Array = event
        .data()
        .dyn_into()
        .map_err(|_| "the page sent something else than a message; reload it")?;
    let text = parts.get(0).as_string().unwrap_or_default();
    let request = serde_json::from_str(&text).map_err(|error| {
        format!("page and worker are of different versions ({error}); reload the page")
    })?;
    Ok((request, parts.get(1).dyn_into().ok()))
}

impl Signals {
    /// Keeps what must be heard at once; false for everything else.
    fn take(&self, request: &Request) -> bool {
        match request {
            Request::Pause => self.pause.set(true),
            Request::Resume => self.pause.set(false),
            Request::Stop => self.stop.set(true),
            Request::Cancel => self.cancel.set(true),
            _ => return false,
        }
        true
    }
}

impl Port {
    /// Says something to the page.
    pub(super) fn say(&self, answer: &Answer) {
        self.post(answer, &JsValue::UNDEFINED);
    }

    /// Says something with a file beside it.
    pub(super) fn say_with(&self, answer: &Answer, bytes: &[u8]) {
        self.post(answer, &Uint8Array::from(bytes).into());
    }

    fn post(&self, answer: &Answer, beside: &JsValue) {
        post(&self.scope, answer, beside);
    }

    /// Forgets what was asked of something that is over.
    pub(super) fn reset(&self) {
        self.signals.pause.set(false);
        self.signals.stop.set(false);
        self.signals.cancel.set(false);
    }

    /// Whether loading shall end.
    pub(super) fn cancelled(&self) -> bool {
        self.signals.cancel.get()
    }

    /// Lets messages in, and waits while the person wants a pause; false when the run shall stop.
    pub(super) async fn breathe(&self) -> bool {
        TimeoutFuture::new(0).await;
        if self.signals.pause.get() && !self.signals.stop.get() {
            self.say(&Answer::Paused);
            while self.signals.pause.get() && !self.signals.stop.get() {
                TimeoutFuture::new(PAUSED).await;
            }
        }
        !self.signals.stop.get()
    }
}

/// Says something when nothing else works any more.
pub(super) fn last_words(answer: &Answer) {
    post(
        &js_sys::global().unchecked_into(),
        answer,
        &JsValue::UNDEFINED,
    );
}

fn post(scope: &DedicatedWorkerGlobalScope, answer: &Answer, beside: &JsValue) {
    let posted = serde_json::to_string(answer)
        .map_err(|error| JsValue::from(error.to_string()))
        .and_then(|text| scope.post_message(&Array::of2(&text.into(), beside)));
    if let Err(error) = posted {
        web_sys::console::error_1(&error);
    }
}

/// Seconds of a clock that never goes back.
pub(super) fn now() -> f64 {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    scope
        .performance()
        .map_or(0.0, |clock| clock.now() / 1000.0)
}
