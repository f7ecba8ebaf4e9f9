//! What the webhook passes to the object that delivers its event, and what it answers if that fails.

use serde_json::json;

use crate::config::Config;
use crate::delivery::{Event, ObjectError};
use crate::testing::clock::START;
use crate::testing::jws::{self, HEADER, Key, event, installed, sign};
use crate::testing::world::{APP_ID, BOUND, DELIVERING, INSTANCE, World, config};
use crate::values::Fault;

fn order(number: u64) -> String {
    event("wix.ecom.v1.order_created", INSTANCE, &json!({ "number": number }), START)
}

fn failed(is_retryable: bool) -> ObjectError {
    ObjectError { is_retryable, text: "the object broke".to_owned() }
}

#[test]
fn an_event_goes_to_the_object_of_its_installation_and_costs_kv_nothing_more() {
    let world = World::with(&DELIVERING);
    world.webhook(installed(INSTANCE, START));
    world.webhook(order(1));
    world.fake.kv().take_counts();
    assert_eq!(world.webhook(order(2)).status, 200);
    assert_eq!(world.fake.kv().take_counts(), [0; 4]);
    let line = world.fake.last_log();
    assert_eq!((&line["outcome"], &line["delivery"]), (&json!("event_accepted"), &json!("stored")));
    let calls = world.fake.object_calls();
    let paths: Vec<&str> = calls.iter().map(|(_, path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/accept", "/report", "/accept", "/accept"], "the installation is an event too");
    let (name, path, body) = &calls[3];
    assert_eq!((name.as_str(), path.as_str()), (INSTANCE, "/accept"));
    let event = Event::from_message(body).expect("an event").0;
    assert_eq!(event.identity.event_type, "wix.ecom.v1.order_created");
    assert!(event.body(1).contains(r#""data":{"number":2}"#));

    world.fake.object_answers(0, Ok((200, "known")));
    world.webhook(order(2));
    assert_eq!(world.fake.last_log()["delivery"], "known");
}

#[test]
fn an_event_of_no_installation_goes_to_the_object_of_the_app() {
    let world = World::with(&DELIVERING);
    let envelope = json!({ "eventType": "wix.a.v1.b_created", "data": "{}" });
    assert_eq!(world.webhook(sign(Key::Wix, HEADER, &jws::claims(&envelope, START))).status, 200);
    assert_eq!(world.fake.object_calls()[0].0, APP_ID);
}

#[test]
fn what_the_object_does_not_store_is_a_503_in_time() {
    let world = World::with(&DELIVERING);
    world.webhook(installed(INSTANCE, START));
    let cases = [
        (0, Err(failed(false)), "the object of the installation: the object broke"),
        (0, Ok((503, "store_failed")), "the object of the installation: it answered 503"),
        (0, Ok((200, "something")), "the object of the installation: its answer has another form"),
        (5_000, Ok((200, "stored")), "the object of the installation took longer than 1000 ms"),
    ];
    for (delay, answer, cause) in cases {
        world.fake.object_answers(delay, answer);
        let answer = world.webhook(order(1));
        assert_eq!(answer.problem(), (503, "store_failed".to_owned()), "{cause}");
        assert!(answer.took <= 1_000, "{} ms", answer.took);
        let line = world.fake.last_log();
        assert_eq!(line["cause"], cause, "{line}");
        assert_eq!(line.get("delivery"), None);
    }
    assert_eq!(world.webhook(order(1)).status, 200, "Wix resends");
}

#[test]
fn a_call_is_repeated_once_and_only_if_the_runtime_says_so() {
    for (first, second, calls, status) in [(true, true, 2, 503), (true, false, 2, 503), (false, true, 1, 503)] {
        let world = World::with(&DELIVERING);
        world.fake.object_answers(0, Err(failed(first)));
        world.fake.object_answers(0, Err(failed(second)));
        assert_eq!(world.webhook(order(1)).status, status);
        assert_eq!(world.fake.object_calls().len(), calls);
    }
    let world = World::with(&DELIVERING);
    world.fake.object_answers(0, Err(failed(true)));
    assert_eq!(world.webhook(order(1)).status, 200);
}

#[test]
fn a_lifecycle_event_needs_both_stores() {
    let world = World::with(&DELIVERING);
    world.fake.object_answers(0, Err(failed(false)));
    assert_eq!(world.webhook(installed(INSTANCE, START)).status, 503);
    assert_eq!(world.webhook(installed(INSTANCE, START)).status, 200);
    assert_eq!(world.instance(INSTANCE)["status"], "installed");

    let world = World::with(&DELIVERING);
    world.fake.kv().fail_where(|_, _| true);
    assert_eq!(world.webhook(installed(INSTANCE, START)).status, 503);
    assert_eq!(world.fake.object_calls().len(), 1, "the resend is a copy");
    world.fake.kv().clear_faults();
    assert_eq!(world.webhook(installed(INSTANCE, START)).status, 200);
}

#[test]
fn what_is_not_the_apps_is_not_delivered() {
    let world = World::with(&DELIVERING);
    let other = json!({ "appId": "33333333-2222-4333-8444-555555555555" });
    assert_eq!(world.webhook(event("AppInstalled", INSTANCE, &other, START)).status, 200);
    let sample = json!({ "eventType": "wix.ecom.v1.order_created", "instanceId": INSTANCE, "data": "{\n} " });
    assert_eq!(world.webhook(sign(Key::Wix, HEADER, &jws::claims(&sample, START))).status, 200);
    assert_eq!(world.fake.last_log()["outcome"], "sample_ignored");
    assert!(world.fake.object_calls().is_empty());
}

#[test]
fn without_a_target_or_a_wanted_type_no_object_is_given_an_event() {
    let mut unwanted = DELIVERING.to_vec();
    unwanted.push(("EVENTS_TYPES", "AppInstalled, wix.stores.*"));
    for changes in [Vec::new(), vec![("INSTALLATIONS", BOUND)], unwanted] {
        let world = World::with(&changes);
        for number in 1..=3 {
            assert_eq!(world.webhook(order(number)).status, 200);
            assert_eq!(world.fake.last_log().get("delivery"), None);
        }
        // The first event makes the installation known. Objects that are bound are given its facts, for the statistics.
        let calls = world.fake.object_calls();
        let paths: Vec<&str> = calls.iter().map(|(_, path, _)| path.as_str()).collect();
        let wanted: &[&str] = if changes.is_empty() { &[] } else { &["/report"] };
        assert_eq!(paths, wanted, "{changes:?}");
    }
}

/// The faults of the usual configuration with these changes: name and problem.
fn faults(changes: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    let all: Vec<(&str, &str)> = changes.iter().copied().chain(DELIVERING).collect();
    let faults: Vec<Fault> = config(&all).err().unwrap_or_default();
    for fault in &faults {
        assert!(fault.fix.contains("--env NAME") && fault.fix.ends_with('.'), "{fault:?}");
    }
    faults.into_iter().map(|fault| (fault.name, fault.problem)).collect()
}

#[test]
fn each_fault_of_the_configuration_is_named() {
    assert_eq!(faults(&[]), []);
    let one = |changes: &[(&str, &str)], name: &str, problem: &str| {
        let found = faults(changes);
        assert_eq!(found.len(), 1, "{changes:?}: {found:?}");
        assert_eq!(found[0].0, name);
        assert!(found[0].1.contains(problem), "{found:?}");
    };
    one(&[("EVENTS_TARGET", BOUND)], "EVENTS_TARGET", "EVENTS_URL is set too");
    one(&[("EVENTS_TARGET", "https://x.example/")], "EVENTS_TARGET", "it must be a service binding");
    one(&[("EVENTS_URL", "back-end")], "EVENTS_URL", "it must be a URL");
    one(&[("EVENTS_URL", "http://back-end.example/")], "EVENTS_URL", "it must be https");
    one(&[("EVENTS_URL", "https://a:b@back-end.example/")], "EVENTS_URL", "user name or password");
    one(&[("EVENTS_SECRETS", "")], "EVENTS_SECRETS", "it is missing");
    one(&[("EVENTS_SECRETS", "whsec_x,")], "EVENTS_SECRETS", "whsec_ and base64");
    one(&[("EVENTS_URL", ""), ("EVENTS_TARGET", BOUND), ("EVENTS_SECRETS", "")], "EVENTS_SECRETS", "it is missing");
    one(&[("INSTALLATIONS", "")], "INSTALLATIONS", "no Durable Object namespace is bound");
    for hours in ["0", "721", "-1", "1.5", "x"] {
        one(&[("EVENTS_KEEP_HOURS", hours)], "EVENTS_KEEP_HOURS", "1 to 720");
    }
    for hours in ["169", "-1", ""].iter().filter(|hours| !hours.is_empty()) {
        one(&[("EVENTS_RETAIN_HOURS", hours)], "EVENTS_RETAIN_HOURS", "0 to 168");
    }
    one(&[("EVENTS_TYPES", "a*b")], "EVENTS_TYPES", "asterisk");
    assert_eq!(faults(&[("EVENTS_URL", "http://localhost:8080/events")]), []);
    assert_eq!(faults(&[("EVENTS_URL", ""), ("EVENTS_TARGET", BOUND)]), []);
}

#[test]
fn a_target_for_plugin_calls_needs_secrets_and_no_object() {
    let faults = |changes: &[(&str, &str)]| {
        let faults = config(changes).err().unwrap_or_default();
        faults.into_iter().map(|fault| (fault.name, fault.problem)).collect::<Vec<_>>()
    };
    let secret = ("EVENTS_SECRETS", DELIVERING[2].1);
    let url = ("PLUGINS_URL", "https://back-end.example/plugins/");
    assert_eq!(faults(&[url, secret]), []);
    assert_eq!(faults(&[("PLUGINS_TARGET", BOUND), secret]), []);
    for (changes, name, problem) in [
        (vec![url], "EVENTS_SECRETS", "it is missing"),
        (vec![("PLUGINS_TARGET", BOUND)], "EVENTS_SECRETS", "it is missing"),
        (vec![url, ("PLUGINS_TARGET", BOUND), secret], "PLUGINS_TARGET", "PLUGINS_URL is set too"),
        (vec![("PLUGINS_TARGET", "https://x.example/"), secret], "PLUGINS_TARGET", "it must be a service binding"),
        (vec![("PLUGINS_URL", "http://back-end.example"), secret], "PLUGINS_URL", "it must be https"),
        (vec![("PLUGINS_URL", "https://back-end.example/?a"), secret], "PLUGINS_URL", "a query or a fragment"),
        (vec![("PLUGINS_URL", "https://back-end.example/#a"), secret], "PLUGINS_URL", "a query or a fragment"),
        (vec![("PLUGINS_URL", "https://a:b@back-end.example/"), secret], "PLUGINS_URL", "user name or password"),
    ] {
        let found = faults(&changes);
        assert!(found.len() == 1 && found[0].0 == name && found[0].1.contains(problem), "{changes:?}: {found:?}");
    }
}

#[test]
fn readyz_notes_that_nothing_is_delivered() {
    let notes = |changes: &[(&str, &str)]| -> Vec<String> {
        let answer = World::with(changes).get("/readyz").send();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let notes = answer.json()["notes"].as_array().cloned().expect("notes");
        notes.iter().map(|note| note["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(notes(&[]), ["EVENTS_URL", "INSTALLATIONS"]);
    assert_eq!(notes(&[("INSTALLATIONS", BOUND)]), ["EVENTS_URL"]);
    assert_eq!(notes(&DELIVERING), [""; 0]);
}

#[test]
fn the_hours_are_milliseconds() {
    let with = |changes: &[(&str, &str)]| -> Config { config(changes).expect("no fault") };
    let config = with(&[]);
    assert_eq!((config.instances.events.keep_millis, config.instances.events.retain_millis), (259_200_000, 0));
    let config = with(&[("EVENTS_KEEP_HOURS", "1"), ("EVENTS_RETAIN_HOURS", "168")]);
    assert_eq!((config.instances.events.keep_millis, config.instances.events.retain_millis), (3_600_000, 604_800_000));
}
