//! Genuine webhooks: accepted in any order and number, and answered in time (docs/wix.md 4, 5).

use serde_json::{Value, json};

use crate::harness::{API_KEY, Message, Response, Stage, Worker, guid, now, shared};

/// Wix's timeout for a webhook, in milliseconds (docs/wix.md 4.1).
const WIX_TIMEOUT: u64 = 1250;
const GENUINE: &str = include_str!("genuine/app-installed.jwt");
const GENUINE_INSTANCE: &str = "3bbcabc7-ebb7-4fc8-8829-13ea0e142123";

/// Posts a body as Wix does. Checks the Worker's own duration, since wrangler's proxy is slow on a loaded machine.
#[track_caller]
pub fn deliver(stage: &Stage, body: impl Into<Vec<u8>>) -> Response {
    let response = stage.worker.request("POST", "/webhook").header("content-type", "text/plain").body(body).send();
    let line = stage.worker.log.of_request(response.request_id());
    assert!(line["duration_ms"].as_u64().is_some_and(|took| took < WIX_TIMEOUT), "too slow for Wix: {line}");
    response
}

fn status(stage: &Stage, id: &str) -> Value {
    stage.instance(id)["status"].clone()
}

#[test]
fn an_installation_stores_the_instance() {
    let (stage, id) = (shared(), guid());
    let iat = now() - 30;
    deliver(stage, Message::installed(stage, &id).at(iat).sign()).expect(200);
    let record = stage.instance(&id);
    assert_eq!((&record["status"], &record["auth"]), (&json!("installed"), &json!("oauth")), "{record}");
    assert_eq!((&record["installed_at"], &record["last_event_at"]), (&json!(iat), &json!(iat)), "{record}");
    assert_eq!(record.get("origin_instance_id"), None, "{record}");
}

#[test]
fn a_clone_has_its_origin() {
    let (stage, id, origin) = (shared(), guid(), guid());
    let data = json!({ "appId": stage.wix.app.app_id, "originInstanceId": origin });
    deliver(stage, Message::new("AppInstalled", &id, &data).sign()).expect(200);
    assert_eq!(stage.instance(&id)["origin_instance_id"], origin.as_str());
}

#[test]
fn a_removal_leaves_a_tombstone_and_a_later_installation_replaces_it() {
    let (stage, id) = (shared(), guid());
    let start = now() - 100;
    deliver(stage, Message::installed(stage, &id).at(start).sign()).expect(200);
    deliver(stage, Message::removed(stage, &id).at(start + 10).sign()).expect(200);
    let record = stage.instance(&id);
    assert_eq!((&record["status"], &record["removed_at"]), (&json!("removed"), &json!(start + 10)), "{record}");
    assert_eq!(record.get("installed_at"), None, "{record}");

    deliver(stage, Message::installed(stage, &id).at(start + 20).sign()).expect(200);
    let record = stage.instance(&id);
    assert_eq!((&record["status"], &record["installed_at"]), (&json!("installed"), &json!(start + 20)), "{record}");
    assert_eq!(record.get("removed_at"), None, "{record}");
}

#[test]
fn events_in_any_order_and_number_have_the_same_result() {
    let stage = shared();
    let start = now() - 100;
    let events = [("AppInstalled", 0), ("AppRemoved", 10), ("AppInstalled", 20)];
    let orders: [&[usize]; 6] = [&[0, 1, 2], &[0, 2, 1], &[1, 0, 2], &[2, 1, 0], &[2, 0, 1, 1, 0, 2], &[1, 1, 2, 0, 0]];
    let mut records = Vec::new();
    for order in orders {
        let id = guid();
        for &at in order {
            let (event, after) = events[at];
            let data = json!({ "appId": stage.wix.app.app_id });
            deliver(stage, Message::new(event, &id, &data).at(start + after).sign()).expect(200);
        }
        let mut record = stage.instance(&id);
        record["instance_id"] = json!("any");
        records.push(record);
    }
    assert_eq!(records[0]["status"], "installed");
    assert!(records.iter().all(|record| *record == records[0]), "{records:#?}");
}

#[test]
fn a_late_removal_does_not_undo_a_newer_installation() {
    let stage = shared();
    let id = stage.wix.new_instance();
    deliver(stage, Message::removed(stage, &id).at(now() - 60).sign()).expect(200);
    assert_eq!(status(stage, &id), "installed");
    stage.token(&id).expect(200);
}

#[test]
fn a_duplicate_changes_nothing() {
    let (stage, id) = (shared(), guid());
    let message = Message::installed(stage, &id).sign();
    deliver(stage, message.clone()).expect(200);
    let before = stage.instance(&id);
    for _ in 0..3 {
        deliver(stage, message.clone()).expect(200);
    }
    assert_eq!(stage.instance(&id), before);
}

#[test]
fn simultaneous_duplicates_are_all_accepted() {
    let (stage, id) = (shared(), guid());
    let message = Message::installed(stage, &id).sign();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| deliver(stage, message.clone()).expect(200));
        }
    });
    assert_eq!(status(stage, &id), "installed");
}

