//! That the harness would notice: what a page sends and stores is found, where it was sent and stored.

use std::fs;

use serde_json::json;

use super::browser::Browser;
use super::options::Options;
use super::server::Served;

const SENT: &str = "sent canary of 4711";
const STORED: &str = "stored canary of 4712";
const KEPT: &str = "kept canary of 4713";

#[test]
fn what_is_sent_and_stored_leaves_traces() {
    let served = Served::start(&[], None);
    let browser = Browser::start("harness", &Options::default());
    browser.goto(&served.url(""));
    let send = "return (await fetch('/', { method: 'POST', body: arguments[0] })).status";
    assert_eq!(browser.script_async(send, &[json!(SENT)]), 405);
    browser.script("localStorage.setItem('a', arguments[0])", &[json!(STORED)]);
    browser.script_async(
        "const root = await navigator.storage.getDirectory();
         const file = await root.getFileHandle('b', { create: true });
         const out = await file.createWritable();
         await out.write(arguments[0]);
         await out.close();",
        &[json!(format!("file with {STORED}"))],
    );
    browser.script("window.kept = arguments[0]", &[json!(KEPT)]);
    let traces = browser.quit();
    let sent = traces.of(SENT);
    assert!(
        sent.iter().any(|found| found.file == traces.log()),
        "{sent:?}"
    );
    let stored = traces.of(STORED);
    let in_profile = stored
        .iter()
        .filter(|found| found.file.starts_with(traces.profile()));
    assert!(in_profile.count() >= 2, "{stored:?}");
    assert!(traces.of(KEPT).is_empty(), "{:?}", traces.of(KEPT));
}

#[test]
fn what_a_page_asks_of_others_is_told_from_what_the_browser_does() {
    let served = Served::start(&[], None);
    let browser = Browser::start("elsewhere", &Options::default());
    // No policy of ours holds there.
    browser.goto("data:text/html,<title>elsewhere</title>");
    let fetch = "await fetch('http://127.0.0.1:9/fetched', { mode: 'no-cors' }).catch(() => 0)";
    browser.script_async(fetch, &[]);
    // Policies don't forbid to look names up ahead, nor to leave.
    browser.goto(&served.url(""));
    browser.script_async(fetch, &[]);
    browser.script(
        "document.head.innerHTML += '<link rel=dns-prefetch href=//looked-up.example>';
         setTimeout(() => { location = 'http://127.0.0.1:9/left'; }, 500)",
        &[],
    );
    browser.until("the page to leave", || {
        let place = browser.script("return location.href", &[]);
        place.as_str()?.starts_with("chrome-error:").then_some(())
    });
    let traces = browser.quit();
    let asked = traces.asked();
    let elsewhere = asked.elsewhere(&served.origin);
    let once = |url: &str| elsewhere.iter().filter(|what| what.contains(url)).count();
    assert_eq!(
        once("127.0.0.1:9/fetched"),
        1,
        "the policy stops one: {elsewhere:#?}"
    );
    assert_eq!(once("127.0.0.1:9/left"), 1, "{elsewhere:#?}");
    assert!(once("looked-up.example") > 0, "{elsewhere:#?}");
    assert!(
        asked.has(&served.url("")) && once("google") == 0,
        "{elsewhere:#?}"
    );
}

#[test]
fn a_person_s_hands_and_eyes() {
    let served = Served::start(&[], None);
    let browser = Browser::start("hands", &Options::default());
    browser.goto(&served.url(""));
    browser.script(
        "document.body.innerHTML = '<input id=a><input id=f type=file><button id=b>go</button><p id=p></p>'
           + '<a id=d download=\"d.txt\" href=\"data:text/plain,down\">d</a>';
         b.onclick = () => { p.textContent = a.value; };
         f.onchange = async () => { p.textContent = await f.files[0].text(); };",
        &[],
    );
    browser.type_into("#a", "typed");
    browser.click("#b");
    assert_eq!(browser.until_text("#p", |said| !said.is_empty()), "typed");
    browser.clear("#a");
    assert_eq!(browser.property("#a", "value"), "");
    assert_eq!(browser.attribute("#f", "type").as_deref(), Some("file"));
    assert_eq!((browser.count("input"), browser.shows("#b")), (2, true));

    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("t.txt"), "from a file").unwrap();
    browser.attach("#f", &dir.path().join("t.txt"));
    browser.until_text("#p", |said| said == "from a file");
    browser.click("#d");
    assert_eq!(browser.downloaded("d.txt"), b"down");

    let dark = "return matchMedia('(prefers-color-scheme: dark)').matches";
    browser.prefers(&[("prefers-color-scheme", "dark")]);
    assert_eq!(browser.script(dark, &[]), true);
    browser.size(390, 844);
    assert_eq!(browser.script("return innerWidth", &[]), 390);
    let shot = browser.screenshot("narrow");
    assert!(fs::metadata(shot).unwrap().len() > 1000);
    browser.script("console.error('a complaint')", &[]);
    let said = browser.until("the console", || {
        let lines = browser.console().into_iter();
        lines
            .into_iter()
            .find(|line| line.message.contains("a complaint"))
    });
    assert_eq!(said.level, "SEVERE");
    browser.offline(true);
    let reached = "return await fetch('/').then(() => true, () => false)";
    assert_eq!(browser.script_async(reached, &[]), false);
}

#[test]
fn a_graphics_card_is_played_by_the_processor() {
    let served = Served::start(&[], None);
    let options = Options {
        webgpu: true,
        ..Options::default()
    };
    let browser = Browser::start("webgpu", &options);
    browser.goto(&served.url(""));
    let adapter = "const adapter = await navigator.gpu.requestAdapter();
                   return adapter && (await adapter.requestDevice()).limits.maxBufferSize";
    let most = browser.script_async(adapter, &[]);
    assert!(most.as_u64().is_some_and(|most| most > 0), "{most}");
}
