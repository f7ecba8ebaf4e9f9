//! The HTTP protocol of workerd's KV bindings:
//!
//! - `GET`, `PUT`, `DELETE /{key}?urlencoded=true`; metadata as JSON in `CF-KV-Metadata`, expiration as `expiration` or
//!   `expiration_ttl` in the query, 404 for a missing value,
//! - `GET /?key_count_limit=&prefix=&cursor=`,
//! - `POST /bulk/get` with `{"keys":[…]}`.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value as Json};
use tokio::net::TcpListener;

use super::fault::Kind;
use super::state::{State, Value, unix_now};
use super::{Op, Operation, lock};

const METADATA: &str = "cf-kv-metadata";
/// Cloudflare's limits of KV.
const MAX_PAGE: usize = 1_000;
const MIN_TTL: u64 = 60;
const MAX_KEY: usize = 512;
const MAX_METADATA: usize = 1_024;

type KvResponse = Response<Full<Bytes>>;

/// Accepts connections until the future is dropped.
pub async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        // An error closes the connection without a response.
        let service = service_fn(move |request| handle(Arc::clone(&state), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn handle(state: Arc<Mutex<State>>, request: Request<Incoming>) -> io::Result<KvResponse> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let Some(call) = Call::parse(&parts.method, &parts.uri, &parts.headers, body) else {
        return Ok(empty(StatusCode::BAD_REQUEST));
    };
    let (op, key) = (call.op(), call.key().to_owned());
    let fault = lock(&state).begin(op, &key);
    let _in_flight = InFlight(&state);
    let result = match fault {
        None => Ok(call.run(&state, Duration::ZERO)),
        Some(Kind::Status(status)) => Ok(empty(status_code(status))),
        Some(Kind::Crash) => Ok(empty(StatusCode::INTERNAL_SERVER_ERROR)),
        Some(Kind::WriteRate) => Ok(empty(StatusCode::TOO_MANY_REQUESTS)),
        Some(Kind::Cut) => Err(io::ErrorKind::ConnectionReset.into()),
        Some(Kind::Stale(ago)) => Ok(call.run(&state, ago)),
        Some(Kind::Delay(time)) => {
            tokio::time::sleep(time).await;
            Ok(call.run(&state, Duration::ZERO))
        }
        Some(Kind::LostResponse(status)) => {
            call.run(&state, Duration::ZERO);
            Ok(empty(status_code(status)))
        }
    };
    let status = result.as_ref().map_or(0, |response| response.status().as_u16());
    lock(&state).record(Operation { op, key, status, fault });
    result
}

/// Counts an operation as in flight until it is dropped, which happens too when the client closes the connection.
struct InFlight<'a>(&'a Mutex<State>);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        lock(self.0).in_flight -= 1;
    }
}

/// A parsed request.
enum Call {
    Read(String),
    ReadMany(Vec<String>),
    Write(String, Value),
    Remove(String),
    List { prefix: String, cursor: Option<String>, limit: usize },
}

