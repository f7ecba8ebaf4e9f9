//! Statistics by day: what is counted, where, how often, and what it costs.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::Shared;
use crate::delivery::{ObjectError, Objects as _};
use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::object::{FakeObjects, status};
use crate::testing::world::{API_KEY, APP_ID, BOUND, INSTANCE, VICTIM, World, config};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
const NONE: [u64; 4] = [0; 4];

fn order(number: u64, at: u64) -> String {
    jws::event("wix.ecom.v1.order_created", INSTANCE, &json!({ "number": number }), at)
}

fn days(world: &World, count: u16) -> Vec<Value> {
    let answer = world.get(&format!("/v1/statistics?days={count}")).key(API_KEY).send();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["days"].as_array().expect("days").clone()
}

/// Installs, removals, delivered and parked events of the latest days, the oldest first.
fn counts<const N: usize>(world: &World) -> [[u64; 4]; N] {
    let days = days(world, u16::try_from(N).expect("a small number"));
    let count = |day: &Value, name: &str| day[name].as_u64().unwrap_or_else(|| panic!("no {name} in {day}"));
    let counts = days.iter().map(|day| ["installs", "removals", "delivered", "parked"].map(|name| count(day, name)));
    counts.collect::<Vec<_>>().try_into().expect("each day")
}

/// Objects without a target for events.
fn without_target() -> World {
    let changes = [("INSTALLATIONS", BOUND)];
    let world = World::with(&changes);
    world.fake.use_objects(Some(FakeObjects::new(Rc::new(Shared::new(config(&changes))))));
    world
}

/// Lets time pass, with the alarms of the object of [`INSTANCE`] that are due.
fn pass(world: &World, seconds: u64) {
    world.fake.pass(INSTANCE, seconds);
}

/// Sends a webhook of [`INSTANCE`], whose object then delivers.
fn send(world: &World, body: String) {
    assert_eq!(world.webhook(body).status, 200);
    world.fake.deliver(INSTANCE);
}

/// The same for [`VICTIM`].
fn send_other(world: &World, body: String) {
    assert_eq!(world.webhook(body).status, 200);
    world.fake.deliver(VICTIM);
}

/// The next call of an object fails.
fn fail_next_call(world: &World) {
    world.fake.object_answers(0, Err(ObjectError { is_retryable: false, text: "the object broke".to_owned() }));
}

/// The reports to the object of the app.
fn reports(world: &World) -> Vec<String> {
    let calls = world.fake.object_calls().into_iter();
    calls.filter(|(name, path, _)| name == APP_ID && path == "/count-days").map(|(.., body)| body).collect()
}

#[test]
fn each_day_of_the_range_is_there_and_today_is_the_last() {
    let world = World::delivering();
    for count in [1, 2, 30, 90] {
        let days = days(&world, count);
        assert_eq!(days.len(), usize::from(count));
        let last = json!({ "date": "2026-01-01", "installs": 0, "removals": 0, "delivered": 0, "parked": 0 });
        assert_eq!(days.last(), Some(&last));
        assert!(days.is_sorted_by_key(|day| day["date"].as_str().expect("a date").to_owned()));
    }
    let default = world.get("/v1/statistics").key(API_KEY).send().json();
    assert_eq!(default["days"], json!(days(&world, 30)));
    assert_eq!(default["days"][0]["date"], "2025-12-03");
    // From the first second of a day to its last.
    world.fake.clock().advance(DAY - 1);
    assert_eq!(days(&world, 1)[0]["date"], "2026-01-01");
    world.fake.clock().advance(1);
    assert_eq!(days(&world, 1)[0]["date"], "2026-01-02");
}

#[test]
fn another_number_of_days_is_a_400() {
    let world = World::delivering();
    for days in ["0", "91", "-1", "+1", "1.5", "", " 1", "x", "99999999999", "1&days=1"] {
        let answer = world.get(&format!("/v1/statistics?days={days}")).key(API_KEY).send();
        assert_eq!(answer.problem(), (400, "bad_request".to_owned()), "{days}");
    }
}

#[test]
fn without_objects_nothing_is_counted() {
    let answer = World::new().get("/v1/statistics").key(API_KEY).send();
    assert_eq!(answer.problem(), (503, "not_configured".to_owned()));
    assert_eq!(World::new().get("/v1/statistics?days=0").key(API_KEY).send().status, 400);
}

#[test]
fn installs_and_removals_count_on_their_day_and_once() {
    let world = World::delivering();
    world.fake.clock().advance(DAY + 60);
    for _ in 0..3 {
        // The first one happened on the day before.
        send(&world, jws::installed(INSTANCE, START + DAY - 60));
        send_other(&world, jws::installed(VICTIM, START + DAY));
    }
    world.connect();
    world.fake.deliver(INSTANCE);
    assert_eq!(counts(&world), [NONE, [1, 0, 0, 0], [1, 0, 0, 0]]);
    for _ in 0..3 {
        send_other(&world, jws::removed(VICTIM, START + DAY + 30));
    }
    assert_eq!(counts(&world), [[1, 0, 0, 0], [1, 1, 0, 0]]);
    send_other(&world, jws::installed(VICTIM, START + DAY + 40));
    assert_eq!(counts(&world), [[1, 0, 0, 0], [2, 1, 0, 0]], "it was installed again");
    assert_eq!(reports(&world).len(), 4, "each change is reported by itself");
}

