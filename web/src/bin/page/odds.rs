//! Privacy in a picture: of 100 guesses, how many may be right.

use web_sys::Element;

use crate::dom::{self, Outcome};

/// Dots in a line.
const LINE: usize = 20;
const DOTS: usize = 100;
/// Right ones of 100 guesses when a coin is tossed.
const COIN: usize = 50;
const SVG: &str = "http://www.w3.org/2000/svg";

/// Draws the dots; `right` is the share of guesses that may be right, rounded up here.
pub(crate) fn draw(right: f64) -> Outcome {
    let place: Element = dom::by_id("odds-dots")?;
    if place.child_element_count() == 0 {
        fill(&place)?;
    }
    let dots = place.query_selector_all("circle")?;
    let right = of_hundred(right);
    for index in 0..DOTS {
        let class = match index {
            _ if index < COIN => "coin",
            _ if index < right => "gain",
            _ => "none",
        };
        if let Some(dot) = dots.get(index as u32) {
            wasm_bindgen::JsCast::unchecked_into::<Element>(dot).set_attribute("class", class)?;
        }
    }
    Ok(())
}

/// Never fewer than it is.
pub(crate) fn of_hundred(right: f64) -> usize {
    ((100.0 * right).ceil().max(0.0) as usize).clamp(COIN, DOTS)
}

/// The words beside it say the same, so it is nothing for a screen reader.
fn fill(place: &Element) -> Outcome {
    let document = dom::document()?;
    let svg = document.create_element_ns(Some(SVG), "svg")?;
    let (width, height) = (LINE * 10, DOTS / LINE * 10);
    svg.set_attribute("viewBox", &format!("0 0 {width} {height}"))?;
    svg.set_attribute("class", "dots")?;
    svg.set_attribute("aria-hidden", "true")?;
    for index in 0..DOTS {
        let dot = document.create_element_ns(Some(SVG), "circle")?;
        dot.set_attribute("cx", &(index % LINE * 10 + 5).to_string())?;
        dot.set_attribute("cy", &(index / LINE * 10 + 5).to_string())?;
        dot.set_attribute("r", "3.4")?;
        svg.append_child(&dot)?;
    }
    place.append_child(&svg)?;
    Ok(())
}
