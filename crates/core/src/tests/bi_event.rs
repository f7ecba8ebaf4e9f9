//! BI events: the requests to Wix, the events that the Worker refuses itself, and Wix's responses.

use serde_json::{Value, json};

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::wix::{Canned, Sent};
use crate::testing::world::{API_KEY, INSTANCE, TestResponse, World};

const EVENT: &str = "/apps/v1/bi-event";
const TOKEN: &str = "/oauth2/token";

fn installed() -> World {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START - 10));
    world
}

fn send_text(world: &World, body: &str) -> TestResponse {
    world.post(&format!("/v1/instances/{INSTANCE}/bi-events")).key(API_KEY).body(body).send()
}

fn send(world: &World, body: &Value) -> TestResponse {
    send_text(world, &body.to_string())
}

/// The events that Wix received.
fn events(world: &World) -> Vec<Value> {
    world.fake.wix().sent().into_iter().filter(|sent| sent.path() == EVENT).map(|sent| sent.json).collect()
}

#[test]
fn every_event_is_sent_with_the_field_names_of_wix() {
    let sum = json!({"sum": "5.99", "currency": "USD", "cycle_name": "2 years", "own": ""});
    for (body, wanted) in [
        (json!({"event_name": "APP_DASHBOARD_LOADED"}), json!({"eventName": "APP_DASHBOARD_LOADED"})),
        (json!({"event_name": "APP_FINISHED_CONFIGURATION"}), json!({"eventName": "APP_FINISHED_CONFIGURATION"})),
        (json!({"event_name": "APP_UPGRADED"}), json!({"eventName": "APP_UPGRADED"})),
        (
            json!({"event_name": "PRIMARY_ACTION_PERFORMED", "event_data": {"a": "b"}}),
            json!({"eventName": "PRIMARY_ACTION_PERFORMED", "eventData": {"a": "b"}}),
        ),
        (
            json!({"event_name": "CUSTOM", "custom_event_name": "éé"}),
            json!({"eventName": "CUSTOM", "customEventName": "éé"}),
        ),
        (json!({"event_name": "CHARGE", "event_data": sum}), json!({"eventName": "CHARGE", "eventData": sum})),
        (
            json!({"event_name": "FUNDS_RETURNED", "event_data": {"sum": "12"}}),
            json!({"eventName": "FUNDS_RETURNED", "eventData": {"sum": "12"}}),
        ),
        (json!({"event_name": "APP_DEPLOYED", "event_data": {}}), json!({"eventName": "APP_DEPLOYED"})),
        (
            json!({"event_name": "APP_SETUP_FINISHED", "event_data": null, "custom_event_name": null}),
            json!({"eventName": "APP_SETUP_FINISHED"}),
        ),
    ] {
        let world = installed();
        let response = send(&world, &body);
        assert_eq!(response.status, 200, "{body}: {}", response.body);
        assert_eq!(response.json(), json!({"instance_id": INSTANCE, "event_name": wanted["eventName"]}));
        assert_eq!(world.fake.last_log()["outcome"], "sent");
        let sent = world.fake.wix().sent();
        assert_eq!(sent.len(), 2);
        assert_eq!((&sent[1].json, sent[1].path()), (&wanted, EVENT));
        assert_eq!(sent[1].authorization.as_deref(), Some("OauthNG.JWS.planted-token.1"));
    }
}

#[test]
fn an_invalid_event_is_a_400_and_is_not_sent() {
    let world = installed();
    let named = |name: &str| json!({"event_name": name});
    let charge = |sum: Value| json!({"event_name": "CHARGE", "event_data": {"sum": sum}});
    let custom = |name: Value| json!({"event_name": "CUSTOM", "custom_event_name": name});
    let data = |data: Value| json!({"event_name": "APP_UPGRADED", "event_data": data});
    let many: Value = (0..33).map(|number| (number.to_string(), json!("v"))).collect::<serde_json::Map<_, _>>().into();
    for (body, field) in [
        (json!({}), "event_name"),
        (named("UNKNOWN"), "event_name"),
        (named(""), "event_name"),
        (named("app_upgraded"), "event_name"),
        (named("APP_UPGRADED "), "event_name"),
        (named("APP_FINISH_BUSINESS_SETUP"), "APP_SETUP_FINISHED"),
        (named("CUSTOM"), "custom_event_name"),
        (custom(json!("x")), "custom_event_name"),
        (custom(json!("é")), "custom_event_name"),
        (custom(json!("  x")), "custom_event_name"),
        (custom(json!("a\nb")), "custom_event_name"),
        (custom(json!("x".repeat(101))), "custom_event_name"),
        (custom(json!(12)), "body"),
        (json!({"event_name": "APP_UPGRADED", "custom_event_name": "name"}), "custom_event_name"),
        (named("CHARGE"), "event_data.sum"),
        (named("FUNDS_RETURNED"), "event_data.sum"),
        (charge(json!("")), "event_data.sum"),
        (charge(json!("-1")), "event_data.sum"),
        (charge(json!("+1")), "event_data.sum"),
        (charge(json!("5,99")), "event_data.sum"),
        (charge(json!("5.")), "event_data.sum"),
        (charge(json!(".5")), "event_data.sum"),
        (charge(json!("5.9.9")), "event_data.sum"),
        (charge(json!("1e3")), "event_data.sum"),
        (charge(json!("٣")), "event_data.sum"),
        (charge(json!("1".repeat(21))), "event_data.sum"),
        (charge(json!(5.99)), "event_data"),
        (data(json!({"a": 1})), "event_data"),
        (data(json!({"a": true})), "event_data"),
        (data(json!({"a": {"b": "c"}})), "event_data"),
        (data(json!({"": "c"})), "event_data"),
        (data(json!({"k".repeat(65): "c"})), "event_data"),
        (data(json!({"a": "v".repeat(1025)})), "event_data"),
        (data(many), "event_data"),
        (data(json!("text")), "body"),
        (json!({"event_name": "APP_FINISHED_CONFIGURATION", "event_data": {"a": "b"}}), "event_data"),
        (json!({"event_name": "APP_UPGRADED", "eventData": {}}), "body"),
        (json!(["APP_UPGRADED", null, null]), "body"),
    ] {
        let response = send(&world, &body);
        assert_eq!(response.problem(), (400, "bad_request".to_owned()), "{body}");
        assert!(response.json()["detail"].as_str().unwrap().contains(field), "{body}: {}", response.body);
    }
    for body in ["", "{", "null", r#"{"event_name":"APP_UPGRADED"} x"#] {
        assert_eq!(send_text(&world, body).problem(), (400, "bad_request".to_owned()), "{body}");
    }
    assert_eq!(send_text(&world, &" ".repeat(20_000)).problem(), (413, "too_large".to_owned()));
    assert!(world.fake.wix().sent().is_empty());
}

