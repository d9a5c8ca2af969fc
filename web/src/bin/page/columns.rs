//! Which column is behind each field of the template, and behind the label.

use std::collections::BTreeMap;

use post_text::template::Template;
use web_sys::{Element, Node};

use crate::dom::{self, Outcome};
use wasm_bindgen::JsCast;

/// The field of the answer.
pub(crate) const LABEL: &str = "label";

/// The fields of a template in order, or what is wrong with it.
pub(crate) fn fields(template: &str) -> Result<Vec<String>, String> {
    Template::parse(template)
        .map(|template| template.fields().to_vec())
        .map_err(|error| error.to_string())
}

/// One choice for each field, and one for the label.
pub(crate) fn fill(
    fields: &[String],
    columns: &[String],
    chosen: &BTreeMap<String, String>,
) -> Outcome {
    dom::clear("columns")?;
    let list: Element = dom::by_id("columns")?;
    for field in fields.iter().map(String::as_str).chain([LABEL]) {
        let row = dom::copy("column-row", &list)?;
        let words = match field {
            LABEL => "The label, which is to be learnt".to_owned(),
            "text" if fields.len() == 1 => "The text".to_owned(),
            field => format!("The text for {{{field}}}"),
        };
        dom::part_text(&row, "field", &words)?;
        let select: Element = dom::part(&row, "column")?;
        select.set_attribute("data-field", field)?;
        let choice = chosen.get(field).filter(|name| columns.contains(name));
        options(
            &select,
            columns,
            choice.map(String::as_str),
            "choose a column",
        )?;
    }
    Ok(())
}

/// Fills a select with names, below a first line that stands for none.
pub(crate) fn options(
    select: &Element,
    names: &[String],
    chosen: Option<&str>,
    none: &str,
) -> Outcome {
    select.replace_children_with_node_0();
    dom::child(select, "option", none)?.set_attribute("value", "")?;
    for name in names {
        dom::child(select, "option", name)?.set_attribute("value", name)?;
    }
    dom::set_value_of(select, chosen.unwrap_or_default())
}

/// What is chosen now; fields without a column are left out.
pub(crate) fn read() -> Outcome<BTreeMap<String, String>> {
    let list: Element = dom::by_id("columns")?;
    let selects = list.query_selector_all("select")?;
    let mut chosen = BTreeMap::new();
    for index in 0..selects.length() {
        let Some(select) = selects.get(index).map(Node::unchecked_into::<Element>) else {
            continue;
        };
        let field = select.get_attribute("data-field").unwrap_or_default();
        let column = dom::value_of(&select);
        if !column.is_empty() {
            chosen.insert(field, column);
        }
    }
    Ok(chosen)
}
