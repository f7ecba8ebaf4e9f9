//! The events of an installation in the app API: listed, parked, and sent once more. The objects have real databases.

use serde_json::{Value, json};

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::object::{Seen, status};
use crate::testing::world::{API_KEY, APP_ID, BOUND, DELIVERING, INSTANCE, VICTIM, World};

const DAY: u64 = 86_400;

/// An installation with so many orders. None is delivered yet.
fn with_orders(changes: &[(&str, &str)], orders: u64) -> World {
    let world = World::delivering_with(&[&[("EVENTS_TYPES", "order")], changes].concat());
    world.webhook(jws::installed(INSTANCE, START));
    for number in 1..=orders {
        world.webhook(jws::event("order", INSTANCE, &json!({ "number": number }), START));
    }
    world
}

fn get(world: &World, path: &str) -> Value {
    let answer = world.get(path).key(API_KEY).send();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

fn post(world: &World, path: &str, body: &str) -> (u16, Value) {
    let answer = world.post(path).key(API_KEY).body(body).send();
    (answer.status, answer.json())
}

fn events_path(instance: &str) -> String {
    format!("/v1/instances/{instance}/events")
}

/// Sequence, state and attempts of each event, the newest first.
fn states(world: &World) -> Vec<(u64, String, u64)> {
    let page = get(world, &events_path(INSTANCE));
    let events = page["events"].as_array().expect("events").iter();
    let number = |value: &Value| value.as_u64().expect("a number");
    events
        .map(|event| {
            (
                number(&event["sequence"]),
                event["state"].as_str().expect("a state").to_owned(),
                number(&event["attempts"]),
            )
        })
        .collect()
}

fn parked(world: &World) -> Vec<Value> {
    get(world, "/v1/parked-events")["instances"].as_array().expect("instances").clone()
}

/// The target refuses everything until all events are parked.
fn park(world: &World, instance: &str) {
    world.fake.object(instance).script(|_| (0, status(500)));
    world.fake.deliver(instance);
    world.fake.pass(instance, 4 * DAY);
    world.fake.object(instance).script(|_| (0, status(200)));
}

#[test]
fn events_are_listed_page_by_page_without_their_content() {
    let world = with_orders(&[], 5);
    world.fake.object(INSTANCE).script(|seen| (0, status(if seen.sequence() < 3 { 200 } else { 503 })));
    world.fake.deliver(INSTANCE);
    let page = get(&world, &format!("{}?limit=3", events_path(INSTANCE)));
    let events = page["events"].as_array().expect("events");
    let seen = world.fake.object(INSTANCE).seen();
    assert_eq!(events.len(), 3);
    assert_eq!(
        events[2],
        json!({ "event_id": seen[2].id(), "sequence": 3, "type": "order", "received_at": START, "state": "pending",
            "attempts": 1, "next_attempt_at": events[2]["next_attempt_at"], "last_answer": 503 })
    );
    assert!((START + 3..=START + 7).contains(&events[2]["next_attempt_at"].as_u64().expect("a time")));
    assert_eq!(events[0].get("next_attempt_at"), None, "it waits for its turn");
    let rest = format!("{}?limit=3&cursor={}", events_path(INSTANCE), page["next_cursor"].as_str().expect("a cursor"));
    let page = get(&world, &rest);
    assert_eq!(page["events"][0]["last_answer"], 200);
    assert_eq!((page["events"].as_array().map(Vec::len), page.get("next_cursor")), (Some(2), None));
    assert!(!page.to_string().contains("number"));
}

#[test]
fn an_attempt_without_an_answer_is_named() {
    for (answer, named) in [(crate::Answer::Timeout, "timeout"), (crate::Answer::Unreachable, "unreachable")] {
        let world = with_orders(&[], 1);
        world.fake.object(INSTANCE).script(move |_| (0, answer.clone()));
        world.fake.deliver(INSTANCE);
        assert_eq!(get(&world, &events_path(INSTANCE))["events"][0]["last_answer"], named);
    }
}

#[test]
fn parked_events_are_listed_and_sent_once_more() {
    let world = with_orders(&[], 3);
    assert_eq!(parked(&world), [json!(null); 0]);
    park(&world, INSTANCE);
    assert_eq!(parked(&world), [json!({ "instance_id": INSTANCE, "parked": 3, "oldest_at": START })]);
    let before = states(&world);
    assert!(
        before.iter().all(|(_, state, attempts)| state == "parked" && *attempts > 0 || *attempts == 0),
        "{before:?}"
    );

    world.fake.object(INSTANCE).script(|seen| (0, status(if seen.sequence() == 2 { 500 } else { 200 })));
    let count = world.fake.object(INSTANCE).seen().len();
    let body = format!(r#"{{"instance_id":"{INSTANCE}"}}"#);
    assert_eq!(post(&world, "/v1/parked-events/redeliver", &body), (202, json!({})));
    world.fake.deliver(INSTANCE);
    let seen = world.fake.object(INSTANCE).seen();
    let again: Vec<u64> = seen[count..].iter().map(Seen::sequence).collect();
    assert_eq!(again, [1, 2, 3], "one attempt each, with its sequence number");
    let after: Vec<String> = states(&world).into_iter().map(|(_, state, _)| state).collect();
    assert_eq!(after, ["delivered", "parked", "delivered"]);
    assert_eq!(states(&world)[1].2, before[1].2 + 1);
    assert_eq!(parked(&world), [json!({ "instance_id": INSTANCE, "parked": 1, "oldest_at": START })]);

    world.fake.object(INSTANCE).script(|_| (0, status(200)));
    post(&world, "/v1/parked-events/redeliver", &body);
    world.fake.deliver(INSTANCE);
    assert_eq!(parked(&world), [json!(null); 0]);
}

#[test]
fn one_event_is_sent_once_more_while_its_content_is_kept() {
    let world = with_orders(&[("EVENTS_RETAIN_HOURS", "1")], 1);
    world.fake.deliver(INSTANCE);
    let id = world.fake.object(INSTANCE).seen()[0].id().to_owned();
    let path = |instance: &str, id: &str| format!("{}/{id}/redeliver", events_path(instance));
    assert_eq!(post(&world, &path(INSTANCE, &id), ""), (202, json!({})));
    world.fake.deliver(INSTANCE);
    let seen = world.fake.object(INSTANCE).seen();
    assert_eq!((seen.len(), seen[0].id(), &seen[0].body), (2, seen[1].id(), &seen[1].body));
    assert_eq!(states(&world), [(1, "delivered".to_owned(), 2)]);

    // A failed attempt changes nothing but the count.
    world.fake.object(INSTANCE).script(|_| (0, status(500)));
    post(&world, &path(INSTANCE, &id), "");
    world.fake.deliver(INSTANCE);
    assert_eq!(states(&world), [(1, "delivered".to_owned(), 3)]);

    let code = |(status, body): (u16, Value)| (status, body["code"].as_str().unwrap_or_default().to_owned());
    let unknown = || (404, "unknown_event".to_owned());
    assert_eq!(code(post(&world, &path(INSTANCE, "evt_other_1"), "")), unknown());
    assert_eq!(code(post(&world, &path(VICTIM, &id), "")), (404, "unknown_instance".to_owned()));
    world.webhook(jws::installed(VICTIM, START));
    assert_eq!(code(post(&world, &path(VICTIM, &id), "")), unknown());
    world.fake.pass(INSTANCE, 3_601);
    assert_eq!(code(post(&world, &path(INSTANCE, &id), "")), (410, "erased_event".to_owned()));
    for id in ["a%20b", "a.b", &"a".repeat(257)] {
        assert_eq!(code(post(&world, &path(INSTANCE, id), "")), (400, "bad_request".to_owned()), "{id}");
    }
}

#[test]
fn a_pending_event_is_attempted_at_once_in_its_turn() {
    let world = with_orders(&[], 2);
    world.fake.object(INSTANCE).script(|_| (0, status(500)));
    world.fake.deliver(INSTANCE);
    world.fake.object(INSTANCE).script(|_| (0, status(200)));
    let page = get(&world, &events_path(INSTANCE));
    let second = page["events"][0]["event_id"].as_str().expect("an id");
    post(&world, &format!("{}/{second}/redeliver", events_path(INSTANCE)), "");
    world.fake.deliver(INSTANCE);
    let sequences: Vec<u64> = world.fake.object(INSTANCE).seen().iter().map(Seen::sequence).collect();
    assert_eq!(sequences, [1, 1, 2]);
}

#[test]
fn all_parked_events_are_sent_once_more_in_slices() {
    let world = with_orders(&[], 0);
    let instance = |number: u64| format!("{number:08}-bbbb-4ccc-8ddd-eeeeeeeeeeee");
    for number in 1..=45 {
        world.webhook(jws::installed(&instance(number), START));
        world.webhook(jws::event("order", &instance(number), &json!({}), START));
    }
    world.fake.clock().advance(4 * DAY);
    for number in 1..=45 {
        let object = world.fake.object(&instance(number));
        object.script(|_| (0, status(500)));
        world.fake.deliver(&instance(number));
        object.script(|_| (0, status(200)));
    }
    assert_eq!(parked(&world).len(), 45);
    assert_eq!(post(&world, "/v1/parked-events/redeliver", "").0, 202);
    let before = world.fake.object_calls().len();
    let asked =
        || world.fake.object_calls()[before..].iter().filter(|(_, path, _)| path == "/redeliver-parked").count();
    world.fake.deliver(APP_ID);
    assert_eq!(asked(), 0, "the alarm does it");
    let object = world.fake.object(APP_ID);
    object.take_alarm();
    world.fake.ring(APP_ID);
    assert_eq!(asked(), 40, "an invocation has 50 subrequests on the free plan");
    assert!(object.alarm_at().is_some_and(|at| at <= world.fake.clock().now()));
    world.fake.pass(APP_ID, 1);
    assert_eq!(asked(), 45);
    for number in 1..=45 {
        world.fake.deliver(&instance(number));
    }
    assert_eq!(parked(&world), [json!(null); 0]);
}

#[test]
fn a_list_that_could_not_be_written_is_written_by_the_alarm() {
    let world = with_orders(&[], 1);
    world.fake.object(INSTANCE).script(|_| (0, status(500)));
    world.fake.deliver(INSTANCE);
    world.fake.kv().fail_where(|_, key| key.starts_with("v1:parked:"));
    world.fake.pass(INSTANCE, 3 * DAY + 7_200);
    assert_eq!(states(&world)[0].1, "parked");
    world.fake.kv().clear_faults();
    assert_eq!(parked(&world), [json!(null); 0]);
    world.fake.pass(INSTANCE, 61);
    assert_eq!(parked(&world).len(), 1);
    world.fake.pass(INSTANCE, 31 * DAY);
    assert_eq!(parked(&world), [json!(null); 0], "the content of a parked event is erased after 30 days");
}

#[test]
fn a_test_event_is_delivered_by_the_object_of_the_app() {
    let world = World::delivering();
    let (status, body) = post(&world, "/v1/events/test", "");
    assert_eq!(status, 202);
    world.fake.deliver(APP_ID);
    let seen = world.fake.object(APP_ID).seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].id(), body["event_id"]);
    assert_eq!(body["instance_id"], APP_ID, "its delivery is listed under this id");
    let wanted = json!({ "type": "wix-edge.test", "timestamp": "2026-01-01T00:00:00Z", "sequence": 1, "source": "wix-edge",
        "data": {}, "anonymize": false });
    assert_eq!(serde_json::from_str::<Value>(&seen[0].body).expect("JSON"), wanted);
    let page = get(&world, &events_path(APP_ID));
    assert_eq!(page["events"][0]["state"], "delivered");
    assert_eq!(world.fake.last_log()["instance_id"], APP_ID);
}

