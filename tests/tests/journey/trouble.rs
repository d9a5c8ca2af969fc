//! What goes wrong is said, with the way out, and nothing else is lost.

use std::fs;

use serde_json::json;

use super::browser::Browser;
use super::options::Options;
use super::place;
use super::resume::begun;
use super::server::Served;
use super::tiny::Tiny;

fn arrived(name: &str, tiny: &Tiny) -> (Served, Browser) {
    let bundle = tiny.bundle();
    let served = Served::start(&[&bundle], None);
    let browser = Browser::start(name, &Options::default());
    browser.arrive(&served.url(""));
    (served, browser)
}

/// The page where the processor plays a graphics card, and its owner has chosen that.
pub(crate) fn on_graphics(name: &str, tiny: &Tiny) -> (Served, Browser) {
    let served = Served::start(&[&tiny.bundle()], None);
    let options = Options {
        webgpu: true,
        ..Options::default()
    };
    let browser = Browser::start(name, &options);
    browser.arrive(&served.url(""));
    browser.click("#device summary");
    browser.click("#device-web-gpu");
    (served, browser)
}

fn error(browser: &Browser) -> String {
    browser.until("an error", || browser.shows("#error").then_some(()));
    browser.text("#error-text")
}

#[test]
fn a_browser_without_webgpu_computes_on_the_processor_and_says_why() {
    let tiny = Tiny::new(40);
    let (_served, browser) = arrived("no-webgpu", &tiny);
    browser.load_student();
    browser.until_text("#device-chosen", |said| said == "the processor");
    browser.click("#device summary");
    let report = browser.text("#device-web-gpu-report");
    assert!(report.contains("WebGPU"), "{report}");
    assert_eq!(browser.property("#device-web-gpu", "disabled"), true);
    browser.screenshot("device");
}

