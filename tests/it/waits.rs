//! The promises that wasm waits for (`src/promised.rs`): it forgets each, also a timer that was stopped.

use crate::harness::{NOW, Testbed, guid};

const HOOK: &str = include_str!("waits/hook.mjs");
const ENTRY: &str = include_str!("waits/entry.mjs");

#[test]
fn the_number_of_a_wait_is_free_again_after_the_request() {
    let bed = Testbed::with_entry(|values| values, |built| built.module("hook.mjs", HOOK).entry("entry.mjs", ENTRY));
    // Each request reads KV, beside a timer that is stopped.
    for _ in 0..50 {
        let path = format!("/v1/instances/{}", guid());
        bed.api(NOW, "GET", &path).send().expect(404);
    }
    let waits = bed.request(NOW, "GET", "/waits").send().expect(200).json();
    assert!(waits["count"].as_u64() >= Some(100), "{waits}");
    assert!(waits["highest"].as_u64() < Some(20), "{waits}");
}
