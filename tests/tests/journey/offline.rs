//! Without a network, and without the server: the page comes up again and everything goes on working.

use serde_json::json;

use super::browser::Browser;
use super::options::Options;
use super::server::Served;
use super::tiny::Tiny;

#[test]
fn a_page_that_was_opened_once_can_be_installed_and_tunes_without_a_network() {
    let tiny = Tiny::new(40);
    let served = Served::start(&[&tiny.bundle()], None);
    let browser = Browser::start("offline", &Options::default());
    browser.arrive(&served.url(""));
    browser.load_student();
    // It has fetched all files, or none.
    browser.script_async("await navigator.serviceWorker.ready", &[]);
    let refused = browser.debugger("Page.getInstallabilityErrors", &json!({}));
    assert_eq!(refused["installabilityErrors"], json!([]));
    let page = served.url("");
    drop(served);
    browser.offline(true);
    browser.arrive(&page);
    assert_eq!(browser.script("return navigator.onLine", &[]), false);
    let badge = browser.text("#bundles [data-part=stored]");
    assert!(!badge.is_empty());
    browser.screenshot("arrived");
    browser.load_student();
    browser.choose_table(&tiny.table());
    browser.set("set-steps", "5");
    browser.start_run();
    browser.finish_run();
    assert!(!browser.export("prompt-toy.zip").is_empty());
}
