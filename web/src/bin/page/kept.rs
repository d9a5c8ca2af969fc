//! A run that was interrupted, here or in an earlier session.

use post_web::protocol::{Kept, Request};

use crate::dom::{self, Outcome};
use crate::{Page, data, fault, privacy, student, words};

pub(crate) fn listen(page: &Page) -> Outcome {
    let returning = page.clone();
    dom::on("kept-go", "click", move |_| go_on(&returning))?;
    let page = page.clone();
    dom::on("kept-discard", "click", move |_| {
        page.connection.send(&Request::Discard)
    })
}

/// Offers to go on with it; with none, takes the offer back.
pub(crate) fn offer(page: &Page, kept: Option<Kept>) -> Outcome {
    dom::show("kept", kept.is_some())?;
    if let Some(kept) = &kept {
        dom::text("kept-text", &about(kept))?;
    }
    page.kept.replace(kept);
    page.returning.set(false);
    Ok(())
}

fn about(kept: &Kept) -> String {
    format!(
        "It tuned on the student {} with {} and made {} of {} steps.",
        kept.student,
        words::epsilon(kept.epsilon),
        words::count(kept.step),
        words::count(kept.steps)
    )
}

/// Loads the student of it, then asks for the same table.
fn go_on(page: &Page) -> Outcome {
    let Some(wanted) = page.kept.borrow().as_ref().map(|kept| kept.bundle.clone()) else {
        return Ok(());
    };
    page.returning.set(true);
    let loaded = page
        .card
        .borrow()
        .as_ref()
        .is_some_and(|card| card.hash == wanted);
    if loaded {
        data::ask(page)?;
        return dom::go_to("data-heading");
    }
    let listed = page
        .bundles
        .borrow()
        .iter()
        .any(|bundle| bundle.card.hash == wanted);
    if listed {
        return student::load(page, &wanted);
    }
    fault::say(
        "The run's student is not on the list.",
        "Choose the file of the student that it was tuning on, then the same table.",
    )?;
    dom::go_to("student-heading")
}

/// Says whether the rows that were read are the run's.
pub(crate) fn fits(page: &Page, resumable: bool) -> Outcome {
    let returning = page.returning.get();
    if returning && !resumable && page.kept.borrow().is_some() {
        fault::say(
            "The kept run does not fit.",
            "It was made with other rows, another student or read them in another way. Choose the same file \
             again, or start a new run.",
        )?;
    }
    if returning && resumable {
        dom::go_to("privacy-heading")?;
    }
    privacy::allow(page)
}

pub(crate) fn discarded(page: &Page) -> Outcome {
    page.resumable.set(None);
    offer(page, None)?;
    privacy::allow(page)
}
