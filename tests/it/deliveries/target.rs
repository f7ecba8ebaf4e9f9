//! The app's back end of a run: verifies each attempt, records it, and answers according to its state.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::plan::mix;
use crate::harness::{RUNTIME, key, now, problem};

/// The Worker waits 15 s for an answer.
const TOO_LATE: Duration = Duration::from_secs(16);

/// The state of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It answers with errors only, or closes the connection.
    Down,
    /// One attempt in ten fails. Of the others one in fifty gets no answer, and a few get it too late.
    Failing,
    Healthy,
}

/// What the target did with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// It answered 2xx.
    Accepted,
    /// It took the event, and closed the connection without an answer.
    AcceptedAndCut,
    /// It took the event, and answered after the Worker's timeout.
    AcceptedTooLate,
    /// It answered with an error, or closed the connection.
    Refused,
}

/// An attempt, as the target sees it.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub event: usize,
    pub sequence: u64,
    pub id: String,
    /// `webhook-timestamp`: the time of the Worker's clock.
    pub stamp: i64,
    /// The number of the workerd process.
    pub process: usize,
    pub at: Instant,
    pub did: Did,
}

struct Seen {
    mode: Mode,
    /// How many further answers may be late.
    late: u32,
    /// By how many seconds the clock of each process was ahead. The last process runs.
    ahead: Vec<i64>,
    attempts: Vec<Attempt>,
    /// How many attempts each event had, and whether one was accepted and answered in time.
    of_event: Vec<(u64, bool)>,
    delivered: usize,
    problems: Vec<String>,
}

struct Shared {
    keys: Vec<hmac::Key>,
    seed: u64,
    seen: Mutex<Seen>,
    came: Condvar,
    /// The instance of each event, to compare.
    instances: HashMap<String, usize>,
    installations: Vec<usize>,
}

/// See the module. Stops when dropped.
pub struct Target {
    pub url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Target {
    /// Starts a healthy target. `installations` has the index of the installation of each event.
    pub fn start(secrets: &[&str], seed: u64, late: u32, instances: &[String], installations: Vec<usize>) -> Self {
        let count = installations.len();
        let shared = Arc::new(Shared {
            keys: secrets.iter().map(|secret| key(secret)).collect(),
            seed,
            seen: Mutex::new(Seen {
                mode: Mode::Healthy,
                late,
                ahead: Vec::new(),
                attempts: Vec::new(),
                of_event: vec![(0, false); count],
                delivered: 0,
                problems: Vec::new(),
            }),
            came: Condvar::new(),
            instances: instances.iter().enumerate().map(|(index, id)| (id.clone(), index)).collect(),
            installations,
        });
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("http://{}/events", listener.local_addr().expect("an address"));
        let server = RUNTIME.spawn(serve(listener, Arc::clone(&shared)));
        Self { url, shared, server }
    }

    /// A new workerd process starts.
    pub fn new_process(&self, ahead: i64) {
        self.seen().ahead.push(ahead);
    }

    pub fn set_mode(&self, mode: Mode) {
        self.seen().mode = mode;
    }

    /// How many attempts there were, and how many events were delivered.
    pub fn counts(&self) -> (usize, usize) {
        let seen = self.seen();
        (seen.attempts.len(), seen.delivered)
    }

    pub fn is_delivered(&self, event: usize) -> bool {
        self.seen().of_event[event].1
    }

    /// Waits until an event was delivered, and returns when.
    #[track_caller]
    pub fn wait_for(&self, event: usize, limit: Duration) -> Instant {
        let guard = self.shared.came.wait_timeout_while(self.seen(), limit, |seen| !seen.of_event[event].1);
        let (seen, _) = guard.unwrap_or_else(PoisonError::into_inner);
        let attempt = seen.attempts.iter().rev().find(|attempt| attempt.event == event && attempt.did == Did::Accepted);
        attempt.unwrap_or_else(|| panic!("event {event} must be delivered; {:?}", seen.problems)).at
    }

    /// All attempts. Fails if one was malformed.
    pub fn attempts(&self) -> Vec<Attempt> {
        let seen = self.seen();
        assert!(seen.problems.is_empty(), "{} malformed attempts: {:?}", seen.problems.len(), seen.problems[0]);
        seen.attempts.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        // A connection belongs to one process.
        let process = shared.seen().ahead.len() - 1;
        let shared = Arc::clone(&shared);
        // An error closes the connection without a response.
        let service = service_fn(move |request| receive(Arc::clone(&shared), process, request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn receive(
    shared: Arc<Shared>,
    process: usize,
    request: Request<Incoming>,
) -> io::Result<Response<Empty<Bytes>>> {
    let at = Instant::now();
    let (parts, body) = request.into_parts();
    // An attempt whose request was cut by the end of the process did not arrive.
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (did, status) = {
        let mut seen = shared.seen();
        let time = now() + seen.ahead[process];
        seen.problems.extend(problem(&shared.keys, &parts.headers, &body, time));
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let number = |value: &Value| value.as_u64().unwrap_or(u64::MAX);
        let event = usize::try_from(number(&body["data"]["number"])).expect("a number that fits");
        let installation = body["instance_id"].as_str().and_then(|id| shared.instances.get(id));
        if installation.is_none() || installation != shared.installations.get(event) {
            seen.problems.push(format!("an event of another installation: {body}"));
            return Err(io::Error::other("not an event of this run"));
        }
        let (did, status) = shared.decide(&mut seen, event);
        seen.of_event[event].0 += 1;
        if did == Did::Accepted && !seen.of_event[event].1 {
            seen.of_event[event].1 = true;
            seen.delivered += 1;
        }
        let (sequence, id) = (number(&body["sequence"]), header("webhook-id").to_owned());
        let stamp = header("webhook-timestamp").parse().unwrap_or_default();
        seen.attempts.push(Attempt { event, sequence, id, stamp, process, at, did });
        (did, status)
    };
    shared.came.notify_all();
    if did == Did::AcceptedTooLate {
        tokio::time::sleep(TOO_LATE).await;
    }
    if did == Did::AcceptedAndCut || status == 0 {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let response = Response::builder().status(status);
    let response = if status == 429 { response.header("retry-after", "2") } else { response };
    Ok(response.body(Empty::new()).unwrap_or_else(|error: hyper::http::Error| panic!("{error}")))
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to do with an attempt, and the status; 0 for none.
    fn decide(&self, seen: &mut Seen, event: usize) -> (Did, u16) {
        let random = mix([self.seed, event as u64, 1_000 + seen.of_event[event].0]);
        let refusal = (Did::Refused, [500, 503, 404, 429, 301, 0][usize::try_from(random >> 32).unwrap_or(0) % 6]);
        match (seen.mode, random % 1_000) {
            (Mode::Healthy, _) => (Did::Accepted, 204),
            (Mode::Down, _) | (Mode::Failing, ..100) => refusal,
            (Mode::Failing, 100..120) => (Did::AcceptedAndCut, 0),
            (Mode::Failing, 120..130) if seen.late > 0 => {
                seen.late -= 1;
                (Did::AcceptedTooLate, 200)
            }
            (Mode::Failing, _) => (Did::Accepted, 200),
        }
    }
}
