//! A student's way into the browser's storage, and out of it again.

use super::browser::Browser;
use super::options::Options;
use super::place;
use super::server::Served;

/// Slow enough to be cancelled: the student takes ten seconds.
const SLOW: i64 = 10_000_000;

/// Bytes of the stored student; none when none is stored.
const STORED: &str = "
    const root = await navigator.storage.getDirectory();
    for await (const [name, handle] of root.entries()) {
      if (name.startsWith('student-')) return (await handle.getFile()).size;
    }
    return null;";

fn stored(browser: &Browser) -> Option<u64> {
    browser.script_async(STORED, &[]).as_u64()
}

/// Begins to load the only student, cancels after a few megabytes, and says how much of it is stored.
#[track_caller]
fn cancel(browser: &Browser) -> u64 {
    let before = stored(browser).unwrap_or(0);
    browser.click("#bundles [data-part=load]");
    let more = format!("more than {before} bytes");
    browser.until(&more, || {
        (fetched(browser)? > before + 5_000_000).then_some(())
    });
    browser.click("#loading-cancel");
    browser.until("the end of it", || {
        (!browser.shows("#loading")).then_some(())
    });
    assert!(!browser.shows("#error") && !browser.shows("#loaded"));
    stored(browser).unwrap()
}

/// Bytes that came, as the page says: `Fetching the student: 12 MB of 101 MB`.
fn fetched(browser: &Browser) -> Option<u64> {
    let said = browser.text("#loading-text");
    let megabytes = said
        .strip_prefix("Fetching the student: ")?
        .split('\u{202f}')
        .next()?;
    Some((megabytes.parse::<f64>().ok()? * 1e6) as u64)
}

fn badge(browser: &Browser) -> String {
    browser.text("#bundles [data-part=stored]")
}

#[test]
fn a_cancelled_download_goes_on_and_the_student_stays_until_it_is_deleted() {
    let student = place::student();
    let whole = student.metadata().unwrap().len();
    let served = Served::start(&[&student], None);
    let origin = served.origin.clone();
    let browser = Browser::start("library", &Options::default());
    browser.arrive(&served.url(""));
    browser.throttle(SLOW);
    let first = cancel(&browser);
    let second = cancel(&browser);
    assert!(
        first < second && second < whole,
        "{first}, {second} of {whole}"
    );
    let share = 100.0 * second as f64 / whole as f64;
    let in_part = format!("{share:.0} % stored here");
    assert_eq!(badge(&browser), in_part);
    browser.reload();
    assert_eq!(badge(&browser), in_part);
    browser.screenshot("in-part");

    browser.throttle(-1);
    browser.load_student();
    assert_eq!(stored(&browser), Some(whole));
    assert_eq!(badge(&browser), "stored here");
    let served = served.without_bundles();
    browser.reload();
    assert_eq!(badge(&browser), "stored here");
    browser.load_student();
    browser.screenshot("stored");
    browser.click("#bundles [data-part=forget]");
    browser.until_text("#bundles-none", |said| said.contains("lists no student"));
    assert_eq!((stored(&browser), browser.count("#bundles li")), (None, 0));
    browser.reload();
    assert!(browser.shows("#bundles-none"));

    drop(served);
    let traces = browser.quit();
    traces.assert_only(&origin);
    for from in [first, second] {
        let asked = traces.of(&format!("Range: bytes={from}-"));
        assert!(
            !asked.is_empty(),
            "nobody asked for the rest from {from} on"
        );
    }
}
