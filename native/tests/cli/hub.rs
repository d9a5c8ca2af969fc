//! `hub:org/name` against a server of our own that answers as the hub does.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{stderr, stdout};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server does to a file's bytes on their way.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Good,
    /// Closes the connection after half of a file's bytes.
    Breaks,
    /// Flips a bit.
    Damages,
    /// Wants a token.
    Gated,
}

/// A request's first line and its `Authorization` and `Range`.
type Heard = Arc<Mutex<Vec<String>>>;

struct Hub {
    address: String,
    heard: Heard,
    mood: Arc<Mutex<Mood>>,
    home: TempDir,
}

fn model() -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/models/llama");
    let read = |name: &str| (name.to_owned(), fs::read(folder.join(name)).unwrap());
    ["config.json", "model.safetensors"].map(read).into()
}

/// The same model as PyTorch's shards.
fn sharded() -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/prompts/sharded");
    let files = fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().to_str().unwrap().to_owned();
        (name, fs::read(entry.path()).unwrap())
    });
    let mut files: BTreeMap<_, _> = files.collect();
    files.extend(model().remove_entry("config.json"));
    files
}

/// A model in one file, and another in a folder of the repository.
fn ggufs() -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/gguf");
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    [
        ("README.md".to_owned(), b"# Tiny".to_vec()),
        ("q4/tiny-q4.gguf".to_owned(), read("linear.gguf")),
        ("tiny-f32.gguf".to_owned(), read("llama3.gguf")),
    ]
    .into()
}

impl Hub {
    fn serve(files: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hub = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            heard: Heard::default(),
            mood: Arc::new(Mutex::new(Mood::Good)),
            home: tempfile::tempdir().unwrap(),
        };
        let (heard, mood) = (Arc::clone(&hub.heard), Arc::clone(&hub.mood));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &files, &heard, *mood.lock().unwrap());
            }
        });
        hub
    }

    fn run(&self, model: &str, more: &[(&str, &str)]) -> Output {
        let forward = [
            "forward", "--model", model, "--ids", "5,9,2", "--device", "cpu", "--json",
        ];
        self.post(&forward, more)
    }

    /// The binary, with what the environment says of other hubs left out.
    fn post(&self, args: &[&str], more: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_post-native"));
        command.args(args);
        for name in [
            "HF_TOKEN",
            "HF_TOKEN_PATH",
            "HF_HUB_OFFLINE",
            "TRANSFORMERS_OFFLINE",
            "HF_HUB_CACHE",
            "XDG_CACHE_HOME",
        ] {
            command.env_remove(name);
        }
        command
            .env("HF_HOME", self.home.path())
            .env("HF_ENDPOINT", &self.address);
        command.envs(more.iter().copied());
        command.output().unwrap()
    }

    #[track_caller]
    fn logits(&self, model: &str, more: &[(&str, &str)]) -> Value {
        let output = self.run(model, more);
        assert!(output.status.success(), "{}", stderr(&output));
        let found: Value = serde_json::from_str(&stdout(&output)).unwrap();
        found["logits"].clone()
    }

    #[track_caller]
    fn inspected(&self, model: &str, more: &[(&str, &str)]) -> Value {
        let output = self.post(&["inspect", model, "--json"], more);
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_str(&stdout(&output)).unwrap()
    }

    #[track_caller]
    fn fails(&self, model: &str, more: &[(&str, &str)], said: &[&str]) {
        let output = self.run(model, more);
        let heard = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{heard}");
        for words in said {
            assert!(heard.contains(words), "should say `{words}`:\n{heard}");
        }
    }

    fn in_mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// What was asked for since the last time.
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join("hub/models--org--tiny").join(name)
    }
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, Vec<u8>>, heard: &Heard, mood: Mood) {
    let mut lines = BufReader::new(stream.try_clone().unwrap())
        .lines()
        .map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        let found = headers.iter().filter_map(|line| line.split_once(": "));
        let mut found = found.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.to_owned())
    };
    let (range, token) = (header("range"), header("authorization"));
    let said = format!(
        "{first} {} {}",
        range.as_deref().unwrap_or("-"),
        token.as_deref().unwrap_or("-")
    );
    heard.lock().unwrap().push(said);
    let path = first.split(' ').nth(1).unwrap_or_default();
    let head = |status: &str, more: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{more}\r\n")
    };
    let mut send = |head: String, body: &[u8]| {
        let _ = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body));
    };
    if mood == Mood::Gated && token.as_deref() != Some("Bearer hf_secret") {
        return send(head("401 Unauthorized", "", 0), b"");
    }
    if path.starts_with("/api/models/org/tiny/revision/") {
        let siblings: Vec<Value> = files
            .keys()
            .map(|name| json!({ "rfilename": name }))
            .collect();
        let body = json!({ "siblings": siblings, "sha": COMMIT }).to_string();
        return send(
            head("200 OK", "Content-Type: application/json\r\n", body.len()),
            body.as_bytes(),
        );
    }
    let name = path
        .split("/org/tiny/resolve/")
        .nth(1)
        .and_then(|rest| rest.split_once('/'));
    let Some(bytes) = name.and_then(|(_, name)| files.get(name)) else {
        return send(head("404 Not Found", "", 0), b"");
    };
    let (start, end) = bounds(range.as_deref(), bytes.len());
    let more = format!(
        "X-Repo-Commit: {COMMIT}\r\nETag: \"{}\"\r\nContent-Range: bytes {start}-{}/{}\r\n",
        etag(bytes),
        end - 1,
        bytes.len()
    );
    let mut body = bytes[start..end].to_vec();
    if mood == Mood::Damages && body.len() > 1 {
        body[0] ^= 1;
    }
    let length = body.len();
    if mood == Mood::Breaks && length > 1000 {
        body.truncate(length / 2);
    }
    send(head("206 Partial Content", &more, length), &body);
}

