//! The WebDriver protocol: JSON over HTTP.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

/// No command takes longer than the longest script may.
const PATIENCE: Duration = Duration::from_secs(400);
/// Screenshots are sent as text.
const MOST: u64 = 256 << 20;

/// What the driver refused.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The protocol's word for it, such as `no such element`.
    pub(crate) error: String,
    pub(crate) message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.lines().next().unwrap_or_default();
        write!(f, "{}: {message}", self.error)
    }
}

/// An HTTP client that talks to this machine alone, whatever proxy the environment names.
pub(crate) fn agent() -> Agent {
    Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .build()
        .into()
}

/// A session's end of the wire.
pub(crate) struct Wire {
    agent: Agent,
    /// Of the session.
    base: String,
}

impl Wire {
    /// Opens a session.
    #[track_caller]
    pub(crate) fn open(driver: &str, capabilities: &Value) -> Self {
        let mut wire = Self {
            agent: agent(),
            base: driver.to_owned(),
        };
        let asked = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let opened = wire.post("session", &asked);
        let opened = opened.unwrap_or_else(|refused| panic!("no browser: {}", refused.message));
        let id = opened["sessionId"].as_str().expect("a session has an id");
        wire.base = format!("{driver}/session/{id}");
        wire
    }

    pub(crate) fn get(&self, what: &str) -> Result<Value, Refused> {
        let reply = self.agent.get(self.url(what)).call();
        read(reply)
    }

    pub(crate) fn post(&self, what: &str, body: &Value) -> Result<Value, Refused> {
        let reply = self.agent.post(self.url(what)).send_json(body);
        read(reply)
    }

    pub(crate) fn delete(&self, what: &str) -> Result<Value, Refused> {
        read(self.agent.delete(self.url(what)).call())
    }

    /// Ends the session, and the browser with it.
    pub(crate) fn close(&self) -> Result<(), Refused> {
        read(self.agent.delete(&self.base).call()).map(drop)
    }

    fn url(&self, what: &str) -> String {
        format!("{}/{what}", self.base)
    }
}

fn read(reply: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, Refused> {
    let lost = |error: ureq::Error| Refused {
        error: "the driver does not answer".to_owned(),
        message: error.to_string(),
    };
    let mut reply = reply.map_err(lost)?;
    let ok = reply.status().is_success();
    let body = reply.body_mut().with_config().limit(MOST).read_json();
    let value = body.map_err(lost)?;
    let value: Value = match value {
        Value::Object(mut all) => all.remove("value").unwrap_or_default(),
        other => other,
    };
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    match ok {
        true => Ok(value),
        false => Err(Refused {
            error: text("error"),
            message: text("message"),
        }),
    }
}
