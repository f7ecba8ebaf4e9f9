//! The app's back end: receives events, verifies their signatures, and answers as scripted.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::now;
use super::wix::{RUNTIME, TIMEOUT};

/// How the receiver answers one delivery.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// With a status.
    Status(u16),
    /// With a status and `retry-after`.
    RetryAfter(u16, u64),
    /// With a redirect to an address.
    Redirect(String),
    /// With 200 and a body of ten megabytes.
    Large,
    /// With 200 after a while.
    Slow(Duration),
}

/// One delivery.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub id: String,
    pub headers: HeaderMap,
    pub body: String,
    pub at: Instant,
}

impl Delivery {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    pub fn sequence(&self) -> u64 {
        self.json()["sequence"].as_u64().expect("a sequence number")
    }
}

#[derive(Default)]
struct Received {
    deliveries: Vec<Delivery>,
    script: VecDeque<Reaction>,
    default: Option<Reaction>,
    /// How many seconds the Worker's clock is ahead.
    ahead: i64,
    problems: Vec<String>,
}

/// Decides how a delivery is answered.
type Decide = dyn Fn(&Delivery) -> Reaction + Send + Sync;

/// See the module. Stops when dropped.
pub struct Receiver {
    pub url: String,
    received: Arc<(Mutex<Received>, Condvar)>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// Starts a receiver that has these secrets (`whsec_…`).
    pub fn start(secrets: &[&str]) -> Self {
        Self::new(secrets, None)
    }

    /// Starts a receiver that answers as `decide` says, and keeps no delivery.
    pub fn deciding(secrets: &[&str], decide: impl Fn(&Delivery) -> Reaction + Send + Sync + 'static) -> Self {
        Self::new(secrets, Some(Arc::new(decide)))
    }

    fn new(secrets: &[&str], decide: Option<Arc<Decide>>) -> Self {
        let received: Arc<(Mutex<Received>, Condvar)> = Arc::default();
        let keys: Arc<Vec<hmac::Key>> = Arc::new(secrets.iter().map(|secret| key(secret)).collect());
        let shared = Arc::clone(&received);
        let app = Router::new().fallback(any(move |request: Request| {
            receive(Arc::clone(&shared), Arc::clone(&keys), decide.clone(), request)
        }));
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("http://{}/events", listener.local_addr().expect("an address"));
        let server = RUNTIME.spawn(async move { axum::serve(listener, app).await.expect("the server runs") });
        Self { url, received, server }
    }

    /// Scripts the answers to the next deliveries. After them the receiver answers 204.
    pub fn script(&self, reactions: impl IntoIterator<Item = Reaction>) {
        self.lock().script.extend(reactions);
    }

    /// From now on the receiver answers so; `None` for 204.
    pub fn answer_always(&self, reaction: Option<Reaction>) {
        self.lock().default = reaction;
    }

    /// From now on the Worker's clock is so many seconds ahead.
    pub fn expect_ahead(&self, seconds: i64) {
        self.lock().ahead = seconds;
    }

    /// All deliveries so far. Fails if the signature of one could not be verified.
    pub fn deliveries(&self) -> Vec<Delivery> {
        let received = self.lock();
        assert!(received.problems.is_empty(), "{:?}", received.problems);
        received.deliveries.clone()
    }

    /// Forgets all deliveries.
    pub fn clear(&self) {
        self.lock().deliveries.clear();
    }

    /// Waits for this many deliveries.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Delivery> {
        let (lock, came) = &*self.received;
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = came.wait_timeout_while(guard, TIMEOUT, |received| received.deliveries.len() < count);
        drop(waited);
        let deliveries = self.deliveries();
        assert!(deliveries.len() >= count, "{count} deliveries were expected: {deliveries:?}");
        deliveries
    }

    fn lock(&self) -> MutexGuard<'_, Received> {
        self.received.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The key of a secret (`whsec_…`).
pub fn key(secret: &str) -> hmac::Key {
    let bytes = STANDARD.decode(secret.strip_prefix("whsec_").expect("a prefix")).expect("base64");
    hmac::Key::new(hmac::HMAC_SHA256, &bytes)
}

/// Why the signature does not count at a time in Unix seconds; written from the specification, without the core's code.
pub fn problem(keys: &[hmac::Key], headers: &HeaderMap, body: &[u8], now: i64) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (id, timestamp, signatures) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let age = now - timestamp.parse::<i64>().unwrap_or_default();
    if !(0..300).contains(&age) {
        return Some(format!("the timestamp {timestamp:?} is {age} s old"));
    }
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let signatures: Vec<&str> = signatures.split(' ').collect();
    let is_by = |key: &hmac::Key| {
        signatures.iter().any(|signature| {
            let encoded = signature.strip_prefix("v1,").unwrap_or_default();
            STANDARD.decode(encoded).is_ok_and(|tag| hmac::verify(key, &signed, &tag).is_ok())
        })
    };
    let is_signed = signatures.len() == keys.len() && keys.iter().all(is_by);
    (!is_signed).then(|| format!("not signed with each of the secrets: {headers:?}"))
}

async fn receive(
    received: Arc<(Mutex<Received>, Condvar)>,
    keys: Arc<Vec<hmac::Key>>,
    decide: Option<Arc<Decide>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let reaction = {
        let mut received_now = received.0.lock().unwrap_or_else(PoisonError::into_inner);
        let problem = problem(&keys, &parts.headers, &body, now() + received_now.ahead);
        received_now.problems.extend(problem);
        if parts.method != "POST" || parts.uri.path() != "/events" {
            received_now.problems.push(format!("{} {}", parts.method, parts.uri));
        }
        let id = parts.headers.get("webhook-id").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let body = String::from_utf8(body.to_vec()).expect("text");
        let delivery = Delivery { id, headers: parts.headers, body, at: Instant::now() };
        if let Some(decide) = decide {
            decide(&delivery)
        } else {
            received_now.deliveries.push(delivery);
            let default = received_now.default.clone();
            received_now.script.pop_front().or(default).unwrap_or(Reaction::Status(204))
        }
    };
    received.1.notify_all();
    match reaction {
        Reaction::Status(status) => StatusCode::from_u16(status).expect("a status").into_response(),
        Reaction::RetryAfter(status, seconds) => {
            let status = StatusCode::from_u16(status).expect("a status");
            (status, [("retry-after", seconds.to_string())]).into_response()
        }
        Reaction::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response(),
        Reaction::Large => Body::from(Bytes::from(vec![b'x'; 10 * 1024 * 1024])).into_response(),
        Reaction::Slow(time) => {
            tokio::time::sleep(time).await;
            StatusCode::OK.into_response()
        }
    }
}
