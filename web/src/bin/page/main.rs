//! The page: fills in what the worker answers, and hands over what its owner chooses.
//!
//! All of the page is in `www/index.html`. One file here for each step of the way through it.

mod classes;
mod columns;
mod connect;
mod cost;
mod data;
mod device;
mod dom;
mod drop;
mod export;
mod fault;
mod guard;
mod heldout;
mod kept;
mod loading;
mod mapping;
mod odds;
mod offline;
mod privacy;
mod run;
mod start;
mod state;
mod steps;
mod student;
mod summary;
mod try_it;
mod words;

use std::rc::Rc;

use post_web::protocol::{Answer, Stage};
use wasm_bindgen::JsValue;

use dom::Outcome;
use state::State;

/// What every listener holds.
type Page = Rc<State>;

fn main() -> Result<(), JsValue> {
    let page = Rc::new(State::new(connect::Connection::open()?));
    let parts: [fn(&Page) -> Outcome; 14] = [
        student::listen,
        loading::listen,
        device::listen,
        data::listen,
        mapping::listen,
        classes::listen,
        privacy::listen,
        start::listen,
        run::listen,
        kept::listen,
        export::listen,
        try_it::listen,
        heldout::listen,
        guard::listen,
    ];
    fault::listen()?;
    offline::listen()?;
    for listen in parts {
        listen(&page)?;
    }
    connect::listen(&page, hear)
}

/// Each answer to the step that it belongs to.
fn hear(page: &Page, answer: Answer, attachment: JsValue) -> Outcome {
    match answer {
        Answer::Ready {
            version,
            bundles,
            sample,
            kept,
            finished,
            unstorable,
        } => {
            ready(&version, unstorable.as_deref())?;
            if let Some(finished) = finished {
                export::earlier(&finished)?;
            }
            data::sample(sample)?;
            kept::offer(page, kept)?;
            student::list(page, bundles)
        }
        Answer::Devices { devices, chosen } => device::show(&devices, chosen),
        Answer::Loading { loading } => loading::show(loading),
        Answer::Cancelled => loading::cancelled(page),
        Answer::Bundles { bundles } => student::list(page, bundles),
        Answer::Loaded { card, tasks } => student::loaded(page, card, tasks),
        Answer::Table { table, mapping } => data::opened(page, table, mapping),
        Answer::Data {
            data,
            settings,
            resumable,
        } => {
            summary::show(page, &data)?;
            privacy::suggest(page, settings, resumable)
        }
        Answer::Cost { number, cost } => cost::show(page, number, cost),
        Answer::Refused { number, reason } => cost::refused(page, number, &reason),
        Answer::Starting { stage } => run::starting(stage),
        Answer::Started { step, steps } => run::started(page, step, steps),
        Answer::Progress { progress } => run::progress(page, &progress),
        Answer::Metrics { step, loss, .. } => run::metrics(page, step, loss),
        Answer::Checkpoint { step, unstored } => run::checkpoint(step, unstored),
        Answer::Meter { meter } => run::meter(&meter),
        Answer::Paused => run::paused(page),
        Answer::Stopped { kept } => run::stopped(page, kept),
        Answer::Discarded => kept::discarded(page),
        Answer::Done { finished } => run::done(page, &finished),
        Answer::Tried { tried } => try_it::show(&tried),
        Answer::Testing { done, total } => heldout::progress(done, total),
        Answer::Tested { evaluation } => heldout::show(&evaluation),
        Answer::Exported { name } => export::save(&name, &attachment),
        Answer::Imported { summary, goes_on } => {
            try_it::imported(&summary, goes_on.is_some())?;
            start::offer(page, goes_on)
        }
        Answer::Error { during, message } => failed(page, during, &message),
    }
}

fn ready(version: &str, unstorable: Option<&str>) -> Outcome {
    dom::text(
        "status",
        "The engine runs in this tab. Nothing is uploaded.",
    )?;
    dom::flag(&dom::by_id("status")?, "data-busy", false)?;
    steps::freeze(false)?;
    dom::text(
        "version",
        &format!("POST {version}. Everything is computed in this tab."),
    )?;
    dom::maybe("unstorable", unstorable)
}

/// Shows it, and gives the step back to its owner.
fn failed(page: &Page, during: Stage, message: &str) -> Outcome {
    fault::show(during, message)?;
    match during {
        Stage::Boot => connect::broken(page),
        Stage::Store => Ok(()),
        Stage::Device => student::lost(page),
        Stage::Load => loading::cancelled(page),
        Stage::Data | Stage::Encode => data::failed(page),
        Stage::SelfTest | Stage::Run => run::failed(page),
        Stage::Try | Stage::Import => try_it::failed(),
        Stage::Test => heldout::failed(),
        Stage::Export => export::failed(),
    }
}
