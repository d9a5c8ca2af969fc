//! `serve` over a real socket.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::journey::Place;
use super::refused;
use super::server::Server;

/// A folder with a page, and a bundle beside it.
fn place() -> Place {
    let place = Place::new();
    place.done(
        "bundle --student @teacher --out @s.post.safetensors --name tiny --license MIT --task @toy.toml",
    );
    fs::create_dir(place.path("dist")).unwrap();
    fs::write(place.path("dist/index.html"), "<!doctype html>").unwrap();
    fs::write(place.path("dist/worker.wasm"), [0; 4000]).unwrap();
    place
}

/// The server, running.
struct Served(Server);

impl Served {
    fn start(place: &Place, line: &str) -> Self {
        let args = place.args(&format!("serve --port 0 --page @dist {line}"));
        Self(Server::start(&args, &[], "Open http://"))
    }

    /// The head in lower case and the body of the reply to `METHOD PATH`.
    fn ask(&self, what: &str, headers: &[&str]) -> (String, Vec<u8>) {
        let host = format!("Host: {}", self.0.address);
        self.raw(&format!(
            "{what} HTTP/1.1\r\n{host}\r\nConnection: close\r\n{}\r\n",
            headers
                .iter()
                .map(|header| format!("{header}\r\n"))
                .collect::<String>()
        ))
    }

    fn raw(&self, request: &str) -> (String, Vec<u8>) {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        let end = reply
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(reply[..end].to_vec()).unwrap();
        (head.to_lowercase(), reply[end + 4..].to_vec())
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.0.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream
    }
}

#[test]
fn page_bundles_and_their_list_come_from_one_place() {
    let place = place();
    let served = Served::start(
        &place,
        "--bundle @s.post.safetensors --sample @rows.csv --sample-task toy",
    );
    let (head, body) = served.ask("GET /", &[]);
    assert!(head.starts_with("http/1.1 200 ok"), "{head}");
    assert_eq!(body, b"<!doctype html>");

    let (head, body) = served.ask("GET /bundles.json", &[]);
    assert!(head.contains("content-type: application/json"), "{head}");
    let list: Value = serde_json::from_slice(&body).unwrap();
    let file = fs::read(place.path("s.post.safetensors")).unwrap();
    let listed = &list["bundles"][0];
    assert_eq!(listed["file"], "s.post.safetensors");
    assert_eq!(listed["bytes"], json!(file.len()));
    assert_eq!(
        (&listed["name"], &listed["license"]),
        (&json!("tiny"), &json!("MIT"))
    );
    let rows = fs::metadata(place.path("rows.csv")).unwrap().len();
    assert_eq!(
        list["sample"],
        json!({ "file": "rows.csv", "bytes": rows, "task": "toy" })
    );

    let (head, body) = served.ask("GET /s.post.safetensors", &["Accept-Encoding: gzip"]);
    assert!(
        head.contains("content-type: application/octet-stream"),
        "{head}"
    );
    assert!(
        head.contains(&format!("content-length: {}", file.len())),
        "{head}"
    );
    assert!(head.contains("cache-control: no-store"), "{head}");
    assert_eq!(body, file);
    assert!(
        served
            .ask("GET /rows.csv", &[])
            .0
            .contains("content-type: text/csv")
    );
}

#[test]
fn every_reply_has_the_headers_that_keep_the_page_to_itself() {
    let place = place();
    let served = Served::start(&place, "--bundle @s.post.safetensors");
    for what in [
        "GET /",
        "HEAD /worker.wasm",
        "GET /bundles.json",
        "GET /s.post.safetensors",
        "GET /absent",
        "POST /",
    ] {
        let (head, _) = served.ask(what, &[]);
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; ",
            "connect-src 'self'; ",
            "frame-ancestors 'none'\r\n",
            "cross-origin-opener-policy: same-origin\r\n",
            "cross-origin-embedder-policy: require-corp\r\n",
            "cross-origin-resource-policy: same-origin\r\n",
            "x-content-type-options: nosniff\r\n",
            "referrer-policy: no-referrer\r\n",
            "permissions-policy: camera=(), microphone=(), geolocation=()\r\n",
            "cache-control: no-",
        ] {
            assert!(head.contains(header), "{what} lacks {header}:\n{head}");
        }
    }
}

