//! Events of our own: each change of an installation is told to the app once, whichever request found it.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::Shared;
use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::object::FakeObjects;
use crate::testing::wix::Canned;
use crate::testing::world::{API_KEY, APP_ID, DELIVERING, INSTANCE, World, config};

const INSTALLED: &str = "installation.installed";
const REMOVED: &str = "installation.removed";
const NEEDS_RECONNECT: &str = "installation.needs_reconnect";
const RECONNECTED: &str = "installation.reconnected";
const PLAN_CHANGED: &str = "installation.plan_changed";

fn plan(product: &str, at: u64) -> String {
    jws::event("PaidPlanPurchased", INSTANCE, &json!({ "vendorProductId": product }), at)
}

/// The bodies of the events that the object of an installation has stored, in order.
fn bodies(world: &World) -> Vec<Value> {
    let bodies = world.fake.object(INSTANCE).texts("SELECT body FROM events WHERE body IS NOT NULL ORDER BY sequence");
    bodies.iter().map(|body| serde_json::from_str(body).expect("JSON")).collect()
}

/// The types of all events, or of our own.
fn types(world: &World, source: Option<&str>) -> Vec<String> {
    let bodies = bodies(world);
    let wanted = bodies.iter().filter(|body| source.is_none_or(|source| body["source"] == source));
    wanted.map(|body| body["type"].as_str().expect("a type").to_owned()).collect()
}

pub fn own(world: &World) -> Vec<String> {
    types(world, Some("wix-edge"))
}

fn recheck(world: &World) {
    world.fake.clock().advance(300);
    world.isolate(&DELIVERING).cron();
}

#[test]
fn an_installation_is_told_after_the_event_that_caused_it() {
    let world = World::delivering();
    world.webhook(jws::installed(INSTANCE, START));
    assert_eq!(types(&world, None), ["AppInstalled", INSTALLED]);
    let body = &bodies(&world)[1];
    let wanted = json!({
        "type": INSTALLED, "timestamp": "2026-01-01T00:00:00Z", "instance_id": INSTANCE, "sequence": 2,
        "source": "wix-edge", "data": world.instance(INSTANCE), "anonymize": false,
    });
    assert_eq!(*body, wanted);
}

/// Nothing tells that a period has ended, so that the view of the app API goes by the clock. Events must not differ from it.
#[test]
fn the_data_shows_what_has_ended_as_the_app_api_does() {
    let world = World::delivering();
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.clock().advance(1_000);
    let late = json!({ "vendorProductId": "pro", "cycle": "MONTHLY", "expiresOn": "2026-01-01T00:01:40Z",
        "operationTimeStamp": "2026-01-01T00:00:10Z" });
    world.webhook(jws::event("PaidPlanPurchased", INSTANCE, &late, START + 10));
    let bodies = bodies(&world);
    let told = bodies.iter().find(|body| body["type"] == PLAN_CHANGED).expect("the change");
    assert_eq!(told["data"], world.instance(INSTANCE));
    assert_eq!(told["data"].get("is_free"), None, "unknown after the end of the period: {told}");
}

#[test]
fn whichever_request_finds_a_change_tells_it_once() {
    let flow = |world: &World| drop(world.connect());
    let webhook = |world: &World| drop(world.webhook(jws::installed(INSTANCE, START)));
    for order in [[flow, webhook], [webhook, flow], [flow, flow], [webhook, webhook]] {
        let world = World::delivering();
        for step in order {
            step(&world);
        }
        recheck(&world);
        webhook(&world);
        assert_eq!(own(&world), [INSTALLED]);
    }
}

#[test]
fn each_change_is_told_with_the_time_of_its_cause() {
    let world = World::delivering();
    world.fake.clock().advance(600);
    world.webhook(jws::installed(INSTANCE, START));
    world.webhook(plan("pro", START + 10));
    world.webhook(plan("pro", START + 20));
    world.webhook(plan("max", START + 30));
    world.webhook(jws::removed(INSTANCE, START + 60));
    world.webhook(jws::installed(INSTANCE, START + 90));
    recheck(&world);
    // The plan of the earlier installation does not count.
    assert_eq!(own(&world), [INSTALLED, PLAN_CHANGED, PLAN_CHANGED, REMOVED, INSTALLED, PLAN_CHANGED]);
    let bodies = bodies(&world);
    let own: Vec<&Value> = bodies.iter().filter(|body| body["source"] == "wix-edge").collect();
    let times: Vec<&Value> = own.iter().map(|body| &body["timestamp"]).collect();
    let wanted = ["00:00", "00:10", "00:30", "01:00", "01:30", "01:30"].map(|time| format!("2026-01-01T00:{time}Z"));
    assert_eq!(times, wanted.iter().collect::<Vec<_>>());
    assert_eq!((&own[2]["data"]["plan"], &own[3]["data"]["status"]), (&json!("max"), &json!("removed")));
}

#[test]
fn a_late_removal_tells_nothing() {
    let world = World::delivering();
    world.fake.clock().advance(600);
    world.webhook(jws::installed(INSTANCE, START + 100));
    world.webhook(jws::removed(INSTANCE, START + 50));
    world.webhook(jws::installed(INSTANCE, START));
    assert_eq!(own(&world), [INSTALLED]);
}