#[test]
fn an_event_may_be_sent_repeatedly() {
    let world = installed();
    for _ in 0..3 {
        assert_eq!(send(&world, &json!({"event_name": "PRIMARY_ACTION_PERFORMED"})).status, 200);
    }
    assert_eq!(events(&world).len(), 3);
    assert_eq!(world.fake.wix().sent().len(), 4, "one token request for three events");
}

#[test]
fn app_finished_configuration_is_sent_once_by_either_route() {
    let finished = json!({"event_name": "APP_FINISHED_CONFIGURATION"});
    let world = installed();
    assert_eq!(send(&world, &finished).status, 200);
    assert_eq!(send(&world, &finished).status, 200);
    assert_eq!(world.fake.last_log()["outcome"], "sent_before");
    let other = world.post(&format!("/v1/instances/{INSTANCE}/finish-configuration")).key(API_KEY).send();
    assert_eq!(other.json()["configured_at"], START);
    assert_eq!(events(&world).len(), 1);
    assert_eq!(world.instance(INSTANCE)["configured_at"], START);

    let never = World::with(&[("FINISH_CONFIGURATION", "never")]);
    never.webhook(jws::installed(INSTANCE, START - 10));
    assert_eq!(send(&never, &finished).problem(), (409, "finish_configuration_disabled".to_owned()));
    assert!(events(&never).is_empty());
}

#[test]
fn a_401_of_wix_replaces_the_token_once() {
    let upgraded = json!({"event_name": "APP_UPGRADED"});
    let world = installed();
    world.token(INSTANCE);
    world.fake.wix().take_paths();
    world.fake.wix().queue(EVENT, [Canned::status(401)]);
    assert_eq!(send(&world, &upgraded).status, 200);
    let sent = world.fake.wix().sent();
    assert_eq!(sent.iter().map(Sent::path).collect::<Vec<_>>(), [EVENT, TOKEN, EVENT]);
    assert_ne!(sent[0].authorization, sent[2].authorization);

    let world = installed();
    world.fake.wix().always(EVENT, Canned::status(401));
    assert_eq!(send(&world, &upgraded).problem(), (502, "wix_failed".to_owned()));
    assert_eq!(events(&world).len(), 2);
}

#[test]
fn a_transient_failure_is_retried_and_a_refusal_has_its_own_code() {
    let upgraded = json!({"event_name": "APP_UPGRADED"});
    let world = installed();
    world.fake.wix().queue(EVENT, [Canned::status(503), Canned::status(429).retry_after(2), Canned::unreachable()]);
    let response = send(&world, &upgraded);
    assert_eq!((response.status, events(&world).len()), (200, 4));
    assert!(response.took >= 2_000, "{} ms", response.took);

    for (status, times, problem) in [
        (400, 1, (400, "event_refused")),
        (403, 1, (502, "event_not_permitted")),
        (404, 1, (502, "wix_failed")),
        (500, 4, (502, "wix_failed")),
    ] {
        let world = installed();
        world.fake.wix().always(EVENT, Canned::status(status));
        assert_eq!(send(&world, &upgraded).problem(), (problem.0, problem.1.to_owned()));
        assert_eq!(events(&world).len(), times, "{status}");
        assert_eq!(world.fake.last_log()["wix_request_id"], "1767225601.1234567890");
    }
}

#[test]
fn an_instance_without_tokens_sends_no_event() {
    let world = World::new();
    let upgraded = json!({"event_name": "APP_UPGRADED"});
    assert_eq!(send(&world, &upgraded).problem(), (404, "unknown_instance".to_owned()));
    world.webhook(jws::installed(INSTANCE, START - 10));
    world.webhook(jws::removed(INSTANCE, START - 5));
    assert_eq!(send(&world, &upgraded).problem(), (410, "removed_instance".to_owned()));
    assert!(world.fake.wix().sent().is_empty());
}
