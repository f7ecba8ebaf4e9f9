//! An upgrade from a version without Durable Objects, and back: the same KV under a Worker without objects, with objects, and
//! without them again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use workerd::{Kv, Op, Setup, Workerd};

use crate::events::SECRETS;
use crate::harness::{
    API_KEY, APP, Flow, Jar, Log, Message, Objects, Receiver, Response, TIMEOUT, Wix, now, parameter, request, serve,
    values_for,
};

const BY_REFRESH_TOKEN: &str = "oauth_access refresh_token";
const BY_CREDENTIALS: &str = "oauth2_token client_credentials";

/// One KV, and the Worker that is deployed on it.
struct Deployment {
    wix: Wix,
    kv: Kv,
    receiver: Receiver,
    log: Arc<Log>,
    folder: TempDir,
    workerd: Option<Workerd>,
}

impl Deployment {
    /// The first deployment has no objects.
    fn start() -> Self {
        let (wix, kv, receiver) = (Wix::start(), Kv::start().expect("a KV"), Receiver::start(&SECRETS));
        // The messages of this test say all that is known: the Worker may not ask Wix for more.
        wix.switch(&json!({ "permission_manage_app_instance": false }));
        let folder = tempfile::Builder::new().prefix("objects-").tempdir().expect("a folder");
        let mut deployment = Self { wix, kv, receiver, log: Arc::default(), folder, workerd: None };
        deployment.deploy(false, 0);
        deployment
    }

    /// Ends the Worker and starts another one on the same KV, with objects and a target for events or with neither. Its clock
    /// is so many seconds ahead, so that KV shows everywhere what the Worker before it has written.
    fn deploy(&mut self, has_objects: bool, ahead: i64) {
        self.workerd = None;
        self.receiver.expect_ahead(ahead);
        let mut values = values_for(&self.wix).with("CLOCK_OFFSET_SECONDS", ahead.to_string());
        if has_objects {
            values = values.with("EVENTS_URL", &self.receiver.url).with("EVENTS_SECRETS", SECRETS.join(","));
        }
        let objects = Objects { values: &values, kv: &self.kv, folder: self.folder.path() };
        let worker = if has_objects { objects.worker() } else { objects.unbound() };
        let lines = Arc::clone(&self.log);
        let workerd = serve(&Setup::default().worker(APP, worker), move |line| lines.push(line));
        self.wix.register(workerd.url(APP));
        self.workerd = Some(workerd);
    }

    fn url(&self) -> &str {
        self.workerd.as_ref().expect("a Worker").url(APP)
    }

    fn api(&self, method: &str, path: &str) -> Response {
        request(method, format!("{}{path}", self.url())).key(API_KEY).send()
    }

    fn token(&self, id: &str) -> Response {
        self.api("POST", &format!("/v1/instances/{id}/token"))
    }

    /// The access token, and the calls to Wix that it took.
    #[track_caller]
    fn issued(&self, id: &str) -> (Value, Vec<String>) {
        let before = self.wix.called_endpoints(id).len();
        let token = self.token(id).expect(200).json()["access_token"].clone();
        (token, self.wix.called_endpoints(id).split_off(before))
    }

    /// Sends a webhook until it is answered 200, since an object on a slow machine may take longer than a second.
    #[track_caller]
    fn webhook(&self, message: &Message) -> Value {
        let until = Instant::now() + TIMEOUT;
        loop {
            let response = request("POST", format!("{}/webhook", self.url())).body(message.sign()).send();
            let line = self.log.of_request(response.request_id());
            if response.status == 200 {
                return line;
            }
            assert!(Instant::now() < until, "{line}");
        }
    }

    /// Installs the app by the flow of custom authentication, without a webhook.
    fn custom(&self) -> String {
        self.wix.switch(&json!({ "webhook_drop": true }));
        let mut jar = Jar::default();
        let callback = Flow::begin_at(self.url(), &mut jar, None).consent(&self.wix.site());
        jar.get(&callback).expect(302);
        parameter(&callback, "instanceId")
    }

    /// Installs the app by a webhook. Returns the webhook too.
    fn by_webhook(&self) -> (String, Message) {
        self.wix.switch(&json!({ "webhook_drop": true }));
        let made = self.wix.post("/_sim/installs", &json!({}));
        let id = made["instance"]["instance_id"].as_str().expect("an id").to_owned();
        let data = json!({ "appId": self.wix.app.app_id, "originInstanceId": "" });
        let message = Message::new("AppInstalled", &id, &data).at(now() - 100);
        self.webhook(&message);
        (id, message)
    }

