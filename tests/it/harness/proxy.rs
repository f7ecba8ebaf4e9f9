//! A proxy on loopback: hears what goes by, and may change what comes back.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, spawn_blocking};

use super::http::{Answer, ask};
use super::wix::RUNTIME;

/// Headers of one connection, which are not passed on.
const OF_THE_LINE: [&str; 5] = ["connection", "content-length", "keep-alive", "transfer-encoding", "expect"];

/// What went by.
#[derive(Clone)]
pub struct Exchange {
    pub request: String,
    pub answer: String,
}

/// See the module. Ends when dropped.
pub struct Proxy {
    port: u16,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    server: JoinHandle<()>,
}

impl Proxy {
    /// Stands before `upstream` (an origin). `change` is given every answer.
    pub fn start(upstream: &str, change: impl Fn(&mut Answer) + Send + Sync + 'static) -> Self {
        let exchanges: Arc<Mutex<Vec<Exchange>>> = Arc::default();
        let (upstream, change, heard) = (upstream.to_owned(), Arc::new(change), Arc::clone(&exchanges));
        let app = Router::new().fallback(move |request: Request| {
            let (upstream, change, heard) = (upstream.clone(), Arc::clone(&change), Arc::clone(&heard));
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, 16 << 20).await.unwrap_or_default();
                let passed = spawn_blocking(move || pass(&upstream, &parts, &body, &*change, &heard));
                passed.await.unwrap_or_else(|_| failed())
            }
        });
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = RUNTIME.spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { port, exchanges, server }
    }

    /// Its origin, under one of loopback's names.
    pub fn url(&self, host: &str) -> String {
        format!("http://{host}:{}", self.port)
    }

    /// What went by so far.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn pass(
    upstream: &str,
    parts: &Parts,
    body: &Bytes,
    change: &dyn Fn(&mut Answer),
    heard: &Mutex<Vec<Exchange>>,
) -> Response {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = ask(parts.method.as_str(), format!("{upstream}{path}"));
    for (name, value) in parts.headers.iter().filter(|(name, _)| !OF_THE_LINE.contains(&name.as_str())) {
        request = request.header(name.as_str(), value.to_str().unwrap_or_default());
    }
    if !body.is_empty() {
        request = request.body(body.as_ref());
    }
    let Ok(mut answer) = request.try_send() else { return failed() };
    change(&mut answer);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let exchange = Exchange { request: text(body), answer: answer.text() };
    heard.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);

    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers.iter().filter(|(name, _)| !OF_THE_LINE.contains(&name.as_str())) {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).unwrap_or_else(|_| failed())
}

fn failed() -> Response {
    let mut response = Response::new(Body::from("the proxy could not pass it on"));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}
