//! Plots as inline SVG.

mod bar;
mod line;
mod scale;

pub use bar::{Bar, BarChart};
pub use line::{Axis, LineChart, Series};

use super::escape;

/// Width of every plot in its own units; the page scales it.
const WIDTH: f64 = 640.0;
/// Colours and dash patterns in the style sheet; more series start over.
const STYLES: usize = 5;
/// Mean width of a character of the 12-pixel label font.
const CHARACTER: f64 = 6.4;

/// Number, from 1, of the style of the series at `index`.
fn style(index: usize) -> usize {
    index % STYLES + 1
}

/// The outer element: `content` with a title and a description that assistive technology reads.
fn svg(id: &str, height: f64, title: &str, description: &str, content: &str) -> String {
    let id = identifier(id);
    format!(
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" \
         aria-labelledby=\"{id}-title {id}-desc\" xmlns=\"http://www.w3.org/2000/svg\">\n\
         <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n{content}</svg>\n",
        escape(title),
        escape(description),
    )
}

/// A text; `class` names its anchor and tone.
fn text(x: f64, y: f64, class: &str, content: &str) -> String {
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{}</text>\n",
        escape(content)
    )
}

/// A straight line.
fn segment(class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> String {
    format!(
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"
    )
}

/// Letters, digits and hyphens: what can be an element's id.
fn identifier(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}

/// How wide a text will be, roughly.
fn width_of(text: &str) -> f64 {
    CHARACTER * text.chars().count() as f64
}
