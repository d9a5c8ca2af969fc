//! The other ways in, each to the point where the page shows what it took.

use std::fs;

use serde_json::json;

use super::browser::Browser;
use super::options::Options;
use super::resume::begun;
use super::server::Served;
use super::student::table;
use super::tiny::{TASK, Tiny};

/// Rows of every table here.
const ROWS: usize = 20;

/// The page with a student loaded.
fn loaded(name: &str, tiny: &Tiny) -> (Served, Browser) {
    let (bundle, sample) = (tiny.bundle(), tiny.table());
    let served = Served::start(&[&bundle], Some((&sample, TASK)));
    let browser = Browser::start(name, &Options::default());
    browser.arrive(&served.url(""));
    browser.load_student();
    (served, browser)
}

/// The page has read all rows of a table of this name and format.
#[track_caller]
fn assert_read(browser: &Browser, name: &str, format: &str) {
    browser.until_text("#table-name", |said| said == name);
    browser.until("the rows to be read", || {
        browser.shows("#summary").then_some(())
    });
    assert_eq!(
        browser.text("#table-facts"),
        format!("{format}, {ROWS} rows, 2 columns")
    );
    let classes = browser.text("#summary-labels");
    for class in ["negative 10 50.0 %", "positive 10 50.0 %"] {
        assert!(classes.contains(class), "{classes}");
    }
}

fn tabbed() -> String {
    table(ROWS, "").replace(',', "\t")
}

fn lines() -> String {
    let rows = table(ROWS, "");
    let rows = rows.lines().skip(1).filter_map(|row| row.split_once(','));
    rows.map(|(text, label)| format!("{}\n", json!({ "text": text, "label": label })))
        .collect()
}

#[test]
fn rows_are_pasted() {
    let tiny = Tiny::new(ROWS);
    let (_served, browser) = loaded("pasted", &tiny);
    browser.click("#data-controls summary");
    browser.click("#paste-use");
    browser.until_text("#error-title", |said| said == "There is nothing to read.");
    browser.type_into("#paste", &table(ROWS, ""));
    browser.click("#paste-use");
    assert_read(&browser, "pasted rows.csv", "comma-separated values");
    assert!(!browser.shows("#error"));
    // A keyboard can't type tabs into a page.
    browser.set("paste", &tabbed());
    browser.click("#paste-use");
    assert_read(&browser, "pasted rows.tsv", "tab-separated values");
    browser.set("paste", &lines());
    browser.click("#paste-use");
    assert_read(&browser, "pasted rows.jsonl", "JSON lines");
}

/// Drops a file on an element; whether the browser would have opened it itself.
const DROP: &str = "
    const [css, name, text] = arguments;
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([text], name));
    const drop = new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true });
    return document.querySelector(css).dispatchEvent(drop);";

#[test]
fn tables_of_every_kind_are_chosen_dropped_or_taken_from_the_server() {
    let tiny = Tiny::new(ROWS);
    let (_served, browser) = loaded("tables", &tiny);
    for (name, text, format) in [
        ("rows.tsv", tabbed(), "tab-separated values"),
        ("rows.jsonl", lines(), "JSON lines"),
    ] {
        let path = tiny.table().with_file_name(name);
        fs::write(&path, text).unwrap();
        browser.choose_table(&path);
        assert_read(&browser, name, format);
    }
    let dropped = |css: &str, name: &str| {
        let opened = browser.script(DROP, &[css.into(), name.into(), table(ROWS, "").into()]);
        assert_eq!(opened, false, "dropped on {css}, it would replace the page");
    };
    dropped("h1", "beside.csv");
    dropped("#table-drop", "dropped.csv");
    assert_read(&browser, "dropped.csv", "comma-separated values");
    browser.click("#sample-use");
    assert_read(&browser, "rows.csv", "comma-separated values");
}

#[test]
fn a_student_of_one_s_own_is_taken_and_kept() {
    let tiny = Tiny::new(ROWS);
    let served = Served::start(&[], None);
    let browser = Browser::start("own-student", &Options::default());
    browser.arrive(&served.url(""));
    assert!(browser.shows("#bundles-none"));
    browser.attach("#bundle-file", &tiny.bundle());
    browser.until_text("#loaded-name", |said| said == "tiny is loaded");
    browser.choose_table(&tiny.table());
    browser.reload();
    assert_eq!(browser.text("#bundles [data-part=stored]"), "stored here");
    browser.load_student();
    browser.choose_table(&tiny.table());
    assert_read(&browser, "rows.csv", "comma-separated values");
}

#[test]
fn a_kept_run_is_discarded_and_its_cost_is_not() {
    let tiny = Tiny::new(60);
    let served = Served::start(&[&tiny.bundle()], None);
    let browser = begun("discarded", &Options::default(), &tiny, &served);
    browser.reload();
    browser.until("the offer to go on", || {
        browser.shows("#kept").then_some(())
    });
    browser.click("#kept-discard");
    browser.until("no offer", || (!browser.shows("#kept")).then_some(()));
    browser.load_student();
    browser.choose_table(&tiny.table());
    let spent = browser.until_text("#cost-ledger", |said| !said.is_empty());
    assert!(spent.starts_with("1 earlier run "), "{spent}");
    assert!(!browser.shows("#start-resume"));
    browser.reload();
    assert!(!browser.shows("#kept"));
}

/// Reads the rows as the form has it now.
#[track_caller]
fn read(browser: &Browser) {
    browser.click("#map");
    browser.until_text("#map-note", |said| said != "Reading the rows…");
}

#[test]
fn classes_are_added_removed_and_given_other_words() {
    let tiny = Tiny::new(ROWS);
    let mut rows = table(ROWS, "");
    rows += "the film was,mixed\n";
    fs::write(tiny.table(), rows).unwrap();
    let (_served, browser) = loaded("classes", &tiny);
    browser.attach("#table-file", &tiny.table());
    // A label without a class is asked about.
    browser.until_text("#values-missing", |said| said == "“mixed”");
    browser.click("#class-add");
    let field = |part: &str| format!(".class-row:nth-child(3) [data-part={part}]");
    for (part, text) in [("name", "neither"), ("values", "mixed"), ("words", "zebra")] {
        browser.type_into(&field(part), text);
    }
    assert!(!browser.shows("#values-offer"));
    read(&browser);
    let said = browser.until_text("#error-text", |said| !said.is_empty());
    assert!(
        said.contains("zebra"),
        "the student has no such word: {said}"
    );
    browser.clear(&field("words"));
    browser.type_into(&field("words"), "film");
    read(&browser);
    let classes = browser.text("#summary-labels");
    assert!(classes.contains("neither 1 4.8 %"), "{classes}");
    browser.until_allowed();

    browser.click(&field("remove"));
    browser.until_text("#values-missing", |said| said == "“mixed”");
    assert_eq!(browser.property("#start", "disabled"), true);
    read(&browser);
    assert!(!browser.text("#summary-labels").contains("neither"));
    let left_out = browser.text("#summary-findings");
    assert!(left_out.contains("line 22"), "{left_out}");
}
