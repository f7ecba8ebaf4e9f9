//! A stage: one simulated Wix and one Worker that know each other.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::http::Answer;
use super::message::KEY;
use super::wix::{PATIENCE, Wix};
use super::worker::{Values, Worker};

/// The API key with every scope but `admin`.
pub const API_KEY: &str = "it-key-of-the-back-end-0123456789abcdef";
/// Webhooks are signed with Wix's key, with the tests' own, or with that of the one genuine message.
const GENUINE_KEY: &str = include_str!("../genuine/public-key.pem");

/// See the module.
pub struct Stage {
    pub wix: Wix,
    pub worker: Worker,
    /// What the Worker was started with.
    pub values: Values,
}

static SHARED: LazyLock<Stage> = LazyLock::new(|| Stage::for_many(|values| values));

/// The stage of all tests that the default configuration suits. They keep apart by instance.
pub fn shared() -> &'static Stage {
    &SHARED
}

impl Stage {
    /// A stage with changes to the configuration.
    pub fn with(change: impl FnOnce(Values) -> Values) -> Self {
        Self::new(Worker::start, change)
    }

    /// The same, for the tests of one file to share.
    pub fn for_many(change: impl FnOnce(Values) -> Values) -> Self {
        Self::new(Worker::start_now, change)
    }

    fn new(start: fn(&Values) -> Worker, change: impl FnOnce(Values) -> Values) -> Self {
        Self::before(Wix::start(), start, change)
    }

    /// A stage for a Wix that is already there, and perhaps has something standing before it.
    pub fn before(wix: Wix, start: fn(&Values) -> Worker, change: impl FnOnce(Values) -> Values) -> Self {
        let values = change(values_for(&wix));
        let worker = start(&values);
        wix.register(&worker.url);
        Self { wix, worker, values }
    }

    /// With the Worker started anew on what it has stored, with a changed configuration.
    pub fn restart(self, change: impl FnOnce(Values) -> Values) -> Self {
        let values = change(self.values);
        let worker = self.worker.restart(&values);
        self.wix.register(&worker.url);
        Self { wix: self.wix, worker, values }
    }

    /// The record as the API shows it.
    pub fn instance(&self, id: &str) -> Value {
        self.api("GET", &format!("/v1/instances/{id}")).expect(200).json()
    }

    /// The record once it has this value. Webhook and browser come at the same moment, and a row may lack what one of them
    /// brought until the other has settled it, a second later.
    pub fn becomes(&self, id: &str, name: &str, value: &str) -> Value {
        self.until(id, |record| record[name] == value)
    }

    /// Waits until the record is as wanted.
    #[track_caller]
    pub fn until(&self, id: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let record = self.instance(id);
            if is_right(&record) {
                return record;
            }
            assert!(Instant::now() < until, "the record stays as it is: {record}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A call of the app API without a body.
    pub fn api(&self, method: &str, path: &str) -> Answer {
        self.worker.ask(method, path).key(API_KEY).send()
    }

    /// A token by the API.
    pub fn token(&self, id: &str) -> Answer {
        self.api("POST", &format!("/v1/instances/{id}/token"))
    }
}

/// A whole configuration for the app of this Wix.
pub fn values_for(wix: &Wix) -> Values {
    let genuine: String = GENUINE_KEY.lines().filter(|line| !line.starts_with("-----")).collect();
    let keys = [wix.app.public_key_base64.as_str(), &KEY.public_base64(), &genuine];
    Values::default()
        .with("ENVIRONMENT", "development")
        .with("WIX_APP_ID", &wix.app.app_id)
        .with("WIX_APP_SECRET", &wix.app.app_secret)
        .with("WIX_PUBLIC_KEYS", keys.join(","))
        .with("SEALING_KEYS", format!("it1:{}", STANDARD.encode(Sha256::digest("a sealing key of the tests"))))
        .with("API_KEYS", api_key("back-end", API_KEY))
        .with("WIX_API_URL", &wix.url)
        .with("WIX_SITE_URL", &wix.url)
}

/// An entry of `API_KEYS`.
pub fn api_key(name: &str, key: &str) -> String {
    let hex = Sha256::digest(key).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    format!("{name}:{hex}")
}
