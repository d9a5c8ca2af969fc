//! The page: asks the worker and shows its answers.

use std::cell::Cell;
use std::rc::Rc;

use post_web::cost::Run;
use post_web::protocol::{Answer, Request};
use wasm_bindgen::prelude::*;
use web_sys::{
    Document, Element, Event, HtmlInputElement, MessageEvent, Worker, WorkerOptions, WorkerType,
};

/// The file that loads `worker.rs`.
const WORKER: &str = "./worker_loader.js";

fn main() -> Result<(), JsValue> {
    let document = web_sys::window()
        .and_then(|window| window.document())
        .ok_or("no document")?;
    let options = WorkerOptions::new();
    options.set_type(WorkerType::Module);
    let page = Rc::new(Page {
        worker: Worker::new_with_options(WORKER, &options)?,
        document,
        asked: Cell::new(0),
    });
    listen(&page)
}

struct Page {
    document: Document,
    worker: Worker,
    /// Number of the last question.
    asked: Cell<u64>,
}

fn listen(page: &Rc<Page>) -> Result<(), JsValue> {
    let on_answer = Closure::<dyn FnMut(MessageEvent) -> Result<(), JsValue>>::new({
        let page = Rc::clone(page);
        move |event: MessageEvent| page.hear(&event.data().as_string().unwrap_or_default())
    });
    let on_error = Closure::<dyn FnMut(Event) -> Result<(), JsValue>>::new({
        let page = Rc::clone(page);
        move |_: Event| page.show("status", "The engine could not be loaded: reload the page")
    });
    let on_input = Closure::<dyn FnMut() -> Result<(), JsValue>>::new({
        let page = Rc::clone(page);
        move || page.ask()
    });
    page.worker
        .set_onmessage(Some(on_answer.as_ref().unchecked_ref()));
    page.worker
        .set_onerror(Some(on_error.as_ref().unchecked_ref()));
    page.element("settings")?
        .add_event_listener_with_callback("input", on_input.as_ref().unchecked_ref())?;
    // They live as long as the page.
    on_answer.forget();
    on_error.forget();
    on_input.forget();
    Ok(())
}

impl Page {
    fn hear(&self, message: &str) -> Result<(), JsValue> {
        match serde_json::from_str(message).map_err(|error| error.to_string())? {
            Answer::Ready { version } => {
                self.show(
                    "status",
                    &format!("Privacy engine {version} runs in this tab"),
                )?;
                self.ask()
            }
            Answer::Cost {
                number,
                epsilon,
                sample_rate,
            } if number == self.asked.get() => {
                let percent = 100.0 * sample_rate;
                self.show("epsilon", &format!("{epsilon:.2}"))?;
                self.show(
                    "detail",
                    &format!("each step draws every row with {percent:.2} %"),
                )?;
                self.element("result")?.remove_attribute("data-stale")
            }
            Answer::Refused { number, reason } if number == Some(self.asked.get()) => {
                self.show("epsilon", "–")?;
                self.show("detail", &reason)
            }
            // The answer to a question that was replaced meanwhile.
            Answer::Cost { .. } | Answer::Refused { .. } => Ok(()),
        }
    }

    /// Asks for the cost of what the form holds now.
    fn ask(&self) -> Result<(), JsValue> {
        let number = self.asked.get() + 1;
        self.asked.set(number);
        let Some(run) = self.form()? else {
            self.show("epsilon", "–")?;
            return self.show("detail", "every field needs a number");
        };
        self.element("result")?.set_attribute("data-stale", "")?;
        let text = serde_json::to_string(&Request::Cost { number, run })
            .map_err(|error| error.to_string())?;
        self.worker.post_message(&text.into())
    }

    /// The run that the form describes; `None` while a field is empty.
    fn form(&self) -> Result<Option<Run>, JsValue> {
        let [rows, expected_batch, steps, noise_multiplier, delta] = [
            self.number("rows")?,
            self.number("expected-batch")?,
            self.number("steps")?,
            self.number("noise-multiplier")?,
            self.number("delta")?,
        ];
        let numbers = [rows, expected_batch, steps, noise_multiplier, delta];
        let run = Run {
            rows: rows as u64,
            expected_batch,
            steps: steps as u64,
            noise_multiplier,
            delta,
        };
        Ok(numbers.iter().all(|number| !number.is_nan()).then_some(run))
    }

    /// A field's number, NaN when it holds none.
    fn number(&self, id: &str) -> Result<f64, JsValue> {
        Ok(self
            .element(id)?
            .unchecked_into::<HtmlInputElement>()
            .value_as_number())
    }

    fn show(&self, id: &str, text: &str) -> Result<(), JsValue> {
        self.element(id)?.set_text_content(Some(text));
        Ok(())
    }

    fn element(&self, id: &str) -> Result<Element, JsValue> {
        self.document
            .get_element_by_id(id)
            .ok_or_else(|| format!("the page has no #{id}").into())
    }
}
