//! Recovery from a wasm trap: the Worker logs the trap, the next request gets a new wasm instance, and requests in flight
//! get a response in time. `trap/hook.mjs` causes the trap by an allocation of 4 GiB.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{HOOK, NOW, Request, Testbed};

const ENTRY: &str = include_str!("trap/entry.mjs");
/// The time limit for a request in flight: a request has 15 s, and workerd detects a hung request a little later.
const MAX_WAIT: Duration = Duration::from_secs(25);

/// The delay of Wix's response to the request in flight, in milliseconds.
const SLOW_MILLIS: u32 = 2_000;

fn bed() -> Testbed {
    Testbed::with_entry(|values| values, |built| built.module("hook.mjs", HOOK).entry("entry.mjs", ENTRY))
}

/// The number of wasm instances so far, and whether a trap is armed.
fn trap_state(bed: &Testbed, query: &str) -> (u64, bool) {
    let state = bed.request(NOW, "GET", &format!("/trap{query}")).send().expect(200).json();
    (state["instances"].as_u64().expect("a number"), state.get("next").is_some())
}

fn lines_with(bed: &Testbed, words: &str) -> usize {
    bed.log.lines().iter().filter(|line| line.contains(words)).count()
}

fn forced(bed: &Testbed, id: &str) -> Request {
    bed.api(NOW, "POST", &format!("/v1/instances/{id}/token")).json(&json!({ "force": true }))
}

/// Traps at `place` while a token request for `slow` is in flight, and then runs `and`.
fn trap_with_a_request_in_flight(bed: &Testbed, place: &str, slow: &str, other: &str, and: impl FnOnce()) {
    let delay = json!({ "kind": "delay", "delay_ms": SLOW_MILLIS });
    bed.wix.add_fault(slow, "oauth2_token", 1, &delay);
    std::thread::scope(|scope| {
        let started = Instant::now();
        let in_flight = scope.spawn(|| forced(bed, slow).try_send());
        // The simulator removes the fault when the call arrives.
        while bed.wix.state()["faults"] != json!([]) {
            assert!(started.elapsed() < MAX_WAIT, "timeout: no call arrived at Wix");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(trap_state(bed, &format!("?next={place}")), (1, true));
        forced(bed, other).send().expect(500);
        // The code of wasm-bindgen may have replaced the instance already.
        assert!(!trap_state(bed, "").1, "the trap must have happened");
        bed.log.wait_for_line("Critical");
        and();
        let response = in_flight.join().expect("a thread without a panic");
        let is_failure = response.as_ref().map_or(true, |response| [500, 502].contains(&response.status));
        assert!(is_failure, "the request in flight: {response:?}");
        assert!(started.elapsed() < MAX_WAIT, "the request in flight took {:?}", started.elapsed());
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
fn after_a_trap_the_next_request_succeeds_and_the_request_in_flight_ends_in_time() {
    for place in ["fetch", "closure"] {
        let bed = bed();
        let [slow, other] = [bed.wix.new_instance(), bed.wix.new_instance()];
        trap_with_a_request_in_flight(&bed, place, &slow, &other, || {
            forced(&bed, &other).send().expect(200);
        });
        assert_recovery(&bed, [&slow, &other]);
    }
}

/// Wix's response arrives at a wasm instance that no longer exists.
#[test]
fn after_a_trap_the_request_in_flight_ends_in_time_without_a_next_request() {
    let bed = bed();
    let [slow, other] = [bed.wix.new_instance(), bed.wix.new_instance()];
    trap_with_a_request_in_flight(&bed, "closure", &slow, &other, || {});
    forced(&bed, &other).send().expect(200);
    assert_recovery(&bed, [&slow, &other]);
}
