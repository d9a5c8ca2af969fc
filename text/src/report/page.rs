//! One self-contained HTML page out of sections.

use super::table::Table;
use super::{escape, plot};

/// The style of pages, tables and plots, for light and dark.
pub const STYLE: &str = include_str!("style.css");

/// Something in a section.
#[derive(Debug, Clone)]
pub enum Block {
    /// A paragraph of plain text.
    Text(String),
    /// A paragraph that nobody may overlook, such as "not private".
    Notice(String),
    /// Text to be shown as it is: settings, commands.
    Code(String),
    /// A table with its caption.
    Table(String, Table),
    /// Lines over an axis.
    Lines(plot::LineChart),
    /// Bars with intervals.
    Bars(plot::BarChart),
}

/// A heading and what stands below it.
#[derive(Debug, Clone)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// Its content, in order.
    pub blocks: Vec<Block>,
}

/// A whole page: no script, no request (its own policy forbids both), light and dark.
pub fn html(title: &str, sections: &[Section]) -> String {
    let title = escape(title);
    let body: String = sections.iter().map(section).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main class=\"report\">\n\
         <h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    )
}

fn section(section: &Section) -> String {
    let blocks: String = section.blocks.iter().map(block).collect();
    format!(
        "<section>\n<h2>{}</h2>\n{blocks}</section>\n",
        escape(&section.heading)
    )
}

fn block(block: &Block) -> String {
    match block {
        Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
        Block::Notice(text) => format!("<p class=\"notice\" role=\"note\">{}</p>\n", escape(text)),
        Block::Code(text) => format!("<pre tabindex=\"0\"><code>{}</code></pre>\n", escape(text)),
        Block::Table(caption, table) => table.to_html(caption),
        Block::Lines(chart) => figure(&chart.title, &chart.to_svg()),
        Block::Bars(chart) => figure(&chart.title, &chart.to_svg()),
    }
}

fn figure(caption: &str, svg: &str) -> String {
    format!(
        "<figure>\n<figcaption>{}</figcaption>\n{svg}</figure>\n",
        escape(caption)
    )
}

#[cfg(test)]
mod tests {
    use super::super::Align;
    use super::*;

    #[test]
    fn a_page_needs_nothing_from_outside_and_keeps_data_as_text() {
        let mut table = Table::new([("a", Align::Left)]);
        table.push(["<script>alert(1)</script>"]);
        let sections = [Section {
            heading: "Réponse <1>".into(),
            blocks: vec![
                Block::Text("x < y".into()),
                Block::Notice("not private".into()),
                Block::Code("a = \"b\"".into()),
                Block::Table("c".into(), table),
            ],
        }];
        let page = html("Run & report", &sections);
        assert!(page.contains("<title>Run &amp; report</title>"));
        assert!(page.contains("<h2>Réponse &lt;1&gt;</h2>"));
        assert!(page.contains("<p>x &lt; y</p>"));
        assert!(page.contains("default-src 'none'"));
        for forbidden in [
            "<script", "src=\"", "href=", "url(", "@import", "http://", "https://",
        ] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }
}
