//! A newcomer's whole path, and what is left of it on network and disk: nothing of the data.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::browser::Browser;
use super::canary;
use super::options::Options;
use super::place;
use super::server::Served;
use super::tiny::Tiny;

/// A word that occurs in the private rows and nowhere else in the world.
const CANARY: &str = "zyqqurath-of-the-seventh-lake";

fn post_native(arguments: &[&str], paths: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(place::post_native());
    command.args(arguments);
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    command.output().unwrap()
}

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
    browser.load_student();
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
    look(&browser, "5-result");
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
    look(&browser, "6-tried");

    let zip = browser.export("prompt-toy.zip");
    let address = browser.script("return location.href", &[]);
    assert_eq!(address, format!("{origin}/"));
    browser.assert_no_errors();

    let traces = browser.quit();
    traces.assert_only(&origin);
    let found = traces.of(CANARY);
    assert!(found.is_empty(), "traces of the data: {found:#?}");
    accepted(&tiny, &zip);
}

/// The provider's side: no row comes with it, the receipt holds, and the prompt transfers.
fn accepted(tiny: &Tiny, zip: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let prompt = folder.path().join("prompt-toy.zip");
    fs::write(&prompt, zip).unwrap();
    let carried = canary::search(&prompt, CANARY);
    assert!(carried.is_empty(), "the prompt carries rows: {carried:?}");
    let verified = Command::new(place::post_native())
        .args(["receipt", "verify"])
        .arg(&prompt)
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}");
    let transferred = post_native(
        &["transfer", "--steps", "2", "--batch", "2"],
        &[
            ("--prompt", &prompt),
            ("--student", &tiny.bundle()),
            ("--teacher", &tiny.teacher()),
            ("--task", &tiny.task()),
            ("--public", &tiny.table()),
            ("--run", &folder.path().join("run")),
        ],
    );
    assert!(transferred.status.success(), "{transferred:?}");
    let weights = folder.path().join("run/prompt/adapter_model.safetensors");
    assert!(weights.is_file());
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
