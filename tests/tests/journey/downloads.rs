//! A real student arrives in the tab as it was published, also in two goes.

use std::fs;

use post_core::dp::receipt::sha256;

use super::browser::Browser;
use super::options::Options;
use super::place;
use super::server::Served;

#[test]
fn a_download_that_was_broken_off_goes_on_in_the_tab() {
    let student = place::student();
    let served = Served::start(&[&student], None);
    let browser = Browser::start("downloads", &Options::default());
    browser.goto(&served.url(""));
    let digest = browser.script_async(
        "const [listed] = (await (await fetch('bundles.json')).json()).bundles;
         const stop = new AbortController();
         const begun = await fetch(listed.file, { signal: stop.signal });
         const first = (await begun.body.getReader().read()).value;
         stop.abort();
         const headers = { Range: `bytes=${first.length}-`, 'If-Range': begun.headers.get('ETag') };
         const rest = await fetch(listed.file, { headers });
         if (rest.status !== 206) throw `status ${rest.status}`;
         const whole = await new Blob([first, await rest.arrayBuffer()]).arrayBuffer();
         if (whole.byteLength !== listed.bytes) throw `${whole.byteLength} bytes`;
         const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', whole));
         return [...digest].map(byte => byte.toString(16).padStart(2, '0')).join('');",
        &[],
    );
    assert_eq!(digest, sha256(&fs::read(student).unwrap()));
    browser.quit().assert_only(&served.origin);
}
