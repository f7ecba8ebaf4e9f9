//! The KV operations, requests to objects, and rows that delivery costs. A change that increases one must change this file.
//! `cargo xtask test` runs these tests by themselves, with those of `tests/it/costs.rs`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workerd::Counts;

use super::bed::{Bed, flat};
use crate::harness::{Message, Reaction, TIMEOUT, guid};

/// Numbers of reads, writes, removals and lists.
type Kv = [u64; 4];

fn kv(bed: &Bed) -> Kv {
    let Counts { reads, writes, removals, lists } = bed.kv.counts();
    [reads, writes, removals, lists]
}

/// What something costs, with the deferred tasks, deliveries and alarms that follow at once: the KV operations, the
/// requests to objects, the rows written, and how often an alarm was set, which is billed as a row.
fn cost(bed: &Bed, what: impl FnOnce()) -> (Kv, Vec<String>, u64, u64) {
    wait_until_idle(bed);
    bed.kv.clear_operations();
    bed.measured("reset");
    what();
    wait_until_idle(bed);
    let measured = bed.measured("");
    let calls = measured["calls"].as_array().expect("calls").iter();
    let calls = calls.map(|call| call.as_str().expect("a path").to_owned()).collect();
    let number = |name: &str| measured[name].as_u64().expect("a number");
    (kv(bed), calls, number("rows"), number("set_alarms"))
}

/// Waits until neither KV nor an object has had anything to do for longer than a pause between two writes of KV.
fn wait_until_idle(bed: &Bed) {
    let until = Instant::now() + TIMEOUT;
    let now = || (kv(bed), bed.measured(""));
    let (mut seen, mut since) = (now(), Instant::now());
    while since.elapsed() < Duration::from_millis(1_500) {
        assert!(Instant::now() < until, "the Worker must become idle");
        sleep(Duration::from_millis(50));
        let now = now();
        if now != seen || bed.kv.in_flight() > 0 {
            (seen, since) = (now, Instant::now());
        }
    }
}

fn installed(bed: &Bed, id: &str) -> Message {
    Message::new("AppInstalled", id, &json!({ "appId": bed.wix.app.app_id, "originInstanceId": "" }))
}

#[test]
fn a_lifecycle_webhook_costs_one_request_more_than_an_event() {
    let bed = Bed::start();
    let id = guid();
    let message = installed(&bed, &id);
    let send = |message: &Message| drop(bed.send(message).expect(200));
    // KV as without delivery: fact, row and recheck, and the reconciliation of the deferred task. Each event: its row, the
    // entry of its key, and the change on delivery. Once for each object: its name. The call that creates the tables counts no
    // row, since the runtime counts the last statement of a call only. Each report with a change: what was told. An install:
    // the note of it, which is removed when the app's object has counted it, there with its id and its day, whose table is new.
    let (kv, calls, rows, alarms) = cost(&bed, || send(&message));
    assert_eq!((kv, rows, alarms), ([2, 3, 0, 2], 17, 1), "{calls:?}");
    assert_eq!(calls, ["/accept", "/report", "/count-days"]);
    // A copy changes nothing.
    let again = cost(&bed, || send(&message));
    assert_eq!(again, ([1, 0, 0, 1], vec!["/accept".to_owned()], 0, 0));
    // A plan: two events, and what was told.
    let plan = Message::new("PaidPlanPurchased", &id, &json!({ "vendorProductId": "gold" }));
    let (kv, calls, rows, alarms) = cost(&bed, || send(&plan));
    assert_eq!((kv, rows), ([2, 3, 0, 2], 7), "{calls:?}");
    assert_eq!(calls, ["/accept", "/report"]);
    assert!(alarms <= 1, "{alarms}");
}

#[test]
fn an_event_costs_one_request_and_four_rows() {
    let bed = Bed::start();
    let id = guid();
    let (kv, calls, ..) = cost(&bed, || drop(bed.outcome(&flat(&id, 1))));
    // The first event of an unknown installation records it, which is reported.
    assert_eq!((kv, calls), ([3, 3, 0, 2], vec!["/accept".to_owned(), "/report".to_owned()]));
    // The alarm of the first event is still set: these share it. The first of them reads the row, which stays in memory.
    let (kv, calls, rows, alarms) = cost(&bed, || {
        (2..=11).for_each(|number| drop(bed.outcome(&flat(&id, number))));
    });
    assert_eq!((kv, calls), ([1, 0, 0, 0], vec!["/accept".to_owned(); 10]));
    // Its row, the entry of its key, and the change on delivery. The fourth row is the alarm, which is set at most once.
    assert!(rows <= 30 && alarms <= 10, "{rows} rows, {alarms} alarms");
}

