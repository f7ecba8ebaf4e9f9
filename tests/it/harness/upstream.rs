//! An upstream in place of Wix's API: it issues tokens, and streams bodies of any size without storing them.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use futures::{StreamExt as _, stream};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::wix::RUNTIME;

/// `{"a":1}`, compressed.
const GZIP: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\x54\xb2\x32\xac\x05\x00\xaf\xac\x1b\x56\x07\x00\x00\x00";

/// A received call.
#[derive(Clone, Debug)]
pub struct UpstreamCall {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
    /// The length of the body in bytes.
    pub length: usize,
}

/// A running upstream. It stops when it is dropped.
pub struct Upstream {
    pub url: String,
    received: Arc<Mutex<Vec<UpstreamCall>>>,
    server: JoinHandle<()>,
}

impl Upstream {
    /// Starts an upstream. It answers 200 with JSON on all paths except:
    /// - `/echo`: streams the body back,
    /// - `/bytes/{megabytes}`: sends a body of that size, chunked,
    /// - `/status/{status}` and `/moved?to=`: the given status, or a redirect to the given URL,
    /// - `/accents`: headers with characters outside ASCII,
    /// - `/gzip`: `{"a":1}`, compressed,
    /// - `/dead`: 401 for the first token that it issued.
    pub fn start() -> Self {
        let received: Arc<Mutex<Vec<UpstreamCall>>> = Arc::default();
        let (calls, minted) = (Arc::clone(&received), Arc::new(Mutex::new(0)));
        let token = move || {
            let minted = Arc::clone(&minted);
            async move {
                let mut count = minted.lock().unwrap_or_else(PoisonError::into_inner);
                *count += 1;
                Json(json!({ "access_token": format!("token-{count}"), "expires_in": 14_400 }))
            }
        };
        let app = Router::new()
            .route("/oauth2/token", post(token))
            .fallback(any(move |request: Request| response(Arc::clone(&calls), request)));
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = RUNTIME.spawn(async move { axum::serve(listener, app).await.expect("a running server") });
        Self { url, received, server }
    }

    /// The calls whose bodies were read, without the token requests.
    pub fn received(&self) -> Vec<UpstreamCall> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn response(calls: Arc<Mutex<Vec<UpstreamCall>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.uri.to_string();
    let received =
        UpstreamCall { method: parts.method.to_string(), target: target.clone(), headers: parts.headers, length: 0 };
    let note = move |received: UpstreamCall| calls.lock().unwrap_or_else(PoisonError::into_inner).push(received);
    if target == "/echo" {
        note(received);
        return Body::from_stream(body.into_data_stream()).into_response();
    }
    let dead = target == "/dead" && received.headers.get("authorization").is_some_and(|token| token == "token-1");
    let mut pieces = body.into_data_stream();
    let mut length = 0;
    while let Some(Ok(piece)) = pieces.next().await {
        length += piece.len();
    }
    note(UpstreamCall { length, ..received });
    let (first, rest) = target.trim_start_matches('/').split_once('/').unwrap_or((target.trim_start_matches('/'), ""));
    match first {
        _ if dead => (StatusCode::UNAUTHORIZED, "dead").into_response(),
        "bytes" => {
            let count = rest.parse::<usize>().expect("megabytes") * 16;
            let piece = Bytes::from(vec![b'w'; 64 * 1024]);
            Body::from_stream(stream::iter((0..count).map(move |_| Ok::<_, std::io::Error>(piece.clone()))))
                .into_response()
        }
        "accents" => {
            let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).expect("a valid header value");
            let name = value("attachment; filename=\"leak-\u{e9}.pdf\"");
            let headers = [("content-disposition", name), ("x-wix-request-id", value("leak-\u{fc}"))];
            (headers, "{}").into_response()
        }
        "gzip" => ([("content-type", "application/json"), ("content-encoding", "gzip")], GZIP).into_response(),
        "status" => {
            let status = rest.parse::<u16>().expect("a status");
            (StatusCode::from_u16(status).expect("a status"), [("retry-after", "7")], "").into_response()
        }
        _ if first.starts_with("moved?to=") => {
            (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, target.replace("/moved?to=", ""))]).into_response()
        }
        _ => {
            let headers =
                [("set-cookie", "a=b"), ("x-wix-request-id", "upstream.1"), ("x-other", "o"), ("etag", "\"1\"")];
            (headers, Json(json!({ "length": length }))).into_response()
        }
    }
}
