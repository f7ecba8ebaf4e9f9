//! An erased installation leaves nothing in its object and in KV, and begins anew.

use super::bed::{Bed, flat};
use crate::harness::{API_KEY, Delivery, api_key, guid};

#[test]
fn an_erased_installation_begins_anew_with_an_empty_object() {
    let admin = format!("{}:token+instances+events+proxy+admin", api_key("operator", API_KEY));
    let bed = Bed::with(|values| values.with("API_KEYS", admin));
    let instance = guid();
    for number in 1..=2 {
        bed.outcome(&flat(&instance, number));
    }
    bed.receiver.wait_for(2);
    // The deferred task of the first event writes too.
    bed.log.wait_for("the report", |line| line["route"] == "task settle");
    bed.api("DELETE", &format!("/v1/instances/{instance}")).send().expect(204);
    let left: Vec<String> = bed.kv.entries("").into_iter().map(|entry| entry.key).collect();
    assert!(!left.iter().any(|key| key.contains(&instance)), "{left:?}");
    bed.api("GET", &format!("/v1/instances/{instance}/events")).send().expect(404);
    // The same event again: the object has forgotten that it delivered it.
    assert_eq!(bed.outcome(&flat(&instance, 1)), "stored");
    let sequences: Vec<u64> = bed.receiver.wait_for(3).iter().map(Delivery::sequence).collect();
    assert_eq!(sequences.last(), Some(&1), "{sequences:?}");
}