#[test]
fn without_objects_or_a_target_the_operator_is_told() {
    let id = format!("{}/evt_1/redeliver", events_path(INSTANCE));
    let list = events_path(INSTANCE);
    let needs_target = [id.as_str(), "/v1/parked-events/redeliver", "/v1/events/test"];
    for (changes, fails) in [(vec![], true), (vec![("INSTALLATIONS", BOUND)], false)] {
        let world = World::with(&changes);
        world.webhook(jws::installed(INSTANCE, START));
        for path in needs_target {
            let (status, body) = post(&world, path, "");
            assert_eq!((status, &body["code"]), (503, &json!("not_configured")), "{path}");
            assert!(world.fake.last_log()["cause"].as_str().is_some_and(|cause| cause.contains("EVENTS_URL")));
        }
        for path in [list.as_str(), "/v1/parked-events"] {
            let status = world.get(path).key(API_KEY).send().status;
            assert_eq!(status, if fails { 503 } else { 200 }, "{path}");
        }
    }
}

#[test]
fn malformed_requests_are_told_what_is_wrong() {
    let world = World::delivering();
    world.webhook(jws::installed(INSTANCE, START));
    let list = events_path(INSTANCE);
    for query in ["cursor=", "cursor=x", "cursor=-1", "cursor=+1", "cursor=99999999999999999", "limit=0", "limit=1001"]
    {
        let answer = world.get(&format!("{list}?{query}")).key(API_KEY).send();
        assert_eq!(answer.problem(), (400, "bad_request".to_owned()), "{query}");
    }
    for body in ["[]", "{", r#"{"instance_id":"x"}"#, r#"{"other":1}"#] {
        assert_eq!(post(&world, "/v1/parked-events/redeliver", body).0, 400, "{body}");
    }
    assert_eq!(post(&world, "/v1/parked-events/redeliver", r#"{"instance_id":null}"#).0, 202);
    assert_eq!(post(&world, "/v1/parked-events/redeliver", &format!(r#"{{"instance_id":"{VICTIM}"}}"#)).0, 404);
    assert_eq!(world.get(&events_path(VICTIM)).key(API_KEY).send().status, 404);
}

#[test]
fn an_object_that_fails_is_a_503() {
    let world = World::delivering();
    world.webhook(jws::installed(INSTANCE, START));
    let failed = || crate::ObjectError { is_retryable: false, text: "the object broke".to_owned() };
    for answer in [Err(failed()), Ok((500, "x")), Ok((200, "x"))] {
        world.fake.object_answers(0, answer);
        let answer = world.get(&events_path(INSTANCE)).key(API_KEY).send();
        assert_eq!(answer.problem(), (503, "store_failed".to_owned()));
    }
    assert_eq!(world.fake.last_log()["cause"], "the object of the installation: its answer has another form");
}

#[test]
fn the_routes_need_the_scope_events() {
    let keys = format!("other:{}:token+instances+proxy+admin", crate::testing::world::sha256_hex("another-key"));
    let world = World::with(&[&DELIVERING[..], &[("API_KEYS", keys.as_str())]].concat());
    for path in [events_path(INSTANCE), "/v1/parked-events".to_owned()] {
        assert_eq!(world.get(&path).key("another-key").send().problem(), (403, "forbidden".to_owned()));
        assert_eq!(world.get(&path).send().status, 401);
    }
    for path in ["/v1/parked-events/redeliver", "/v1/events/test"] {
        assert_eq!(world.post(path).key("another-key").send().problem(), (403, "forbidden".to_owned()));
    }
}
