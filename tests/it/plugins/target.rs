//! The app's back end: verifies the signature of each call, and reacts as scripted for the installation.

use std::collections::HashMap;
use std::io::Write as _;
use std::mem::forget;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{StreamExt as _, stream};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::harness::{RUNTIME, key, now, problem};

/// How the target answers the calls of an installation. Without a script it answers `{}`.
#[derive(Clone, Debug)]
pub enum Reaction {
    Json(u16, String),
    /// A status, a content type and a body.
    Raw(u16, &'static str, String),
    /// JSON, compressed.
    Gzip(String),
    Redirect(u16, String),
    /// `{}` with headers that must not reach Wix.
    Cookie,
    /// `{}` after a while.
    Slow(Duration),
    /// The head at once, and the body after a while.
    SlowBody(Duration),
    /// A body that breaks off.
    Break,
}

/// A call that the target received.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Received {
    /// A header; empty if it was not sent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    }

    /// The metadata, whose hash must be in the signed id.
    pub fn metadata(&self) -> Value {
        let metadata = self.header("wix-edge-metadata");
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(metadata));
        assert_eq!(self.header("webhook-id"), format!("plugin_{hash}"));
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(metadata).expect("base64url")).expect("JSON")
    }
}

#[derive(Default)]
struct State {
    scripts: HashMap<String, Reaction>,
    /// By the installation in the body.
    received: Vec<(String, Received)>,
    /// The installations whose calls ended before the target had answered.
    cancelled: Vec<String>,
    problems: Vec<String>,
}

/// Notes that a call was cancelled, unless it is forgotten.
struct Unanswered(Arc<Mutex<State>>, String);

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).cancelled.push(self.1.clone());
    }
}

/// See the module. Stops when dropped.
pub struct Target {
    pub url: String,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

impl Target {
    pub fn start(secrets: &[&str]) -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let keys: Arc<Vec<hmac::Key>> = Arc::new(secrets.iter().map(|secret| key(secret)).collect());
        let shared = Arc::clone(&state);
        let handler = move |request: Request| receive(Arc::clone(&shared), Arc::clone(&keys), request);
        let app = Router::new().fallback(any(handler));
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("http://{}/base/", listener.local_addr().expect("an address"));
        let server = RUNTIME.spawn(async move { axum::serve(listener, app).await.expect("the server runs") });
        Self { url, state, server }
    }

    /// Scripts the answer to the calls of an installation.
    pub fn script(&self, id: &str, reaction: Reaction) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).scripts.insert(id.to_owned(), reaction);
    }

    /// The last call of an installation. Fails if the signature of any call could not be verified.
    #[track_caller]
    pub fn received(&self, id: &str) -> Received {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(state.problems.is_empty(), "{:?}", state.problems);
        let found = state.received.iter().rev().find(|(known, _)| known == id);
        found.map_or_else(|| panic!("no call of {id}"), |(_, call)| call.clone())
    }

    /// Waits until the call of an installation was cancelled.
    #[track_caller]
    pub fn wait_until_cancelled(&self, id: &str) {
        let until = Instant::now() + Duration::from_secs(5);
        while !self.state.lock().unwrap_or_else(PoisonError::into_inner).cancelled.iter().any(|known| known == id) {
            assert!(Instant::now() < until, "the call of {id} goes on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many calls of an installation came.
    pub fn count(&self, id: &str) -> usize {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.received.iter().filter(|(known, _)| known == id).count()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(state: Arc<Mutex<State>>, keys: Arc<Vec<hmac::Key>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let problem = problem(&keys, &parts.headers, &body, now());
    let body = String::from_utf8(body.to_vec()).expect("text");
    let id = serde_json::from_str::<Value>(&body).expect("JSON")["instance"].as_str().unwrap_or_default().to_owned();
    let (method, path) = (parts.method.to_string(), parts.uri.to_string());
    let unanswered = Unanswered(Arc::clone(&state), id.clone());
    let reaction = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.problems.extend(problem);
        let reaction = state.scripts.get(&id).cloned();
        state.received.push((id, Received { method, path, headers: parts.headers, body }));
        reaction.unwrap_or(Reaction::Json(200, "{}".to_owned()))
    };
    let status = |status| StatusCode::from_u16(status).expect("a status");
    let json = [("content-type", "application/json")];
    let answer = match reaction {
        Reaction::Json(code, body) => (status(code), json, body).into_response(),
        Reaction::Raw(code, kind, body) => (status(code), [("content-type", kind)], body).into_response(),
        Reaction::Gzip(body) => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body.as_bytes()).expect("compressed");
            let body = encoder.finish().expect("compressed");
            (json, [("content-encoding", "gzip")], body).into_response()
        }
        Reaction::Redirect(code, to) => (status(code), [("location", to)], "{}").into_response(),
        Reaction::Cookie => {
            (json, [("set-cookie", "a=b"), ("x-secret", "x"), ("location", "/x")], "{}").into_response()
        }
        Reaction::Slow(time) => {
            tokio::time::sleep(time).await;
            (json, "{}").into_response()
        }
        Reaction::SlowBody(time) => {
            let late = stream::once(async move {
                tokio::time::sleep(time).await;
                forget(unanswered);
                Ok::<_, std::io::Error>(Bytes::from_static(b"}"))
            });
            let body = stream::iter([Ok(Bytes::from_static(b"{"))]).chain(late);
            return (json, Body::from_stream(body)).into_response();
        }
        Reaction::Break => {
            let parts = [Ok(Bytes::from_static(b"{}")), Err(std::io::Error::other("broken"))];
            (json, Body::from_stream(stream::iter(parts))).into_response()
        }
    };
    forget(unanswered);
    answer
}
