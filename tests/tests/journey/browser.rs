//! A browser with one tab, as a person would use it. Elements are named by CSS selectors.
//!
//! Whatever doesn't work fails the test, with a screenshot, the console and the tab's text.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::driver::Driver;
use super::options::Options;
use super::place;
use super::traces::Traces;
use super::wire::{Refused, Wire};

/// A slow machine is not a failing one.
const PATIENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(100);
/// The key of an element's id in the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A line of the console.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// `SEVERE`, `WARNING`, `INFO`, …
    pub(crate) level: String,
    pub(crate) message: String,
}

/// A running browser, ended when it is dropped.
pub(crate) struct Browser {
    // The order is that of dropping: the driver goes when the session is closed.
    pub(super) wire: Wire,
    driver: Driver,
    folder: TempDir,
    /// Of the test; screenshots are called after it.
    name: String,
    /// The driver forgets what it has told.
    console: RefCell<Vec<Line>>,
    open: bool,
}

impl Browser {
    /// Starts a browser with an empty profile.
    #[track_caller]
    pub(crate) fn start(name: &str, options: &Options) -> Self {
        let driver = Driver::start();
        let folder = tempfile::tempdir().unwrap();
        for inner in ["profile", "downloads"] {
            fs::create_dir(folder.path().join(inner)).unwrap();
        }
        let (profile, log) = (
            folder.path().join("profile"),
            folder.path().join("net.json"),
        );
        let wire = Wire::open(&driver.origin, &options.capabilities(&profile, &log));
        let browser = Self {
            wire,
            driver,
            folder,
            name: name.to_owned(),
            console: RefCell::default(),
            open: true,
        };
        browser.keep_downloads();
        browser
    }

    /// Goes to an address and waits until it has loaded.
    #[track_caller]
    pub(crate) fn goto(&self, url: &str) {
        let went = self.wire.post("url", &json!({ "url": url }));
        self.good(&format!("going to {url}"), went);
    }

    /// Opens a further tab and goes there; returns the name of the one before.
    #[track_caller]
    pub(crate) fn another_tab(&self) -> Value {
        let before = self.good("the tab's name", self.wire.get("window"));
        let opened = self.wire.post("window/new", &json!({ "type": "tab" }));
        let opened = self.good("a further tab", opened);
        self.switch(&opened["handle"]);
        before
    }

    /// Closes another tab than this one.
    #[track_caller]
    pub(crate) fn close_tab(&self, tab: &Value) {
        let here = self.good("the tab's name", self.wire.get("window"));
        self.switch(tab);
        self.good("closing a tab", self.wire.delete("window"));
        self.switch(&here);
    }

    #[track_caller]
    fn switch(&self, tab: &Value) {
        let switched = self.wire.post("window", &json!({ "handle": tab }));
        self.good("going to another tab", switched);
    }

    /// Clicks what can be clicked, as soon as it can.
    #[track_caller]
    pub(crate) fn click(&self, css: &str) {
        self.act(css, "click", &json!({}));
    }

    /// Types into a field, after what is in it.
    #[track_caller]
    pub(crate) fn type_into(&self, css: &str, text: &str) {
        self.act(css, "value", &json!({ "text": text }));
    }

    /// Empties a field.
    #[track_caller]
    pub(crate) fn clear(&self, css: &str) {
        self.act(css, "clear", &json!({}));
    }

    /// Chooses a file in an `<input type=file>`.
    #[track_caller]
    pub(crate) fn attach(&self, css: &str, file: &Path) {
        let file = file.canonicalize().unwrap();
        self.act(css, "value", &json!({ "text": file.to_string_lossy() }));
    }

    /// The text of an element as it is shown.
    #[track_caller]
    pub(crate) fn text(&self, css: &str) -> String {
        let text = self.until(css, || self.of(css, "text").ok());
        text.as_str().unwrap_or_default().to_owned()
    }

    /// An attribute; `None` when the element has none of that name.
    #[track_caller]
    pub(crate) fn attribute(&self, css: &str, name: &str) -> Option<String> {
        let what = format!("attribute/{name}");
        let value = self.until(css, || self.of(css, &what).ok());
        value.as_str().map(str::to_owned)
    }

    /// A property, such as `value` or `disabled`.
    #[track_caller]
    pub(crate) fn property(&self, css: &str, name: &str) -> Value {
        let what = format!("property/{name}");
        self.until(css, || self.of(css, &what).ok())
    }

    /// How many elements there are now.
    #[track_caller]
    pub(crate) fn count(&self, css: &str) -> usize {
        let found = self.wire.post("elements", &by(css));
        let found = self.good(css, found);
        found.as_array().map_or(0, Vec::len)
    }

    /// Whether the element is there and shown.
    pub(crate) fn shows(&self, css: &str) -> bool {
        self.of(css, "displayed").is_ok_and(|shown| shown == true)
    }

    /// What a function body returns; `arguments` are what it is given.
    #[track_caller]
    pub(crate) fn script(&self, body: &str, args: &[Value]) -> Value {
        let ran = self.run(body, args);
        self.good(body, ran)
    }

    /// What the body of an asynchronous function returns in the end.
    #[track_caller]
    pub(crate) fn script_async(&self, body: &str, args: &[Value]) -> Value {
        let wrapped = format!(
            "const done = arguments[arguments.length - 1]; const all = [...arguments].slice(0, -1);
             (async function () {{ {body} }}).apply(null, all)
               .then(value => done({{ value }}), error => done({{ error: String(error) }}));"
        );
        let asked = json!({ "script": wrapped, "args": args });
        let ran = self.wire.post("execute/async", &asked);
        let ran = self.good(body, ran);
        match ran.get("error") {
            Some(error) => self.fail(&format!("{body}\nthrew {error}")),
            None => ran["value"].clone(),
        }
    }

