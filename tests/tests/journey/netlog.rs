//! Chromium's own log of everything that it did on the network: one event a line.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde_json::Value;

/// What was asked, and where it went.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The addresses of all requests, those by workers and those that failed too.
    pub(crate) urls: BTreeSet<String>,
    /// The names that were looked up, and `ip:port` of all connections that were tried.
    pub(crate) reached: BTreeSet<String>,
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
    let places = [
        (number("HOST_RESOLVER_MANAGER_REQUEST"), "host"),
        (number("TCP_CONNECT_ATTEMPT"), "address"),
        (number("UDP_CONNECT"), "address"),
    ];
    let mut asked = Asked::default();
    for line in lines {
        // The last event of a whole log is followed by the end of the list, on a line of its own.
        let Ok(event) = serde_json::from_str::<Value>(line.trim_end_matches(',')) else {
            continue;
        };
        let params = |key: &str| event["params"][key].as_str().map(str::to_owned);
        let kind = event["type"].as_u64();
        if kind == Some(request) {
            asked.urls.extend(params("url"));
        }
        for (_, key) in places.iter().filter(|(place, _)| kind == Some(*place)) {
            asked.reached.extend(params(key));
        }
    }
    asked
}

/// The first line tells the numbers of the kinds of events.
fn types(first: &str) -> HashMap<String, u64> {
    let constants: Value = serde_json::from_str(&format!("{}}}", first.trim_end_matches(',')))
        .expect("the first line holds the constants");
    let types = constants["constants"]["logEventTypes"].as_object().unwrap();
    let number = |(name, number): (&String, &Value)| Some((name.clone(), number.as_u64()?));
    types.iter().filter_map(number).collect()
}
