//! The Worker in workerd, without wrangler before it, and with a KV of the tests' own that can be made to fail.

use std::path::Path;
use std::sync::Arc;

use workerd::{Kv, Setup, Worker, Workerd};

use super::build_folder;
use super::http::{Answer, Ask, ask};
use super::log::Log;
use super::stage::{API_KEY, values_for};
use super::wix::Wix;
use super::worker::Values;

/// How far ahead the second isolate lives: five-minute tokens have ended, and what was put down to be looked at is due.
const LATER: &str = "600";

/// One simulated Wix, one KV, and two isolates of the Worker on it, of which one lives ten minutes later.
pub struct Direct {
    pub wix: Wix,
    pub kv: Kv,
    pub log: Arc<Log>,
    workerd: Workerd,
}

impl Direct {
    /// With changes to the configuration.
    pub fn start(change: impl FnOnce(Values) -> Values) -> Self {
        Self::beside(change, |setup| setup)
    }

    /// And with other Workers beside it, which call it `app`.
    pub fn beside(change: impl FnOnce(Values) -> Values, others: impl FnOnce(Setup) -> Setup) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (wix, kv, log) = (Wix::start(), Kv::start().expect("a KV"), Arc::new(Log::default()));
        let built = Worker::built(root, &build_folder(root)).unwrap_or_else(|error| panic!("{error:#}"));
        let values = change(values_for(&wix));
        let app = values.iter().fold(built.kv("INSTANCES", &kv), |app, (name, value)| app.text(name, value));
        let setup = Setup::default()
            .worker("later", app.clone().text("CLOCK_OFFSET_SECONDS", LATER))
            .worker("cron", Worker::trigger("later"))
            .worker("app", app);
        let setup = others(setup);
        let lines = Arc::clone(&log);
        let workerd = Workerd::start(root, &setup, move |line| lines.push(line));
        let workerd = workerd.unwrap_or_else(|error| panic!("{error:#}"));
        wix.register(workerd.url("app"));
        Self { wix, kv, log, workerd }
    }

    /// The Worker's address.
    pub fn url(&self) -> &str {
        self.workerd.url("app")
    }

    /// A request to one of the other Workers.
    pub fn ask_other(&self, worker: &str, method: &str, path: &str) -> Ask {
        ask(method, format!("{}{path}", self.workerd.url(worker)))
    }

    /// A request to the Worker.
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        ask(method, format!("{}{path}", self.url()))
    }

    /// A request to the isolate that lives later.
    pub fn ask_later(&self, method: &str, path: &str) -> Ask {
        ask(method, format!("{}{path}", self.workerd.url("later")))
    }

    /// A token by the API.
    pub fn token(&self, id: &str) -> Answer {
        self.ask("POST", &format!("/v1/instances/{id}/token")).key(API_KEY).send()
    }

    /// The same, later.
    pub fn token_later(&self, id: &str) -> Answer {
        self.ask_later("POST", &format!("/v1/instances/{id}/token")).key(API_KEY).send()
    }

    /// Fires the Cron Trigger, later, and waits until it has ended.
    pub fn cron(&self) {
        ask("POST", self.workerd.url("cron")).send().expect(200);
    }
}