    fn remove(&self, id: &str) {
        self.webhook(&Message::new("AppRemoved", id, &json!({ "appId": self.wix.app.app_id })));
    }

    /// Waits until the listed installation has this status and `auth`, and asserts that its own record has them too.
    #[track_caller]
    fn assert_record(&self, id: &str, status: &str, auth: &str) {
        let until = Instant::now() + TIMEOUT;
        let is_right = |record: &Value| record["status"] == status && record["auth"] == auth;
        loop {
            let page = self.api("GET", "/v1/instances?limit=1000").expect(200).json();
            let record = self.api("GET", &format!("/v1/instances/{id}")).expect(200).json();
            let listed = page["instances"].as_array().expect("a list");
            let listed: Vec<&Value> = listed.iter().filter(|listed| listed["instance_id"] == id).collect();
            if is_right(&record) && listed.len() == 1 && is_right(listed[0]) {
                return;
            }
            assert!(Instant::now() < until, "{status} {auth} is expected: {record}, {listed:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the app got as many events of an installation, and asserts their types.
    #[track_caller]
    fn assert_told(&self, id: &str, types: &[&str]) {
        let told = || {
            let all = self.receiver.deliveries().into_iter().map(|delivery| delivery.json());
            let all = all.filter(|event| event["instance_id"] == id);
            all.map(|event| event["type"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        let until = Instant::now() + TIMEOUT;
        while told().len() < types.len() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(told(), types);
    }
}

#[test]
fn installations_survive_an_upgrade_to_objects_and_the_way_back() {
    let mut deployment = Deployment::start();
    let custom = deployment.custom();
    let (oauth, installed) = deployment.by_webhook();
    let (leaving, _) = deployment.by_webhook();
    let (gone, of_gone) = deployment.by_webhook();
    deployment.remove(&gone);
    let (early, _) = deployment.issued(&oauth);
    deployment.token(&custom).expect(200);
    deployment.token(&leaving).expect(200);
    let records = |deployment: &Deployment| {
        deployment.assert_record(&custom, "installed", "custom");
        deployment.assert_record(&oauth, "installed", "oauth");
        deployment.assert_record(&gone, "removed", "oauth");
    };
    records(&deployment);

    // The upgrade.
    deployment.deploy(true, 600);
    records(&deployment);
    deployment.kv.clear_operations();
    assert_eq!(deployment.issued(&custom).1, [BY_REFRESH_TOKEN], "taken over from KV");
    assert_eq!(deployment.issued(&oauth).1, [BY_CREDENTIALS]);
    deployment.token(&gone).expect(410);
    let key = format!("v1:refresh:{custom}");
    let operations = deployment.kv.operations();
    let kinds: Vec<Op> =
        operations.iter().filter(|operation| operation.key == key).map(|operation| operation.op).collect();
    assert_eq!(kinds, [Op::Read], "KV keeps the original");

    let event = Message::new("com.wix.Changed", &custom, &json!({ "number": 1 }));
    assert_eq!(deployment.webhook(&event)["delivery"], "stored");
    assert_eq!(deployment.webhook(&event)["delivery"], "known");
    deployment.assert_told(&custom, &["com.wix.Changed"]);
    // Copies of webhooks from before the upgrade are new to the app, and change nothing.
    for (id, copy) in [(&oauth, &installed), (&gone, &of_gone)] {
        assert_eq!(deployment.webhook(copy)["delivery"], "stored");
        assert_eq!(deployment.webhook(copy)["delivery"], "known");
        deployment.assert_told(id, &["AppInstalled"]);
    }
    deployment.remove(&leaving);
    deployment.assert_told(&leaving, &["AppRemoved", "installation.removed"]);
    let newer = deployment.custom();
    deployment.assert_told(&newer, &["installation.installed"]);
    records(&deployment);

    // The way back.
    let delivered = deployment.receiver.deliveries().len();
    deployment.deploy(false, 1_200);
    records(&deployment);
    deployment.assert_record(&newer, "installed", "custom");
    deployment.assert_record(&leaving, "removed", "oauth");
    for id in [&custom, &newer] {
        assert_eq!(deployment.issued(id).1, [BY_REFRESH_TOKEN]);
    }
    assert_eq!(deployment.issued(&oauth), (early, Vec::new()), "the four-hour token in KV is still valid");
    for id in [&gone, &leaving] {
        deployment.token(id).expect(410);
    }
    assert!(deployment.kv.entries(&format!("v1:access:{leaving}")).is_empty());
    assert_eq!(deployment.webhook(&event)["delivery"], Value::Null);
    records(&deployment);
    assert_eq!(deployment.receiver.deliveries().len(), delivered);
}
