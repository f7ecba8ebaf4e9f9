//! The simulated Wix, and what tests ask of it beside the app: through its control API, like anybody.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use wix_sim::{AppCredentials, Settings, Sim};

use super::http::{ask, get};
use super::next_second;

/// Longer than anything that is waited for takes, also on a machine with other work.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The simulators' own threads; tests block.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("threads"));

/// One simulator; stands for both of Wix's hosts.
pub struct Wix {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    pub app: AppCredentials,
    _sim: Sim,
}

impl Wix {
    /// A Wix that takes tokens only as it documents them: bare, without `Bearer`. It waits longer for a webhook's answer than
    /// Wix does, so that a machine with other work does not make the tests fail; whether the Worker is quick enough for Wix
    /// is told by its own figures.
    pub fn start() -> Self {
        let sim = RUNTIME.block_on(Sim::start(Settings::default())).expect("the simulator starts");
        let wix = Self { url: sim.url().to_owned(), app: sim.app(), _sim: sim };
        wix.switch(&json!({ "accept_bearer_authorization": false, "webhook_timeout_ms": 15_000 }));
        wix
    }

    /// Enters the Worker in the app's dashboard.
    pub fn register(&self, worker_url: &str) {
        let urls = json!({
            "app_url": format!("{worker_url}/install"),
            "redirect_urls": [format!("{worker_url}/redirect")],
            "webhook_url": format!("{worker_url}/webhook"),
        });
        ask("PATCH", self.at("/_sim/app")).json(&urls).send().expect(200);
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        ask("POST", self.at(path)).json(body).send().expect(200).json()
    }

    pub fn switch(&self, changes: &Value) {
        ask("PATCH", self.at("/_sim/switches")).json(changes).send().expect(200);
    }

    /// A new site without the app.
    pub fn site(&self) -> String {
        text(&self.post("/_sim/sites", &json!({})), "site_id")
    }

    /// The `token` with which Wix opens the App URL for a site.
    pub fn install_token(&self, site: &str) -> String {
        text(&self.post("/_sim/install-tokens", &json!({ "site_id": site })), "token")
    }

    /// Installs the app on a new site and waits until the webhook is delivered: the Worker knows the instance.
    pub fn installed(&self) -> String {
        let instance = text(&self.post("/_sim/installs", &json!({}))["instance"], "instance_id");
        self.delivered(&instance);
        instance
    }

    /// Removes the app and waits for the webhook.
    pub fn remove(&self, instance: &str) {
        next_second();
        self.post(&format!("/_sim/instances/{instance}/remove"), &json!({}));
        self.delivered(instance);
    }

    /// Installs the app again and waits for the webhook.
    pub fn reinstall(&self, instance: &str) {
        next_second();
        self.post(&format!("/_sim/instances/{instance}/reinstall"), &json!({}));
        self.delivered(instance);
    }

    /// A code for an instance, without a browser's way to it.
    pub fn code(&self, instance: &str) -> String {
        text(&self.post("/_sim/codes", &json!({ "instance_id": instance })), "code")
    }

    /// Something goes wrong at an endpoint, for calls of this instance alone.
    pub fn fault(&self, instance: &str, endpoint: &str, times: u32, kind: &Value) {
        let mut fault = kind.clone();
        fault["endpoint"] = endpoint.into();
        fault["times"] = times.into();
        fault["instance_id"] = instance.into();
        self.post("/_sim/faults", &fault);
    }

    /// An endpoint answers with a status, without a body.
    pub fn fails(&self, instance: &str, endpoint: &str, times: u32, status: u16) {
        self.fault(instance, endpoint, times, &json!({ "kind": "status", "status": status }));
    }

    /// An endpoint refuses with this status and Wix's JSON error.
    pub fn refuses(&self, instance: &str, endpoint: &str, times: u32, status: u16) {
        let refused = json!({ "kind": "refused", "status": status, "error": "invalid_request" });
        self.fault(instance, endpoint, times, &refused);
    }

    /// Waits until no fault of this instance is left: the calls that they were for are there.
    pub fn until_faults_are_met(&self, instance: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.of_instance("faults", instance).is_empty() {
            assert!(Instant::now() < until, "a fault of {instance} meets no call");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Nothing goes wrong for this instance any more.
    pub fn take_back_faults(&self, instance: &str) {
        ask("DELETE", self.at(&format!("/_sim/faults?instance_id={instance}"))).send().expect(200);
    }

    /// The instance's webhooks, once all are answered for; fails where one was not accepted at once.
    pub fn delivered(&self, instance: &str) -> Vec<Value> {
        let answer = get(self.at(&format!("/_sim/deliveries?instance_id={instance}&wait_ms=30000"))).expect(200);
        let deliveries = answer.json()["deliveries"].as_array().cloned().unwrap_or_default();
        let accepted = |delivery: &Value| {
            delivery["outcome"] == "delivered" && delivery["attempts"].as_array().is_some_and(|tried| tried.len() == 1)
        };
        assert!(!deliveries.is_empty() && deliveries.iter().all(accepted), "{answer:?}");
        deliveries
    }

    /// The calls that were made for an instance, oldest first.
    pub fn calls(&self, instance: &str) -> Vec<Value> {
        let answer = get(self.at(&format!("/_sim/calls?instance_id={instance}"))).expect(200);
        answer.json()["calls"].as_array().cloned().unwrap_or_else(|| panic!("no calls: {answer:?}"))
    }

    /// The endpoints that were called for an instance, in order, with the grant where there is one.
    pub fn called(&self, instance: &str) -> Vec<String> {
        let name = |call: &Value| match (call["endpoint"].as_str(), call["grant_type"].as_str()) {
            (Some(endpoint), Some(grant)) => format!("{endpoint} {grant}"),
            (Some(endpoint), None) => endpoint.to_owned(),
            _ => panic!("no endpoint: {call}"),
        };
        self.calls(instance).iter().map(name).collect()
    }

    /// Everything the simulator tells.
    pub fn state(&self) -> Value {
        get(self.at("/_sim/state")).expect(200).json()
    }

    /// An entry of a list of the state's for each time the instance comes in it.
    pub fn of_instance(&self, list: &str, instance: &str) -> Vec<Value> {
        let state = self.state();
        let all = state[list].as_array().unwrap_or_else(|| panic!("no {list}: {state}"));
        all.iter().filter(|entry| entry["instance_id"] == instance).cloned().collect()
    }

    /// The BI events accepted for an instance, once there are `count`.
    pub fn bi_events(&self, instance: &str, count: usize) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let events = self.of_instance("bi_events", instance);
            if events.len() >= count || Instant::now() > until {
                assert_eq!(events.len(), count, "{events:?}");
                return events;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends an instance's tokens before their time.
    pub fn expire(&self, instance: &str, refresh: bool) {
        self.post("/_sim/tokens/expire", &json!({ "instance_id": instance, "access": true, "refresh": refresh }));
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}")).to_owned()
}
