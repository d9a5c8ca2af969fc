//! Looks for a text in files, however it was written down.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shorter ones occur by chance.
const LEAST: usize = 16;

/// Where a text was found, and how it was written there.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) file: PathBuf,
    pub(crate) form: &'static str,
}

/// Every place under `root`, a file or a folder, where the text occurs: as it is, in UTF-16, base64 of
/// both (wherever it begins in what was encoded), percent-encoded, as a JSON string, in hexadecimal. The
/// case of letters doesn't matter. What was compressed or encrypted is not found.
pub(crate) fn search(root: &Path, text: &str) -> Vec<Found> {
    assert!(
        text.len() >= LEAST,
        "`{text}` is too short to be told from chance"
    );
    let (names, bytes): (Vec<_>, Vec<_>) = forms(text).into_iter().unzip();
    let patterns = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(bytes)
        .unwrap();
    let mut found = Vec::new();
    for file in files(root) {
        // The browser's locks and sockets are no files.
        let Ok(opened) = File::open(&file) else {
            continue;
        };
        let mut hits = patterns.stream_find_iter(BufReader::new(opened));
        if let Some(hit) = hits.find_map(Result::ok) {
            let form = names[hit.pattern().as_usize()];
            found.push(Found { file, form });
        }
    }
    found
}

fn files(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else {
        return vec![root.to_owned()];
    };
    let paths = entries.map_while(Result::ok).map(|entry| entry.path());
    let inner = paths.filter(|path| !path.is_symlink());
    inner.flat_map(|path| files(&path)).collect()
}

fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let percent = percent(text);
    let mut forms = vec![
        ("plain", text.as_bytes().to_vec()),
        (
            "JSON",
            serde_json::to_string(text)
                .unwrap()
                .trim_matches('"')
                .into(),
        ),
        ("percent", percent.clone().into_bytes()),
        ("form", percent.replace("%20", "+").into_bytes()),
        ("hexadecimal", hex(text.as_bytes()).into_bytes()),
        ("hexadecimal UTF-16", hex(&wide).into_bytes()),
    ];
    forms.extend(base64("base64", text.as_bytes()));
    forms.extend(base64("base64 of UTF-16", &wide));
    forms.extend([("UTF-16", wide), ("UTF-16, big end first", big)]);
    forms
}

/// What stays the same of the text's base64 whatever stands before and after it: three bytes become
/// four characters, so there are three ways to begin.
fn base64(name: &'static str, bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let padded = [&[0; 2][..before], bytes].concat();
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&padded);
            let whole = padded.len() / 3 * 4;
            let first = [0, 2, 3][before];
            forms.push((name, encoded.as_bytes()[first..whole].to_vec()));
        }
    }
    forms
}

fn percent(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

#[test]
fn a_canary_is_found_in_every_form_and_place() {
    let text = "canary ünder a pillow 4711";
    for before in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let inside = format!("{}{text} and more", "x".repeat(before));
        let wide: Vec<u8> = inside.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let written = [
            inside.clone().into_bytes(),
            wide.clone(),
            STANDARD_NO_PAD.encode(&inside).into_bytes(),
            URL_SAFE_NO_PAD.encode(&wide).into_bytes(),
            percent(&inside).to_lowercase().into_bytes(),
            percent(&inside).replace("%20", "+").into_bytes(),
        ];
        fs::create_dir(dir.path().join("a")).unwrap();
        for (number, bytes) in written.iter().enumerate() {
            fs::write(dir.path().join(format!("a/{number}")), bytes).unwrap();
        }
        fs::write(dir.path().join("other"), "canary under a pillow").unwrap();
        let found = search(dir.path(), text);
        assert_eq!(found.len(), written.len(), "{before}: {found:?}");
    }
}
