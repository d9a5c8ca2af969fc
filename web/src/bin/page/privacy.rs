//! How much the prompt may tell: the slider, and the numbers of the run behind it.

use gloo::timers::callback::Timeout;
use post_web::protocol::{Request, Settings, Unit};
use web_sys::Element;

use crate::dom::{self, Outcome};
use crate::steps::{self, Step};
use crate::words;
use crate::{Page, kept, run, start};

/// Where the slider stops.
const STOPS: [f64; 10] = [0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
/// The worker is asked once the form has rested so long, in milliseconds.
const REST: u32 = 150;

pub(crate) fn listen(page: &Page) -> Outcome {
    let stops: Element = dom::by_id("epsilon-stops")?;
    for stop in 0..STOPS.len() {
        dom::child(&stops, "option", "")?.set_attribute("value", &stop.to_string())?;
    }
    let slid = page.clone();
    dom::on("epsilon", "input", move |_| {
        let stop = dom::number("epsilon")?.unwrap_or_default() as usize;
        let epsilon = STOPS.get(stop).copied().unwrap_or(STOPS[0]);
        change(&slid, |settings| settings.epsilon = epsilon)
    })?;
    let typed = page.clone();
    dom::on("settings", "input", move |_| advanced(&typed))?;
    let limited = page.clone();
    dom::on("set-cap", "input", move |_| ask(&limited))?;
    dom::on("settings", "submit", |event| {
        event.prevent_default();
        Ok(())
    })?;
    unit(page, "unit-person", Unit::Person)?;
    unit(page, "unit-row", Unit::Row)?;
    let page_start = page.clone();
    dom::on("start", "click", move |_| begin(&page_start))?;
    let page = page.clone();
    dom::on("start-resume", "click", move |_| run::resume_kept(&page))
}

fn unit(page: &Page, id: &str, unit: Unit) -> Outcome {
    let page = page.clone();
    dom::on(id, "change", move |_| {
        about_unit(unit)?;
        change(&page, |settings| settings.unit = unit)
    })
}

fn about_unit(unit: Unit) -> Outcome {
    let words = match unit {
        Unit::Person => {
            "The receipt will say: one person. It is true only if nobody has a second row, so make sure of it."
        }
        Unit::Row => {
            "The receipt will say: one row. Somebody with several rows is protected less, the less the more rows they have."
        }
    };
    dom::text("unit-hint", words)
}

/// Takes up what suits so many rows; the person's own choices of privacy and unit stay.
pub(crate) fn suggest(page: &Page, suggested: Settings, resumable: bool) -> Outcome {
    let mut settings = suggested;
    if let Some(before) = page.settings.get() {
        settings.epsilon = before.epsilon;
        settings.unit = before.unit;
    }
    if resumable {
        settings = suggested;
    }
    page.resumable.set(resumable.then_some(suggested));
    page.settings.set(Some(settings));
    fill(&settings)?;
    start::fit(page)?;
    steps::open(Step::Privacy)?;
    kept::fits(page, resumable)?;
    ask(page)
}

pub(crate) fn fill(settings: &Settings) -> Outcome {
    let stop = nearest(settings.epsilon);
    dom::set_value("epsilon", &stop.to_string())?;
    dom::set_checked("unit-person", settings.unit == Unit::Person)?;
    dom::set_checked("unit-row", settings.unit == Unit::Row)?;
    about_unit(settings.unit)?;
    dom::set_value("set-delta", &plain(settings.delta))?;
    dom::set_value("set-size", &settings.public_size.to_string())?;
    dom::set_value("set-batch", &plain(settings.expected_batch))?;
    dom::set_value("set-steps", &settings.steps.to_string())?;
    dom::set_value("set-clip", &plain(settings.max_grad_norm))?;
    dom::set_value("set-tokens", &settings.num_virtual_tokens.to_string())?;
    dom::set_value("set-rate", &plain(settings.learning_rate))?;
    dom::set_checked("set-decay", settings.decay)
}

fn nearest(epsilon: f64) -> usize {
    let apart = |stop: &usize| (STOPS[*stop].ln() - epsilon.max(1e-9).ln()).abs();
    (0..STOPS.len())
        .min_by(|a, b| apart(a).total_cmp(&apart(b)))
        .unwrap_or_default()
}

/// As a number field takes it.
fn plain(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

fn advanced(page: &Page) -> Outcome {
    let fields = [
        dom::number("set-delta")?,
        dom::number("set-size")?,
        dom::number("set-batch")?,
        dom::number("set-steps")?,
        dom::number("set-clip")?,
        dom::number("set-tokens")?,
        dom::number("set-rate")?,
    ];
    let [
        Some(delta),
        Some(size),
        Some(batch),
        Some(steps),
        Some(clip),
        Some(tokens),
        Some(rate),
    ] = fields
    else {
        outdated(page)?;
        return dom::maybe("refused", Some("Every number of the run needs a value."));
    };
    let decay = dom::checked("set-decay")?;
    change(page, |settings| {
        settings.delta = delta;
        settings.public_size = size as u64;
        settings.expected_batch = batch;
        settings.steps = steps as u64;
        settings.max_grad_norm = clip;
        settings.num_virtual_tokens = tokens as usize;
        settings.learning_rate = rate;
        settings.decay = decay;
    })
}

pub(crate) fn change(page: &Page, change: impl FnOnce(&mut Settings)) -> Outcome {
    let Some(mut settings) = page.settings.get() else {
        return Ok(());
    };
    change(&mut settings);
    page.settings.set(Some(settings));
    ask(page)
}

/// Nothing on show is the answer to what the form says now.
fn outdated(page: &Page) -> Outcome {
    page.asked.set(page.asked.get() + 1);
    page.cost.replace(None);
    page.waiting.replace(None);
    dom::stale("cost", true)?;
    allow(page)
}

/// Asks what the run would cost, once the form rests.
pub(crate) fn ask(page: &Page) -> Outcome {
    outdated(page)?;
    let Some(settings) = page.settings.get() else {
        return Ok(());
    };
    dom::text("epsilon-value", &words::epsilon(settings.epsilon))?;
    let asking = page.clone();
    let (number, cap) = (page.asked.get(), cap()?);
    let timer = Timeout::new(REST, move || {
        let question = Request::Cost {
            number,
            settings,
            cap,
        };
        if let Err(error) = asking.connection.send(&question) {
            crate::fault::unexpected(&error);
        }
    });
    page.waiting.replace(Some(timer));
    Ok(())
}

/// ε that all runs on the same rows may cost together; nothing where the field is empty.
pub(crate) fn cap() -> Outcome<f64> {
    Ok(dom::number("set-cap")?.unwrap_or_default())
}

/// A run can start when its cost is on show, its rows are read and nothing else runs.
pub(crate) fn allow(page: &Page) -> Outcome {
    let known = page.cost.borrow().is_some();
    let ready = known && !page.unread.get() && !page.running.get();
    dom::enable("start", ready)?;
    let resumable = page.resumable.get().is_some();
    dom::attribute("start", "class", if resumable { "" } else { "primary" })?;
    dom::show("start-resume", resumable)?;
    dom::enable("start-resume", !page.unread.get() && !page.running.get())
}

fn begin(page: &Page) -> Outcome {
    let Some(settings) = page.settings.get() else {
        return Ok(());
    };
    run::begin(page, settings, false)
}