fn bounds(range: Option<&str>, length: usize) -> (usize, usize) {
    let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let (start, end) = range.unwrap_or(("0", ""));
    let end = end.parse().map_or(length, |last: usize| last + 1);
    (start.parse().unwrap(), end.min(length))
}

/// As the hub has it: git's SHA-1 for small files, SHA-256 for large ones.
fn etag(bytes: &[u8]) -> String {
    match bytes.len() > 10_000 {
        true => post_core::dp::receipt::sha256(bytes),
        false => {
            use sha1::{Digest, Sha1};
            let mut hash = Sha1::new();
            hash.update(format!("blob {}\0", bytes.len()));
            hash.update(bytes);
            format!("{:x}", hash.finalize())
        }
    }
}

/// The cache is Python's: blobs by hash, a snapshot of links, a reference to the commit.
#[test]
fn a_model_is_fetched_once_and_kept_as_python_keeps_it() {
    let hub = Hub::serve(model());
    let first = hub.logits("hub:org/tiny", &[]);
    assert!(
        hub.heard()
            .iter()
            .any(|line| line.contains("/resolve/main/model.safetensors"))
    );
    assert_eq!(fs::read_to_string(hub.path("refs/main")).unwrap(), COMMIT);
    for (name, bytes) in model() {
        let link = hub.path("snapshots").join(COMMIT).join(&name);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "{name}");
        assert_eq!(
            fs::read(hub.path("blobs").join(etag(&bytes))).unwrap(),
            bytes,
            "{name}"
        );
        assert_eq!(fs::read(link).unwrap(), bytes, "{name}");
    }
    let offline = [("HF_HUB_OFFLINE", "1")];
    assert_eq!(hub.logits("hub:org/tiny", &offline), first);
    // By the commit's hash, to which Python keeps no reference.
    assert_eq!(
        hub.logits(&format!("hub:org/tiny@{COMMIT}"), &offline),
        first
    );
    hub.fails(
        "hub:org/other",
        &offline,
        &["org/other", "hint: unset HF_HUB_OFFLINE"],
    );
    assert_eq!(
        hub.heard(),
        [""; 0],
        "offline, and still something was asked for"
    );
    let cache = hub.home.path().join("hub");
    let elsewhere = [
        ("HF_HOME", "/nowhere"),
        ("HF_HUB_CACHE", cache.to_str().unwrap()),
        offline[0],
    ];
    assert_eq!(hub.logits("hub:org/tiny", &elsewhere), first);
}