impl Call {
    fn parse(method: &Method, uri: &Uri, headers: &HeaderMap, body: Bytes) -> Option<Self> {
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let parameter = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let path = uri.path().strip_prefix('/')?;
        if path.is_empty() {
            let limit = parameter("key_count_limit").map_or(Some(MAX_PAGE), |text| text.parse().ok())?;
            let is_allowed = method == Method::GET && (1..=MAX_PAGE).contains(&limit);
            let prefix = parameter("prefix").unwrap_or_default();
            return is_allowed.then(|| Self::List { prefix, cursor: parameter("cursor"), limit });
        }
        if method == Method::POST && path == "bulk/get" {
            let body: Json = serde_json::from_slice(&body).ok()?;
            let keys = body.get("keys")?.as_array()?.iter().map(|key| key.as_str().map(str::to_owned));
            return Some(Self::ReadMany(keys.collect::<Option<_>>()?));
        }
        let key = percent_decode_str(path).decode_utf8().ok()?.into_owned();
        match *method {
            _ if key.len() > MAX_KEY => None,
            Method::GET => Some(Self::Read(key)),
            Method::DELETE => Some(Self::Remove(key)),
            Method::PUT => {
                let number = |name| parameter(name).map(|text| text.parse::<u64>());
                let expires_at = match (number("expiration_ttl"), number("expiration")) {
                    (Some(ttl), _) => Some(unix_now() + ttl.ok().filter(|ttl| *ttl >= MIN_TTL)?),
                    (None, Some(at)) => Some(at.ok().filter(|at| *at >= unix_now() + MIN_TTL)?),
                    (None, None) => None,
                };
                let metadata =
                    headers.get(METADATA).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
                let is_allowed = metadata.as_ref().is_none_or(|text| text.len() <= MAX_METADATA);
                is_allowed.then(|| Self::Write(key, Value { bytes: body.into(), metadata, expires_at }))
            }
            _ => None,
        }
    }

    fn op(&self) -> Op {
        match self {
            Self::Read(_) | Self::ReadMany(_) => Op::Read,
            Self::Write(..) => Op::Write,
            Self::Remove(_) => Op::Remove,
            Self::List { .. } => Op::List,
        }
    }

    fn key(&self) -> &str {
        match self {
            Self::Read(key) | Self::Write(key, _) | Self::Remove(key) | Self::List { prefix: key, .. } => key,
            Self::ReadMany(keys) => keys.first().map_or("", String::as_str),
        }
    }

    /// Executes the operation. Reads and listings see the state of `ago`.
    fn run(self, state: &Mutex<State>, ago: Duration) -> KvResponse {
        let mut state = lock(state);
        match self {
            Self::Read(key) => match state.get(&key, ago) {
                None => empty(StatusCode::NOT_FOUND),
                Some(value) => {
                    let mut response = Response::new(Full::from(value.bytes.clone()));
                    if let Some(metadata) =
                        value.metadata.as_deref().and_then(|text| HeaderValue::from_bytes(text.as_bytes()).ok())
                    {
                        response.headers_mut().insert(METADATA, metadata);
                    }
                    if let Some(end) = value.expires_at {
                        response.headers_mut().insert("cf-expiration", end.into());
                    }
                    response
                }
            },
            Self::ReadMany(keys) => {
                state.counts.reads += (keys.len() as u64).saturating_sub(1);
                let text = |key: &str| Some(String::from_utf8_lossy(&state.get(key, ago)?.bytes).into_owned());
                let values: Map<String, Json> = keys.iter().map(|key| (key.clone(), text(key).into())).collect();
                json_response(&values.into())
            }
            Self::Write(key, value) => {
                state.put(&key, Some(value));
                empty(StatusCode::OK)
            }
            Self::Remove(key) => {
                state.put(&key, None);
                empty(StatusCode::OK)
            }
            Self::List { prefix, cursor, limit } => {
                let page = state.list(&prefix, cursor.as_deref(), limit, ago);
                drop(state);
                let keys = page.keys.into_iter().map(|(name, value)| {
                    let fields = [
                        ("name", Some(name.into())),
                        ("metadata", value.metadata.clone().map(Json::from)),
                        ("expiration", value.expires_at.map(Json::from)),
                    ];
                    object(fields)
                });
                let keys: Vec<Json> = keys.collect();
                let body = object([
                    ("list_complete", Some(page.cursor.is_none().into())),
                    ("keys", Some(keys.into())),
                    ("cursor", page.cursor.map(Json::from)),
                    ("cacheStatus", Some(Json::Null)),
                ]);
                json_response(&body)
            }
        }
    }
}

fn object<const N: usize>(fields: [(&str, Option<Json>); N]) -> Json {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>().into()
}

fn json_response(value: &Json) -> KvResponse {
    Response::new(Full::from(value.to_string()))
}

fn empty(status: StatusCode) -> KvResponse {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
