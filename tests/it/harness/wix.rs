//! The simulated Wix, with functions for its control API.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use wix_sim::{AppCredentials, Settings, Sim};

use super::http::{get, request};
use super::next_second;

/// The time limit of all waits. A loaded machine needs much less.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// The threads of the simulators and other servers. Tests block.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// One simulator, which serves both of Wix's hosts.
pub struct Wix {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    pub app: AppCredentials,
    _sim: Sim,
}

impl Wix {
    /// Starts a Wix that accepts tokens only in the documented form, without `Bearer`. Its webhook timeout is longer than
    /// Wix's, so that a loaded machine fails no test. Tests compare the Worker's `duration_ms` with Wix's timeout instead.
    pub fn start() -> Self {
        Self::with(Settings::default())
    }

    /// Starts a Wix that is the app's back end too.
    pub fn with_back_end(events_secret: &str) -> Self {
        Self::with(Settings { events_secrets: Some(events_secret.to_owned()), ..Settings::default() })
    }

    fn with(settings: Settings) -> Self {
        let sim = RUNTIME.block_on(Sim::start(settings)).expect("a simulator");
        let wix = Self { url: sim.url().to_owned(), app: sim.app(), _sim: sim };
        wix.switch(&json!({ "accept_bearer_authorization": false, "webhook_timeout_ms": 15_000 }));
        wix
    }

    /// Sets the Worker's URLs in the app's dashboard.
    pub fn register(&self, worker_url: &str) {
        let urls = json!({
            "app_url": format!("{worker_url}/install"),
            "redirect_urls": [format!("{worker_url}/redirect")],
            "webhook_url": format!("{worker_url}/webhook"),
            "plugins_url": format!("{worker_url}/plugins"),
        });
        request("PATCH", self.at("/_sim/app")).json(&urls).send().expect(200);
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        request("POST", self.at(path)).json(body).send().expect(200).json()
    }

    pub fn switch(&self, changes: &Value) {
        request("PATCH", self.at("/_sim/switches")).json(changes).send().expect(200);
    }

    /// Creates a site without the app.
    pub fn site(&self) -> String {
        text(&self.post("/_sim/sites", &json!({})), "site_id")
    }

    /// Issues a `token` with which Wix opens the App URL for a site.
    pub fn install_token(&self, site: &str) -> String {
        text(&self.post("/_sim/install-tokens", &json!({ "site_id": site })), "token")
    }

    /// Installs the app on a new site, and waits until the webhook is delivered. Returns the instance id.
    pub fn new_instance(&self) -> String {
        let instance = text(&self.post("/_sim/installs", &json!({}))["instance"], "instance_id");
        self.wait_for_deliveries(&instance);
        instance
    }

    /// Removes the app and waits for the webhook.
    pub fn remove(&self, instance: &str) {
        next_second();
        self.post(&format!("/_sim/instances/{instance}/remove"), &json!({}));
        self.wait_for_deliveries(instance);
    }

    /// Installs the app again and waits for the webhook.
    pub fn reinstall(&self, instance: &str) {
        next_second();
        self.post(&format!("/_sim/instances/{instance}/reinstall"), &json!({}));
        self.wait_for_deliveries(instance);
    }

    /// Issues an authorization code without a browser flow.
    pub fn code(&self, instance: &str) -> String {
        text(&self.post("/_sim/codes", &json!({ "instance_id": instance })), "code")
    }

    /// Adds a fault to an endpoint, for the calls of one instance.
    pub fn add_fault(&self, instance: &str, endpoint: &str, times: u32, kind: &Value) {
        let mut fault = kind.clone();
        fault["endpoint"] = endpoint.into();
        fault["times"] = times.into();
        fault["instance_id"] = instance.into();
        self.post("/_sim/faults", &fault);
    }

    /// Makes an endpoint respond with a status and no body.
    pub fn fail_with(&self, instance: &str, endpoint: &str, times: u32, status: u16) {
        self.add_fault(instance, endpoint, times, &json!({ "kind": "status", "status": status }));
    }

    /// Makes an endpoint respond with a status and Wix's JSON error.
    pub fn refuse_with(&self, instance: &str, endpoint: &str, times: u32, status: u16) {
        let refused = json!({ "kind": "refused", "status": status, "error": "invalid_request" });
        self.add_fault(instance, endpoint, times, &refused);
    }

    /// Waits until all faults of an instance have been applied to calls.
    pub fn wait_until_faults_applied(&self, instance: &str) {
        let until = Instant::now() + TIMEOUT;
        while !self.of_instance("faults", instance).is_empty() {
            assert!(Instant::now() < until, "no call triggered the faults of {instance}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Removes the faults of an instance.
    pub fn remove_faults(&self, instance: &str) {
        request("DELETE", self.at(&format!("/_sim/faults?instance_id={instance}"))).send().expect(200);
    }

    /// Waits until the instance's webhooks are delivered, and returns them. Fails if one needed a second attempt.
    pub fn wait_for_deliveries(&self, instance: &str) -> Vec<Value> {
        let response = get(self.at(&format!("/_sim/deliveries?instance_id={instance}&wait_ms=30000"))).expect(200);
        let deliveries = response.json()["deliveries"].as_array().cloned().unwrap_or_default();
        let accepted = |delivery: &Value| {
            delivery["outcome"] == "delivered" && delivery["attempts"].as_array().is_some_and(|tried| tried.len() == 1)
        };
        assert!(!deliveries.is_empty() && deliveries.iter().all(accepted), "{response:?}");
        deliveries
    }

    /// The calls for an instance, oldest first.
    pub fn calls(&self, instance: &str) -> Vec<Value> {
        let response = get(self.at(&format!("/_sim/calls?instance_id={instance}"))).expect(200);
        response.json()["calls"].as_array().cloned().unwrap_or_else(|| panic!("calls is missing: {response:?}"))
    }

    /// The endpoints that were called for an instance, oldest first, with the grant type if there is one.
    pub fn called_endpoints(&self, instance: &str) -> Vec<String> {
        let name = |call: &Value| match (call["endpoint"].as_str(), call["grant_type"].as_str()) {
            (Some(endpoint), Some(grant)) => format!("{endpoint} {grant}"),
            (Some(endpoint), None) => endpoint.to_owned(),
            _ => panic!("endpoint is missing: {call}"),
        };
        self.calls(instance).iter().map(name).collect()
    }

    /// The whole state of the simulator.
    pub fn state(&self) -> Value {
        get(self.at("/_sim/state")).expect(200).json()
    }

    /// The entries of an instance in a list of the state.
    pub fn of_instance(&self, list: &str, instance: &str) -> Vec<Value> {
        let state = self.state();
        let all = state[list].as_array().unwrap_or_else(|| panic!("{list} is missing: {state}"));
        all.iter().filter(|entry| entry["instance_id"] == instance).cloned().collect()
    }

    /// Waits for `count` accepted BI events of an instance, and returns them. Fails if there are more.
    pub fn bi_events(&self, instance: &str, count: usize) -> Vec<Value> {
        let until = Instant::now() + TIMEOUT;
        loop {
            let events = self.of_instance("bi_events", instance);
            if events.len() >= count || Instant::now() > until {
                assert_eq!(events.len(), count, "{events:?}");
                return events;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Revokes the access tokens of an instance, and its refresh token if `refresh` is true.
    pub fn revoke_tokens(&self, instance: &str, refresh: bool) {
        self.post("/_sim/tokens/expire", &json!({ "instance_id": instance, "access": true, "refresh": refresh }));
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is missing: {value}")).to_owned()
}
