//! The choice between a graphics card and the processor.

use std::fs;

use super::browser::Browser;
use super::options::Options;
use super::place;
use super::server::Served;
use super::tiny::Tiny;

/// Gives the processor that plays a graphics card another name, in the worker.
const DISGUISE: &str = "
    const words = { vendor: 'some', architecture: 'card', device: '', description: '' };
    for (const [key, word] of Object.entries(words))
        Object.defineProperty(GPUAdapterInfo.prototype, key, { get: () => word });
    for (const kind of [GPUAdapterInfo, GPUAdapter])
        Object.defineProperty(kind.prototype, 'isFallbackAdapter', { get: () => false });
";

/// A number before the words that the page says of a device.
fn speed(browser: &Browser, id: &str) -> f64 {
    let said = browser.until_text(id, |said| said.contains("examples a second"));
    let before = said.split("examples a second").next().unwrap().trim();
    let figure = before.rsplit(' ').next().unwrap();
    figure
        .replace([',', '\u{202f}', '\u{a0}'], "")
        .parse()
        .unwrap()
}

/// What seems a card is measured beside the processor, and the faster one computes. A card that is the
/// processor in disguise never is.
#[test]
fn the_faster_device_computes() {
    let tiny = Tiny::new(40);
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(place::page()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let worker = folder.path().join("worker_loader.js");
    let lines = fs::read_to_string(&worker).unwrap();
    fs::write(&worker, lines.replacen('\n', &format!("\n{DISGUISE}"), 1)).unwrap();
    let served = Served::start_page(folder.path(), &[&tiny.bundle()]);
    let options = Options {
        webgpu: true,
        ..Options::default()
    };
    let browser = Browser::start("faster", &options);
    browser.arrive(&served.url(""));
    browser.click("#device summary");
    let report = browser.text("#device-web-gpu-report");
    assert!(report.contains("some card"), "{report}");
    browser.load_student();
    let card = speed(&browser, "#device-web-gpu-report");
    let processor = speed(&browser, "#device-cpu-report");
    assert!(card < processor, "{card} {processor}");
    assert_eq!(browser.text("#device-chosen"), "the processor");
    browser.assert_no_errors();
}
