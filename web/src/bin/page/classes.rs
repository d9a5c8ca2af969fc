//! The classes: names, what the label column holds for them, words of the model.

use post_web::protocol::{Column, TaskClass};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, Node};

use crate::columns::LABEL;
use crate::dom::{self, Outcome};
use crate::words;
use crate::{Page, columns, fault, mapping};

/// Values that are named in a sentence.
const SHOWN: usize = 5;

pub(crate) fn listen(page: &Page) -> Outcome {
    let adding = page.clone();
    dom::on("class-add", "click", move |_| {
        let row = add(&adding, &empty())?;
        dom::part::<HtmlElement>(&row, "name")?.focus()?;
        mapping::changed(&adding)
    })?;
    let page = page.clone();
    dom::on("values-use", "click", move |_| {
        take_values(&page)?;
        mapping::changed(&page)
    })
}

pub(crate) fn fill(page: &Page, classes: &[TaskClass]) -> Outcome {
    dom::clear("classes")?;
    for class in classes {
        add(page, class)?;
    }
    Ok(())
}

fn empty() -> TaskClass {
    TaskClass {
        name: String::new(),
        values: Vec::new(),
        words: Vec::new(),
    }
}

fn add(page: &Page, class: &TaskClass) -> Outcome<Element> {
    let list: Element = dom::by_id("classes")?;
    let row = dom::copy("class-row", &list)?;
    let number = list.child_element_count();
    row.set_attribute("aria-label", &format!("Class {number}"))?;
    dom::set_value_of(&dom::part(&row, "name")?, &class.name)?;
    dom::set_value_of(&dom::part(&row, "values")?, &class.values.join(", "))?;
    dom::set_value_of(&dom::part(&row, "words")?, &class.words.join(", "))?;
    let (page, removed) = (page.clone(), row.clone());
    let button: HtmlElement = dom::part(&row, "remove")?;
    button.set_attribute("aria-label", &format!("Remove class {number}"))?;
    dom::listen(&button, "click", move |_| {
        removed.remove();
        dom::by_id::<HtmlElement>("class-add")?.focus()?;
        mapping::changed(&page)
    });
    Ok(row)
}

/// The classes as the form has them.
pub(crate) fn read() -> Outcome<Vec<TaskClass>> {
    let list: Element = dom::by_id("classes")?;
    let rows = list.query_selector_all(".class-row")?;
    let mut classes = Vec::new();
    for index in 0..rows.length() {
        let Some(row) = rows.get(index).map(Node::unchecked_into::<Element>) else {
            continue;
        };
        let field = |name| dom::part::<Element>(&row, name).map(|field| dom::value_of(&field));
        classes.push(TaskClass {
            name: field("name")?.trim().to_owned(),
            values: words::listed(&field("values")?),
            words: words::listed(&field("words")?),
        });
    }
    Ok(classes)
}

/// Offers the label column's own values where the classes leave some of them out.
pub(crate) fn compare(page: &Page) -> Outcome {
    let missing = unnamed(page)?;
    dom::show("values-offer", !missing.is_empty())?;
    dom::text("values-missing", &words::some_of(&missing, SHOWN))
}

/// Values of the label column that no class and no exception names.
pub(crate) fn unnamed(page: &Page) -> Outcome<Vec<String>> {
    let Some(column) = label_column(page)? else {
        return Ok(Vec::new());
    };
    let mut known = words::listed(&dom::value("ignored")?);
    for class in read()? {
        if class.values.is_empty() {
            known.push(class.name);
        }
        known.extend(class.values);
    }
    let values = column.values.iter().map(|(value, _)| value.trim());
    Ok(values
        .filter(|value| !value.is_empty() && !known.iter().any(|name| name == value))
        .map(str::to_owned)
        .collect())
}

fn label_column(page: &Page) -> Outcome<Option<Column>> {
    let chosen = columns::read()?;
    let Some(name) = chosen.get(LABEL) else {
        return Ok(None);
    };
    let table = page.table.borrow();
    let columns = table.iter().flat_map(|table| &table.columns);
    Ok(columns
        .into_iter()
        .find(|column| column.name == *name)
        .cloned())
}

/// The class that a value stands for: one of the task's where their names begin alike, such as `pos` and
/// `positive`; else a class of its own, for which the value itself speaks.
fn class_for(value: &str, task: &[TaskClass]) -> TaskClass {
    let lower = value.to_lowercase();
    let alike = |class: &&TaskClass| {
        let name = class.name.to_lowercase();
        !name.is_empty() && (name.starts_with(&lower) || lower.starts_with(&name))
    };
    let (name, words) = match task.iter().find(alike) {
        Some(class) => (class.name.clone(), class.words.clone()),
        None => (value.to_owned(), vec![lower]),
    };
    TaskClass {
        name,
        values: vec![value.to_owned()],
        words,
    }
}

/// One class for each value of the label column.
fn take_values(page: &Page) -> Outcome {
    let column = label_column(page)?.filter(|column| !column.values.is_empty());
    let Some(column) = column else {
        return fault::say(
            "These cannot be classes.",
            "The label column holds too many different values; choose another column.",
        );
    };
    let values = column.values.iter().map(|(value, _)| value.trim());
    let task = read()?;
    let mut classes: Vec<TaskClass> = Vec::new();
    for value in values.filter(|value| !value.is_empty()) {
        let class = class_for(value, &task);
        match classes.iter_mut().find(|known| known.name == class.name) {
            Some(known) => known.values.extend(class.values),
            None => classes.push(class),
        }
    }
    fill(page, &classes)
}
