//! Interruptions: by the owner, and by a closed tab.

use super::browser::Browser;
use super::options::Options;
use super::server::Served;
use super::tiny::Tiny;

/// Long enough to be interrupted.
const STEPS: &str = "3000";

fn begun(name: &str, tiny: &Tiny, served: &Served) -> Browser {
    let browser = Browser::start(name, &Options::default());
    browser.arrive(&served.url(""));
    browser.load_student();
    browser.choose_table(&tiny.table());
    browser.set("set-steps", STEPS);
    browser.start_run();
    browser.until("a few steps", || (browser.steps_made() > 5).then_some(()));
    browser
}

#[test]
fn a_reloaded_tab_goes_on_where_it_was() {
    let tiny = Tiny::new(60);
    let bundle = tiny.bundle();
    let served = Served::start(&[&bundle], None);
    let browser = begun("reload", &tiny, &served);
    // The page asks before it is left; its owner says yes.
    browser.click("#stop");
    browser.until_text("#run-note", |said| said.starts_with("Stopped at step"));
    let before = browser.text("#run-note");
    browser.goto("about:blank");
    browser.arrive(&served.url(""));
    browser.until("the offer to go on", || {
        browser.shows("#kept").then_some(())
    });
    browser.screenshot("kept");
    browser.click("#kept-go");
    browser.until("the student", || browser.shows("#loaded").then_some(()));
    browser.choose_table(&tiny.table());
    browser.until("the offer at the start", || {
        browser.shows("#start-resume").then_some(())
    });
    browser.click("#start-resume");
    let made = browser.until("steps after it went on", || {
        Some(browser.steps_made()).filter(|&made| made > 0)
    });
    let stopped: u64 = before
        .chars()
        .filter(char::is_ascii_digit)
        .collect::<String>()
        .parse()
        .unwrap();
    assert!(
        made >= stopped,
        "went on at {made}, was stopped at {stopped}"
    );
    // One run, and not two, has been spent.
    browser.click("#stop");
    browser.until_text("#run-note", |said| said.starts_with("Stopped at step"));
    browser.until("the cost so far", || {
        let stale = browser.attribute("#cost", "data-stale");
        stale.is_none().then_some(())
    });
    let spent = browser.text("#cost-ledger");
    assert!(spent.starts_with("1 earlier run "), "{spent}");
}

#[test]
fn a_paused_run_waits_and_goes_on() {
    let tiny = Tiny::new(60);
    let bundle = tiny.bundle();
    let served = Served::start(&[&bundle], None);
    let browser = begun("pause", &tiny, &served);
    browser.click("#pause");
    browser.until_text("#run-note", |said| said == "Paused.");
    let paused = browser.steps_made();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(browser.steps_made(), paused);
    browser.click("#continue");
    browser.until("more steps", || {
        (browser.steps_made() > paused + 1).then_some(())
    });
}
