//! A prompt that is taken up, and tuned further.

use std::fs;

use post_core::dp::Receipt;
use post_core::prompt::archive;
use post_core::tune::{Earlier, RECEIPT};

use super::browser::Browser;
use super::resume::go_on;
use super::steps::prepared;
use super::tiny::Tiny;

fn receipt(zip: &[u8]) -> Receipt {
    let files = archive::unpack(zip).unwrap();
    // Held to the prompt beside it.
    assert!(Earlier::read(&files).unwrap().is_private());
    Receipt::from_json(&files[RECEIPT]).unwrap()
}

fn take_up(browser: &Browser, tiny: &Tiny, zip: &[u8]) {
    let path = tiny.table().with_file_name("earlier.zip");
    fs::write(&path, zip).unwrap();
    browser.script(
        "document.querySelectorAll('#try details').forEach(it => it.open = true)",
        &[],
    );
    browser.attach("#prompt-file", &path);
    browser.until_text("#imported", |said| said.contains("tick the box"));
    browser.click("#set-from");
    assert_eq!(browser.property("#set-tokens", "disabled"), true);
}

/// The new receipt names the prompt that the run started from, also after an interruption.
#[test]
fn a_run_goes_on_from_a_prompt_that_was_taken_up() {
    let tiny = Tiny::new(60);
    let (served, browser) = prepared("onwards", &tiny);
    assert!(!browser.shows("#from"));
    browser.set("epsilon", "1");
    for (id, value) in [("set-steps", "4"), ("set-tokens", "3")] {
        browser.set(id, value);
    }
    browser.start_run();
    browser.finish_run();
    let first = browser.export("prompt-toy.zip");
    let begun = receipt(&first);
    assert!(!begun.hashes.contains_key("initial"));

    browser.set("set-tokens", "5");
    take_up(&browser, &tiny, &first);
    assert_eq!(browser.property("#set-tokens", "value"), "3");
    browser.screenshot("taken-up");
    browser.set("set-steps", "400");
    browser.start_run();
    browser.until("a few steps", || (browser.steps_made() > 5).then_some(()));
    browser.click("#stop");
    browser.until_text("#run-note", |said| said.starts_with("Stopped at step"));
    go_on(&browser, &tiny, &served);
    browser.finish_run();
    fs::remove_file(browser.downloads().join("prompt-toy.zip")).unwrap();
    let onwards = receipt(&browser.export("prompt-toy.zip"));
    assert_eq!(onwards.hashes["initial"], begun.hashes["prompt"]);
    assert!(onwards.statement.contains("It started from another prompt"));
    assert_eq!(onwards.earlier_runs.len(), 1);
    browser.assert_no_errors();
}
