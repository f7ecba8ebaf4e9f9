//! The routes that list the events of an installation and repair their delivery.

use std::time::Duration;

use serde_json::{Value, json};

use super::bed::{Bed, SECRETS, flat, order};
use crate::harness::{API_KEY, Delivery, Reaction, Response, Testbed, api_key, guid, now, request};

/// Every route of events, for an installation.
fn routes(id: &str) -> [(&'static str, String); 5] {
    [
        ("GET", format!("/v1/instances/{id}/events")),
        ("POST", format!("/v1/instances/{id}/events/evt_1/redeliver")),
        ("GET", "/v1/parked-events".to_owned()),
        ("POST", "/v1/parked-events/redeliver".to_owned()),
        ("POST", "/v1/events/test".to_owned()),
    ]
}

fn redeliver(bed: &Bed, id: &str, event: &str) -> Response {
    bed.api("POST", &format!("/v1/instances/{id}/events/{event}/redeliver")).send()
}

fn first_id(bed: &Bed, id: &str) -> String {
    bed.events(id)[0]["event_id"].as_str().expect("an id").to_owned()
}

/// An installation that is known, whose first event was delivered.
fn with_an_event(bed: &Bed) -> (String, String) {
    let id = guid();
    bed.outcome(&flat(&id, 1));
    bed.wait_for_event(&id, 1, |event| event["state"] == "delivered");
    let event = first_id(bed, &id);
    (id, event)
}

/// A bed that tells no changes, so that an object has only the webhooks that the test sends.
fn bed(more: &[(&str, &str)]) -> Bed {
    Bed::with(|values| {
        let values = values.with("EVENTS_TYPES", "com.wix.*,wix.*,wix-edge.*");
        more.iter().fold(values, |values, (name, value)| values.with(name, *value))
    })
}

#[test]
fn events_are_listed_newest_first_in_pages() {
    let bed = bed(&[]);
    let (id, own_id) = (guid(), guid());
    let since = now();
    for number in 1..=4 {
        bed.outcome(&flat(&id, number));
    }
    bed.outcome(&order(&id, &own_id));
    bed.wait_for_event(&id, 5, |event| event["state"] == "delivered");
    let page = |query: &str| bed.api("GET", &format!("/v1/instances/{id}/events{query}")).send().expect(200).json();
    let all = page("");
    assert!(all.get("next_cursor").is_none(), "{all}");
    let newest = &all["events"][0];
    let received = newest["received_at"].as_i64().expect("a time");
    assert!((since..=now()).contains(&received), "{newest}");
    let wanted = json!({ "event_id": own_id, "sequence": 5, "type": "wix.ecom.v1.order_created", "received_at": received,
        "state": "delivered", "attempts": 1, "last_answer": 204 });
    assert_eq!(*newest, wanted);
    assert!(!all.to_string().contains("number"), "no content: {all}");

    let (mut cursor, mut pages) = (String::new(), Vec::new());
    loop {
        let part = page(&format!("?limit=2{cursor}"));
        pages.push(part["events"].as_array().expect("events").clone());
        let Some(next) = part["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(json!(pages.concat()), all["events"]);
    for malformed in ["?cursor=next", "?cursor=-1", "?limit=0", "?limit=1001", "?cursor=9007199254740992"] {
        let path = format!("/v1/instances/{id}/events{malformed}");
        bed.api("GET", &path).send().expect(400);
    }
}

#[test]
fn a_pending_event_shows_its_next_attempt_and_the_latest_answer() {
    let bed = bed(&[]);
    let id = guid();
    bed.receiver.script([Reaction::RetryAfter(503, 30)]);
    bed.outcome(&flat(&id, 1));
    bed.outcome(&flat(&id, 2));
    let first = bed.wait_for_event(&id, 1, |event| event["attempts"] == 1);
    assert_eq!((&first["state"], &first["last_answer"]), (&json!("pending"), &json!(503)), "{first}");
    let next = first["next_attempt_at"].as_i64().expect("a time") - now();
    assert!((25..=31).contains(&next), "{first}");
    let second = bed.events(&id)[1].clone();
    assert_eq!((&second["state"], &second["attempts"]), (&json!("pending"), &json!(0)), "{second}");
    assert!(second.get("last_answer").is_none() && second.get("next_attempt_at").is_none(), "{second}");
    // The redelivery of any pending event lets the first be attempted now, and the others follow.
    let event = second["event_id"].as_str().expect("an id");
    assert_eq!(redeliver(&bed, &id, event).expect(202).json(), json!({}));
    let deliveries = bed.receiver.wait_for(3);
    assert_eq!(deliveries[1..].iter().map(Delivery::sequence).collect::<Vec<_>>(), [1, 2]);
    let first = bed.wait_for_event(&id, 1, |event| event["state"] == "delivered");
    assert_eq!((&first["attempts"], &first["last_answer"]), (&json!(2), &json!(204)));
    assert!(first.get("next_attempt_at").is_none(), "{first}");
}

#[test]
fn a_target_without_an_answer_is_unreachable_or_too_late() {
    let late = bed(&[]);
    late.receiver.script([Reaction::Slow(Duration::from_secs(20))]);
    let id = guid();
    late.outcome(&flat(&id, 1));
    let unreachable = bed(&[("EVENTS_URL", "http://127.0.0.1:9/events")]);
    unreachable.outcome(&flat(&id, 1));
    let event = unreachable.wait_for_event(&id, 1, |event| event["attempts"] == 1);
    assert_eq!((&event["state"], &event["last_answer"]), (&json!("pending"), &json!("unreachable")), "{event}");
    let event = late.wait_for_event(&id, 1, |event| event["attempts"] == 1);
    assert_eq!((&event["state"], &event["last_answer"]), (&json!("pending"), &json!("timeout")), "{event}");
    let line = late.attempts().remove(0);
    let took = line["duration_ms"].as_u64().expect("a time");
    assert!(line["answer"] == "timeout" && (15_000..17_000).contains(&took), "{line}");
}

#[test]
fn a_delivered_event_is_sent_again_while_its_content_is_kept() {
    let mut bed = bed(&[("EVENTS_RETAIN_HOURS", "1")]);
    let (id, event) = with_an_event(&bed);
    redeliver(&bed, &id, &event).expect(202);
    let deliveries = bed.receiver.wait_for(2);
    assert_eq!((&deliveries[0].id, &deliveries[0].body), (&deliveries[1].id, &deliveries[1].body));
    bed.wait_for_event(&id, 1, |event| event["attempts"] == 2 && event["state"] == "delivered");
    // A failure of this attempt changes neither the state nor the order.
    bed.receiver.script([Reaction::Status(500)]);
    redeliver(&bed, &id, &event).expect(202);
    bed.wait_for_event(&id, 1, |event| {
        event["attempts"] == 3 && event["state"] == "delivered" && event["last_answer"] == 500
    });
    // The jump of the clock moves no alarm. That of a failed event comes after five seconds, and erases what is due.
    bed.restart_ahead(3_700);
    bed.receiver.script([Reaction::Status(500)]);
    bed.outcome(&flat(&id, 2));
    bed.wait_for_event(&id, 2, |event| event["state"] == "delivered");
    assert_eq!(redeliver(&bed, &id, &event).expect(410).code(), "erased_event");
}

#[test]
fn an_event_whose_content_is_erased_is_gone_and_one_that_is_unknown_is_not_found() {
    let bed = bed(&[]);
    let (id, event) = with_an_event(&bed);
    let (other, others_event) = with_an_event(&bed);
    let gone = redeliver(&bed, &id, &event).expect(410);
    assert_eq!(gone.header("content-type"), Some("application/problem+json"));
    let line = bed.log.of_request(gone.request_id());
    assert_eq!((&line["instance_id"], &line["status"]), (&json!(id), &json!(410)), "{line}");
    for (id, event) in [(&id, &others_event), (&id, &"evt_unknown".to_owned()), (&other, &event)] {
        let response = redeliver(&bed, id, event).expect(404);
        assert_eq!(response.code(), "unknown_event");
    }
    // The object of an installation that nobody knows is not called: the call would create it.
    bed.measured("reset");
    let unknown = guid();
    for (method, path) in &routes(&unknown)[..2] {
        assert_eq!(bed.api(method, path).send().expect(404).code(), "unknown_instance");
    }
    let body = json!({ "instance_id": unknown });
    let response = bed.api("POST", "/v1/parked-events/redeliver").json(&body).send().expect(404);
    assert_eq!(response.code(), "unknown_instance");
    assert_eq!(bed.measured("")["requests"], 0);
    for malformed in ["/v1/instances/no-guid/events", "/v1/instances/no-guid/events/evt_1/redeliver"] {
        let method = if malformed.ends_with("redeliver") { "POST" } else { "GET" };
        bed.api(method, malformed).send().expect(400);
    }
    redeliver(&bed, &id, "evt.1").expect(400);
    assert_eq!(bed.receiver.deliveries().len(), 2);
}

#[test]
fn a_test_event_reaches_the_app_without_an_instance() {
    let bed = bed(&[]);
    let mut ids = Vec::new();
    for sequence in 1..=2 {
        let sent = bed.api("POST", "/v1/events/test").send().expect(202).json();
        let event = sent["event_id"].as_str().expect("an id").to_owned();
        let delivery = bed.receiver.wait_for(sequence).remove(sequence - 1);
        assert_eq!(delivery.id, event);
        let mut body = delivery.json();
        let timestamp = body["timestamp"].take();
        let time = chrono::DateTime::parse_from_rfc3339(timestamp.as_str().expect("a text")).expect("a time");
        assert!((now() - time.timestamp()).abs() < 60, "{timestamp}");
        let wanted = json!({ "type": "wix-edge.test", "timestamp": null, "sequence": sequence, "source": "wix-edge",
            "data": {}, "anonymize": false });
        assert_eq!(body, wanted);
        ids.push(event);
    }
    assert_ne!(ids[0], ids[1]);
    bed.wait_for_attempts(2);
    let line = bed.attempts().remove(0);
    assert!(line.get("instance_id").is_none() && line["type"] == "wix-edge.test", "{line}");
    // The app's id stands for the events of no installation.
    let events = bed.events(&bed.wix.app.app_id);
    let listed: Vec<&Value> = events.iter().map(|event| &event["event_id"]).collect();
    assert_eq!(listed, [&json!(ids[0]), &json!(ids[1])]);
}

#[test]
fn each_attempt_has_a_line_without_content() {
    let bed = bed(&[]);
    let id = guid();
    let mut message = flat(&id, 1);
    message.envelope["data"] = json!({ "secret": "content-of-the-event" }).to_string().into();
    bed.receiver.script([Reaction::Status(500)]);
    bed.outcome(&message);
    bed.wait_for_attempts(2);
    let event = first_id(&bed, &id);
    for (line, (attempt, level, outcome, answer)) in
        bed.attempts().iter().zip([(1, "warn", "failed", "500"), (2, "info", "delivered", "204")])
    {
        let wanted = json!({ "level": level, "route": "deliver", "outcome": outcome, "duration_ms": line["duration_ms"],
            "instance_id": id, "event_id": event, "sequence": 1, "type": "com.wix.Changed", "attempt": attempt,
            "answer": answer });
        assert_eq!(*line, wanted);
    }
    let secrets = ["content-of-the-event", SECRETS[0], SECRETS[1], "whsec_", &bed.receiver.url];
    for line in bed.log.lines() {
        assert!(!secrets.iter().any(|secret| line.contains(secret)), "{line}");
    }
}

#[test]
fn every_route_needs_the_scope_events() {
    let scopes = ["token", "instances", "events", "proxy", "admin"];
    let keys = scopes.map(|scope| format!("{}:{scope}", api_key(scope, &format!("key-of-{scope}"))));
    let bed = bed(&[("API_KEYS", &keys.join(","))]);
    for (method, path) in routes(&guid()) {
        let send = |key: &str| request(method, format!("{}{path}", bed.url())).key(key).send();
        for scope in scopes {
            let response = send(&format!("key-of-{scope}"));
            if scope == "events" {
                assert!([200, 202, 404].contains(&response.status), "{response:?}");
            } else {
                let detail = response.clone().expect(403).json()["detail"].to_string();
                assert!(detail.contains("events"), "{response:?}");
            }
        }
        send("another").expect(401);
    }
}

#[test]
fn without_objects_every_route_names_what_is_missing() {
    let bed = Testbed::start(|values| values);
    for (method, path) in routes(&guid()) {
        let response = request(method, format!("{}{path}", bed.url())).key(API_KEY).send().expect(503);
        assert_eq!(response.code(), "not_configured");
        let line = bed.log.of_request(response.request_id());
        assert!(line["cause"].as_str().is_some_and(|cause| cause.contains("INSTALLATIONS")), "{line}");
    }
}

/// What was accepted before can still be listed.
#[test]
fn without_a_target_every_route_that_delivers_names_what_is_missing() {
    let mut bed = bed(&[]);
    let (id, event) = with_an_event(&bed);
    bed.values = bed.values.clone().with("EVENTS_URL", "");
    bed.restart();
    for (method, path) in routes(&id) {
        let response = bed.api(method, &path).send();
        if method == "GET" {
            response.expect(200);
            continue;
        }
        assert_eq!(response.clone().expect(503).code(), "not_configured");
        let line = bed.log.of_request(response.request_id());
        assert!(line["cause"].as_str().is_some_and(|cause| cause.contains("EVENTS_URL")), "{line}");
    }
    assert_eq!(first_id(&bed, &id), event);
}
