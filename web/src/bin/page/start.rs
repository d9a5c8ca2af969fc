//! Where a run's prompt starts: at the task's sentence, or at a prompt that was taken up.

use crate::dom::{self, Outcome};
use crate::{Page, privacy};

pub(crate) fn listen(page: &Page) -> Outcome {
    let page = page.clone();
    dom::on("set-from", "change", move |_| fit(&page))
}

/// Offers to start from a prompt of so many virtual tokens; with none, takes the offer back.
pub(crate) fn offer(page: &Page, tokens: Option<usize>) -> Outcome {
    page.from_tokens.set(tokens);
    dom::show("from", tokens.is_some())?;
    dom::set_checked("set-from", false)?;
    fit(page)
}

/// Whether the next run starts from the prompt that was taken up.
pub(crate) fn from_prompt() -> Outcome<bool> {
    dom::checked("set-from")
}

/// A run that starts from a prompt has that one's length.
pub(crate) fn fit(page: &Page) -> Outcome {
    let ticked = from_prompt()?;
    let tokens = page.from_tokens.get().filter(|_| ticked);
    dom::enable("set-tokens", tokens.is_none())?;
    let Some(tokens) = tokens else { return Ok(()) };
    privacy::change(page, |settings| settings.num_virtual_tokens = tokens)?;
    page.settings
        .get()
        .map_or(Ok(()), |settings| privacy::fill(&settings))
}
