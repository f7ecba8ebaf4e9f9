//! A stage: one simulated Wix and one Worker, configured for each other.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::http::Response;
use super::message::KEY;
use super::wix::{RUNTIME, TIMEOUT, Wix};
use super::worker::{Values, Worker};

/// The API key with every scope but `admin`.
pub const API_KEY: &str = "it-key-of-the-back-end-0123456789abcdef";
/// Signs the events for the app's back end of the simulator.
const EVENTS_SECRET: &str = "whsec_c2VjcmV0IG9mIHRoZSBiYWNrIGVuZCwgMzIgYnl0ZXM=";
/// The public key of the one genuine message.
const GENUINE_KEY: &str = include_str!("../genuine/public-key.pem");

/// One simulated Wix and one Worker.
pub struct Stage {
    pub wix: Wix,
    pub worker: Worker,
    /// The Worker's configuration.
    pub values: Values,
}

static SHARED: LazyLock<Stage> = LazyLock::new(|| Stage::with_wix(Wix::start(), Worker::to_share, |values| values));

/// The stage that all tests with the default configuration share. Each test uses its own instances.
pub fn shared() -> &'static Stage {
    &SHARED
}

impl Stage {
    /// Starts a stage with a changed configuration.
    pub fn with(change: impl FnOnce(Values) -> Values) -> Self {
        Self::with_wix(Wix::start(), Worker::start, change)
    }

    /// Starts a stage with a changed configuration under `wrangler dev`.
    pub fn under_wrangler(change: impl FnOnce(Values) -> Values) -> Self {
        Self::with_wix(Wix::start(), Worker::under_wrangler, change)
    }

    /// Starts a stage with events and service plugin calls for the app's back end of the simulator.
    pub fn with_back_end(start: fn(&Values) -> Worker, change: impl FnOnce(Values) -> Values) -> Self {
        let wix = Wix::with_back_end(EVENTS_SECRET);
        let (events, plugins) = (wix.at("/_app/events"), wix.at("/_app/plugins"));
        let change = |values: Values| {
            change(values.with("EVENTS_URL", events).with("PLUGINS_URL", plugins).with("EVENTS_SECRETS", EVENTS_SECRET))
        };
        Self::with_wix(wix, start, change)
    }

    /// Starts a stage with a running Wix, to which a proxy may lead.
    pub fn with_wix(wix: Wix, start: fn(&Values) -> Worker, change: impl FnOnce(Values) -> Values) -> Self {
        let values = change(values_for(&wix));
        let worker = start(&values);
        wix.register(&worker.url);
        Self { wix, worker, values }
    }

    /// Restarts the Worker with the same store and a changed configuration.
    pub fn restart(self, change: impl FnOnce(Values) -> Values) -> Self {
        let values = change(self.values);
        let worker = self.worker.restart(&values);
        self.wix.register(&worker.url);
        Self { wix: self.wix, worker, values }
    }

    /// The instance, as the app API returns it.
    pub fn instance(&self, id: &str) -> Value {
        self.api("GET", &format!("/v1/instances/{id}")).expect(200).json()
    }

    /// Waits until a field of the instance has this value. Webhook and redirect write the row at the same moment, so the
    /// row can lack the facts of one of them until read repair, a second later.
    pub fn wait_for_field(&self, id: &str, name: &str, value: &str) -> Value {
        self.wait_until(id, |record| record[name] == value)
    }

    /// Waits until the instance satisfies a condition.
    #[track_caller]
    pub fn wait_until(&self, id: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + TIMEOUT;
        loop {
            let record = self.instance(id);
            if is_right(&record) {
                return record;
            }
            assert!(Instant::now() < until, "the instance does not satisfy the condition: {record}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends a request without a body to the app API.
    pub fn api(&self, method: &str, path: &str) -> Response {
        self.worker.request(method, path).key(API_KEY).send()
    }

    /// Requests a token from the app API.
    pub fn token(&self, id: &str) -> Response {
        self.api("POST", &format!("/v1/instances/{id}/token"))
    }
}

/// A complete configuration for the app of this Wix.
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
        // Only tests of the reconciliation compare installations with Wix.
        .with("RECHECK_HOURS", "0")
        .with("WIX_API_URL", &wix.url)
        .with("WIX_SITE_URL", &wix.url)
}

/// Adds a back end that answers every service plugin call with `{}`.
pub fn with_plugins(values: Values) -> Values {
    let app = axum::Router::new().fallback(axum::routing::any(async || axum::Json(serde_json::json!({}))));
    let listener = RUNTIME.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let url = format!("http://{}/plugins", listener.local_addr().expect("an address"));
    RUNTIME.spawn(async move { axum::serve(listener, app).await.expect("the server runs") });
    values.with("PLUGINS_URL", url).with("EVENTS_SECRETS", EVENTS_SECRET)
}

/// An entry of `API_KEYS`.
pub fn api_key(name: &str, key: &str) -> String {
    let hex = Sha256::digest(key).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    format!("{name}:{hex}")
}
