//! The steps of the page, as a person takes them.

use std::path::Path;

use super::browser::Browser;
use super::options::Options;
use super::server::Served;
use super::tiny::Tiny;

/// The page with the little student loaded and its table read.
#[track_caller]
pub(crate) fn prepared(name: &str, tiny: &Tiny) -> (Served, Browser) {
    let served = Served::start(&[&tiny.bundle()], None);
    let browser = Browser::start(name, &Options::default());
    browser.arrive(&served.url(""));
    browser.load_student();
    browser.choose_table(&tiny.table());
    (served, browser)
}

impl Browser {
    /// Opens the page and waits until its engine listens.
    #[track_caller]
    pub(crate) fn arrive(&self, url: &str) {
        self.goto(url);
        self.until_ready();
    }

    /// Loads the page anew and waits until its engine listens; says yes if it asks whether to leave.
    #[track_caller]
    pub(crate) fn reload(&self) {
        let loaded = self.wire.post("refresh", &serde_json::json!({}));
        self.good("loading the page anew", loaded);
        self.until_ready();
    }

    #[track_caller]
    fn until_ready(&self) {
        self.until_text("#status", |said| said.contains("runs in this tab"));
    }

    /// Loads the first student on the list.
    #[track_caller]
    pub(crate) fn load_student(&self) {
        self.click("#bundles [data-part=load]");
        self.until("the student to be loaded", || {
            self.shows("#loaded").then_some(())
        });
    }

    /// Chooses a table and waits until its rows are read.
    #[track_caller]
    pub(crate) fn choose_table(&self, table: &Path) {
        self.attach("#table-file", table);
        self.until("the rows to be read", || {
            self.shows("#summary").then_some(())
        });
    }

    /// Fills a field of the folded settings.
    #[track_caller]
    pub(crate) fn set(&self, id: &str, value: &str) {
        self.script(
            "const field = document.getElementById(arguments[0]);
             for (let at = field; at; at = at.parentElement) if (at.tagName === 'DETAILS') at.open = true;
             field.value = arguments[1];
             field.dispatchEvent(new Event('input', { bubbles: true }));
             field.dispatchEvent(new Event('change', { bubbles: true }));",
            &[id.into(), value.into()],
        );
    }

    /// Waits until the run may start.
    #[track_caller]
    pub(crate) fn until_allowed(&self) {
        self.until("the run to be allowed", || {
            (self.property("#start", "disabled") == false).then_some(())
        });
    }

    /// Waits until the run may start, and starts it.
    #[track_caller]
    pub(crate) fn start_run(&self) {
        self.until_allowed();
        self.click("#start");
    }

    /// Waits until every step is made.
    #[track_caller]
    pub(crate) fn finish_run(&self) {
        self.until_text("#run-text", |said| said == "Every step is made");
    }

    /// The steps made, as the page says.
    pub(crate) fn steps_made(&self) -> u64 {
        let said = self.text("#run-text");
        let word = said
            .strip_prefix("Step ")
            .and_then(|rest| rest.split(' ').next());
        let digits = word
            .unwrap_or_default()
            .replace([',', '\u{202f}', '\u{a0}'], "");
        digits.parse().unwrap_or(0)
    }

    /// Downloads the prompt.
    #[track_caller]
    pub(crate) fn export(&self, name: &str) -> Vec<u8> {
        self.click("#export");
        self.downloaded(name)
    }
}
