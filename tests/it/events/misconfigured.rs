//! `/readyz` names each fault of the delivery's configuration with its fix, and the Worker accepts no webhook meanwhile.

use serde_json::Value;
use workerd::Worker;

use super::bed::{Bed, SECRETS, flat};
use crate::harness::{Testbed, guid, request};

/// Asserts that there is one problem, with this name and these parts of its texts.
#[track_caller]
fn assert_problem(ready: &Value, name: &str, problem: &str, fix: &str) {
    let [found] = ready["problems"].as_array().expect("problems").as_slice() else { panic!("one problem: {ready}") };
    assert_eq!((&ready["status"], &found["name"]), (&"not_ready".into(), &name.into()), "{ready}");
    for (field, part) in [("problem", problem), ("fix", fix)] {
        assert!(
            found[field].as_str().is_some_and(|text| text.contains(part)),
            "{field} must contain {part:?}: {found}"
        );
    }
}

#[test]
fn each_malformed_or_missing_value_is_named_with_its_fix() {
    let url = "to the https URL of your back end";
    let secret = "wrangler secret put EVENTS_SECRETS";
    let cases = [
        ("EVENTS_URL", "not a url", "it must be a URL", url),
        ("EVENTS_URL", "http://app.example/events", "it must be https", url),
        ("EVENTS_URL", "https://user:pass@app.example/events", "user name or password", url),
        ("EVENTS_SECRETS", "", "it is missing", secret),
        ("EVENTS_SECRETS", "whsec_c2hvcnQ=", "24 to 64 bytes", secret),
        ("EVENTS_TARGET", "a text", "service binding", "in `services` of wrangler's configuration"),
    ];
    let mut bed = Bed::with(|values| values.with("ENVIRONMENT", "production"));
    assert_eq!(bed.ready()["status"], "ready");
    let good = bed.values.clone();
    for (name, value, problem, fix) in cases {
        bed.values = good.clone().with(name, value);
        bed.restart();
        let ready = bed.ready();
        assert_problem(&ready, name, problem, fix);
        assert!(value.is_empty() || !ready.to_string().contains(value), "the value is shown: {ready}");
        bed.send(&flat(&guid(), 1)).expect(503);
    }
}

#[test]
fn two_targets_at_once_are_named_with_the_fix() {
    let mut bed = Bed::start();
    bed.workerd = None;
    let target = "export default { fetch: () => new Response() };";
    bed.run(Some(Worker::script("2026-10-20", target)));
    assert_problem(&bed.ready(), "EVENTS_TARGET", "EVENTS_URL is set too", "set EVENTS_URL and remove that binding");
    bed.send(&flat(&guid(), 1)).expect(503);
    assert!(bed.receiver.deliveries().is_empty());
}

#[test]
fn a_target_without_objects_is_named_with_the_fix() {
    let target = "https://app.example/events";
    let bed = Testbed::start(|values| values.with("EVENTS_URL", target).with("EVENTS_SECRETS", SECRETS[0]));
    let ready = request("GET", format!("{}/readyz", bed.url())).send().expect(503).json();
    let fix = "Bind the class Installation as INSTALLATIONS in `durable_objects`";
    assert_problem(&ready, "INSTALLATIONS", "no Durable Object namespace is bound", fix);
    request("POST", format!("{}/webhook", bed.url())).body(flat(&guid(), 1).sign()).send().expect(503);
}