#[test]
fn an_event_of_an_unknown_instance_stores_it_as_pending() {
    let (stage, id) = (shared(), guid());
    deliver(stage, Message::new("wix.ecom.v1.order_created", &id, &json!({ "id": "x" })).sign()).expect(200);
    assert_eq!(status(stage, &id), "pending");
    // The installation may arrive later.
    deliver(stage, Message::installed(stage, &id).sign()).expect(200);
    assert_eq!(status(stage, &id), "installed");
    deliver(stage, Message::new("SomethingNew", &id, &json!({})).sign()).expect(200);
    assert_eq!(status(stage, &id), "installed");
}

#[test]
fn an_event_without_an_instance_is_accepted() {
    let stage = shared();
    deliver(stage, Message::new("AccountLevelEvent", "", &json!({})).sign()).expect(200);
}

#[test]
fn a_purchased_plan_is_stored() {
    let (stage, id) = (shared(), guid());
    deliver(stage, Message::installed(stage, &id).sign()).expect(200);
    let plan =
        json!({ "operationTimeStamp": "2026-01-02T10:00:00.000Z", "vendorProductId": "pro_plan", "cycle": "MONTHLY" });
    deliver(stage, Message::new("PaidPlanPurchased", &id, &plan).sign()).expect(200);
    let record = stage.instance(&id);
    assert_eq!((&record["plan"], &record["status"]), (&json!("pro_plan"), &json!("installed")), "{record}");
}

#[test]
fn sample_data_of_the_dashboards_test_button_is_accepted_and_not_stored() {
    let stage = shared();
    // The button's format: another app's id, pretty-printed with a trailing space, no identity.
    let id = guid();
    let mut message = Message::installed(stage, &id);
    message.envelope["data"] = json!(format!("{{\n  \"appId\": \"{}\",\n  \"originInstanceId\": \"\"\n}} ", guid()));
    deliver(stage, message.sign()).expect(200);
    stage.api("GET", &format!("/v1/instances/{id}")).expect(404);

    let sent = stage.wix.post("/_sim/test-webhook", &json!({}));
    assert_eq!(sent["delivery"]["outcome"], "delivered", "{sent}");
}

#[test]
fn surrounding_whitespace_and_any_content_type_are_accepted() {
    let stage = shared();
    for kind in ["application/jwt", "application/json", ""] {
        let id = guid();
        let body = format!("\r\n {}\n", Message::installed(stage, &id).sign());
        let mut request = stage.worker.request("POST", "/webhook").body(body);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        request.send().expect(200);
        assert_eq!(status(stage, &id), "installed");
    }
}

#[test]
fn inner_data_may_be_an_object_and_optional_fields_may_be_absent() {
    let (stage, id) = (shared(), guid());
    let mut message = Message::installed(stage, &id);
    message.envelope["data"] = json!({ "appId": stage.wix.app.app_id });
    message.claims = json!({ "iat": now() });
    message.header = json!({ "alg": "RS256", "typ": "JWT" });
    deliver(stage, message.sign()).expect(200);
    assert_eq!(status(stage, &id), "installed");
}

#[test]
fn clock_skew_of_30_seconds_is_accepted() {
    let (stage, id) = (shared(), guid());
    deliver(stage, Message::installed(stage, &id).at(now() + 30).sign()).expect(200);
    let mut message = Message::installed(stage, &id);
    message.claims["exp"] = json!(now() - 30);
    deliver(stage, message.sign()).expect(200);
}

#[test]
fn a_removal_erases_the_tokens() {
    let stage = shared();
    let id = stage.install().instance;
    stage.token(&id).expect(200);
    stage.wix.remove(&id);
    assert_eq!(status(stage, &id), "removed");
    assert_eq!(stage.token(&id).expect(410).code(), "removed_instance");

    // A reinstallation without a redirect flow: the refresh token must be erased.
    let before = stage.wix.calls(&id).len();
    stage.wix.reinstall(&id);
    assert_eq!(stage.instance(&id)["auth"], "oauth");
    stage.token(&id).expect(200);
    assert_eq!(stage.wix.called_endpoints(&id)[before..], ["oauth2_token client_credentials"]);
}

#[test]
fn the_genuine_message_is_accepted_until_it_expires() {
    let stage = shared();
    let message = GENUINE.trim();
    assert_eq!(deliver(stage, message).expect(401).code(), "not_valid_now");

    // The message is valid from 1640788554 to 1644388554, and for another app than the simulator's.
    let app = "5bc2062d-010b-448c-a62a-d6bb269c5a4c";
    let offset = 1_640_788_600 - now();
    let values = stage.values.clone().with("CLOCK_OFFSET_SECONDS", offset.to_string()).with("WIX_APP_ID", app);
    let then = Worker::start(&values);
    then.request("POST", "/webhook").body(message).send().expect(200);
    let record = then.request("GET", &format!("/v1/instances/{GENUINE_INSTANCE}")).key(API_KEY).send().expect(200);
    let record = record.json();
    assert_eq!(record["status"], "installed", "{record}");
    assert_eq!(record["installed_at"], 1_640_788_554, "{record}");
    assert_eq!(record["origin_instance_id"], "07864c16-3a6f-4dd2-9973-028705762b2c", "{record}");

    // One changed character invalidates it.
    let altered = message.replacen("eyJraWQ", "eyJraWR", 1);
    assert_ne!(altered, message);
    let response = then.request("POST", "/webhook").body(altered).send();
    assert!(matches!(response.status, 400 | 401), "{response:?}");
}
