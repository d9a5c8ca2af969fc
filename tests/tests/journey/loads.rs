//! The page comes up, by itself and from nowhere else.

use post_core::bundle::Catalog;
use serde_json::json;

use super::browser::Browser;
use super::options::Options;
use super::server::Served;
use super::tiny::{TASK, Tiny};
use super::wire::agent;

#[test]
fn the_page_loads_its_engine_and_asks_nobody_else() {
    let tiny = Tiny::new(40);
    let (bundle, table) = (tiny.bundle(), tiny.table());
    let served = Served::start(&[&bundle], Some((&table, TASK)));
    let browser = Browser::start("loads", &Options::default());
    browser.goto(&served.url(""));
    browser.until_text("#status", |said| said.contains("runs in this tab"));
    assert_eq!(browser.script("return self.crossOriginIsolated", &[]), true);
    browser.screenshot("light");
    browser.prefers(&[("prefers-color-scheme", "dark")]);
    browser.size(390, 844);
    browser.screenshot("dark-narrow");
    browser.assert_no_errors();
    let traces = browser.quit();
    let asked = traces.asked();
    for file in ["", "page_bg.wasm", "worker_bg.wasm"] {
        assert!(asked.has(&served.url(file)), "{file} was not asked for");
    }
    traces.assert_only(&served.origin);
}

/// Notes in every page, before its own program begins, when its engine says that it is there.
const NOTE: &str = "
    new MutationObserver(() => {
      if (!self.ready && document.querySelector('#status:not([data-busy])')) self.ready = performance.now();
    }).observe(document, { attributes: true, childList: true, subtree: true });";

/// The first of these loads fetches all; the others find what the browser keeps. The times are kept as
/// `paint-loads.txt`.
#[test]
fn something_is_seen_before_the_engine_is_ready() {
    let served = Served::start(&[], None);
    let browser = Browser::start("paint", &Options::default());
    let source = json!({ "source": NOTE });
    browser.debugger("Page.addScriptToEvaluateOnNewDocument", &source);
    let mut report = String::new();
    for load in 0..6 {
        browser.arrive(&served.url(""));
        let painted = browser.until("the first paint", || {
            let paint = "return performance.getEntriesByType('paint')
                           .find(paint => paint.name === 'first-contentful-paint')?.startTime";
            browser.script(paint, &[]).as_f64()
        });
        let ready = browser.script("return self.ready", &[]).as_f64().unwrap();
        report +=
            &format!("load {load}: painted after {painted:.0} ms, ready after {ready:.0} ms\n");
        assert!(painted < ready, "{report}");
    }
    browser.keep("loads.txt", report.as_bytes());
}

#[test]
fn the_page_is_served_with_its_policy_and_the_list_of_bundles() {
    let tiny = Tiny::new(40);
    let (bundle, table) = (tiny.bundle(), tiny.table());
    let served = Served::start(&[&bundle], Some((&table, TASK)));
    let reply = agent().get(served.url("")).call().unwrap();
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(reply.headers()[name], value, "{name}");
    }
    let policy = reply.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"));

    let mut list = agent().get(served.url("bundles.json")).call().unwrap();
    let list: Catalog = list.body_mut().read_json().unwrap();
    assert_eq!(list.bundles[0].name, "tiny");
    assert_eq!(list.bundles[0].layers, 3);
    assert_eq!(list.sample.unwrap().task.as_deref(), Some(TASK));
}