#[test]
fn without_a_target_installs_and_removals_count_too() {
    for world in [without_target(), World::delivering_with(&[("EVENTS_TYPES", "wix.stores.*")])] {
        send(&world, jws::installed(INSTANCE, START));
        world.fake.clock().advance(100);
        send(&world, jws::removed(INSTANCE, START + 50));
        assert_eq!(counts(&world), [[1, 1, 0, 0]]);
        assert_eq!(world.fake.object(INSTANCE).count("SELECT count(*) FROM events"), 0, "nothing is kept for a target");
    }
}

#[test]
fn an_import_counts_nothing() {
    let world = World::delivering();
    let line = json!({ "instance_id": INSTANCE }).to_string();
    let answer = world.post("/v1/import").key(API_KEY).body(line).send();
    assert!(answer.body.contains("imported"), "{}", answer.body);
    world.fake.deliver(INSTANCE);
    assert_eq!(counts(&world), [NONE]);
}

#[test]
fn a_report_that_fails_is_repeated_and_counts_once() {
    for is_counted in [true, false] {
        let world = World::delivering();
        world.webhook(jws::installed(INSTANCE, START));
        fail_next_call(&world);
        world.fake.deliver(INSTANCE);
        let line = world.fake.last_log();
        assert_eq!((&line["route"], &line["error"]), (&json!("object count"), &json!("store_failed")));
        if is_counted {
            // Only the answer was lost.
            let report = &reports(&world)[0];
            let answer = world.fake.clock().run(world.fake.ask_object(APP_ID, "/count-days", report));
            assert_eq!(answer, Ok((200, "counted".to_owned())));
        }
        // It waits an hour, whatever else is delivered.
        world.fake.clock().advance(60);
        send(&world, order(1, START + 60));
        assert_eq!(counts(&world), [[u64::from(is_counted), 0, 0, 0]]);
        pass(&world, HOUR);
        assert_eq!(counts::<1>(&world)[0][0], 1, "{is_counted}");
        pass(&world, DAY);
        assert_eq!(counts::<2>(&world)[0][0], 1, "{is_counted}");
        let sent = reports(&world);
        assert_eq!(sent.len(), 2 + usize::from(is_counted), "{sent:?}");
        assert!(sent.iter().all(|report| *report == sent[0]), "{sent:?}");
    }
}

#[test]
fn sums_that_fail_are_repeated_and_not_taken_twice() {
    let world = World::delivering();
    send(&world, order(1, START));
    world.fake.clock().advance(HOUR);
    world.webhook(order(2, world.now()));
    fail_next_call(&world);
    world.fake.deliver(INSTANCE);
    assert_eq!(counts(&world), [NONE]);
    pass(&world, HOUR);
    assert_eq!(counts(&world), [[0, 0, 1, 0]]);
    send(&world, order(3, world.now()));
    assert_eq!(counts(&world), [[0, 0, 2, 0]]);
    pass(&world, HOUR);
    send(&world, order(4, world.now()));
    assert_eq!(counts(&world), [[0, 0, 3, 0]]);
}

#[test]
fn a_report_that_was_lost_with_its_object_is_sent_by_the_alarm() {
    let world = World::delivering();
    world.webhook(jws::installed(INSTANCE, START));
    assert_eq!(counts(&world), [NONE]);
    pass(&world, 60);
    assert_eq!(counts(&world), [[1, 0, 0, 0]]);
}

#[test]
fn two_runs_at_once_take_the_sums_once() {
    let world = World::delivering();
    send(&world, order(1, START));
    world.fake.clock().advance(HOUR);
    world.webhook(order(2, world.now()));
    world.fake.clock().run(async {
        futures::future::join(world.fake.delivering(INSTANCE), world.fake.delivering(INSTANCE)).await;
    });
    assert_eq!(counts(&world), [[0, 0, 1, 0]]);
    assert_eq!(reports(&world).len(), 1);
}

#[test]
fn deliveries_are_counted_by_the_hour() {
    let world = World::delivering();
    send(&world, jws::installed(INSTANCE, START));
    for number in 0..10 {
        send(&world, order(number, world.now()));
        world.fake.clock().advance(60);
    }
    assert_eq!(counts(&world), [[1, 0, 0, 0]]);
    world.fake.clock().advance(HOUR);
    send(&world, order(10, world.now()));
    // Those before, the event of the installation, and our own. What was delivered just now comes later.
    assert_eq!(counts(&world), [[1, 0, 12, 0]]);
    world.fake.clock().advance(HOUR - 60);
    send(&world, order(11, world.now()));
    assert_eq!(counts(&world), [[1, 0, 12, 0]]);
    world.fake.clock().advance(HOUR);
    send(&world, order(12, world.now()));
    assert_eq!(counts(&world), [[1, 0, 14, 0]]);
}

