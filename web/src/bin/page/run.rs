//! The run: how far it is, and the three things that its owner can do about it.

use post_text::report::{Axis, LineChart, Series};
use post_web::protocol::{Finished, Kept, Meter, Progress, Request, Settings, Stage};

use crate::dom::{self, Drawing, Outcome};
use crate::steps::{self, Step};
use crate::words;
use crate::{Page, export, fault, guard, kept, mapping, privacy, start};

/// The curve is drawn at most so often, in milliseconds.
const DRAWN_EVERY: f64 = 500.0;

pub(crate) fn listen(page: &Page) -> Outcome {
    button(page, "pause", |page| {
        dom::text("run-note", "Pausing after the rows at hand…")?;
        page.connection.send(&Request::Pause)
    })?;
    button(page, "stop", |page| {
        dom::text("run-note", "Stopping…")?;
        page.connection.send(&Request::Stop)
    })?;
    button(page, "continue", |page| {
        if !page.running.get() {
            return resume_kept(page);
        }
        waiting(page, false)?;
        dom::text("run-note", "")?;
        page.connection.send(&Request::Resume)
    })
}

fn button(page: &Page, id: &str, act: impl Fn(&Page) -> Outcome + 'static) -> Outcome {
    let page = page.clone();
    dom::on(id, "click", move |_| act(&page))
}

/// Starts a run, or goes on with the kept one.
pub(crate) fn begin(page: &Page, settings: Settings, resume: bool) -> Outcome {
    fault::clear()?;
    page.running.set(true);
    page.losses.borrow_mut().clear();
    page.drawn.set(0.0);
    steps::freeze(true)?;
    privacy::allow(page)?;
    steps::done(Step::Privacy)?;
    steps::lock(Step::Result)?;
    steps::open(Step::Run)?;
    dom::show("kept", false)?;
    waiting(page, false)?;
    dom::show("stop", true)?;
    dom::show("loss-figure", false)?;
    dom::progress("run-bar", None)?;
    for id in ["run-left", "run-speed"] {
        dom::text(id, "–")?;
    }
    dom::text("run-checkpoint", "none yet")?;
    dom::show("run-unstored", false)?;
    dom::text("run-note", "")?;
    dom::text("run-text", "Getting ready…")?;
    dom::go_to("run-heading")?;
    let from_prompt = !resume && start::from_prompt()?;
    page.connection.send(&Request::Start {
        settings,
        resume,
        cap: privacy::cap()?,
        from_prompt,
    })
}

/// Goes on with the interrupted run, with the settings that it began with.
pub(crate) fn resume_kept(page: &Page) -> Outcome {
    let settings = page.resumable.get();
    settings.map_or(Ok(()), |settings| begin(page, settings, true))
}

pub(crate) fn starting(stage: Stage) -> Outcome {
    let words = match stage {
        Stage::SelfTest => {
            "Testing that this device computes right and that no row can weigh too much…"
        }
        Stage::Encode => "Reading the rows…",
        Stage::Store => "Noting the cost in this browser…",
        _ => "Getting ready…",
    };
    dom::text("run-text", words)
}

pub(crate) fn started(page: &Page, step: u64, steps: u64) -> Outcome {
    // It may have been waiting in the session that kept it.
    page.running.set(true);
    dom::text("run-text", &so_far(step, steps))?;
    dom::progress("run-bar", Some(step as f64 / steps.max(1) as f64))
}

fn so_far(step: u64, steps: u64) -> String {
    format!("Step {} of {}", words::count(step), words::count(steps))
}

pub(crate) fn progress(page: &Page, progress: &Progress) -> Outcome {
    if !page.running.get() {
        return Ok(());
    }
    let share = (progress.step as f64 + progress.within) / progress.steps.max(1) as f64;
    dom::text("run-text", &so_far(progress.step, progress.steps))?;
    dom::progress("run-bar", Some(share.min(1.0)))?;
    dom::text("run-speed", &words::figure(progress.speed))?;
    dom::text("run-left", &words::time(progress.seconds_left))
}

