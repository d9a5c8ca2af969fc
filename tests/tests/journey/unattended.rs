//! Nobody looks, or somebody is about to leave: a run goes on, keeps the screen on, and says that it is there.

use serde_json::json;

use super::browser::Browser;
use super::options::Options;
use super::resume::begun;
use super::server::Served;
use super::smooth::watched;
use super::tiny::Tiny;

fn started(name: &str, options: &Options) -> (Served, Browser) {
    let tiny = Tiny::new(60);
    let served = Served::start(&[&tiny.bundle()], None);
    let browser = begun(name, options, &tiny, &served);
    (served, browser)
}

/// Whether nobody can see the page.
fn hidden(browser: &Browser) -> bool {
    browser.script("return document.hidden", &[]) == true
}

#[test]
fn a_hidden_tab_goes_on_computing() {
    let (_served, browser) = started("hidden", &Options::default());
    browser.hide();
    browser.until("nobody to look", || hidden(&browser).then_some(()));
    let made = browser.steps_made();
    browser.until("steps that nobody sees", || {
        (browser.steps_made() > made + 5).then_some(())
    });
    assert!(hidden(&browser));
}

#[test]
fn the_screen_stays_on_while_it_computes_and_no_longer() {
    let tiny = Tiny::new(60);
    let served = Served::start(&[&tiny.bundle()], None);
    let browser = Browser::start("screen", &Options::default());
    browser.arrive(&served.url(""));
    // The browser's own locks, only written down.
    browser.script(
        "self.locks = [];
         const ask = navigator.wakeLock.request.bind(navigator.wakeLock);
         navigator.wakeLock.request = async kind => {
           const lock = await ask(kind);
           self.locks.push(lock);
           return lock;
         };",
        &[],
    );
    let held = |many: u64| {
        browser.until(&format!("{many} locks on the screen"), || {
            let held = browser.script(
                "return self.locks.filter(lock => !lock.released).length",
                &[],
            );
            (held == json!(many)).then_some(())
        });
    };
    browser.load_student();
    browser.choose_table(&tiny.table());
    browser.set("set-steps", "20000");
    held(0);
    browser.start_run();
    held(1);
    browser.hide();
    held(0);
    browser.own_window();
    held(1);
    browser.click("#pause");
    browser.until_text("#run-note", |said| said == "Paused.");
    held(0);
    browser.click("#continue");
    held(1);
    browser.click("#stop");
    browser.until_text("#run-note", |said| said.starts_with("Stopped at step"));
    held(0);
    browser.set("set-steps", "3");
    browser.start_run();
    browser.finish_run();
    held(0);
}

#[test]
fn a_run_is_not_left_by_mistake() {
    let (served, browser) = started("leave", &watched());
    // The driver says yes to whatever the browser asks.
    let asked = || {
        browser.events();
        browser.goto("about:blank");
        let asks = |event: &serde_json::Value| {
            event["method"] == "Page.javascriptDialogOpening"
                && event["params"]["type"] == "beforeunload"
        };
        browser.events().iter().any(asks)
    };
    assert!(asked(), "a run was left without a question");
    browser.arrive(&served.url(""));
    browser.click("header summary");
    assert!(!asked(), "a question though nothing runs");
}