#[test]
fn the_last_deliveries_of_a_day_are_counted_with_the_comparison() {
    let world = World::delivering_with(&[("RECHECK_HOURS", "24")]);
    send(&world, order(1, START));
    pass(&world, 2 * DAY);
    // The comparison finds the installation, which is told.
    assert_eq!(counts(&world), [[1, 0, 2, 0], NONE, NONE]);
}

#[test]
fn parked_and_redelivered_events_count_on_their_day() {
    let world = World::delivering();
    let object = world.fake.object(INSTANCE);
    object.script(|_| (0, status(500)));
    for number in 0..3 {
        send(&world, order(number, START));
    }
    pass(&world, 3 * DAY + 2 * HOUR);
    object.script(|_| (0, status(200)));
    send(&world, order(3, world.now()));
    pass(&world, 2 * HOUR);
    send(&world, order(4, world.now()));
    assert_eq!(counts(&world), [NONE, NONE, NONE, [0, 0, 1, 3]]);
    pass(&world, DAY);
    let body = json!({ "instance_id": INSTANCE }).to_string();
    assert_eq!(world.post("/v1/parked-events/redeliver").key(API_KEY).body(body).send().status, 202);
    world.fake.deliver(INSTANCE);
    pass(&world, 2 * HOUR);
    send(&world, order(5, world.now()));
    assert_eq!(counts(&world), [[0, 0, 2, 3], [0, 0, 3, 0]]);
}

#[test]
fn events_behind_a_head_that_fails_are_counted_once() {
    let world = World::delivering();
    let object = world.fake.object(INSTANCE);
    object.script(|seen| (0, status(if seen.sequence() == 1 { 500 } else { 200 })));
    for number in 0..5 {
        send(&world, order(number, START));
    }
    for number in 5..10 {
        pass(&world, 2 * HOUR);
        send(&world, order(number, world.now()));
    }
    pass(&world, 2 * HOUR);
    assert_eq!(counts(&world), [[0, 0, 9, 0]]);
}

#[test]
fn events_of_no_installation_are_counted_by_the_object_of_the_app() {
    let world = World::delivering();
    for _ in 0..3 {
        assert_eq!(world.post("/v1/events/test").key(API_KEY).send().status, 202);
        world.fake.deliver(APP_ID);
        world.fake.clock().advance(HOUR);
    }
    assert_eq!(counts(&world), [[0, 0, 2, 0]]);
    assert!(reports(&world).is_empty());
}

#[test]
fn days_are_kept_for_ninety_days() {
    let world = World::delivering();
    send(&world, jws::installed(INSTANCE, START));
    world.fake.clock().advance(89 * DAY);
    assert_eq!(counts::<90>(&world)[0], [1, 0, 0, 0]);
    send_other(&world, jws::installed(VICTIM, world.now()));
    assert_eq!(counts::<90>(&world)[0], [1, 0, 0, 0]);
    let app = world.fake.object(APP_ID);
    let days = || app.count("SELECT count(*) FROM days");
    let reports = || app.count("SELECT count(*) FROM about WHERE name GLOB 'counted:*'");
    assert_eq!((days(), reports()), (2, 1), "the older report cannot come again");
    world.fake.clock().advance(DAY);
    send_other(&world, jws::removed(VICTIM, world.now()));
    assert_eq!(days(), 2, "the first day is gone");
    // The sums of its deliveries follow when the removal is confirmed.
    assert_eq!(counts::<90>(&world)[88..], [[1, 0, 0, 0], [0, 1, 0, 0]]);
}

#[test]
fn the_object_of_the_app_is_asked_once_an_hour_at_most() {
    let world = World::delivering();
    send(&world, jws::installed(INSTANCE, START));
    for number in 0..200 {
        send(&world, order(number, world.now()));
        world.fake.clock().advance(60);
    }
    assert_eq!(reports(&world).len(), 4, "an installation, and three hours");
}

#[test]
fn an_erased_object_notes_nothing() {
    let world = World::delivering();
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.object_answers(1_000, Ok((503, "store_failed")));
    let path = format!("/v1/instances/{INSTANCE}");
    world.fake.clock().run(async {
        let erase = async {
            crate::runtime::Clock::sleep(&world.fake, std::time::Duration::from_millis(500)).await;
            assert_eq!(world.call(http::Method::DELETE, &path).key(API_KEY).send_async().await.status, 204);
        };
        futures::future::join(world.fake.delivering(INSTANCE), erase).await;
    });
    assert_eq!(world.fake.object(INSTANCE).count("SELECT count(*) FROM about"), 0);
    assert_eq!(world.fake.object(INSTANCE).alarm_at(), None);
}
