//! What went wrong, where nobody overlooks it.

use post_web::protocol::Stage;
use wasm_bindgen::JsValue;

use crate::dom::{self, Outcome};

pub(crate) fn listen() -> Outcome {
    dom::on("error-close", "click", |_| dom::show("error", false))
}

/// Shows a failure of the worker, and what it was about.
pub(crate) fn show(during: Stage, message: &str) -> Outcome {
    say(about(during), message)
}

/// Shows something that nobody foresaw. Nothing can be done about a failure to show it.
pub(crate) fn unexpected(error: &JsValue) {
    let message = error.as_string().unwrap_or_else(|| format!("{error:?}"));
    let _ = say("The page met an error that it did not expect.", &message);
}

pub(crate) fn say(title: &str, message: &str) -> Outcome {
    dom::text("error-title", title)?;
    dom::text("error-text", message)?;
    dom::show("error", true)
}

pub(crate) fn clear() -> Outcome {
    dom::show("error", false)
}

fn about(during: Stage) -> &'static str {
    match during {
        Stage::Boot => "The engine could not start.",
        Stage::Device => "The device could not be used.",
        Stage::Load => "The student could not be loaded.",
        Stage::Data => "The table could not be read.",
        Stage::Encode => "The rows could not be read this way.",
        Stage::SelfTest => "The self-test failed, so nothing was tuned.",
        Stage::Run => "The run was interrupted.",
        Stage::Try => "The text could not be tried.",
        Stage::Test => "The test could not be made.",
        Stage::Export => "The prompt could not be packed.",
        Stage::Import => "The prompt could not be taken up.",
        Stage::Store => "This browser could not store it.",
    }
}