#[test]
fn a_damaged_student_is_refused() {
    let tiny = Tiny::new(40);
    let mut bytes = fs::read(tiny.bundle()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = tiny.bundle().with_file_name("damaged.post.safetensors");
    fs::write(&damaged, &bytes).unwrap();
    let (_served, browser) = arrived("damaged", &tiny);
    browser.attach("#bundle-file", &damaged);
    let said = error(&browser);
    assert!(said.contains("hash"), "{said}");
    browser.screenshot("refused");
    browser.click("#error-close");
    browser.load_student();
}

#[test]
fn a_table_that_is_none_is_refused_and_a_good_one_taken() {
    let tiny = Tiny::new(40);
    let bad = tiny.table().with_file_name("bad.csv");
    fs::write(&bad, "text,text\na,b\n").unwrap();
    let (_served, browser) = arrived("bad-table", &tiny);
    browser.load_student();
    browser.attach("#table-file", &bad);
    let said = error(&browser);
    assert!(said.contains("two columns are named `text`"), "{said}");
    browser.screenshot("refused");
    browser.click("#error-close");
    browser.choose_table(&tiny.table());
}

/// Whoever made the table finds the lines that are left out, and why.
#[test]
fn rows_that_cannot_be_read_are_named() {
    let tiny = Tiny::new(40);
    let mut rows = fs::read_to_string(tiny.table()).unwrap();
    rows += "too,many,cells\n,negative\n";
    fs::write(tiny.table(), rows).unwrap();
    let (_served, browser) = arrived("bad-rows", &tiny);
    browser.load_student();
    browser.choose_table(&tiny.table());
    let unread = browser.text("#table-trouble");
    assert!(unread.contains("line 42"), "{unread}");
    let left_out = browser.text("#summary-findings");
    for line in ["line 42", "line 43"] {
        assert!(left_out.contains(line), "{line}: {left_out}");
    }
    browser.screenshot("named");
}

/// How many bytes the page may keep; with none, as many as the browser lets every page.
#[track_caller]
fn room(browser: &Browser, served: &Served, bytes: Option<u64>) {
    let mut quota = json!({ "origin": served.origin });
    if let Some(bytes) = bytes {
        quota["quotaSize"] = bytes.into();
    }
    browser.debugger("Storage.overrideQuotaForOrigin", &quota);
}

/// The cost of a run must be remembered before it is spent.
#[test]
fn without_room_nothing_starts_that_could_not_be_remembered() {
    let tiny = Tiny::new(40);
    let (served, browser) = arrived("no-room", &tiny);
    browser.load_student();
    browser.choose_table(&tiny.table());
    room(&browser, &served, Some(1));
    browser.start_run();
    let said = error(&browser);
    assert!(said.contains("no room"), "{said}");
    browser.screenshot("refused");
    room(&browser, &served, None);
    browser.click("#error-close");
    browser.start_run();
    browser.finish_run();
}

/// The room ends in the middle of the download.
#[test]
fn a_student_that_finds_no_room_can_be_loaded_without_being_kept() {
    let served = Served::start(&[&place::student()], None);
    let browser = Browser::start("no-room-student", &Options::default());
    browser.arrive(&served.url(""));
    room(&browser, &served, Some(50_000_000));
    browser.click("#bundles [data-part=load]");
    let said = error(&browser);
    assert!(
        said.contains("no room to keep this; load the student without keeping it"),
        "{said}"
    );
    browser.screenshot("refused");
    assert!(!browser.shows("#loaded"));
    browser.click("#error-close");
    browser.click("#keep");
    browser.load_student();
}

#[test]
fn a_run_that_finds_no_room_goes_on_and_says_that_nothing_is_stored() {
    let tiny = Tiny::new(60);
    let served = Served::start(&[&tiny.bundle()], None);
    let browser = begun("no-room-run", &Options::default(), &tiny, &served);
    let unstored = |said: &str| said == "not stored";
    room(&browser, &served, Some(1));
    browser.until_text("#run-checkpoint", unstored);
    let made = browser.steps_made();
    browser.until("more steps", || {
        (browser.steps_made() > made + 1).then_some(())
    });
    assert!(unstored(&browser.text("#run-checkpoint")));
    let why = browser.text("#run-unstored");
    assert!(why.contains("no room"), "{why}");
    browser.screenshot("unstored");
    room(&browser, &served, None);
    browser.until_text("#run-checkpoint", |said| said.starts_with("at step"));
    assert!(!browser.shows("#run-unstored"));
}

/// Two tabs that write the ledger at once would forget each other's run.
#[test]
fn while_another_tab_has_a_run_none_starts_here() {
    let tiny = Tiny::new(40);
    let (served, browser) = arrived("two-tabs", &tiny);
    browser.load_student();
    browser.choose_table(&tiny.table());
    browser.set("set-steps", "20000");
    browser.start_run();
    browser.until("a few steps", || (browser.steps_made() > 1).then_some(()));
    let first = browser.another_tab();
    browser.arrive(&served.url(""));
    browser.load_student();
    browser.choose_table(&tiny.table());
    browser.set("set-steps", "3");
    browser.start_run();
    let said = error(&browser);
    assert!(said.contains("another tab"), "{said}");
    browser.close_tab(&first);
    browser.click("#error-close");
    // The rows are read anew, and what the other tab has kept is offered.
    browser.until("the kept run's settings", || {
        (browser.property("#set-steps", "value") == "20000").then_some(())
    });
    browser.set("set-steps", "3");
    browser.start_run();
    browser.finish_run();
}

/// The graphics card, as the processor plays it; the page offers it, and its owner chooses it.
#[test]
fn a_run_on_the_graphics_card_ends_too() {
    let tiny = Tiny::new(40);
    let (_served, browser) = on_graphics("graphics", &tiny);
    browser.load_student();
    browser.until_text("#device-chosen", |said| said == "the graphics card");
    browser.choose_table(&tiny.table());
    browser.set("set-steps", "3");
    browser.start_run();
    browser.finish_run();
    browser.screenshot("done");
}

/// The last checkpoint goes on, on the processor.
#[test]
fn a_lost_graphics_card_hands_the_run_to_the_processor() {
    let tiny = Tiny::new(40);
    let (_served, browser) = on_graphics("lost", &tiny);
    browser.load_student();
    browser.choose_table(&tiny.table());
    browser.set("set-steps", "300");
    browser.start_run();
    browser.until("a few steps", || (browser.steps_made() > 1).then_some(()));
    browser.crash_graphics();
    browser.until_text("#device-chosen", |said| said == "the processor");
    browser.finish_run();
    browser.screenshot("done");
}
