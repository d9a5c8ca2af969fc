//! Interruptions: by the owner, and by a closed tab.

use post_core::prompt::{archive, peft};

use super::browser::Browser;
use super::options::Options;
use super::server::Served;
use super::steps::prepared;
use super::tiny::Tiny;

/// Long enough to be interrupted.
const STEPS: &str = "3000";

/// A browser in which a long run has begun.
#[track_caller]
pub(crate) fn begun(name: &str, options: &Options, tiny: &Tiny, served: &Served) -> Browser {
    let browser = Browser::start(name, options);
    browser.arrive(&served.url(""));
    browser.load_student();
    browser.choose_table(&tiny.table());
    browser.set("set-steps", STEPS);
    browser.start_run();
    browser.until("a few steps", || (browser.steps_made() > 5).then_some(()));
    browser
}

/// Loads the page anew and goes on with the kept run.
#[track_caller]
pub(crate) fn go_on(browser: &Browser, tiny: &Tiny, served: &Served) {
    browser.goto("about:blank");
    browser.arrive(&served.url(""));
    take_up(browser, tiny);
}

/// Goes on with the kept run, in a page that was just loaded.
#[track_caller]
fn take_up(browser: &Browser, tiny: &Tiny) {
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
}

#[test]
fn a_reloaded_tab_goes_on_where_it_was() {
    let tiny = Tiny::new(60);
    let bundle = tiny.bundle();
    let served = Served::start(&[&bundle], None);
    let browser = begun("reload", &Options::default(), &tiny, &served);
    let before = browser.steps_made();
    // Nobody stops the run. The page asks before it is left; its owner says yes.
    browser.reload();
    take_up(&browser, &tiny);
    let made = browser.until("steps after it went on", || {
        Some(browser.steps_made()).filter(|&made| made > 0)
    });
    assert!(made >= before, "went on at {made}, was left at {before}");
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
    let browser = begun("pause", &Options::default(), &tiny, &served);
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

/// The files of the kept run, out of the browser's storage.
const READ: &str = "
    const root = await navigator.storage.getDirectory();
    const files = {};
    for (const name of ['run.json', 'run.checkpoint']) {
      const bytes = await (await (await root.getFileHandle(name)).getFile()).arrayBuffer();
      files[name] = [...new Uint8Array(bytes)];
    }
    return files;";
/// The same files into it.
const WRITE: &str = "
    const root = await navigator.storage.getDirectory();
    for (const [name, bytes] of Object.entries(arguments[0])) {
      const out = await (await root.getFileHandle(name, { create: true })).createWritable();
      await out.write(new Uint8Array(bytes));
      await out.close();
    }";

/// Two runs that go on from one checkpoint, on the same rows, differ in their noise alone; were it the
/// same, whoever sees both would see through it.
#[test]
fn a_run_that_goes_on_draws_new_noise() {
    let tiny = Tiny::new(60);
    let (served, browser) = prepared("noise", &tiny);
    browser.set("test-share", "0");
    browser.click("#map");
    browser.until_text("#summary-train", |said| said.contains("60"));
    // Every row is in every step.
    for (id, value) in [
        ("set-size", "60"),
        ("set-batch", "60"),
        ("set-steps", "100"),
    ] {
        browser.set(id, value);
    }
    browser.start_run();
    browser.until("a few steps", || (browser.steps_made() > 5).then_some(()));
    browser.click("#stop");
    browser.until_text("#run-note", |said| said.starts_with("Stopped at step"));
    let kept = browser.script_async(READ, &[]);
    let finish = || {
        browser.finish_run();
        let zip = browser.export("prompt-toy.zip");
        std::fs::remove_file(browser.downloads().join("prompt-toy.zip")).unwrap();
        archive::unpack(&zip).unwrap()[peft::WEIGHTS].clone()
    };
    browser.click("#continue");
    let first = finish();
    browser.script_async(WRITE, &[kept]);
    go_on(&browser, &tiny, &served);
    // Not compared by `assert_ne`, which would show all of their bytes.
    assert!(first != finish(), "twice the same noise");
}
