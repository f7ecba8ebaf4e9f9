//! A Wix API that gives out tokens and takes and sends bodies of any size as they come, without keeping them.

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

/// `{"a":1}`
const GZIP: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\x54\xb2\x32\xac\x05\x00\xaf\xac\x1b\x56\x07\x00\x00\x00";

/// A call as it came.
#[derive(Clone, Debug)]
pub struct Heard {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
    /// Bytes of the body; the body itself is not kept.
    pub length: usize,
}

/// See the module. Ends when dropped.
pub struct Upstream {
    pub url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    server: JoinHandle<()>,
}

impl Upstream {
    /// Any path answers 200 with JSON, but for
    /// - `/echo`: the body comes back, each piece as it arrives,
    /// - `/bytes/{megabytes}`: a body of that size, in chunks,
    /// - `/status/{status}` and `/moved?to=`: what they say,
    /// - `/accents`: headers with other characters than ASCII,
    /// - `/gzip`: `{"a":1}`, compressed,
    /// - `/dead`: 401 for the first token that is given out.
    pub fn start() -> Self {
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let (calls, minted) = (Arc::clone(&heard), Arc::new(Mutex::new(0)));
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
            .fallback(any(move |request: Request| answer(Arc::clone(&calls), request)));
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = RUNTIME.spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { url, heard, server }
    }

    /// Every call but those for tokens, once its body was read.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(calls: Arc<Mutex<Vec<Heard>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.uri.to_string();
    let heard = Heard { method: parts.method.to_string(), target: target.clone(), headers: parts.headers, length: 0 };
    let note = move |heard: Heard| calls.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
    if target == "/echo" {
        note(heard);
        return Body::from_stream(body.into_data_stream()).into_response();
    }
    let dead = target == "/dead" && heard.headers.get("authorization").is_some_and(|token| token == "token-1");
    let mut pieces = body.into_data_stream();
    let mut length = 0;
    while let Some(Ok(piece)) = pieces.next().await {
        length += piece.len();
    }
    note(Heard { length, ..heard });
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
            let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).expect("a value that HTTP allows");
            let name = value("attachment; filename=\"told-\u{e9}.pdf\"");
            let headers = [("content-disposition", name), ("x-wix-request-id", value("told-\u{fc}"))];
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
