//! Recovery from a wasm trap: the Worker logs the trap, the next request gets a new wasm instance, and requests in flight
//! get a response in time. `trap/hook.mjs` causes the trap by an allocation of 4 GiB.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{HOOK, NOW, Request, Testbed};

const ENTRY: &str = include_str!("trap/entry.mjs");
/// The time limit for a request in flight: a request has 15 s, and workerd detects a hung request a little later.
const MAX_WAIT: Duration = Duration::from_secs(25);

/// The delay of Wix's response to the request in flight, in milliseconds.
const SLOW_MILLIS: u32 = 2_000;

fn bed() -> Testbed {
    Testbed::with_entry(|values| values, |built| built.module("hook.mjs", HOOK).entry("entry.mjs", ENTRY))
}

fn state(bed: &Testbed, query: &str) -> Value {
    bed.request(NOW, "GET", &format!("/trap{query}")).send().expect(200).json()
}

/// The number of wasm instances so far, and whether a trap is armed.
fn trap_state(bed: &Testbed, query: &str) -> (u64, bool) {
    let state = state(bed, query);
    (state["instances"].as_u64().expect("a number"), state.get("next").is_some())
}

fn lines_with(bed: &Testbed, words: &str) -> usize {
    bed.log.lines().iter().filter(|line| line.contains(words)).count()
}

fn forced(bed: &Testbed, id: &str) -> Request {
    bed.api(NOW, "POST", &format!("/v1/instances/{id}/token")).json(&json!({ "force": true }))
}

/// Traps at `place` while token requests for `slow` are in flight, a leader and two followers, and then runs `and`.
fn trap_with_requests_in_flight(bed: &Testbed, place: &str, slow: &str, other: &str, and: impl FnOnce()) {
    let delay = json!({ "kind": "delay", "delay_ms": SLOW_MILLIS });
    bed.wix.add_fault(slow, "oauth2_token", 1, &delay);
    std::thread::scope(|scope| {
        let started = Instant::now();
        let leader = scope.spawn(|| forced(bed, slow).try_send());
        let wait_until = |what: &str, is_true: &dyn Fn() -> bool| {
            while !is_true() {
                assert!(started.elapsed() < MAX_WAIT, "timeout: {what}");
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        // The simulator removes the fault when the call arrives.
        wait_until("no call arrived at Wix", &|| bed.wix.state()["faults"] == json!([]));
        // Without a body a request is with wasm as soon as it has begun.
        let follow = || scope.spawn(|| bed.api(NOW, "POST", &format!("/v1/instances/{slow}/token")).try_send());
        let in_flight = [leader, follow(), follow()];
        wait_until("the followers did not begin", &|| state(bed, "")["begun"] == json!(3));
        assert_eq!(trap_state(bed, &format!("?next={place}")), (1, true));
        forced(bed, other).send().expect(500);
        let (instances, is_armed) = trap_state(bed, "");
        // A second callback in the trapped instance makes wasm-bindgen's code create the next instance before the next request.
        let expected = if place == "fetch" { 1..=1 } else { 1..=2 };
        assert!(!is_armed && expected.contains(&instances), "the trap must have happened: {instances} instances");
        bed.log.wait_for_line("Critical");
        and();
        for request in in_flight {
            let response = request.join().expect("a thread without a panic");
            let is_failure = response.as_ref().map_or(true, |response| [500, 502].contains(&response.status));
            assert!(is_failure, "a request in flight: {response:?}");
            assert!(started.elapsed() < MAX_WAIT, "a request in flight took {:?}", started.elapsed());
        }
    });
}

/// Asserts the recovery: a new wasm instance, the log lines, and working requests.
fn assert_recovery(bed: &Testbed, ids: [&str; 2]) {
    let instances = trap_state(bed, "").0;
    assert!(instances > 1);
    bed.log.wait_for_line("Reinitializing Wasm application");
    assert_eq!((lines_with(bed, "Critical"), lines_with(bed, "Reinitializing Wasm application")), (1, 1));
    for id in ids {
        forced(bed, id).send().expect(200);
    }
    assert_eq!(trap_state(bed, "").0, instances, "the new wasm instance must stay");
}

/// Traps at the start of a request, and in a continuation after a promise. The next request follows at once.
#[test]
fn after_a_trap_the_next_request_succeeds_and_the_requests_in_flight_end_in_time() {
    for place in ["fetch", "closure"] {
        let bed = bed();
        let [slow, other] = [bed.wix.new_instance(), bed.wix.new_instance()];
        trap_with_requests_in_flight(&bed, place, &slow, &other, || {
            forced(&bed, &other).send().expect(200);
        });
        assert_recovery(&bed, [&slow, &other]);
    }
}

/// Wix's response arrives at a wasm instance that no longer exists.
#[test]
fn after_a_trap_the_requests_in_flight_end_in_time_without_a_next_request() {
    let bed = bed();
    let [slow, other] = [bed.wix.new_instance(), bed.wix.new_instance()];
    trap_with_requests_in_flight(&bed, "closure", &slow, &other, || {});
    forced(&bed, &other).send().expect(200);
    assert_recovery(&bed, [&slow, &other]);
}
