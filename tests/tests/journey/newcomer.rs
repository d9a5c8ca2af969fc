//! A newcomer's whole path, and what is left of it on network and disk: nothing of the data.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::browser::Browser;
use super::canary;
use super::options::Options;
use super::place;
use super::resume::begun;
use super::server::Served;
use super::tiny::Tiny;

/// A word that occurs in the private rows and nowhere else in the world.
const CANARY: &str = "zyqqurath-of-the-seventh-lake";

/// Light and dark, wide and narrow.
fn look(browser: &Browser, step: &str) {
    for (scheme, width) in [("light", 1280), ("dark", 390)] {
        browser.prefers(&[("prefers-color-scheme", scheme)]);
        browser.size(width, 1400);
        browser.screenshot(&format!("{step}-{scheme}"));
    }
    browser.own_size();
}

#[test]
fn from_a_table_to_a_prompt_that_the_provider_takes() {
    let tiny = Tiny::new(40);
    let (bundle, table) = (tiny.bundle(), tiny.table_with("private.csv", 60, CANARY));
    let served = Served::start(&[&bundle], None);
    let browser = Browser::start("newcomer", &Options::default());
    browser.arrive(&served.url(""));
    look(&browser, "1-arrived");
    let stands_out = || browser.count("#bundles [data-part=load].primary");
    assert_eq!(stands_out(), 1);
    browser.load_student();
    assert_eq!(stands_out(), 0);
    look(&browser, "2-loaded");
    let origin = served.origin.clone();
    // From here on there is no server any more: whatever still asked it for something would fail.
    drop(served);

    browser.choose_table(&table);
    look(&browser, "3-data");
    browser.until_text("#odds-text", |said| !said.is_empty());
    look(&browser, "4-privacy");
    browser.start_run();
    browser.finish_run();
    look(&browser, "6-result");
    let statement = browser.text("#result-statement");
    assert!(statement.contains("differentially private"), "{statement}");

    browser.type_into("#try-fields textarea", "a fine play");
    browser.click("#try-go");
    browser.until("an answer", || {
        (browser.count("#tried svg, #tried table") > 0).then_some(())
    });
    browser.click("#test-go");
    browser.until("a test", || {
        (browser.count("#tested svg, #tested table") > 0).then_some(())
    });
    look(&browser, "7-tried");

    let zip = browser.export("prompt-toy.zip");
    let address = browser.script("return location.href", &[]);
    assert_eq!(address, format!("{origin}/"));
    browser.assert_no_errors();

    let traces = browser.quit();
    traces.assert_only(&origin);
    let found = traces.of(CANARY);
    assert!(found.is_empty(), "traces of the data: {found:#?}");
    let folder = tempfile::tempdir().unwrap();
    let prompt = folder.path().join("prompt-toy.zip");
    fs::write(&prompt, zip).unwrap();
    let carried = canary::search(&prompt, CANARY);
    assert!(carried.is_empty(), "the prompt carries rows: {carried:?}");
    accepted(
        &prompt,
        &[
            ("--student", &tiny.bundle()),
            ("--teacher", &tiny.teacher()),
            ("--task", &tiny.task()),
            ("--public", &tiny.table()),
        ],
    );
}

/// The provider's side: the receipt holds, and the prompt transfers with these files.
#[track_caller]
pub(crate) fn accepted(prompt: &Path, files: &[(&str, &Path)]) {
    let verified = Command::new(place::post_native())
        .args(["receipt", "verify"])
        .arg(prompt)
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}");
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut transfer = Command::new(place::post_native());
    transfer.args(["transfer", "--steps", "1", "--batch", "2"]);
    for (flag, path) in files.iter().chain(&[("--prompt", prompt), ("--run", &run)]) {
        transfer.arg(flag).arg(path);
    }
    let transferred = transfer.output().unwrap();
    assert!(transferred.status.success(), "{transferred:?}");
    assert!(run.join("prompt/adapter_model.safetensors").is_file());
}

/// The same path, with more steps than a look takes.
#[test]
fn a_run_is_looked_at_while_it_is_under_way() {
    let tiny = Tiny::new(60);
    let served = Served::start(&[&tiny.bundle()], None);
    let browser = begun("newcomer", &Options::default(), &tiny, &served);
    browser.until("a curve", || browser.shows("#loss-figure").then_some(()));
    look(&browser, "5-running");
    let made = browser.steps_made();
    browser.until("steps after the looks", || {
        (browser.steps_made() > made).then_some(())
    });
    browser.assert_no_errors();
}

/// The worker keeps nothing private either: the same after a run that was broken off.
#[test]
fn a_closed_tab_leaves_no_example_behind() {
    let tiny = Tiny::new(40);
    let (bundle, table) = (tiny.bundle(), tiny.table_with("private.csv", 60, CANARY));
    let served = Served::start(&[&bundle], None);
    let browser = Browser::start("closed", &Options::default());
    browser.arrive(&served.url(""));
    browser.load_student();
    browser.choose_table(&table);
    browser.set("set-steps", "5000");
    browser.start_run();
    browser.until("a few steps", || (browser.steps_made() > 3).then_some(()));
    let found = browser.quit().of(CANARY);
    assert!(found.is_empty(), "traces of the data: {found:#?}");
}