#[test]
fn the_routes_of_events_cost_at_most_a_read_and_a_request() {
    let bed = Bed::with(|values| values.with("EVENTS_RETAIN_HOURS", "1").with("EVENTS_TYPES", "com.wix.*,wix-edge.*"));
    let id = guid();
    (1..=3).for_each(|number| drop(bed.outcome(&flat(&id, number))));
    bed.wait_for_event(&id, 3, |event| event["state"] == "delivered");
    let event = bed.events(&id)[0]["event_id"].as_str().expect("an id").to_owned();
    let of = |method: &str, path: &str, status: u16| cost(&bed, || drop(bed.api(method, path).send().expect(status)));
    let read = [1, 0, 0, 0];
    let one = |call: &str| vec![call.to_owned()];
    assert_eq!(of("GET", &format!("/v1/instances/{id}/events"), 200), (read, one("/events"), 0, 0));
    // The object marks the row, delivers the event, and sets when its content is erased. Entries of both partial indexes count.
    let (kv, calls, rows, _) = of("POST", &format!("/v1/instances/{id}/events/{event}/redeliver"), 202);
    assert_eq!((kv, calls), (read, one("/redeliver")));
    assert!(rows <= 6, "{rows} rows");
    assert_eq!(of("GET", "/v1/parked-events", 200), ([0, 0, 0, 1], vec![], 0, 0));
    let unknown = format!("/v1/instances/{}/events", guid());
    assert_eq!(of("GET", &unknown, 404), (read, vec![], 0, 0), "no object is created for it");
    let (kv, calls, ..) = of("POST", "/v1/events/test", 202);
    assert_eq!((kv, calls), ([0; 4], one("/accept")));
    let body = json!({ "instance_id": id });
    let (kv, calls, rows, _) = cost(&bed, || {
        drop(bed.api("POST", "/v1/parked-events/redeliver").json(&body).send().expect(202));
    });
    assert_eq!((kv, calls, rows), (read, one("/redeliver-parked"), 0), "nothing is parked");
    // The alarm of the app's object reads the list.
    let (kv, calls, ..) = of("POST", "/v1/parked-events/redeliver", 202);
    assert_eq!((kv, calls), ([0, 0, 0, 1], one("/redeliver-all")));
}

#[test]
fn parked_events_cost_a_write_when_their_number_changes() {
    let mut bed = Bed::with(|values| values.with("EVENTS_KEEP_HOURS", "1").with("EVENTS_TYPES", "com.wix.*"));
    let id = guid();
    bed.receiver.answer_always(Some(Reaction::Status(500)));
    (1..=3).for_each(|number| drop(bed.outcome(&flat(&id, number))));
    bed.log.wait_for("the deferred task", |line| line["route"] == "task settle");
    bed.kv.clear_operations();
    bed.restart_ahead(3_700);
    bed.wait_for_event(&id, 3, |event| event["state"] == "parked");
    let listed = || {
        let operations = bed.kv.operations().into_iter().filter(|operation| operation.key.starts_with("v1:parked:"));
        operations.map(|operation| format!("{:?}", operation.op)).collect::<Vec<_>>()
    };
    wait_until_idle(&bed);
    assert_eq!(listed(), ["Write"], "the alarm parks all three");
    bed.receiver.answer_always(None);
    let body = json!({ "instance_id": id });
    bed.api("POST", "/v1/parked-events/redeliver").json(&body).send().expect(202);
    wait_until_idle(&bed);
    assert_eq!(listed(), ["Write", "Remove"], "one delivery empties the list");
    assert!(bed.events(&id).iter().all(|event: &Value| event["state"] == "delivered"));
}

/// Of ten tokens that isolates request in a day, Wix issues three.
#[test]
fn a_token_costs_no_operation_of_kv_and_a_row_only_if_wix_issues_it() {
    let bed = Bed::start();
    bed.wix.register(bed.url());
    let id = bed.wix.new_instance();
    let path = format!("/v1/instances/{id}/token");
    let token = || drop(bed.api("POST", &path).send().expect(200));
    let requests = |path: &str| vec![path.to_owned()];
    assert_eq!(cost(&bed, token), ([0; 4], requests("/token"), 1, 0), "Wix issues it");
    assert_eq!(cost(&bed, token), ([0; 4], vec![], 0, 0), "the isolate remembers it");
    let other = || drop(bed.api_later("POST", &path).send().expect(200));
    assert_eq!(cost(&bed, other), ([0; 4], requests("/token"), 0, 0), "the object keeps it for all isolates");
    let proxied = || drop(bed.api("GET", &format!("/v1/instances/{id}/wix/stores/v1/products")).send());
    assert_eq!(cost(&bed, proxied), ([0; 4], requests("/permits"), 0, 0), "the object counts calls in its memory");
}
