//! The least server that a page with a worker needs, on this machine only.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::shell::say;

/// The two isolation headers give the tab its own process, and threads later.
const HEADERS: &str = "Cache-Control: no-cache\r\n\
     Cross-Origin-Opener-Policy: same-origin\r\n\
     Cross-Origin-Embedder-Policy: require-corp\r\n\
     X-Content-Type-Options: nosniff\r\n\
     Referrer-Policy: no-referrer\r\n\
     Connection: close\r\n";

/// Serves a folder until it is interrupted.
///
/// # Errors
/// When the port is taken.
pub(super) fn run(folder: &Path, port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("cannot listen on port {port}: name another with --port"))?;
    say(&format!(
        "Open http://{} (Ctrl-C ends it)",
        listener.local_addr()?
    ));
    for stream in listener.incoming() {
        // A tab that closes its connection is no reason to stop serving.
        if let Err(error) = stream
            .map_err(Into::into)
            .and_then(|stream| answer(stream, folder))
        {
            eprintln!("    {error:#}");
        }
    }
    Ok(())
}

fn answer(mut stream: TcpStream, folder: &Path) -> Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    reader.read_line(&mut line)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let found = file(&line, folder).and_then(|path| Some((std::fs::read(&path).ok()?, path)));
    let (status, kind, body) = match &found {
        Some((body, path)) => ("200 OK", kind(path), body.as_slice()),
        None => ("404 Not Found", "text/plain", b"not found".as_slice()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{HEADERS}\r\n"
    );
    stream.write_all(head.as_bytes())?;
    Ok(stream.write_all(body)?)
}

/// The file that a request line asks for; `None` for anything but a plain path inside the folder.
fn file(request: &str, folder: &Path) -> Option<PathBuf> {
    let path = request.strip_prefix("GET /")?.split([' ', '?']).next()?;
    let path = Path::new(if path.is_empty() { "index.html" } else { path });
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    inside.then(|| folder.join(path))
}

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|end| end.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn nothing_outside_the_folder_is_served() {
        let folder = Path::new("dist");
        assert_eq!(
            file("GET / HTTP/1.1", folder),
            Some(folder.join("index.html"))
        );
        assert_eq!(
            file("GET /a.js?b HTTP/1.1", folder),
            Some(folder.join("a.js"))
        );
        for request in [
            "GET /../secret HTTP/1.1",
            "GET //etc/passwd HTTP/1.1",
            "POST / HTTP/1.1",
            "",
        ] {
            assert_eq!(file(request, folder), None, "{request}");
        }
    }

    #[test]
    fn a_file_arrives_whole_and_isolated() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wasm"), b"\0asm").unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let root = folder.path().to_owned();
        let server = std::thread::spawn(move || answer(listener.accept().unwrap().0, &root));
        let mut client = TcpStream::connect(address).unwrap();
        client
            .write_all(b"GET /a.wasm HTTP/1.1\r\nHost: here\r\n\r\n")
            .unwrap();
        let mut reply = Vec::new();
        client.read_to_end(&mut reply).unwrap();
        server.join().unwrap().unwrap();
        let text = String::from_utf8_lossy(&reply);
        assert!(text.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/wasm\r\n"));
        assert!(text.contains("Cross-Origin-Opener-Policy: same-origin\r\n"));
        assert!(reply.ends_with(b"\r\n\r\n\0asm"));
    }
}
