//! The Worker in plain workerd, a simulated Wix, and a back end that fails at random.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use workerd::{Kv, Setup, Workerd};

use crate::events::SECRETS;
use crate::harness::{
    APP, Delivery, Message, Objects, Reaction, Receiver, Request, Values, Wix, memory, request, serve, values_for,
};

/// How long the back end may take to get all events, once it has recovered: some have failed more than once.
const DRAINED: Duration = Duration::from_mins(5);

/// See the module.
pub struct Stage {
    pub wix: Wix,
    pub events: Arc<Events>,
    pub delivers: bool,
    workerd: Workerd,
    _kv: Kv,
    _receiver: Receiver,
    _folder: TempDir,
}

/// The numbered events: those that were sent, and those that the back end has accepted.
#[derive(Default)]
pub struct Events {
    sent: AtomicU64,
    accepted: Mutex<HashSet<u64>>,
    attempts: AtomicU64,
    failed: AtomicU64,
    is_healthy: AtomicBool,
}

impl Stage {
    /// Starts it, with or without the objects that deliver the events.
    pub fn start(delivers: bool) -> Self {
        let (wix, kv, events) = (Wix::start(), Kv::start().expect("a KV"), Arc::<Events>::default());
        let seen = Arc::clone(&events);
        let receiver = Receiver::deciding(&SECRETS, move |delivery| seen.decide(delivery));
        let values = values_for(&wix);
        let target =
            |values: Values| values.with("EVENTS_URL", &receiver.url).with("EVENTS_SECRETS", SECRETS.join(","));
        let values = if delivers { target(values) } else { values };
        let folder = tempfile::Builder::new().prefix("objects-").tempdir().expect("a folder");
        let objects = Objects { values: &values, kv: &kv, folder: folder.path() };
        let app = if delivers { objects.worker() } else { objects.unbound() };
        let workerd = serve(&Setup::default().worker(APP, app), |_| {});
        wix.register(workerd.url(APP));
        Self { wix, events, delivers, workerd, _kv: kv, _receiver: receiver, _folder: folder }
    }

    pub fn url(&self) -> &str {
        self.workerd.url(APP)
    }

    pub fn request(&self, method: &str, path: &str) -> Request {
        request(method, format!("{}{path}", self.url()))
    }

    pub fn installed(&self, instance: &str) -> Message {
        Message::new("AppInstalled", instance, &json!({ "appId": self.wix.app.app_id, "originInstanceId": "" }))
    }

    pub fn removed(&self, instance: &str) -> Message {
        Message::new("AppRemoved", instance, &json!({ "appId": self.wix.app.app_id }))
    }

    /// The resident memory of workerd, in KiB.
    pub fn memory(&self) -> u64 {
        memory(&self.workerd)
    }
}

impl Events {
    /// The number of a further event.
    pub fn next(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::SeqCst)
    }

    /// One attempt in fifty fails.
    fn decide(&self, delivery: &Delivery) -> Reaction {
        let attempt = self.attempts.fetch_add(1, Ordering::SeqCst);
        if attempt.is_multiple_of(50) && !self.is_healthy.load(Ordering::SeqCst) {
            self.failed.fetch_add(1, Ordering::SeqCst);
            return match attempt / 50 % 4 {
                0 => Reaction::Status(500),
                1 => Reaction::RetryAfter(429, 3),
                2 => Reaction::Redirect("http://127.0.0.1:9/".to_owned()),
                _ => Reaction::Status(404),
            };
        }
        let body: Value = delivery.json();
        if let Some(number) = body["data"]["number"].as_u64() {
            self.accepted().insert(number);
        }
        if attempt.is_multiple_of(97) { Reaction::Slow(Duration::from_secs(1)) } else { Reaction::Status(204) }
    }

    /// Waits until the back end has accepted all events. Returns the numbers of those that are missing.
    pub fn wait_for_all(&self) -> Vec<u64> {
        self.is_healthy.store(true, Ordering::SeqCst);
        let until = Instant::now() + DRAINED;
        loop {
            let (accepted, sent) = (self.accepted(), self.sent.load(Ordering::SeqCst));
            if accepted.len() as u64 == sent || Instant::now() > until {
                return (0..sent).filter(|number| !accepted.contains(number)).collect();
            }
            drop(accepted);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn summary(&self) -> String {
        let [sent, attempts, failed] =
            [&self.sent, &self.attempts, &self.failed].map(|count| count.load(Ordering::SeqCst));
        let accepted = self.accepted().len();
        format!("{sent} ordinary events, {accepted} delivered; {attempts} attempts for all events, {failed} failed")
    }

    fn accepted(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
