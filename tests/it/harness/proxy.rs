//! A recording proxy on loopback, which can change responses.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, spawn_blocking};

use super::http::{self, request};
use super::wix::RUNTIME;

/// Hop-by-hop headers, and others that the HTTP client sets itself. The proxy does not forward them.
const HOP_BY_HOP: [&str; 5] = ["connection", "content-length", "keep-alive", "transfer-encoding", "expect"];

/// A recorded exchange: the bodies of request and response.
#[derive(Clone)]
pub struct Exchange {
    pub request: String,
    pub response: String,
}

/// A running proxy. It stops when it is dropped.
pub struct Proxy {
    port: u16,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    server: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy for `upstream`, an origin. It passes every response to `change`.
    pub fn start(upstream: &str, change: impl Fn(&mut http::Response) + Send + Sync + 'static) -> Self {
        let exchanges: Arc<Mutex<Vec<Exchange>>> = Arc::default();
        let (upstream, change, received) = (upstream.to_owned(), Arc::new(change), Arc::clone(&exchanges));
        let app = Router::new().fallback(move |request: Request| {
            let (upstream, change, received) = (upstream.clone(), Arc::clone(&change), Arc::clone(&received));
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, 16 << 20).await.unwrap_or_default();
                let passed = spawn_blocking(move || pass(&upstream, &parts, &body, &*change, &received));
                passed.await.unwrap_or_else(|_| failed())
            }
        });
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = RUNTIME.spawn(async move { axum::serve(listener, app).await.expect("a running server") });
        Self { port, exchanges, server }
    }

    /// The proxy's origin, with one of the host names of loopback.
    pub fn url(&self, host: &str) -> String {
        format!("http://{host}:{}", self.port)
    }

    /// The recorded exchanges.
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
    change: &dyn Fn(&mut http::Response),
    exchanges: &Mutex<Vec<Exchange>>,
) -> Response {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = request(parts.method.as_str(), format!("{upstream}{path}"));
    for (name, value) in parts.headers.iter().filter(|(name, _)| !HOP_BY_HOP.contains(&name.as_str())) {
        request = request.header(name.as_str(), value.to_str().unwrap_or_default());
    }
    if !body.is_empty() {
        request = request.body(body.as_ref());
    }
    let Ok(mut upstream_response) = request.try_send() else { return failed() };
    change(&mut upstream_response);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let exchange = Exchange { request: text(body), response: upstream_response.text() };
    exchanges.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);

    let mut response = Response::builder().status(upstream_response.status);
    for (name, value) in upstream_response.headers.iter().filter(|(name, _)| !HOP_BY_HOP.contains(&name.as_str())) {
        response = response.header(name, value);
    }
    response.body(Body::from(upstream_response.body)).unwrap_or_else(|_| failed())
}

fn failed() -> Response {
    let mut response = Response::new(Body::from("the proxy could not forward the request"));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}