pub(crate) fn metrics(page: &Page, step: u64, loss: Option<f64>) -> Outcome {
    let point = (step as f64, loss.unwrap_or(f64::NAN));
    page.losses.borrow_mut().push(point);
    let now = js_sys::Date::now();
    if now - page.drawn.get() < DRAWN_EVERY {
        return Ok(());
    }
    page.drawn.set(now);
    curve(page)
}

fn curve(page: &Page) -> Outcome {
    let points = page.losses.borrow().clone();
    if points.len() < 2 {
        return Ok(());
    }
    let axis = |label: &str| Axis {
        label: label.to_owned(),
        log: false,
        ..Axis::default()
    };
    let chart = LineChart {
        id: "loss-curve".into(),
        title: "Loss of each step".into(),
        x: axis("step"),
        y: axis("mean loss of the step's rows"),
        series: vec![Series {
            name: "loss".into(),
            points,
            band: Vec::new(),
        }],
    };
    dom::show("loss-figure", true)?;
    dom::draw("loss", &Drawing::Lines(&chart))
}

pub(crate) fn checkpoint(step: u64, unstored: Option<String>) -> Outcome {
    let words = match &unstored {
        None => format!("at step {}", words::count(step)),
        Some(_) => "not stored".to_owned(),
    };
    dom::text("run-checkpoint", &words)?;
    let lost = unstored.map(|reason| format!("A closed tab would lose this run: {reason}"));
    dom::maybe("run-unstored", lost.as_deref())
}

pub(crate) fn meter(meter: &Meter) -> Outcome {
    let share = meter.spent / meter.epsilon.max(f64::MIN_POSITIVE);
    dom::progress("budget", Some(share.clamp(0.0, 1.0)))?;
    let (spent, all) = (words::epsilon(meter.spent), words::figure(meter.epsilon));
    dom::text("budget-text", &format!("{spent} of {all}"))
}

pub(crate) fn paused(page: &Page) -> Outcome {
    if !page.running.get() {
        return Ok(());
    }
    dom::text("run-note", "Paused.")?;
    waiting(page, true)
}

/// Whether it waits for its owner.
fn waiting(page: &Page, waits: bool) -> Outcome {
    page.paused.set(waits);
    if waits {
        guard::release(page)?;
    } else {
        guard::hold(page)?;
    }
    dom::show("continue", waits)?;
    dom::show("pause", !waits)
}

/// Its owner stopped it, and can go on.
pub(crate) fn stopped(page: &Page, kept: Option<Kept>) -> Outcome {
    over(page)?;
    let words = match &kept {
        Some(kept) => format!(
            "Stopped at step {}. The run is kept in this browser.",
            words::count(kept.step)
        ),
        None => "Stopped. Nothing of it could be kept.".to_owned(),
    };
    page.resumable.set(kept.as_ref().map(|kept| kept.settings));
    dom::show("continue", kept.is_some())?;
    dom::text("run-note", &words)?;
    page.kept.replace(kept);
    privacy::ask(page)
}

/// It broke off; what was kept of it is still kept, and the worker says whether it fits.
pub(crate) fn failed(page: &Page) -> Outcome {
    over(page)?;
    dom::text("run-text", "Interrupted")?;
    let mapping = page.mapping.borrow().clone();
    mapping.map_or(Ok(()), |mapping| mapping::read_rows(page, mapping))
}

/// The worker itself is gone.
pub(crate) fn lost(page: &Page) -> Outcome {
    if page.running.get() {
        over(page)?;
        dom::text("run-text", "Interrupted")?;
    }
    steps::freeze(true)
}

pub(crate) fn done(page: &Page, finished: &Finished) -> Outcome {
    curve(page)?;
    over(page)?;
    dom::text("run-text", "Every step is made")?;
    dom::text("run-left", "none")?;
    dom::progress("run-bar", Some(1.0))?;
    steps::done(Step::Run)?;
    steps::open(Step::Try)?;
    page.resumable.set(None);
    kept::offer(page, None)?;
    export::show(finished)?;
    privacy::ask(page)
}

fn over(page: &Page) -> Outcome {
    page.running.set(false);
    guard::release(page)?;
    steps::freeze(false)?;
    dom::show("pause", false)?;
    dom::show("continue", false)?;
    dom::show("stop", false)
}
