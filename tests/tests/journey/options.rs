//! How the browser is started.

use std::path::Path;

use serde_json::{Value, json};

/// The arguments that the other browser tests use.
const DRIVER: &str = include_str!("../../webdriver.json");

/// What Chromium would ask of its makers on its own, beyond what `webdriver.json` switches off: it
/// takes time, and clutters the log.
const QUIET: [&str; 8] = [
    // What scrolls slowly can't be clicked meanwhile.
    "--force-prefers-reduced-motion",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-domain-reliability",
    "--disable-client-side-phishing-detection",
    "--disable-field-trial-config",
    "--no-pings",
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication,\
     InterestFeedContentSuggestions,NetworkTimeServiceQuerying,\
     CertificateTransparencyComponentUpdater",
];

/// Tasks of every thread, and the marks that tell when and where.
const TRACED: &str = "toplevel,blink.user_timing";

/// How a browser should be.
#[derive(Debug, Default, Clone)]
pub(crate) struct Options {
    /// WebGPU computed by the processor (SwiftShader): slow, and there on every machine.
    pub(crate) webgpu: bool,
    /// Keep what the page's thread does, for [`super::tasks`], and the questions that the browser asks.
    pub(crate) watched: bool,
    /// Further arguments.
    pub(crate) args: Vec<String>,
}

impl Options {
    /// The capabilities to ask for. The browser keeps everything in `profile` and writes down all that
    /// it does on the network to `log`.
    pub(crate) fn capabilities(&self, profile: &Path, log: &Path) -> Value {
        let mut all: Value = serde_json::from_str(DRIVER).unwrap();
        let args = all["goog:chromeOptions"]["args"].as_array_mut().unwrap();
        let mut add = |arg: String| args.push(arg.into());
        QUIET.iter().for_each(|arg| add((*arg).to_owned()));
        add(format!("--user-data-dir={}", profile.display()));
        add(format!("--log-net-log={}", log.display()));
        add("--net-log-capture-mode=Everything".to_owned());
        self.args.iter().cloned().for_each(add);
        if !self.webgpu {
            args.retain(|arg| !arg.as_str().is_some_and(|arg| arg.contains("webgpu")));
        }
        // The home page of a distribution is somebody's server.
        all["goog:chromeOptions"]["prefs"] = json!({
            "session": { "restore_on_startup": 4, "startup_urls": ["about:blank"] },
            "signin": { "allowed": false, "allowed_on_next_startup": false },
        });
        all["browserName"] = "chrome".into();
        all["goog:loggingPrefs"] = json!({ "browser": "ALL" });
        if self.watched {
            all["goog:loggingPrefs"]["performance"] = "ALL".into();
            all["goog:chromeOptions"]["perfLoggingPrefs"] =
                json!({ "enableNetwork": false, "traceCategories": TRACED });
        }
        all["timeouts"] = json!({ "script": 300_000, "pageLoad": 300_000 });
        all
    }
}