    /// Asks until there is an answer, and fails after two minutes without one.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            if start.elapsed() > PATIENCE {
                self.fail(&format!("waited {} s for {what}", PATIENCE.as_secs()));
            }
            thread::sleep(PAUSE);
        }
    }

    /// Waits until an element says something.
    #[track_caller]
    pub(crate) fn until_text(&self, css: &str, good: impl Fn(&str) -> bool) -> String {
        let mut said = String::new();
        self.until(&format!("{css} to say what is wanted"), || {
            said = self.of(css, "text").ok()?.as_str()?.to_owned();
            good(&said).then(|| said.clone())
        })
    }

    /// Keeps what the whole page looks like, from its head to its foot, as `<test>-<name>.png`.
    pub(crate) fn screenshot(&self, name: &str) -> PathBuf {
        let body = "const { scrollHeight: height } = document.documentElement;
                    return { x: 0, y: 0, width: innerWidth, height, scale: 1 };";
        // A whole page has no scrollbar; by itself the shot would be narrower by one.
        let mut params = json!({ "captureBeyondViewport": true });
        if let Ok(clip) = self.run(body, &[]) {
            params["clip"] = clip;
        }
        let asked = json!({ "cmd": "Page.captureScreenshot", "params": params });
        let shot = self.wire.post("goog/cdp/execute", &asked).ok();
        let bytes = shot.and_then(|shot| STANDARD.decode(shot["data"].as_str()?).ok());
        self.keep(&format!("{name}.png"), &bytes.unwrap_or_default())
    }

    /// Keeps something that a person may want to see as `<test>-<name>`.
    pub(crate) fn keep(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = place::output().join(format!("{}-{name}", self.name));
        fs::create_dir_all(place::output()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// All that the console has said so far.
    pub(crate) fn console(&self) -> Vec<Line> {
        let told = self.wire.post("se/log", &json!({ "type": "browser" }));
        let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        for line in told.unwrap_or_default().as_array().into_iter().flatten() {
            self.console.borrow_mut().push(Line {
                level: text(line, "level"),
                message: text(line, "message"),
            });
        }
        self.console.borrow().clone()
    }

    /// The console has told of no error.
    #[track_caller]
    pub(crate) fn assert_no_errors(&self) {
        let lines = self.console().into_iter();
        let errors: Vec<_> = lines.filter(|line| line.level == "SEVERE").collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }

    /// The folder where downloads arrive. One that isn't finished ends in `.crdownload`.
    pub(crate) fn downloads(&self) -> PathBuf {
        self.folder.path().join("downloads")
    }

    /// Waits for a download of this name.
    #[track_caller]
    pub(crate) fn downloaded(&self, name: &str) -> Vec<u8> {
        let path = self.downloads().join(name);
        self.until(&format!("the download {name}"), || fs::read(&path).ok())
    }

    /// Ends the browser, and hands over what it sent and stored.
    #[track_caller]
    pub(crate) fn quit(mut self) -> Traces {
        self.open = false;
        self.wire.close().unwrap();
        // The browser writes the rest of its log while it ends.
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        Traces::new(folder, self.name.clone())
    }

    /// Fails the test, and shows what there is to see.
    #[track_caller]
    pub(crate) fn fail(&self, what: &str) -> ! {
        let shot = self.screenshot("failed");
        let lines = self.console().into_iter();
        let lines = lines.map(|line| format!("{} {}\n", line.level, line.message));
        let text = self.run("return document.body && document.body.innerText", &[]);
        panic!(
            "{what}\nscreenshot: {}\nconsole:\n{}\ntext:\n{}",
            shot.display(),
            lines.collect::<String>(),
            text.unwrap_or_default().as_str().unwrap_or_default()
        );
    }

    fn run(&self, body: &str, args: &[Value]) -> Result<Value, Refused> {
        let asked = json!({ "script": body, "args": args });
        self.wire.post("execute/sync", &asked)
    }

    fn find(&self, css: &str) -> Result<String, Refused> {
        let found = self.wire.post("element", &by(css))?;
        Ok(found[ELEMENT].as_str().unwrap_or_default().to_owned())
    }

    fn of(&self, css: &str, what: &str) -> Result<Value, Refused> {
        let id = self.find(css)?;
        self.wire.get(&format!("element/{id}/{what}"))
    }

    /// Does something to an element as soon as it is there and can take it.
    #[track_caller]
    fn act(&self, css: &str, what: &str, body: &Value) {
        let mut reason = String::new();
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let done = self
                .find(css)
                .and_then(|id| self.wire.post(&format!("element/{id}/{what}"), body));
            match done {
                Ok(_) => return,
                Err(refused) => reason = refused.to_string(),
            }
            thread::sleep(PAUSE);
        }
        self.fail(&format!("{what} on {css}: {reason}"));
    }

    #[track_caller]
    pub(super) fn good(&self, what: &str, result: Result<Value, Refused>) -> Value {
        match result {
            Ok(value) => value,
            Err(refused) => self.fail(&format!("{what}: {refused}")),
        }
    }
}

fn by(css: &str) -> Value {
    json!({ "using": "css selector", "value": css })
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Without it the browser would outlive its driver.
        if self.open {
            let _ = self.wire.close();
        }
    }
}
