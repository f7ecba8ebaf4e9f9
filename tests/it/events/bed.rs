//! The Worker with its objects in real workerd, a simulated Wix, and the app's back end.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use workerd::{Kv, Setup, Worker, Workerd};

use crate::harness::{
    API_KEY, APP, Delivery, Log, Message, Objects, Receiver, Request, Response, TIMEOUT, Values, Wix, guid, request,
    values_for,
};

/// Another isolate of the Worker with empty memory, whose clock is ten minutes ahead: rechecks are due. Its objects are those
/// of the first.
const LATER: &str = "later";
const CRON: &str = "cron";
pub const SECRETS: [&str; 2] =
    ["whsec_bmV3IHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVz", "whsec_b2xkIHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVz"];

/// The Worker with its objects, a simulated Wix, and the app's back end.
pub struct Bed {
    pub wix: Wix,
    pub kv: Kv,
    pub receiver: Receiver,
    pub log: Arc<Log>,
    pub values: Values,
    pub folder: TempDir,
    pub workerd: Option<Workerd>,
}

impl Bed {
    pub fn start() -> Self {
        Self::with(|values| values)
    }

    pub fn with(change: impl FnOnce(Values) -> Values) -> Self {
        let (wix, kv, receiver) = (Wix::start(), Kv::start().expect("a KV"), Receiver::start(&SECRETS));
        let values = values_for(&wix).with("EVENTS_URL", &receiver.url).with("EVENTS_SECRETS", SECRETS.join(","));
        let folder = tempfile::Builder::new().prefix("objects-").tempdir().expect("a folder");
        let mut bed = Self { wix, kv, receiver, log: Arc::default(), values: change(values), folder, workerd: None };
        bed.run(None);
        bed
    }

    /// Starts workerd. With another Worker, that is the target, by a service binding.
    pub fn run(&mut self, target: Option<Worker>) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let app = Objects { values: &self.values, kv: &self.kv, folder: self.folder.path() }.worker();
        let app = if target.is_some() { app.service("EVENTS_TARGET", "target") } else { app };
        let ahead = self.values.get("CLOCK_OFFSET_SECONDS").parse().unwrap_or(0) + 600;
        let later = app.clone().objects_of("INSTALLATIONS", "Installation", APP);
        let later = later.text("CLOCK_OFFSET_SECONDS", &ahead.to_string());
        let setup = Setup::default().worker(APP, app).worker(LATER, later).worker(CRON, Worker::trigger(LATER));
        let setup = target.into_iter().fold(setup, |setup, target| setup.worker("target", target));
        let lines = Arc::clone(&self.log);
        let workerd = Workerd::start(root, &setup, move |line| lines.push(line));
        self.workerd = Some(workerd.unwrap_or_else(|error| panic!("{error:#}")));
        // The first request compiles the wasm.
        self.ready();
    }

    /// Ends workerd, and starts it on the same storage.
    pub fn restart(&mut self) {
        self.workerd = None;
        self.run(None);
    }

    /// Starts workerd again with another value of the configuration.
    pub fn set(&mut self, name: &str, value: &str) {
        self.values = self.values.clone().with(name, value);
        self.restart();
    }

    /// Starts workerd again, with the clock of the Worker and of its objects so many seconds ahead.
    pub fn restart_ahead(&mut self, seconds: i64) {
        self.receiver.expect_ahead(seconds);
        self.set("CLOCK_OFFSET_SECONDS", &seconds.to_string());
    }

    pub fn url(&self) -> &str {
        self.url_of(APP)
    }

    fn url_of(&self, worker: &str) -> &str {
        self.workerd.as_ref().map_or("", |workerd| workerd.url(worker))
    }

    /// A request to the app API, with the API key.
    pub fn api(&self, method: &str, path: &str) -> Request {
        request(method, format!("{}{path}", self.url())).key(API_KEY)
    }

    /// The same, to an isolate with empty memory, ten minutes later.
    pub fn api_later(&self, method: &str, path: &str) -> Request {
        request(method, format!("{}{path}", self.url_of(LATER))).key(API_KEY)
    }

    /// Runs the Cron Trigger, ten minutes later.
    pub fn cron(&self) {
        request("POST", self.url_of(CRON)).send().expect(200);
    }

    /// The events that the object of an installation has, the oldest first.
    pub fn events(&self, id: &str) -> Vec<Value> {
        let page = self.api("GET", &format!("/v1/instances/{id}/events?limit=1000")).send().expect(200).json();
        page["events"].as_array().expect("events").iter().rev().cloned().collect()
    }

    /// Waits until an event that the object has is as wanted.
    #[track_caller]
    pub fn wait_for_event(&self, id: &str, sequence: usize, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + TIMEOUT;
        loop {
            let events = self.events(id);
            if let Some(event) = events.get(sequence - 1).filter(|event| is_wanted(event)) {
                return event.clone();
            }
            assert!(Instant::now() < until, "event {sequence} is not as wanted: {events:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub fn send(&self, message: &Message) -> Response {
        request("POST", format!("{}/webhook", self.url())).body(message.sign()).send()
    }

    /// Sends a webhook until it is answered 200, and returns its line in the log. On a machine with other work an object may
    /// take longer than a second, and then Wix resends.
    #[track_caller]
    pub fn line(&self, message: &Message) -> Value {
        let mut was_slow = false;
        loop {
            let response = self.send(message);
            let mut line = self.log.of_request(response.request_id());
            if line["cause"].as_str().is_some_and(|cause| cause.contains("took longer")) {
                was_slow = true;
                continue;
            }
            response.expect(200);
            // The object that was slow stored it.
            if was_slow && line["delivery"] == "known" {
                line["delivery"] = "stored".into();
            }
            return line;
        }
    }

    /// Sends a webhook that must be answered 200. Whether the object stored the event, or knew it, or was not asked.
    #[track_caller]
    pub fn outcome(&self, message: &Message) -> String {
        self.line(message)["delivery"].as_str().unwrap_or("none").to_owned()
    }

    /// What the objects did since the last reset.
    pub fn measured(&self, query: &str) -> Value {
        request("GET", format!("{}/objects?{query}", self.url())).send().expect(200).json()
    }

    /// Waits until so many attempts are in the log, and so in the storage.
    #[track_caller]
    pub fn wait_for_attempts(&self, count: usize) {
        let until = Instant::now() + TIMEOUT;
        while self.attempts().len() < count {
            assert!(Instant::now() < until, "{count} attempts must be in the log");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The lines of the attempts.
    pub fn attempts(&self) -> Vec<Value> {
        self.log
            .entries()
            .into_iter()
            .filter(|line| line["route"] == "deliver" && line["outcome"] != "parked")
            .collect()
    }

    pub fn ready(&self) -> Value {
        request("GET", format!("{}/readyz", self.url())).send().json()
    }
}

/// A domain event with an id of its own.
pub fn order(instance: &str, id: &str) -> Message {
    let data = json!({
        "id": id, "entityFqdn": "wix.ecom.v1.order", "slug": "created", "entityId": guid(),
        "eventTime": "2026-01-01T00:00:05.123456Z", "triggeredByAnonymizeRequest": true,
        "createdEvent": { "entity": { "number": 1 } },
    });
    Message::new("wix.ecom.v1.order_created", instance, &data)
}

/// An event without an id.
pub fn flat(instance: &str, number: u32) -> Message {
    Message::new("com.wix.Changed", instance, &json!({ "number": number }))
}

pub fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.id.as_str()).collect()
}
