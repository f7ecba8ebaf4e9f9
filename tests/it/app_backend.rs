//! Events reach the app's back end of the simulator, as under `cargo xtask dev`: through the Worker under `wrangler dev`,
//! with its objects.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{Stage, Worker, get};

static STAGE: LazyLock<Stage> = LazyLock::new(|| Stage::with_back_end(Worker::to_share, |values| values));

/// The sample events about a site's contents, and whether a privacy request caused them.
const SAMPLES: [(&str, bool); 5] = [
    ("wix.stores.catalog.v3.product_created", false),
    ("wix.contacts.v4.contact_deleted", true),
    ("wix.ecom.v1.order_approved", false),
    ("wix.bookings.v2.booking_created", false),
    ("com.wix.ecommerce.catalog.api.v1.ProductChanged", false),
];

/// The innermost data of a message, as text.
fn data(jwt: &Value) -> String {
    let claims = jwt.as_str().and_then(|jwt| jwt.split('.').nth(1)).expect("three parts");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    let envelope: Value = serde_json::from_str(claims["data"].as_str().expect("text")).expect("JSON");
    envelope["data"].as_str().expect("text").to_owned()
}

/// Waits for the delivered events that the query selects, and returns the only one, also as text.
fn delivered(query: &str) -> (Value, String) {
    let response = get(STAGE.wix.at(&format!("/_sim/app-deliveries?{query}&wait_ms=30000"))).expect(200);
    let found = response.json();
    let all = found["deliveries"].as_array().expect("a list").clone();
    let [event] = <[Value; 1]>::try_from(all).unwrap_or_else(|_| panic!("{query}: one event: {found}"));
    assert_eq!(event["delivered"]["attempt"], 1, "{event}");
    (event, response.text())
}

#[test]
fn the_worker_is_ready_without_a_note_about_events() {
    let ready = get(STAGE.worker.at("/readyz")).expect(200).json();
    assert_eq!((&ready["status"], &ready["notes"]), (&json!("ready"), &json!([])), "{ready}");
}

#[test]
fn each_sample_event_is_delivered_with_its_exact_data() {
    let instance = STAGE.wix.new_instance();
    for (event_type, is_anonymize) in SAMPLES {
        let message =
            json!({ "event_type": event_type, "instance_id": instance, "webhook_id": format!("wId_{instance}") });
        let made = STAGE.wix.post("/_sim/webhooks", &message);
        assert_eq!(made["delivery"]["outcome"], "delivered", "{made}");
        let (event, text) = delivered(&format!("type={event_type}&instance_id={instance}"));
        let data = data(&made["jwt"]);
        assert!(text.contains(&format!("\"data\":{data},\"anonymize\":{is_anonymize},")), "{data}: {text}");
        // The own id: that of a domain event, else the webhook's.
        let domain: Value = serde_json::from_str(&data).expect("JSON");
        let id = if domain.get("entityFqdn").is_some() { domain["id"].clone() } else { message["webhook_id"].clone() };
        assert_eq!((&event["webhook_id"], &event["source"]), (&id, &json!("wix")), "{event}");
    }
}

#[test]
fn an_event_of_no_instance_is_delivered_without_one() {
    let sent = STAGE.wix.post(
        "/_sim/events",
        &json!({ "event_type": "wix.stores.catalog.v3.product_updated",
        "data": { "id": "own-1", "entityFqdn": "wix.stores.catalog.v3.product", "slug": "updated" } }),
    );
    let number = &sent["delivery_ids"][0];
    let webhook = get(STAGE.wix.at(&format!("/_sim/deliveries?id={number}&wait_ms=30000"))).expect(200).json();
    assert_eq!(webhook["deliveries"][0]["outcome"], "delivered", "{webhook}");
    let (event, _) = delivered("webhook_id=own-1");
    assert_eq!((&event["instance_id"], &event["data"]["slug"]), (&Value::Null, &json!("updated")), "{event}");
}

#[test]
fn each_sample_plugin_call_is_answered_in_the_form_of_its_plugin() {
    let instance = STAGE.wix.new_instance();
    let custom = ["charge-limit", "charges", "usages", "charges-rejected", "usages-rejected", "invoice-created"];
    let custom = custom.iter().map(|name| format!("/v1/{name}"));
    let others = ["/v1/limit-updated", "/v1/getRates", "/v1/calculate-additional-fees", "/v1/run-tool"];
    for path in custom.chain(others.map(str::to_owned)) {
        let made = STAGE.wix.post("/_sim/plugin-calls", &json!({ "path": path, "instance_id": instance }));
        assert_eq!((&made["status"], &made["problems"]), (&json!(200), &json!([])), "{path}: {made}");
        assert_eq!(made["content_type"], "application/json", "{made}");
    }
    let made = STAGE.wix.post("/_sim/plugin-calls", &json!({ "path": "/v2/other", "instance_id": instance }));
    assert_eq!(made["status"], 404, "{made}");
    assert_eq!(made["body"], r#"{"applicationError":{"code":"UNKNOWN_METHOD","data":{}}}"#);
    let other_app = json!({ "instance_id": instance, "claims": { "aud": instance } });
    let made = STAGE.wix.post("/_sim/plugin-calls", &other_app);
    assert_eq!(made["status"], 401, "{made}");
}
