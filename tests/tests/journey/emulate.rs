//! What only the browser's debugger can do.

use serde_json::{Value, json};

use super::browser::Browser;

impl Browser {
    /// A command of the Chrome DevTools Protocol.
    #[track_caller]
    pub(crate) fn debugger(&self, command: &str, params: &Value) -> Value {
        let asked = json!({ "cmd": command, "params": params });
        let done = self.wire.post("goog/cdp/execute", &asked);
        self.good(command, done)
    }

    /// What the person set in their system, such as `prefers-color-scheme` to `dark`. Replaces what was
    /// set before.
    #[track_caller]
    pub(crate) fn prefers(&self, features: &[(&str, &str)]) {
        let features: Vec<_> = features
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        self.debugger(
            "Emulation.setEmulatedMedia",
            &json!({ "features": features }),
        );
    }

    /// The size of what is seen of the page, in CSS pixels. A window's frame can't be as narrow as a
    /// telephone.
    #[track_caller]
    pub(crate) fn size(&self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.debugger("Emulation.setDeviceMetricsOverride", &size);
    }

    /// The size of the window again, where everything that is seen can be clicked.
    #[track_caller]
    pub(crate) fn own_size(&self) {
        self.debugger("Emulation.clearDeviceMetricsOverride", &json!({}));
    }

    /// Puts the window away, so that nobody sees the page.
    #[track_caller]
    pub(crate) fn hide(&self) {
        let hidden = self.wire.post("window/minimize", &json!({}));
        self.good("putting the window away", hidden);
    }

    /// Brings the window back.
    #[track_caller]
    pub(crate) fn own_window(&self) {
        let back = json!({ "width": 1280, "height": 1000 });
        let back = self.wire.post("window/rect", &back);
        self.good("bringing the window back", back);
    }

    /// Whether there is a network.
    #[track_caller]
    pub(crate) fn offline(&self, offline: bool) {
        self.network(offline, -1);
    }

    /// How many bytes come in a second.
    #[track_caller]
    pub(crate) fn throttle(&self, bytes: i64) {
        self.network(false, bytes);
    }

    #[track_caller]
    fn network(&self, offline: bool, bytes: i64) {
        let params = json!({
            "offline": offline, "latency": 0, "downloadThroughput": bytes, "uploadThroughput": -1,
        });
        self.debugger("Network.enable", &json!({}));
        self.debugger("Network.emulateNetworkConditions", &params);
    }

    /// Ends the process that drives the graphics card, as a bad driver does.
    #[track_caller]
    pub(crate) fn crash_graphics(&self) {
        self.debugger("Browser.crashGpuProcess", &json!({}));
    }

    /// Lets downloads arrive in [`Browser::downloads`].
    #[track_caller]
    pub(super) fn keep_downloads(&self) {
        let path = self.downloads();
        self.debugger(
            "Browser.setDownloadBehavior",
            &json!({ "behavior": "allow", "downloadPath": path.to_string_lossy() }),
        );
    }
}
