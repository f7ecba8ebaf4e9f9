//! The wasm traps: the log says so, the next request finds a new instance, and whoever was under way at that moment gets an
//! answer in time. The built wasm traps by itself when it is asked for 4 GiB; see `trap/hook.mjs`.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Ask, Direct, NOW};

const ENTRY: &str = include_str!("trap/entry.mjs");
const HOOK: &str = include_str!("trap/hook.mjs");
/// How long somebody may wait who was under way: a request has 15 s, and the runtime notices later that nothing will come.
const IN_TIME: Duration = Duration::from_secs(25);

/// What the simulated Wix takes for the call of the one who is under way, in milliseconds.
const SLOW_MILLIS: u32 = 2_000;

fn stand() -> Direct {
    Direct::behind(|values| values, |built| built.module("hook.mjs", HOOK).entry("entry.mjs", ENTRY))
}

/// How many instances of the wasm there were, and whether a trap is still to come.
fn hooked(stand: &Direct, query: &str) -> (u64, bool) {
    let told = stand.ask(NOW, "GET", &format!("/trap{query}")).send().expect(200).json();
    (told["instances"].as_u64().expect("a number"), told.get("next").is_some())
}

fn lines_with(stand: &Direct, words: &str) -> usize {
    stand.log.lines().iter().filter(|line| line.contains(words)).count()
}

fn forced(stand: &Direct, id: &str) -> Ask {
    stand.api(NOW, "POST", &format!("/v1/instances/{id}/token")).json(&json!({ "force": true }))
}

/// A token for `slow` is under way while another request traps at `place`; meanwhile `and` is done.
fn trap_while_one_is_under_way(stand: &Direct, place: &str, slow: &str, other: &str, and: impl FnOnce()) {
    let delay = json!({ "kind": "delay", "delay_ms": SLOW_MILLIS });
    stand.wix.fault(slow, "oauth2_token", 1, &delay);
    std::thread::scope(|scope| {
        let started = Instant::now();
        let under_way = scope.spawn(|| forced(stand, slow).try_send());
        // The fault is taken when the call is there.
        while stand.wix.state()["faults"] != json!([]) {
            assert!(started.elapsed() < IN_TIME, "it does not come to the call");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(hooked(stand, &format!("?next={place}")), (1, true));
        forced(stand, other).send().expect(500);
        assert_eq!(hooked(stand, ""), (1, false), "it trapped");
        stand.log.wait_for_line("Critical");
        and();
        let answer = under_way.join().expect("no panic");
        let is_told = answer.as_ref().map_or(true, |answer| [500, 502].contains(&answer.status));
        assert!(is_told, "whoever was under way: {answer:?}");
        assert!(started.elapsed() < IN_TIME, "whoever was under way waited {:?}", started.elapsed());
    });
}

/// All is well: a new instance of the wasm, and the log says so.
fn has_recovered(stand: &Direct, ids: [&str; 2]) {
    let instances = hooked(stand, "").0;
    assert!(instances > 1);
    stand.log.wait_for_line("Reinitializing Wasm application");
    assert_eq!((lines_with(stand, "Critical"), lines_with(stand, "Reinitializing Wasm application")), (1, 1));
    for id in ids {
        forced(stand, id).send().expect(200);
    }
    assert_eq!(hooked(stand, "").0, instances, "and it stays");
}

/// A trap at the beginning of a request, and one in what goes on after a promise; the next request comes at once.
#[test]
fn the_next_request_is_answered_well_and_the_one_under_way_in_time() {
    for place in ["fetch", "closure"] {
        let stand = stand();
        let [slow, other] = [stand.wix.installed(), stand.wix.installed()];
        trap_while_one_is_under_way(&stand, place, &slow, &other, || {
            forced(&stand, &other).send().expect(200);
        });
        has_recovered(&stand, [&slow, &other]);
    }
}

/// What Wix answers meanwhile comes to an instance that has ended.
#[test]
fn the_one_under_way_is_answered_in_time_though_no_request_comes() {
    let stand = stand();
    let [slow, other] = [stand.wix.installed(), stand.wix.installed()];
    trap_while_one_is_under_way(&stand, "closure", &slow, &other, || {});
    forced(&stand, &other).send().expect(200);
    has_recovered(&stand, [&slow, &other]);
}
