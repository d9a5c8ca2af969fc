//! One table, three ways: aligned text for terminals, Markdown for documents, HTML for pages.

use super::escape;

/// Where a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table of finished texts. The first column names the rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headers; `push` its rows.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = (S, Align)>) -> Self {
        let columns = columns
            .into_iter()
            .map(|(title, align)| (title.into(), align))
            .collect();
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row. Missing cells are empty, and what has no column is left out.
    pub fn push<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// Columns padded with spaces, a rule below the header; one line for each row.
    pub fn to_text(&self) -> String {
        let widths = self.widths();
        let mut out = self.text_line(
            &widths,
            self.columns.iter().map(|(title, _)| title.as_str()),
        );
        let rules: Vec<_> = widths.iter().map(|&width| "─".repeat(width)).collect();
        out += &self.text_line(&widths, rules.iter().map(String::as_str));
        for row in &self.rows {
            out += &self.text_line(&widths, row.iter().map(String::as_str));
        }
        out
    }

    /// A GitHub-flavoured Markdown table.
    pub fn to_markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let cell = |text: &String| one_line(text).replace('|', "\\|");
        let mut out = line(self.columns.iter().map(|(title, _)| cell(title)).collect());
        let rule = |align| if align == Align::Right { "---:" } else { "---" };
        out += &line(
            self.columns
                .iter()
                .map(|&(_, align)| rule(align).to_owned())
                .collect(),
        );
        for row in &self.rows {
            out += &line(row.iter().map(cell).collect());
        }
        out
    }

    /// An HTML table with `caption`, headers bound to their columns and rows. Wide ones can be scrolled,
    /// with the keyboard too.
    pub fn to_html(&self, caption: &str) -> String {
        let mut out = format!(
            "<div class=\"scroll\" role=\"region\" aria-label=\"{0}\" tabindex=\"0\"><table>\n\
             <caption>{0}</caption>\n<thead><tr>",
            escape(caption)
        );
        for (title, align) in &self.columns {
            out += &format!("<th scope=\"col\"{}>{}</th>", class(*align), escape(title));
        }
        out += "</tr></thead>\n<tbody>\n";
        for row in &self.rows {
            out += "<tr>";
            for (index, (cell, (_, align))) in row.iter().zip(&self.columns).enumerate() {
                let (open, close) = if index == 0 {
                    ("th scope=\"row\"", "th")
                } else {
                    ("td", "td")
                };
                out += &format!("<{open}{}>{}</{close}>", class(*align), escape(cell));
            }
            out += "</tr>\n";
        }
        out + "</tbody>\n</table></div>\n"
    }

    /// Widest cell of each column, in characters.
    fn widths(&self) -> Vec<usize> {
        let widest = |column: usize, title: &str| {
            let cells = self
                .rows
                .iter()
                .map(|row| one_line(&row[column]).chars().count());
            cells.chain([title.chars().count()]).max().unwrap_or(0)
        };
        self.columns
            .iter()
            .enumerate()
            .map(|(i, (title, _))| widest(i, title))
            .collect()
    }

    fn text_line<'a>(&self, widths: &[usize], cells: impl Iterator<Item = &'a str>) -> String {
        let mut line = String::new();
        for ((cell, &width), (_, align)) in cells.zip(widths).zip(&self.columns) {
            let cell = one_line(cell);
            line += &match align {
                Align::Left => format!("{cell:<width$}  "),
                Align::Right => format!("{cell:>width$}  "),
            };
        }
        format!("{}\n", line.trim_end())
    }
}

fn class(align: Align) -> &'static str {
    match align {
        Align::Left => "",
        Align::Right => " class=\"number\"",
    }
}

/// Without line breaks and escape sequences: a table's row is one line of the terminal.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([("model", Align::Left), ("accuracy", Align::Right)]);
        table.push(["zéro-shot", "50.0 %"]);
        table.push(["a|b <i>\n\u{1b}[31m"]);
        table
    }

    #[test]
    fn text_is_aligned_and_holds_no_control_characters() {
        let expected = "model          accuracy\n\
                        ─────────────  ────────\n\
                        zéro-shot        50.0 %\n\
                        a|b <i>  [31m\n";
        assert_eq!(table().to_text(), expected);
    }

    #[test]
    fn markdown_and_html_escape_their_marks() {
        let markdown = table().to_markdown();
        assert!(
            markdown.starts_with("| model | accuracy |\n| --- | ---: |\n"),
            "{markdown}"
        );
        assert!(markdown.contains("a\\|b"), "{markdown}");
        let html = table().to_html("A & B");
        assert!(html.contains("<caption>A &amp; B</caption>"), "{html}");
        assert!(html.contains("<td class=\"number\">50.0 %</td>"), "{html}");
        assert!(
            html.contains("&lt;i&gt;") && !html.contains("<i>"),
            "{html}"
        );
    }
}
