//! The Worker in workerd, without wrangler before it, and with a KV of the tests' own that can be made to fail.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use url::Url;
use workerd::{Kv, Setup, Worker, Workerd};

use super::build_folder;
use super::flow::Flow;
use super::http::{Answer, Ask, Jar, ask, parameter};
use super::log::Log;
use super::stage::{API_KEY, values_for};
use super::wix::Wix;
use super::worker::Values;

/// An isolate of the Worker: all have one KV, each a memory of its own and a clock that is so many seconds ahead.
pub type Isolate = (&'static str, u32);
pub const NOW: Isolate = ("now", 0);
/// Little later, and with nothing in memory.
pub const SOON: Isolate = ("soon", 60);
/// Tokens of five minutes have ended, and what was put down to be looked at again is due.
pub const LATER: Isolate = ("later", 600);
/// What was put off once is due too.
pub const LAST: Isolate = ("last", 7_200);

/// One simulated Wix, one KV, and a process with three isolates of the Worker.
pub struct Direct {
    pub wix: Wix,
    pub kv: Kv,
    pub log: Arc<Log>,
    on_install: bool,
    workerd: Workerd,
}

impl Direct {
    /// With changes to the configuration.
    pub fn start(change: impl FnOnce(Values) -> Values) -> Self {
        Self::beside(change, |setup| setup)
    }

    /// And with other Workers beside it, which call it by the name of an isolate.
    pub fn beside(change: impl FnOnce(Values) -> Values, others: impl FnOnce(Setup) -> Setup) -> Self {
        Self::build(change, |app| app, others)
    }

    /// With modules of the tests' own before the built one.
    pub fn behind(change: impl FnOnce(Values) -> Values, entry: impl FnOnce(Worker) -> Worker) -> Self {
        Self::build(change, entry, |setup| setup)
    }

    fn build(
        change: impl FnOnce(Values) -> Values,
        entry: impl FnOnce(Worker) -> Worker,
        others: impl FnOnce(Setup) -> Setup,
    ) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (wix, kv, log) = (Wix::start(), Kv::start().expect("a KV"), Arc::new(Log::default()));
        let built = Worker::built(root, &build_folder(root)).unwrap_or_else(|error| panic!("{error:#}"));
        let built = entry(built);
        let values = change(values_for(&wix));
        let app = values.iter().fold(built.kv("INSTANCES", &kv), |app, (name, value)| app.text(name, value));
        let setup = [NOW, SOON, LATER, LAST].into_iter().fold(Setup::default(), |setup, (name, ahead)| {
            let isolate = app.clone().text("CLOCK_OFFSET_SECONDS", &ahead.to_string());
            setup.worker(name, isolate).worker(&cron(name), Worker::trigger(name))
        });
        let setup = others(setup);
        let lines = Arc::clone(&log);
        let workerd = Workerd::start(root, &setup, move |line| lines.push(line));
        let workerd = workerd.unwrap_or_else(|error| panic!("{error:#}"));
        wix.register(workerd.url(NOW.0));
        let on_install = values.get("FINISH_CONFIGURATION") == "on-install";
        Self { wix, kv, log, on_install, workerd }
    }

    /// The Worker's address.
    pub fn url(&self) -> &str {
        self.workerd.url(NOW.0)
    }

    /// A flow of which only the callback is left: the browser, the callback's address, and the instance, whose webhook came.
    pub fn agreed(&self) -> (Jar, Url, String) {
        let mut jar = Jar::default();
        let callback = Flow::begin_at(self.url(), &mut jar, None).agree(&self.wix.site());
        let id = parameter(&callback, "instanceId");
        self.wix.delivered(&id);
        (jar, callback, id)
    }

    /// CPU time that the runtime has used so far; nothing where the system does not tell.
    pub fn cpu(&self) -> Option<Duration> {
        let mut nanos = 0;
        for process in self.workerd.ids() {
            for thread in std::fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten() {
                // A thread may have ended.
                let Ok(text) = std::fs::read_to_string(thread.path().join("schedstat")) else { continue };
                nanos += text.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }

    /// A request to one of the other Workers.
    pub fn ask_other(&self, worker: &str, method: &str, path: &str) -> Ask {
        ask(method, format!("{}{path}", self.workerd.url(worker)))
    }

    /// A request to an isolate.
    pub fn ask(&self, isolate: Isolate, method: &str, path: &str) -> Ask {
        ask(method, format!("{}{path}", self.workerd.url(isolate.0)))
    }

    /// A call of the app API.
    pub fn api(&self, isolate: Isolate, method: &str, path: &str) -> Ask {
        self.ask(isolate, method, path).key(API_KEY)
    }

    /// A token by the API.
    pub fn token(&self, isolate: Isolate, id: &str) -> Answer {
        self.api(isolate, "POST", &format!("/v1/instances/{id}/token")).send()
    }

    /// Fires an isolate's Cron Trigger; answered when it has ended.
    pub fn cron(&self, isolate: Isolate) -> Ask {
        ask("POST", self.workerd.url(&cron(isolate.0)))
    }

    /// Waits until the work after an answer has ended, and gives the request's line in the log.
    pub fn settled(&self, answer: &Answer) -> Value {
        let line = self.log.of_request(answer.request_id());
        let is_its_work = |entry: &Value| {
            let route = entry["route"].as_str().unwrap_or_default();
            entry["request_id"] == line["request_id"] && route.starts_with("task ")
        };
        let is_done_by_redirect = line["route"] == "/redirect" || line["route"] == "/connected";
        let is_known = line["outcome"] == "known";
        if line["outcome"] == "stored" || (is_done_by_redirect && answer.status < 400 && !is_known) {
            self.log.wait_for("the work after the answer", is_its_work);
        } else if is_known && self.on_install {
            // The event may have been sent already.
            self.log.wait_up_to(Duration::from_millis(1_500), is_its_work);
        }
        line
    }
}

fn cron(isolate: &str) -> String {
    format!("cron {isolate}")
}
