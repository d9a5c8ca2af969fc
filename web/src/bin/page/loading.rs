//! How far the student is on its way.

use post_web::protocol::{Loading, Request};

use crate::dom::{self, Outcome};
use crate::steps::{self, Step};
use crate::words;
use crate::{Page, fault};

pub(crate) fn listen(page: &Page) -> Outcome {
    let page = page.clone();
    dom::on("loading-cancel", "click", move |_| {
        dom::text("loading-text", "Cancelling…")?;
        page.connection.send(&Request::Cancel)
    })
}

/// Asked for; nothing is known yet.
pub(crate) fn began() -> Outcome {
    fault::clear()?;
    dom::enable("student-controls", false)?;
    dom::enable("device-controls", false)?;
    dom::text("loading-text", "Getting the student…")?;
    dom::progress("loading-bar", None)?;
    dom::show("loading", true)?;
    dom::go_to("loading-cancel")
}

pub(crate) fn show(loading: Loading) -> Outcome {
    let (text, share) = match loading {
        Loading::Fetching { bytes, total } => (
            format!(
                "Fetching the student: {} of {}",
                words::bytes(bytes),
                words::bytes(total)
            ),
            Some(bytes as f64 / total.max(1) as f64),
        ),
        Loading::Checking => ("Comparing its fingerprint…".to_owned(), None),
        Loading::Placing => ("Handing it to the device…".to_owned(), None),
        Loading::Measuring => (
            "Measuring which device is faster, some seconds…".to_owned(),
            None,
        ),
    };
    dom::text("loading-text", &text)?;
    dom::progress("loading-bar", share)?;
    dom::show("loading", true)
}

/// Nothing came of it: what was loaded before is still there.
pub(crate) fn cancelled(page: &Page) -> Outcome {
    ended()?;
    match page.card.borrow().is_some() {
        true => Ok(()),
        false => steps::open(Step::Student),
    }
}

pub(crate) fn ended() -> Outcome {
    over()?;
    dom::enable("student-controls", true)?;
    dom::enable("device-controls", true)
}

/// Nothing is loading; what may be changed is another matter.
pub(crate) fn over() -> Outcome {
    dom::show("loading", false)
}
