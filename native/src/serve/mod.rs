//! The page, the bundles and `bundles.json` over HTTP.
//!
//! Everything that decides lies in [`site`] and below and knows no socket; only this file and
//! [`body`] know the HTTP library.

mod body;
mod conditions;
mod hosts;
mod kind;
mod memory;
mod names;
mod offers;
mod page;
mod range;
mod reply;
mod site;
mod stamp;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

pub(crate) use site::{Contents, Site};

use crate::failure::Hint;
use crate::term::Terminal;
use body::Streamed;
use reply::{Asked, Reply};

/// Connections at once: a browser uses six, and further ones wait.
const MOST: usize = 256;
/// A client that hasn't asked by then is let go of, and connects again when it has something to ask.
const PATIENCE: Duration = Duration::from_secs(30);
/// Out of file handles, say: until some connections have ended.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until the process ends.
///
/// # Errors
/// When the address is taken or not this machine's.
pub(crate) fn run(site: Site, address: SocketAddr, term: &Terminal) -> Result<()> {
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("could not start the server's threads")?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("could not listen on {address}"))
            .hint("name another port with --port, or an address of this machine with --address")?;
        term.note(format!(
            "Open http://{} (Ctrl-C ends it)",
            listener.local_addr()?
        ));
        accept(&listener, Arc::new(site), *term).await
    })
}

async fn accept(listener: &TcpListener, site: Arc<Site>, term: Terminal) -> Result<()> {
    let room = Arc::new(Semaphore::new(MOST));
    loop {
        let place = Arc::clone(&room).acquire_owned().await?;
        match listener.accept().await {
            Ok((stream, _)) => {
                let site = Arc::clone(&site);
                tokio::spawn(async move {
                    converse(stream, site).await;
                    drop(place);
                });
            }
            Err(error) => {
                term.warn(format!("a connection could not be accepted: {error}"));
                sleep(PAUSE).await;
            }
        }
    }
}

/// Answers one connection's requests. It ends when the client goes or says what isn't HTTP, which
/// concerns nobody else.
async fn converse(stream: TcpStream, site: Arc<Site>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let (site, asked) = (Arc::clone(&site), asked(&request));
        async move {
            // It reads and compresses files.
            let reply = spawn_blocking(move || site.answer(&asked)).await;
            let broken = |_| Reply::text(500, "the server failed: its terminal says why");
            Ok::<_, Infallible>(response(reply.unwrap_or_else(broken)))
        }
    });
    // Only a matter of speed: small replies aren't held back for more.
    let _ = stream.set_nodelay(true);
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

/// What the request says, without the library's types.
fn asked(request: &Request<Incoming>) -> Asked {
    let uri = request.uri();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect();
    // `GET http://host/ HTTP/1.1` names a second host, as proxies are asked, which this is not.
    headers.extend(
        uri.authority()
            .map(|host| ("host".into(), host.to_string())),
    );
    Asked {
        method: request.method().as_str().to_owned(),
        url: uri.path().to_owned(),
        headers,
    }
}

fn response(reply: Reply) -> Response<Streamed> {
    let mut response = Response::new(Streamed::new(reply.body, reply.length));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or_default();
    for (name, value) in reply.headers {
        // Every value is made here, and none holds a line end.
        if let Ok(value) = HeaderValue::try_from(value) {
            let name = HeaderName::from_static(name);
            response.headers_mut().append(name, value);
        }
    }
    response
}
