//! BI events by the app API: checked here, sent with a token that Wix takes (Wix's rules 6).

use serde_json::{Value, json};

use crate::harness::{API_KEY, Answer, Stage, guid, shared};

fn send(stage: &Stage, id: &str, event: &Value) -> Answer {
    stage.worker.ask("POST", &format!("/v1/instances/{id}/bi-events")).key(API_KEY).json(event).send()
}

fn sent(stage: &Stage, id: &str) -> usize {
    stage.wix.called(id).iter().filter(|name| *name == "bi_event").count()
}

#[test]
fn events_reach_wix_as_they_were_asked_for() {
    let stage = shared();
    let id = stage.wix.installed();
    let sum = json!({ "sum": "5.99", "currency": "USD" });
    for (event, custom, data) in [
        ("APP_DASHBOARD_LOADED", Value::Null, Value::Null),
        ("CUSTOM", json!("coupon used"), json!({ "coupon": "spring" })),
        ("CHARGE", Value::Null, sum.clone()),
        ("FUNDS_RETURNED", Value::Null, sum),
        ("APP_SETUP_FINISHED", Value::Null, Value::Null),
    ] {
        let body = json!({ "event_name": event, "custom_event_name": custom, "event_data": data });
        let answer = send(stage, &id, &body).expect(200);
        assert_eq!(answer.json(), json!({ "instance_id": id, "event_name": event }));
        let accepted = stage.wix.of_instance("bi_events", &id).pop().expect("an event");
        let told = (&accepted["event_name"], &accepted["custom_event_name"], &accepted["event_data"]);
        assert_eq!(told, (&json!(event), &custom, &data), "{accepted}");
    }
}

#[test]
fn what_is_no_event_never_reaches_wix() {
    let stage = shared();
    let id = stage.wix.installed();
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
    assert_eq!(stage.wix.called(&id), Vec::<String>::new());
    assert_eq!(send(stage, &guid(), &json!({ "event_name": "APP_UPGRADED" })).expect(404).code(), "unknown_instance");
}

#[test]
fn a_dead_token_and_a_short_failure_are_overcome() {
    let stage = shared();
    let id = stage.wix.installed();
    stage.token(&id).expect(200);
    stage.wix.expire(&id, false);
    stage.wix.fails(&id, "bi_event", 1, 503);
    send(stage, &id, &json!({ "event_name": "PRIMARY_ACTION_PERFORMED" })).expect(200);
    stage.wix.bi_events(&id, 1);
}

#[test]
fn what_wix_refuses_is_told_at_once() {
    let stage = shared();
    for (status, told, code) in [(400, 400, "event_refused"), (403, 502, "event_not_permitted")] {
        let id = stage.wix.installed();
        stage.wix.refuses(&id, "bi_event", 1, status);
        let answer = send(stage, &id, &json!({ "event_name": "APP_UPGRADED" })).expect(told);
        assert_eq!(answer.code(), code);
        assert_eq!(sent(stage, &id), 1);
    }
}

#[test]
fn finished_configuration_goes_once_whichever_route_asks() {
    let stage = shared();
    let id = stage.wix.installed();
    for _ in 0..2 {
        send(stage, &id, &json!({ "event_name": "APP_FINISHED_CONFIGURATION" })).expect(200);
        stage.api("POST", &format!("/v1/instances/{id}/finish-configuration")).expect(200);
    }
    stage.wix.bi_events(&id, 1);
    assert!(stage.instance(&id)["configured_at"].is_i64());
}