#[test]
fn a_revision_and_a_token_are_passed_on() {
    let hub = Hub::serve(model());
    hub.in_mood(Mood::Gated);
    hub.fails("hub:org/tiny@v1", &[], &["org/tiny", "401", "HF_TOKEN"]);
    assert!(hub.heard().iter().all(|line| line.ends_with(" -")));
    hub.logits("hub:org/tiny@v1", &[("HF_TOKEN", "hf_secret")]);
    let heard = hub.heard();
    assert!(
        heard
            .iter()
            .any(|line| line.contains("/resolve/v1/config.json")),
        "{heard:?}"
    );
    assert!(
        heard.iter().all(|line| line.ends_with("Bearer hf_secret")),
        "{heard:?}"
    );
    hub.in_mood(Mood::Good);
    hub.fails(
        "hub:org/absent",
        &[],
        &["org/absent", "404", "hint: check the name"],
    );
}

#[test]
fn a_broken_download_goes_on_where_it_was() {
    let hub = Hub::serve(model());
    hub.in_mood(Mood::Breaks);
    hub.fails(
        "hub:org/tiny",
        &[],
        &["could not fetch", "hint: run the same command again"],
    );
    let whole = model()["model.safetensors"].len();
    hub.in_mood(Mood::Good);
    hub.heard();
    hub.logits("hub:org/tiny", &[]);
    let heard = hub.heard();
    let resumed = format!("bytes={}-", whole / 2);
    let asked = |line: &&String| line.contains("model.safetensors") && line.contains(&resumed);
    assert!(heard.iter().any(|line| asked(&line)), "{heard:?}");
}

#[test]
fn what_arrives_damaged_is_not_kept() {
    let hub = Hub::serve(model());
    hub.in_mood(Mood::Damages);
    hub.fails(
        "hub:org/tiny",
        &[],
        &["arrived damaged", "hint: run the same command again"],
    );
    hub.in_mood(Mood::Good);
    hub.logits("hub:org/tiny", &[]);
}

#[test]
fn shards_of_pytorch_are_fetched_one_by_one() {
    let plain = Hub::serve(model()).logits("hub:org/tiny", &[]);
    let hub = Hub::serve(sharded());
    assert_eq!(hub.logits("hub:org/tiny", &[]), plain);
    let heard = hub.heard();
    let shard = "pytorch_model-00002-of-00002.bin";
    assert!(heard.iter().any(|line| line.contains(shard)), "{heard:?}");
    let mut none = model();
    none.remove("model.safetensors");
    let none = Hub::serve(none);
    none.fails(
        "hub:org/tiny",
        &[],
        &["has no weights", "pytorch_model.bin"],
    );
}

/// As Python reads the variables: `no` is not yes, and the older variable counts where the newer is silent.
#[test]
fn the_network_is_forbidden_by_yes_alone() {
    let hub = Hub::serve(model());
    for (variables, named) in [
        (
            [("HF_HUB_OFFLINE", "True"), ("TRANSFORMERS_OFFLINE", "0")],
            "HF_HUB_OFFLINE",
        ),
        (
            [("HF_HUB_OFFLINE", ""), ("TRANSFORMERS_OFFLINE", "YES")],
            "TRANSFORMERS_OFFLINE",
        ),
    ] {
        let hint = format!("hint: unset {named} once");
        hub.fails(
            "hub:org/tiny",
            &variables,
            &["not in the hub's cache", &hint],
        );
    }
    assert_eq!(hub.heard(), [""; 0]);
    hub.logits(
        "hub:org/tiny",
        &[("HF_HUB_OFFLINE", "no"), ("TRANSFORMERS_OFFLINE", "1")],
    );
    assert!(!hub.heard().is_empty());
}

