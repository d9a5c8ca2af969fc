//! What a run would cost, in words before numbers.

use post_web::protocol::{Cost, Past, Unit};

use crate::dom::{self, Outcome};
use crate::{Page, odds, privacy, words};

pub(crate) fn show(page: &Page, number: u64, cost: Cost) -> Outcome {
    if number != page.asked.get() {
        // The answer to a question that was replaced meanwhile.
        return Ok(());
    }
    dom::show("refused", false)?;
    odds::draw(cost.right)?;
    dom::text("odds-text", &in_words(page, &cost))?;
    dom::attribute("epsilon", "aria-valuetext", &spoken(&cost))?;
    numbers(page, &cost)?;
    dom::text("cost-ledger", &ledger(&cost))?;
    earlier(&cost)?;
    let time = cost.seconds.map(words::time);
    dom::text(
        "cost-time",
        &time.map_or_else(
            || "How long it takes is known once the device was measured.".to_owned(),
            |time| format!("It will take about {time} on this device."),
        ),
    )?;
    dom::text("start-summary", &plan(page, &cost))?;
    dom::stale("cost", false)?;
    page.cost.replace(Some(cost));
    privacy::allow(page)
}

/// The run cannot be; the form stays as it is.
pub(crate) fn refused(page: &Page, number: u64, reason: &str) -> Outcome {
    if number != page.asked.get() {
        return Ok(());
    }
    page.cost.replace(None);
    dom::maybe("refused", Some(reason))?;
    dom::text("start-summary", "This run cannot be started as it is set.")?;
    privacy::allow(page)
}

fn numbers(page: &Page, cost: &Cost) -> Outcome {
    dom::text("statement", &cost.statement)?;
    dom::text("cost-epsilon", &words::figure(cost.epsilon))?;
    dom::text("cost-delta", &words::chance(cost.delta))?;
    dom::text("cost-noise", &words::figure(cost.noise_multiplier))?;
    dom::text(
        "cost-rate",
        &format!("{} %", words::figure(100.0 * cost.sample_rate)),
    )?;
    dom::text("cost-batch", &words::figure(cost.expected_batch))?;
    dom::text("cost-steps", &words::count(cost.steps))?;
    let size = page.settings.get().map(|settings| settings.public_size);
    dom::text("cost-size", &size.map(words::count).unwrap_or_default())
}

fn in_words(page: &Page, cost: &Cost) -> String {
    let unit = page.settings.get().map(|settings| settings.unit);
    let whom = match unit {
        Some(Unit::Person) => "a certain person is in your table",
        _ => "a certain row is in your table",
    };
    let right = if cost.right > 0.99 {
        format!("{:.3} % of", (1e5 * cost.right).ceil() / 1e3)
    } else {
        format!("{} of 100", odds::of_hundred(cost.right))
    };
    format!(
        "Somebody who has your prompt and knows everything else guesses whether {whom}. At most {right} such guesses \
         are right. Tossing a coin, it would be 50 of 100."
    )
}

fn spoken(cost: &Cost) -> String {
    format!(
        "epsilon {}, at most {} of 100 guesses right",
        words::figure(cost.epsilon),
        odds::of_hundred(cost.right)
    )
}

fn ledger(cost: &Cost) -> String {
    let cap = cost.cap.map_or_else(String::new, |cap| {
        format!(" Your limit for all runs is {}.", words::epsilon(cap))
    });
    if cost.earlier.is_empty() {
        return format!("No earlier run on this data is counted in this browser.{cap}");
    }
    format!(
        "{} on this data spent {} together. With this one it will be {}.{cap}",
        words::several(cost.earlier.len(), "earlier run", "earlier runs"),
        words::epsilon(cost.spent),
        words::figure(cost.total)
    )
}

/// Each earlier run, and the limit, which stands once there is one.
fn earlier(cost: &Cost) -> Outcome {
    let run = |past: &Past| {
        let steps = words::several(past.steps as usize, "step", "steps");
        format!("{} in {steps}", words::epsilon(past.epsilon))
    };
    dom::show("earlier", !cost.earlier.is_empty())?;
    dom::list("earlier-runs", cost.earlier.iter().map(run))?;
    dom::enable("set-cap", !cost.cap_fixed)?;
    match cost.cap.filter(|_| cost.cap_fixed) {
        Some(cap) => dom::set_value("set-cap", &cap.to_string()),
        None => Ok(()),
    }
}

fn plan(page: &Page, cost: &Cost) -> String {
    let Some(settings) = page.settings.get() else {
        return String::new();
    };
    let replaced = match page.kept.borrow().is_some() {
        true => " The kept run is given up for it.",
        false => "",
    };
    format!(
        "{} steps, each with about {} of your rows, tune a prompt of {} virtual tokens. The device is tested first, \
         and {} is noted in this browser as spent.{replaced}",
        words::count(cost.steps),
        words::figure(cost.expected_batch),
        settings.num_virtual_tokens,
        words::epsilon(cost.epsilon)
    )
}
