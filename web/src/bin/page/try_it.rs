//! What the student says to a text, without the prompt and with it.

use post_text::report::{Bar, BarChart};
use post_web::protocol::{Request, TaskForm, Tried};
use wasm_bindgen::JsCast;
use web_sys::Element;

use crate::dom::{self, Drawing, Outcome};
use crate::{Page, columns, drop, fault, heldout, words};

pub(crate) fn listen(page: &Page) -> Outcome {
    let trying = page.clone();
    dom::on("try-form", "submit", move |event| {
        event.prevent_default();
        ask(&trying)
    })?;
    let page = page.clone();
    drop::zone("prompt-drop", "prompt-file", move |file| {
        dom::text("try-note", "Unpacking the prompt…")?;
        page.connection.send_with(&Request::Import, &file)
    })
}

/// One text for each field of the task's template; what was written stays where nothing changed.
pub(crate) fn fields(task: &TaskForm) -> Outcome {
    let fields = columns::fields(&task.template).unwrap_or_default();
    let list: Element = dom::by_id("try-fields")?;
    let names = fields.join("\n");
    if list.get_attribute("data-fields").as_ref() == Some(&names) {
        return Ok(());
    }
    list.set_attribute("data-fields", &names)?;
    dom::clear("try-fields")?;
    dom::clear("tried")?;
    for field in &fields {
        let row = dom::copy("try-row", &list)?;
        let name = if fields.len() == 1 {
            "Your text"
        } else {
            field
        };
        dom::part_text(&row, "field", name)?;
    }
    Ok(())
}

fn ask(page: &Page) -> Outcome {
    let list: Element = dom::by_id("try-fields")?;
    let areas = list.query_selector_all("textarea")?;
    let texts: Vec<String> = (0..areas.length())
        .filter_map(|index| areas.get(index))
        .map(|area| dom::value_of(&area.unchecked_into::<Element>()))
        .collect();
    if texts.iter().all(|text| text.trim().is_empty()) {
        return fault::say("There is nothing to try.", "Write a text first.");
    }
    fault::clear()?;
    dom::enable("try-go", false)?;
    dom::text("try-note", "Asking…")?;
    page.connection.send(&Request::Try { texts })
}

pub(crate) fn show(tried: &Tried) -> Outcome {
    dom::enable("try-go", true)?;
    let cut = (tried.removed > 0).then(|| {
        let tokens = words::several(tried.removed, "token", "tokens");
        format!("The text was too long: {tokens} at its start were left out.")
    });
    dom::text("try-note", &cut.unwrap_or_default())?;
    let mut bars = Vec::new();
    for (index, class) in tried.classes.iter().enumerate() {
        let with = tried.with.as_ref().and_then(|with| with.get(index));
        let before = tried.before.get(index);
        bars.extend(before.map(|share| bar(&format!("{class}, without the prompt"), *share, 4)));
        bars.extend(with.map(|share| bar(&format!("{class}, with the prompt"), *share, 0)));
    }
    let chart = BarChart {
        id: "tried-chart".into(),
        title: "What the student answers".into(),
        label: "probability".into(),
        bars,
        mark: None,
    };
    dom::draw("tried", &Drawing::Bars(&chart))
}

fn bar(label: &str, share: f64, group: usize) -> Bar {
    Bar {
        label: label.to_owned(),
        value: share,
        low: share,
        high: share,
        group,
    }
}

pub(crate) fn imported(summary: &str, goes_on: bool) -> Outcome {
    dom::text("try-note", "")?;
    let way = if goes_on {
        " To tune on from it, tick the box above “Start tuning”."
    } else {
        ""
    };
    dom::maybe("imported", Some(&format!("{summary}{way}")))?;
    dom::clear("tried")?;
    heldout::clear()
}

pub(crate) fn failed() -> Outcome {
    dom::enable("try-go", true)?;
    dom::text("try-note", "")
}