/// Where `hf auth login` leaves it, wherever the models lie.
#[test]
fn the_token_is_found_where_python_keeps_it() {
    let hub = Hub::serve(model());
    hub.in_mood(Mood::Gated);
    let path = |name: &str| hub.home.path().join(name).to_str().unwrap().to_owned();
    let models = path("elsewhere/models");
    let cache = ("HF_HUB_CACHE", models.as_str());
    fs::create_dir_all(path("elsewhere/huggingface")).unwrap();
    // The crate would take the one beside the cache.
    fs::write(path("elsewhere/token"), "hf_other").unwrap();
    hub.fails("hub:org/tiny", &[cache], &["401", "hf auth login"]);
    assert!(hub.heard().iter().all(|line| line.ends_with(" -")));
    fs::write(path("token"), "hf_secret\n").unwrap();
    hub.logits("hub:org/tiny", &[cache]);
    assert!(
        hub.heard()
            .iter()
            .all(|line| line.ends_with("Bearer hf_secret"))
    );
    assert!(
        Path::new(&models)
            .join("models--org--tiny/refs/main")
            .is_file()
    );
    // What comes first: the variable, a path of its own, the file in Hugging Face's folder.
    hub.fails(
        "hub:org/tiny@a",
        &[cache, ("HF_TOKEN", "hf_variable")],
        &["401"],
    );
    let other = path("elsewhere/token");
    hub.fails(
        "hub:org/tiny@a",
        &[cache, ("HF_TOKEN_PATH", &other)],
        &["401"],
    );
    let heard = hub.heard();
    let sent = |token: &str| heard.iter().any(|line| line.ends_with(token));
    assert!(sent("hf_variable") && sent("hf_other"), "{heard:?}");
    // Without HF_HOME the folder lies among the caches.
    fs::rename(path("token"), path("elsewhere/huggingface/token")).unwrap();
    let caches = path("elsewhere");
    hub.logits(
        "hub:org/tiny",
        &[("HF_HOME", ""), ("XDG_CACHE_HOME", &caches)],
    );
    let kept = path("elsewhere/huggingface/hub/models--org--tiny/refs/main");
    assert_eq!(fs::read_to_string(kept).unwrap(), COMMIT);
}

#[test]
fn inspect_says_what_a_model_on_the_hub_is() {
    let hub = Hub::serve(model());
    let found = hub.inspected("hub:org/tiny@v1", &[]);
    assert_eq!(found["kind"], "model folder");
    assert_eq!(found["blocks"], 3);
    let size = model()["model.safetensors"].len();
    assert_eq!(found["bytes"], json!(size));
    let offline = [("HF_HUB_OFFLINE", "1")];
    assert_eq!(hub.inspected("hub:org/tiny@v1", &offline), found);
    let output = hub.post(&["inspect", "hub:tiny"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("hub:org/name[/FILE.gguf][@revision]"));
}

#[test]
fn a_gguf_file_of_a_repository_is_a_model() {
    let hub = Hub::serve(ggufs());
    let first = hub.logits("hub:org/tiny/tiny-f32.gguf", &[]);
    let heard = hub.heard();
    let asked = |name: &str| heard.iter().any(|line| line.contains(name));
    assert!(asked("/resolve/main/tiny-f32.gguf"), "{heard:?}");
    assert!(!asked("q4") && !asked("README"), "{heard:?}");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/gguf");
    let local = fixtures.join("llama3.gguf");
    assert_eq!(hub.logits(local.to_str().unwrap(), &[]), first);
    let offline = [("HF_HUB_OFFLINE", "1")];
    assert_eq!(hub.logits("hub:org/tiny/tiny-f32.gguf", &offline), first);
    let deep = "hub:org/tiny/q4/tiny-q4.gguf@v1";
    hub.fails(deep, &offline, &[deep, "not in the hub's cache"]);
    assert_eq!(hub.inspected(deep, &[])["kind"], "GGUF model");
    assert_eq!(hub.inspected(deep, &offline)["tensors"], 21);
    assert_ne!(hub.logits(deep, &[]), first);
}

#[test]
fn a_repository_of_gguf_files_names_them() {
    let hub = Hub::serve(ggufs());
    let way_on = "hint: name a GGUF file that is there, as in hub:org/tiny/q4/tiny-q4.gguf@v1";
    hub.fails(
        "hub:org/tiny@v1",
        &[],
        &[
            "org/tiny has no weights",
            "q4/tiny-q4.gguf, tiny-f32.gguf",
            way_on,
        ],
    );
    hub.fails(
        "hub:org/tiny/none.gguf@v1",
        &[],
        &["org/tiny has no none.gguf", way_on],
    );
    let many = (0..20).map(|file| (format!("{file:02}.gguf"), b"GGUF".to_vec()));
    Hub::serve(many.collect()).fails("hub:org/tiny", &[], &["10.gguf, 11.gguf and 8 more"]);
    Hub::serve(model()).fails(
        "hub:org/tiny/none.gguf",
        &[],
        &[
            "org/tiny has no none.gguf",
            "hint: a model is a .gguf file, or has one of model.safetensors",
        ],
    );
}
