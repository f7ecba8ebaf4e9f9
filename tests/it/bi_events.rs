//! BI events through the app API: validation, tokens, retries (docs/wix.md 6).

use serde_json::{Value, json};

use crate::harness::{API_KEY, Response, Stage, guid, shared};

fn send(stage: &Stage, id: &str, event: &Value) -> Response {
    stage.worker.request("POST", &format!("/v1/instances/{id}/bi-events")).key(API_KEY).json(event).send()
}

fn sent(stage: &Stage, id: &str) -> usize {
    stage.wix.called_endpoints(id).iter().filter(|name| *name == "bi_event").count()
}

#[test]
fn events_reach_wix_unchanged() {
    let stage = shared();
    let id = stage.wix.new_instance();
    let sum = json!({ "sum": "5.99", "currency": "USD" });
    for (event, custom, data) in [
        ("APP_DASHBOARD_LOADED", Value::Null, Value::Null),
        ("CUSTOM", json!("coupon used"), json!({ "coupon": "spring" })),
        ("CHARGE", Value::Null, sum.clone()),
        ("FUNDS_RETURNED", Value::Null, sum),
        ("APP_SETUP_FINISHED", Value::Null, Value::Null),
    ] {
        let body = json!({ "event_name": event, "custom_event_name": custom, "event_data": data });
        let response = send(stage, &id, &body).expect(200);
        assert_eq!(response.json(), json!({ "instance_id": id, "event_name": event }));
        let accepted = stage.wix.of_instance("bi_events", &id).pop().expect("an event");
        let received = (&accepted["event_name"], &accepted["custom_event_name"], &accepted["event_data"]);
        assert_eq!(received, (&json!(event), &custom, &data), "{accepted}");
    }
}

#[test]
fn an_invalid_event_is_400_and_does_not_reach_wix() {
    let stage = shared();
    let id = stage.wix.new_instance();
    for body in [
        json!({}),
        json!({ "event_name": "UNKNOWN" }),
        json!({ "event_name": "APP_FINISH_BUSINESS_SETUP" }),
        json!({ "event_name": "CUSTOM", "custom_event_name": "x" }),
        json!({ "event_name": "CHARGE", "event_data": { "currency": "USD" } }),
        json!({ "event_name": "APP_UPGRADED", "event_data": { "seats": 5 } }),
    ] {
        assert_eq!(send(stage, &id, &body).expect(400).code(), "bad_request", "{body}");
    }
    assert_eq!(stage.wix.called_endpoints(&id), Vec::<String>::new());
    assert_eq!(send(stage, &guid(), &json!({ "event_name": "APP_UPGRADED" })).expect(404).code(), "unknown_instance");
}

#[test]
fn a_revoked_token_and_a_transient_failure_are_retried() {
    let stage = shared();
    let id = stage.wix.new_instance();
    stage.token(&id).expect(200);
    stage.wix.revoke_tokens(&id, false);
    stage.wix.fail_with(&id, "bi_event", 1, 503);
    send(stage, &id, &json!({ "event_name": "PRIMARY_ACTION_PERFORMED" })).expect(200);
    stage.wix.bi_events(&id, 1);
}

#[test]
fn a_refusal_by_wix_is_returned_without_a_retry() {
    let stage = shared();
    for (wix_status, status, code) in [(400, 400, "event_refused"), (403, 502, "event_not_permitted")] {
        let id = stage.wix.new_instance();
        stage.wix.refuse_with(&id, "bi_event", 1, wix_status);
        let response = send(stage, &id, &json!({ "event_name": "APP_UPGRADED" })).expect(status);
        assert_eq!(response.code(), code);
        assert_eq!(sent(stage, &id), 1);
    }
}

#[test]
fn two_routes_send_app_finished_configuration_once() {
    let stage = shared();
    let id = stage.wix.new_instance();
    for _ in 0..2 {
        send(stage, &id, &json!({ "event_name": "APP_FINISHED_CONFIGURATION" })).expect(200);
        stage.api("POST", &format!("/v1/instances/{id}/finish-configuration")).expect(200);
    }
    stage.wix.bi_events(&id, 1);
    assert!(stage.instance(&id)["configured_at"].is_i64());
}
