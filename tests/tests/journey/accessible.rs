//! Every step of the way is looked through by axe-core: light and dark, wide and narrow, everything unfolded.

use std::fs;

use serde_json::Value;

use super::browser::Browser;
use super::options::Options;
use super::place;
use super::server::Served;
use super::steps::prepared;
use super::tiny::{TASK, Tiny};

/// What axe-core holds against the page, a line for each element.
fn findings(browser: &Browser) -> Vec<String> {
    let found = browser.script_async(
        "const folded = [...document.querySelectorAll('details:not([open])')];
         folded.forEach(details => { details.open = true; });
         const { violations } = await axe.run(document, { resultTypes: ['violations'], preload: false });
         folded.forEach(details => { details.open = false; });
         return violations;",
        &[],
    );
    let lines = |rule: &Value| {
        let said = format!("{} ({}): {}", rule["id"], rule["impact"], rule["help"]);
        let way_out = rule["helpUrl"].as_str().unwrap_or_default().to_owned();
        let nodes = rule["nodes"].as_array().cloned().unwrap_or_default();
        nodes.into_iter().map(move |node| {
            let summary = node["failureSummary"].as_str().unwrap_or_default();
            format!("{said}\n  {}\n  {summary}\n  {way_out}", node["target"])
        })
    };
    let rules = found.as_array().expect("axe-core returns a list");
    rules.iter().flat_map(lines).collect()
}

/// How far the page is wider than what is seen of it.
fn overflow(browser: &Browser) -> i64 {
    let page = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    browser.script(page, &[]).as_i64().unwrap_or_default()
}

/// Whoever can't see well, or not at all, gets through this step too.
fn look(browser: &Browser, step: &str) {
    let mut all = Vec::new();
    for scheme in ["light", "dark"] {
        for width in [1280, 320] {
            browser.prefers(&[("prefers-color-scheme", scheme)]);
            browser.size(width, 1400);
            let here = format!("{step}, {scheme}, {width} px");
            all.extend(
                findings(browser)
                    .iter()
                    .map(|said| format!("{here}: {said}")),
            );
            let overflow = overflow(browser);
            if overflow > 0 {
                all.push(format!(
                    "{here}: {overflow} px have to be scrolled to sideways"
                ));
            }
        }
        browser.screenshot(&format!("{step}-{scheme}-narrow"));
    }
    browser.own_size();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn nothing_stands_in_the_way_at_any_step() {
    let tiny = Tiny::new(40);
    let (bundle, table) = (tiny.bundle(), tiny.table());
    let served = Served::start(&[&bundle], Some((&table, TASK)));
    let browser = Browser::start("accessible", &Options::default());
    browser.arrive(&served.url(""));
    browser.script(&fs::read_to_string(place::axe()).unwrap(), &[]);
    look(&browser, "start");
    browser.load_student();
    look(&browser, "loaded");

    let bad = tiny.table().with_file_name("bad.csv");
    fs::write(&bad, "text,text\na,b\n").unwrap();
    browser.attach("#table-file", &bad);
    browser.until("an error", || browser.shows("#error").then_some(()));
    look(&browser, "refused");
    browser.choose_table(&table);
    look(&browser, "described");
    browser.until_text("#odds-text", |said| !said.is_empty());
    browser.script("document.getElementById('unit-person').click()", &[]);
    look(&browser, "privacy");

    browser.set("set-steps", "20000");
    browser.start_run();
    browser.until("a curve", || browser.shows("#loss-figure").then_some(()));
    look(&browser, "running");
    browser.click("#pause");
    browser.until_text("#run-note", |said| said == "Paused.");
    look(&browser, "paused");
    browser.click("#stop");
    browser.until_text("#run-note", |said| said.starts_with("Stopped at step"));
    browser.set("set-steps", "20");
    browser.start_run();
    browser.finish_run();
    look(&browser, "done");

    browser.type_into("#try-fields textarea", "a fine play");
    browser.click("#try-go");
    browser.click("#test-go");
    browser.until("answers", || {
        let shown = |id: &str| browser.count(&format!("{id} svg, {id} table")) > 0;
        (shown("#tried") && shown("#tested")).then_some(())
    });
    look(&browser, "tried");
    browser.export("prompt-toy.zip");
    look(&browser, "exported");
}

/// What moves on the page by itself, or as it is scrolled.
fn moving(browser: &Browser) -> Vec<String> {
    let found = browser.script(
        "const lasts = times => times.split(', ').some(time => parseFloat(time) > 0);
         const moves = style => style.scrollBehavior === 'smooth' || lasts(style.transitionDuration)
           || (style.animationName !== 'none' && lasts(style.animationDuration));
         const name = at => at.id ? '#' + at.id : at.localName;
         const found = new Set();
         for (const at of document.querySelectorAll('*')) {
           for (const part of ['', '::before', '::after']) {
             if (moves(getComputedStyle(at, part))) found.add(name(at) + part);
           }
         }
         return [...found];",
        &[],
    );
    serde_json::from_value(found).unwrap()
}

#[test]
fn whoever_wants_nothing_to_move_gets_that() {
    let tiny = Tiny::new(40);
    let (_served, browser) = prepared("motion", &tiny);
    browser.until_text("#odds-text", |said| !said.is_empty());
    // As it is while the engine starts.
    browser.script("document.getElementById('status').dataset.busy = ''", &[]);
    browser.prefers(&[("prefers-reduced-motion", "no-preference")]);
    let moved = moving(&browser);
    for part in ["html", "#status::before", "circle"] {
        assert!(moved.iter().any(|name| name == part), "{part}: {moved:?}");
    }
    browser.prefers(&[("prefers-reduced-motion", "reduce")]);
    assert_eq!(moving(&browser), [""; 0]);
}

/// The instrument itself sees what it is there for.
#[test]
fn what_stands_in_the_way_is_found() {
    let served = Served::start(&[], None);
    let browser = Browser::start("inaccessible", &Options::default());
    browser.goto(&served.url(""));
    browser.script(&fs::read_to_string(place::axe()).unwrap(), &[]);
    browser.script(
        "document.querySelector('main').innerHTML += '<button id=mute></button><p id=wide>wide</p>';
         document.getElementById('wide').style.minWidth = '2000px';",
        &[],
    );
    let found = findings(&browser);
    let named = |said: &String| said.contains("button-name") && said.contains("#mute");
    assert!(found.iter().any(named), "{found:#?}");
    assert!(overflow(&browser) > 0);
}
