//! Tables and SVG plots shared by the report and the page: data in, text out.
//!
//! Nothing made here needs a script, a font or a request. Plots carry classes, not colours, so that
//! they obey the page's style sheet ([`STYLE`]) in light and dark, also under a strict
//! Content-Security-Policy; each has a title and a description for those who don't see it.

mod page;
mod plot;
mod table;

pub use page::{Block, STYLE, Section, html};
pub use plot::{Axis, Bar, BarChart, LineChart, Series};
pub use table::{Align, Table};

/// Text as it may stand in HTML and SVG, between tags and within quoted attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML knows no other control characters, not even escaped.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A share as people read it: `0.7123` → `71.2 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_data_stays_text() {
        assert_eq!(
            escape("<b a='\"'>&\u{1b}é\n"),
            "&lt;b a=&#39;&quot;&#39;&gt;&amp;\u{fffd}é\n"
        );
        assert_eq!(percent(0.7123), "71.2 %");
    }
}
