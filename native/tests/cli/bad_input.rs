//! Every bad file gets exit code 1, its name and a way out.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::refused;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn receipts_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("privacy.json");
    refused(
        &["receipt", "show", text(&file)],
        1,
        &["could not read", "privacy.json", "hint:"],
    );
    fs::write(&file, "{}").unwrap();
    refused(
        &["receipt", "verify", text(&file)],
        1,
        &["privacy.json", "not a receipt"],
    );
    refused(
        &["receipt", "verify", text(dir.path())],
        1,
        &["could not read", "not a receipt"],
    );
    fs::remove_file(&file).unwrap();
    refused(
        &["receipt", "show", text(dir.path())],
        1,
        &["has no privacy.json", "hint:"],
    );
    let zip = dir.path().join("prompt.zip");
    fs::write(&zip, "PK no more").unwrap();
    refused(
        &["receipt", "show", text(&zip)],
        1,
        &["prompt.zip", "hint: name a folder or a zip"],
    );
}

#[test]
fn ledgers_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ledger.json");
    let show = ["ledger", "show", "--ledger", text(&file)];
    refused(&show, 1, &["could not read", "ledger.json"]);
    fs::write(&file, "{\"version\": 1").unwrap();
    refused(
        &show,
        1,
        &["ledger.json", "a new one would forget what is spent"],
    );
    let run = |noise: f64, rows: &str| {
        json!({
            "version": 1, "key": "00", "cap_epsilon": 8.0, "cap_delta": 1e-5,
            "runs": [{
                "plan": "00", "data": [rows],
                "event": { "sample_rate": 0.1, "noise_multiplier": noise, "steps": 10 },
            }],
        })
    };
    for (ledger, place) in [
        (run(-1.0, "0123456789abcdef"), "runs[0].event"),
        (run(1.0, "ab"), "runs[0].data"),
    ] {
        fs::write(&file, ledger.to_string()).unwrap();
        let said = ["ledger.json", place, "a new one would forget"];
        refused(&show, 1, &said);
    }
}
