//! Chromium's own log of everything that it did on the network: one event a line.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde_json::Value;

/// What Chromium calls the initiator of what it does on its own, and of what a person typed.
const NOBODY: &str = "not an origin";

/// Something that was asked of the network.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// The address of a request, or the host of a look-up.
    pub(crate) what: String,
    /// The origin whose page or worker asked. A look-up has none.
    initiator: Option<String>,
    /// The site for which it was asked; `null` for the browser itself.
    site: String,
}

impl Ask {
    /// Whether a page had part in it. Chromium asks its makers for the time, for updates and more, with
    /// any page or none; then no page initiates it and it isn't for the page's site.
    pub(crate) fn by_page_of(&self, origin: &str) -> bool {
        let initiated = self.initiator.as_deref().is_some_and(|name| name != NOBODY);
        // A site has no port.
        let site = origin.rsplit_once(':').map_or(origin, |(site, _)| site);
        initiated || self.site.contains(site)
    }
}

/// What was asked, in the order in which it was.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Requests, those by workers and those that failed too.
    pub(crate) requests: Vec<Ask>,
    /// Names that were looked up, for a connection or ahead of one.
    pub(crate) lookups: Vec<Ask>,
}

impl Asked {
    /// Whether an address was requested.
    pub(crate) fn has(&self, url: &str) -> bool {
        self.requests.iter().any(|ask| ask.what == url)
    }

    /// What pages asked of others than the server at `origin`, which is `http://ip:port`.
    pub(crate) fn elsewhere(&self, origin: &str) -> Vec<&str> {
        let ours = |what: &str| {
            what.strip_prefix(origin)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let all = self.requests.iter().chain(&self.lookups);
        all.filter(|ask| ask.by_page_of(origin) && !ours(&ask.what))
            .map(|ask| ask.what.as_str())
            .collect()
    }
}

/// Reads a log. A last line that was cut off is left out.
pub(crate) fn read(path: &Path) -> Asked {
    let file = File::open(path)
        .unwrap_or_else(|error| panic!("the browser left no log at {}: {error}", path.display()));
    let mut lines = BufReader::new(file).lines().map_while(Result::ok);
    let types = types(&lines.next().expect("a log has a first line"));
    let number = |name: &str| match types.get(name) {
        Some(number) => *number,
        None => panic!("this Chromium logs no {name}: its log has changed"),
    };
    let request = number("URL_REQUEST_START_JOB");
    let lookup = number("HOST_RESOLVER_MANAGER_REQUEST");
    let mut asked = Asked::default();
    for line in lines {
        // The last event of a whole log is followed by the end of the list, on a line of its own.
        let Ok(event) = serde_json::from_str::<Value>(line.trim_end_matches(',')) else {
            continue;
        };
        match event["type"].as_u64() {
            Some(kind) if kind == request => {
                asked
                    .requests
                    .extend(ask(&event, "url", "network_isolation_key"));
            }
            Some(kind) if kind == lookup => {
                asked
                    .lookups
                    .extend(ask(&event, "host", "network_anonymization_key"));
            }
            _ => {}
        }
    }
    asked
}

/// The beginning of a request or look-up; its end says only how it went.
fn ask(event: &Value, what: &str, site: &str) -> Option<Ask> {
    let text = |key: &str| event["params"][key].as_str().map(str::to_owned);
    Some(Ask {
        what: text(what)?,
        initiator: text("initiator"),
        site: text(site).expect("the log says for which site something was asked"),
    })
}

/// The first line tells the numbers of the kinds of events.
fn types(first: &str) -> HashMap<String, u64> {
    let constants: Value = serde_json::from_str(&format!("{}}}", first.trim_end_matches(',')))
        .expect("the first line holds the constants");
    let types = constants["constants"]["logEventTypes"].as_object().unwrap();
    let number = |(name, number): (&String, &Value)| Some((name.clone(), number.as_u64()?));
    types.iter().filter_map(number).collect()
}
