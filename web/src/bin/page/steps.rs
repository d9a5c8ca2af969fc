//! Which steps are open, done, or wait for their turn.

use crate::dom::{self, Outcome};

/// A step of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Student,
    Data,
    Privacy,
    Run,
    Result,
    Try,
}

impl Step {
    fn id(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Data => "data",
            Self::Privacy => "privacy",
            Self::Run => "run",
            Self::Result => "result",
            Self::Try => "try",
        }
    }
}

/// It is the person's turn here.
pub(crate) fn open(step: Step) -> Outcome {
    set(step, "open")?;
    body(step, true)
}

/// It can be used, but nobody has to.
pub(crate) fn ready(step: Step) -> Outcome {
    set(step, "ready")?;
    body(step, true)
}

/// It is done, and stays to be looked at and changed.
pub(crate) fn done(step: Step) -> Outcome {
    set(step, "done")?;
    body(step, true)
}

/// It waits for the steps before it.
pub(crate) fn lock(step: Step) -> Outcome {
    set(step, "locked")?;
    body(step, false)
}

fn set(step: Step, state: &str) -> Outcome {
    dom::attribute(step.id(), "data-state", state)
}

fn body(step: Step, visible: bool) -> Outcome {
    if step == Step::Student {
        // The first step has nothing to wait for.
        return Ok(());
    }
    dom::show(&format!("{}-body", step.id()), visible)
}

/// What must not change while the worker is busy with a run.
pub(crate) fn freeze(frozen: bool) -> Outcome {
    dom::enable("student-controls", !frozen)?;
    dom::enable("device-controls", !frozen)?;
    dom::enable("data-controls", !frozen)?;
    dom::enable("mapping-controls", !frozen)?;
    dom::enable("privacy-controls", !frozen)?;
    dom::enable("try-controls", !frozen)
}
