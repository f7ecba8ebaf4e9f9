//! A test bed without wrangler: the Worker in plain workerd, with an in-memory KV that injects faults.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use url::Url;
use workerd::{Kv, Setup, Worker, Workerd};

use super::build_folder;
use super::flow::Flow;
use super::http::{Jar, Request, Response, parameter, request};
use super::log::Log;
use super::objects::{ENTRY, HOOK};
use super::receiver::Receiver;
use super::stage::{API_KEY, values_for};
use super::wix::Wix;
use super::worker::Values;

/// An isolate of the Worker: its name, and how many seconds its clock is ahead. All isolates share one KV; each has its
/// own memory.
pub type Isolate = (&'static str, u32);
pub const NOW: Isolate = ("now", 0);
/// A second isolate with empty memory.
pub const IN_1_MINUTE: Isolate = ("soon", 60);
/// Five-minute tokens have expired, and rechecks are due.
pub const IN_10_MINUTES: Isolate = ("later", 600);
/// Rechecks that were postponed once are due too.
pub const IN_2_HOURS: Isolate = ("last", 7_200);

const OBJECTS: &str = "INSTALLATIONS";
const CLASS: &str = "Installation";
const EVENTS_SECRET: &str = "whsec_b25lIHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVz";

const ISOLATES: [Isolate; 4] = [NOW, IN_1_MINUTE, IN_10_MINUTES, IN_2_HOURS];

/// One simulated Wix, one KV, and one workerd process with several isolates of the Worker.
pub struct Testbed {
    pub wix: Wix,
    pub kv: Kv,
    pub log: Arc<Log>,
    /// The app's back end, if events are delivered.
    pub receiver: Option<Receiver>,
    on_install: bool,
    workerd: Workerd,
    /// Where the objects are stored.
    _folder: Option<TempDir>,
}

impl Testbed {
    /// Starts a test bed with a changed configuration.
    pub fn start(change: impl FnOnce(Values) -> Values) -> Self {
        Self::with_workers(change, |setup| setup)
    }

    /// Starts a test bed with other Workers, which can bind to an isolate by its name.
    pub fn with_workers(change: impl FnOnce(Values) -> Values, others: impl FnOnce(Setup) -> Setup) -> Self {
        Self::build(change, |app| app, others, &ISOLATES, None)
    }

    /// Starts a test bed with these isolates, of which the first gets the webhooks.
    pub fn with_isolates(isolates: &[Isolate], change: impl FnOnce(Values) -> Values) -> Self {
        Self::build(change, |app| app, |setup| setup, isolates, None)
    }

    /// Starts a test bed that delivers events. All isolates share the objects of [`NOW`].
    pub fn delivering(change: impl FnOnce(Values) -> Values) -> Self {
        Self::delivering_in(&ISOLATES, NOW, change)
    }

    /// Starts a test bed with these isolates, of which one has the objects.
    pub fn delivering_in(isolates: &[Isolate], objects: Isolate, change: impl FnOnce(Values) -> Values) -> Self {
        let entry = |app: Worker| app.module("hook.mjs", HOOK).entry("entry.mjs", ENTRY);
        Self::build(change, entry, |setup| setup, isolates, Some(objects))
    }

    /// Starts a test bed with a changed configuration and other bindings, with the Workers that they name.
    pub fn with(
        change: impl FnOnce(Values) -> Values,
        bind: impl FnOnce(Worker) -> Worker,
        others: impl FnOnce(Setup) -> Setup,
    ) -> Self {
        Self::build(change, bind, others, &ISOLATES, None)
    }

    /// Starts a test bed with modules of the test in front of the built ones.
    pub fn with_entry(change: impl FnOnce(Values) -> Values, entry: impl FnOnce(Worker) -> Worker) -> Self {
        Self::build(change, entry, |setup| setup, &ISOLATES, None)
    }

    fn build(
        change: impl FnOnce(Values) -> Values,
        entry: impl FnOnce(Worker) -> Worker,
        others: impl FnOnce(Setup) -> Setup,
        isolates: &[Isolate],
        objects: Option<Isolate>,
    ) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (wix, kv, log) = (Wix::start(), Kv::start().expect("a KV"), Arc::new(Log::default()));
        let built = Worker::built(root, &build_folder(root)).unwrap_or_else(|error| panic!("{error:#}"));
        let built = entry(built);
        let receiver = objects.map(|_| Receiver::start(&[EVENTS_SECRET]));
        let folder = objects.map(|_| tempfile::Builder::new().prefix("objects-").tempdir().expect("a folder"));
        let values = receiver.iter().fold(values_for(&wix), |values, receiver| {
            let values = values.with("EVENTS_URL", &receiver.url).with("EVENTS_SECRETS", EVENTS_SECRET);
            values.with("EVENTS_RETAIN_HOURS", "1")
        });
        let values = change(values);
        let app = values.iter().fold(built.kv("INSTANCES", &kv), |app, (name, value)| app.text(name, value));
        let setup = isolates.iter().fold(Setup::default(), |setup, (name, ahead)| {
            let isolate = app.clone().text("CLOCK_OFFSET_SECONDS", &ahead.to_string());
            let isolate = match (&folder, objects) {
                (Some(folder), Some((own, _))) if *name == own => isolate.objects(OBJECTS, CLASS, folder.path()),
                (_, Some((other, _))) => isolate.objects_of(OBJECTS, CLASS, other),
                (_, None) => isolate,
            };
            setup.worker(name, isolate).worker(&cron(name), Worker::trigger(name))
        });
        let setup = others(setup);
        let lines = Arc::clone(&log);
        let workerd = Workerd::start(root, &setup, move |line| lines.push(line));
        let workerd = workerd.unwrap_or_else(|error| panic!("{error:#}"));
        wix.register(workerd.url(isolates[0].0));
        let on_install = values.get("FINISH_CONFIGURATION") == "on-install";
        Self { wix, kv, log, receiver, on_install, workerd, _folder: folder }
    }

    /// The Worker's origin.
    pub fn url(&self) -> &str {
        self.workerd.url(NOW.0)
    }

    /// Runs a redirect flow up to the callback, and waits for the webhook. Returns the browser's cookies, the callback's
    /// URL and the instance id.
    pub fn prepare_callback(&self) -> (Jar, Url, String) {
        let mut jar = Jar::default();
        let callback = Flow::begin_at(self.url(), &mut jar, None).consent(&self.wix.site());
        let id = parameter(&callback, "instanceId");
        self.wix.wait_for_deliveries(&id);
        (jar, callback, id)
    }

    /// Lets Wix send its webhooks to another isolate.
    pub fn register(&self, isolate: Isolate) {
        self.wix.register(self.workerd.url(isolate.0));
    }

    /// The CPU time that workerd has used; `None` on a system without `/proc`.
    pub fn cpu(&self) -> Option<Duration> {
        let mut nanos = 0;
        for process in self.workerd.ids() {
            for thread in std::fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten() {
                // The thread may have exited since the listing.
                let Ok(text) = std::fs::read_to_string(thread.path().join("schedstat")) else { continue };
                nanos += text.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }

    /// A request to another Worker of the setup.
    pub fn request_to(&self, worker: &str, method: &str, path: &str) -> Request {
        request(method, format!("{}{path}", self.workerd.url(worker)))
    }

    /// A request to an isolate.
    pub fn request(&self, isolate: Isolate, method: &str, path: &str) -> Request {
        request(method, format!("{}{path}", self.workerd.url(isolate.0)))
    }

    /// A request to the app API, with the API key.
    pub fn api(&self, isolate: Isolate, method: &str, path: &str) -> Request {
        self.request(isolate, method, path).key(API_KEY)
    }

    /// Requests a token from the app API.
    pub fn token(&self, isolate: Isolate, id: &str) -> Response {
        self.api(isolate, "POST", &format!("/v1/instances/{id}/token")).send()
    }

    /// A request that fires an isolate's Cron Trigger. Its response arrives when the trigger has ended.
    pub fn cron(&self, isolate: Isolate) -> Request {
        request("POST", self.workerd.url(&cron(isolate.0)))
    }

    /// What the objects did since the query `reset` (`tests/it/events/entry.mjs`).
    pub fn objects(&self, query: &str) -> Value {
        self.request(NOW, "GET", &format!("/objects?{query}")).send().expect(200).json()
    }

    /// Lets the objects fail from now on, for all isolates.
    pub fn fail_objects(&self, query: &str) {
        for isolate in [NOW, IN_1_MINUTE, IN_10_MINUTES, IN_2_HOURS] {
            self.request(isolate, "GET", &format!("/objects?{query}")).send().expect(200);
        }
    }

    /// Waits until the deferred tasks of a request have ended. Returns the request's log entry.
    pub fn wait_for_tasks(&self, response: &Response) -> Value {
        let line = self.log.of_request(response.request_id());
        let is_its_task = |entry: &Value| {
            let route = entry["route"].as_str().unwrap_or_default();
            entry["request_id"] == line["request_id"] && route.starts_with("task ")
        };
        let is_callback = line["route"] == "/redirect" || line["route"] == "/connected";
        let is_known = line["outcome"] == "known";
        let is_finished = response.status < 400 && !response.is_failed_flow();
        if line["outcome"] == "stored" || (is_callback && is_finished && !is_known) {
            self.log.wait_for("the deferred task", is_its_task);
        } else if is_known && self.on_install {
            // An earlier task may have sent the event already: then there is no task.
            self.log.wait_up_to(Duration::from_millis(1_500), is_its_task);
        }
        line
    }
}

fn cron(isolate: &str) -> String {
    format!("cron {isolate}")
}