#[test]
fn a_refused_token_and_a_new_one_are_told_once_each() {
    let world = World::delivering();
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.clock().advance(10);
    world.fake.wix().always("/oauth2/token", Canned::text(400, r#"{"error":"invalid_grant"}"#));
    for _ in 0..3 {
        assert_eq!(world.token(INSTANCE).status, 409);
        world.fake.clock().advance(40);
    }
    assert_eq!(own(&world), [INSTALLED, NEEDS_RECONNECT]);
    world.fake.wix().clear_script();
    for _ in 0..3 {
        assert_eq!(world.token(INSTANCE).status, 200);
        world.fake.clock().advance(40);
    }
    recheck(&world);
    assert_eq!(own(&world), [INSTALLED, NEEDS_RECONNECT, RECONNECTED]);
}

#[test]
fn an_installation_from_before_the_object_is_the_silent_baseline() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    world.webhook(plan("pro", START + 10));
    world.fake.clock().advance(86_400);
    world.fake.use_objects(Some(FakeObjects::new(Rc::new(Shared::new(config(&DELIVERING))))));
    let world = world.isolate(&DELIVERING);
    world.cron();
    world.connect();
    assert_eq!(own(&world), [""; 0], "it was installed before");
    world.webhook(plan("pro", world.now()));
    assert_eq!(own(&world), [""; 0], "the plan is the same");
    world.webhook(plan("max", world.now() + 1));
    world.webhook(jws::removed(INSTANCE, world.now() + 2));
    assert_eq!(own(&world), [PLAN_CHANGED, REMOVED]);
}

#[test]
fn a_change_that_an_object_did_not_confirm_is_told_by_the_recheck() {
    let world = World::delivering();
    let failed = || crate::delivery::ObjectError { is_retryable: false, text: "the object broke".to_owned() };
    // The object accepts the message of Wix, and fails when it is given the facts.
    world.fake.object_answers(0, Ok((200, "stored")));
    world.fake.object_answers(0, Err(failed()));
    assert_eq!(world.webhook(jws::installed(INSTANCE, START)).status, 200);
    assert_eq!(world.fake.last_log()["error"], "store_failed");
    world.fake.object_answers(0, Err(failed()));
    recheck(&world);
    assert_eq!(own(&world), [""; 0]);
    assert_eq!(world.fake.kv().keys("v1:todo:").len(), 1, "the recheck is repeated");
    recheck(&world);
    assert_eq!(own(&world), [INSTALLED]);
    assert!(world.fake.kv().keys("v1:todo:").is_empty());
}

/// The object is told of a fact later than of the next one, which was recorded when the first was already known.
#[test]
fn a_baseline_is_taken_before_the_first_change_that_was_not_told() {
    let world = World::delivering();
    let lost = || crate::delivery::ObjectError { is_retryable: false, text: "the object broke".to_owned() };
    world.fake.object_answers(0, Err(lost()));
    world.connect();
    world.fake.clock().advance(5);
    assert_eq!(world.webhook(plan("pro", world.now())).status, 200);
    assert_eq!(own(&world), [INSTALLED, PLAN_CHANGED]);
}

#[test]
fn a_contested_removal_is_told_when_wix_confirms_it_and_not_before() {
    for is_confirmed in [true, false] {
        let world = World::delivering();
        world.connect();
        world.fake.clock().advance(3_600);
        let path = format!("/v1/instances/{INSTANCE}/finish-configuration");
        assert_eq!(world.post(&path).key(API_KEY).send().status, 200);
        if is_confirmed {
            world.fake.wix().always("/oauth/access", Canned::text(400, r#"{"error":"invalid_grant"}"#));
            world.fake.wix().always("/oauth2/token", Canned::text(400, r#"{"error":"invalid_grant"}"#));
        }
        let removal = world.post("/webhook").body(jws::removed(INSTANCE, START + 900));
        assert_eq!(removal.without_deferred_task().send().status, 200);
        assert_eq!(own(&world), [INSTALLED]);
        recheck(&world);
        let wanted: &[&str] = if is_confirmed { &[INSTALLED, REMOVED] } else { &[INSTALLED] };
        assert_eq!(own(&world), wanted);
    }
}

#[test]
fn a_type_that_is_not_wanted_is_not_told() {
    let world = World::delivering_with(&[("EVENTS_TYPES", "installation.re*")]);
    world.fake.clock().advance(600);
    world.webhook(jws::installed(INSTANCE, START));
    world.webhook(plan("pro", START + 10));
    world.webhook(jws::removed(INSTANCE, START + 90));
    assert_eq!(types(&world, None), [REMOVED]);
}

#[test]
fn without_a_target_no_fact_has_the_state_before_it() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    assert!(world.fake.kv().entries().values().all(|entry| !entry.value.contains("before")));
    assert!(world.fake.object_calls().is_empty());
    let world = World::delivering();
    world.webhook(jws::installed(INSTANCE, START));
    let before = format!(r#""before":{{"recorded_ms":{}}}"#, START * 1000);
    assert!(world.fake.kv().entries().values().any(|entry| entry.value.contains(&before)));
    assert!(world.fake.object_calls().iter().all(|(name, ..)| name != APP_ID));
}