#[test]
fn the_page_is_compressed_and_not_sent_twice() {
    let place = place();
    let served = Served::start(&place, "");
    let (head, body) = served.ask("GET /worker.wasm", &["Accept-Encoding: gzip, br"]);
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert!(head.contains("content-type: application/wasm"), "{head}");
    assert!(body.len() < 1000);
    let tag = head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap();
    let known = format!("If-None-Match: {tag}");
    let (head, body) = served.ask("GET /worker.wasm", &["Accept-Encoding: gzip", &known]);
    assert!(head.starts_with("http/1.1 304"), "{head}");
    assert!(body.is_empty());
    let (head, body) = served.ask("HEAD /worker.wasm", &[]);
    assert!(head.contains("content-length: 4000"), "{head}");
    assert!(body.is_empty());
}

#[test]
fn a_bundle_s_download_goes_on_where_it_broke_off() {
    let place = place();
    let served = Served::start(&place, "--bundles @.");
    let file = fs::read(place.path("s.post.safetensors")).unwrap();
    let (head, _) = served.ask("HEAD /s.post.safetensors", &[]);
    assert!(head.contains("accept-ranges: bytes"), "{head}");
    let tag = head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap();
    let same = format!("If-Range: {tag}");
    let (head, rest) = served.ask("GET /s.post.safetensors", &["Range: bytes=1000-", &same]);
    assert!(head.starts_with("http/1.1 206"), "{head}");
    assert_eq!(rest, file[1000..]);
    let (head, _) = served.ask("GET /s.post.safetensors", &["Range: bytes=99999999-"]);
    assert!(head.starts_with("http/1.1 416"), "{head}");
}

#[test]
fn nothing_else_is_answered() {
    let place = place();
    let served = Served::start(&place, "");
    for what in [
        "GET /../rows.csv",
        "GET /%2e%2e/rows.csv",
        "GET /..%2frows.csv",
        "GET /rows.csv",
    ] {
        assert!(
            served.ask(what, &[]).0.starts_with("http/1.1 404"),
            "{what}"
        );
    }
    assert!(served.ask("DELETE /", &[]).0.starts_with("http/1.1 405"));
    for host in ["Host: evil.example\r\n", ""] {
        let (head, _) = served.raw(&format!(
            "GET / HTTP/1.1\r\n{host}Connection: close\r\n\r\n"
        ));
        assert!(head.starts_with("http/1.1 421"), "{head}");
    }
}

#[test]
fn clients_that_break_off_or_stall_keep_nobody_waiting() {
    let place = place();
    let served = Served::start(&place, "--bundle @s.post.safetensors");
    let mut stalled = Vec::new();
    for begun in [
        "",
        "GET /s.post.safet",
        "GET /s.post.safetensors HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999\r\n\r\n",
        "\0\u{7f}\r\n\r\n",
    ] {
        for _ in 0..8 {
            let mut stream = served.connect();
            stream.write_all(begun.as_bytes()).unwrap();
            stalled.push(stream);
        }
    }
    drop(stalled.split_off(20));
    assert!(served.ask("GET /", &[]).0.starts_with("http/1.1 200"));
}

#[test]
fn what_a_tab_could_not_use_is_refused_at_the_start() {
    let place = place();
    place.done(
        "distill --teacher @teacher --blocks 0,2 --task @toy.toml --data @rows.csv --steps 1 \
         --batch 4 --checkpoint-every 1 --run @distill --device cpu",
    );
    place.done("bundle --student @distill/student --teacher @teacher --blocks-only --license MIT --out @b.post.safetensors");
    let serve = "serve --port 0 --page @dist";
    place.refused(
        &format!("{serve} --bundle @b.post.safetensors"),
        &[
            "b.post.safetensors",
            "holds blocks only",
            "hint: complete it",
        ],
    );
    let mut bytes = fs::read(place.path("s.post.safetensors")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(place.path("c.post.safetensors"), bytes).unwrap();
    place.refused(
        &format!("{serve} --bundle @c.post.safetensors"),
        &["c.post.safetensors", "damaged or changed"],
    );
    place.refused(
        &format!("{serve} --bundle @s.post.safetensors --bundle @s.post.safetensors"),
        &["under one name", "hint:"],
    );
    place.refused(
        &format!("{serve} --bundles @dist"),
        &["dist holds no .post.safetensors"],
    );
    place.refused(
        &format!("{serve} --sample @rows.csv --sample-task nothing"),
        &["nothing"],
    );
    place.refused(
        "serve --port 0 --page @teacher",
        &["holds no page", "hint: build it"],
    );
    fs::write(place.path("dist/rows.csv"), "x").unwrap();
    place.refused(
        &format!("{serve} --sample @rows.csv"),
        &["rows.csv would take the place of the page's", "hint:"],
    );
    let args = place.args(&format!("{serve} --sample-task toy"));
    refused(
        &args.iter().map(String::as_str).collect::<Vec<_>>(),
        2,
        &["--sample"],
    );
}
