//! The limit of what all runs on the same rows may tell together.

use super::browser::Browser;
use super::steps::prepared;
use super::tiny::Tiny;

fn priced(browser: &Browser) {
    browser.until("the price", || {
        let stale = browser.attribute("#cost", "data-stale");
        (stale.is_none() && !browser.shows("#refused")).then_some(())
    });
}

#[track_caller]
fn refused(browser: &Browser, cap: &str) {
    let said = browser.until_text("#refused", |said| said.contains("past its cap"));
    assert!(said.contains(&format!("past its cap of {cap}")), "{said}");
    assert_eq!(browser.property("#start", "disabled"), true);
}

/// What would pass it is refused before it is started, and the first run fixes it.
#[test]
fn no_run_passes_the_limit_that_the_first_one_fixed() {
    let tiny = Tiny::new(60);
    let (served, browser) = prepared("limit", &tiny);
    browser.set("set-steps", "3");
    // ε = 2 and no more than that in all.
    browser.set("epsilon", "3");
    priced(&browser);
    assert!(!browser.shows("#earlier"));
    browser.set("set-cap", "1.5");
    refused(&browser, "1.5");
    browser.set("set-cap", "2.5");
    priced(&browser);
    browser.start_run();
    browser.finish_run();

    refused(&browser, "2.5");
    browser.set("epsilon", "0");
    priced(&browser);
    assert_eq!(browser.property("#set-cap", "disabled"), true);
    browser.script("document.getElementById('earlier').open = true", &[]);
    assert_eq!(browser.count("#earlier-runs li"), 1);
    let run = browser.text("#earlier-runs li");
    assert!(run.contains("in 3 steps"), "{run}");
    browser.screenshot("earlier");
    // Another session finds the limit where it was.
    browser.arrive(&served.url(""));
    browser.load_student();
    browser.choose_table(&tiny.table());
    browser.set("set-steps", "3");
    browser.set("epsilon", "3");
    refused(&browser, "2.5");
    browser.assert_no_errors();
}
