//! Events whose time is over are parked: they are listed, and delivered when the app asks for it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bed::{Bed, flat};
use crate::harness::{Reaction, TIMEOUT, guid};

/// A bed whose events are parked after an hour, and which tells no changes.
fn start() -> Bed {
    Bed::with(|values| values.with("EVENTS_TYPES", "com.wix.*,wix-edge.*").with("EVENTS_KEEP_HOURS", "1"))
}

/// Lets the target fail, sends events of each installation, and lets the hour pass. All are parked then, and so are those
/// that were accepted before.
fn park(bed: &mut Bed, installations: &[(&str, u32)], accepted: &[(&str, u64)]) {
    bed.receiver.answer_always(Some(Reaction::Status(500)));
    for (id, count) in installations {
        (1..=*count).for_each(|number| assert_eq!(bed.outcome(&flat(id, number)), "stored"));
    }
    bed.restart_ahead(3_700);
    let counts = installations.iter().map(|(id, count)| ((*id).to_owned(), u64::from(*count)));
    let counts = counts.chain(accepted.iter().map(|(id, count)| ((*id).to_owned(), *count)));
    wait_for_parked(bed, &counts.collect());
    bed.receiver.answer_always(None);
}

/// The list of parked events: how many each installation has.
fn parked(bed: &Bed) -> BTreeMap<String, u64> {
    let page = bed.api("GET", "/v1/parked-events").send().expect(200).json();
    let entries = page["instances"].as_array().expect("instances");
    let entry = |entry: &Value| {
        (entry["instance_id"].as_str().expect("an id").to_owned(), entry["parked"].as_u64().expect("a number"))
    };
    entries.iter().map(entry).collect()
}

/// Waits until the list has these entries. The next attempt after the hour parks the events.
#[track_caller]
fn wait_for_parked(bed: &Bed, wanted: &BTreeMap<String, u64>) {
    let until = Instant::now() + TIMEOUT;
    while parked(bed) != *wanted {
        assert!(Instant::now() < until, "{:?} must be {wanted:?}", parked(bed));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The sequence numbers that were delivered since the first `before` deliveries, by installation.
fn delivered(bed: &Bed, before: usize) -> BTreeMap<String, Vec<u64>> {
    let mut delivered: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for delivery in &bed.receiver.deliveries()[before..] {
        let body = delivery.json();
        let name = body["instance_id"].as_str().unwrap_or_default().to_owned();
        delivered.entry(name).or_default().push(delivery.sequence());
    }
    delivered
}

#[test]
fn a_parked_event_is_listed_until_it_is_redelivered() {
    let mut bed = start();
    let id = guid();
    park(&mut bed, &[(&id, 2)], &[]);
    let events = bed.events(&id);
    let page = bed.api("GET", "/v1/parked-events").send().expect(200).json();
    let entry = json!({ "instance_id": id, "parked": 2, "oldest_at": events[0]["received_at"] });
    assert_eq!(page, json!({ "instances": [entry] }));
    for event in &events {
        assert_eq!((&event["state"], event.get("next_attempt_at")), (&json!("parked"), None), "{event}");
    }
    assert_eq!(events[0]["last_answer"], json!(500));
    let lines = bed.log.entries();
    assert_eq!(lines.iter().filter(|line| line["outcome"] == "parked" && line["instance_id"] == *id).count(), 2);

    let before = bed.receiver.deliveries().len();
    let redeliver = |event: &Value| {
        let event = event["event_id"].as_str().expect("an id");
        bed.api("POST", &format!("/v1/instances/{id}/events/{event}/redeliver")).send()
    };
    // A failed attempt leaves it parked.
    bed.receiver.script([Reaction::Status(503)]);
    redeliver(&events[1]).expect(202);
    bed.wait_for_event(&id, 2, |event| event["last_answer"] == 503 && event["state"] == "parked");
    redeliver(&events[1]).expect(202);
    bed.wait_for_event(&id, 2, |event| event["state"] == "delivered");
    wait_for_parked(&bed, &[(id.clone(), 1)].into());
    redeliver(&events[0]).expect(202);
    wait_for_parked(&bed, &BTreeMap::new());
    assert_eq!(delivered(&bed, before)[&id], [2, 2, 1], "each keeps its number");
    redeliver(&events[0]).expect(410);
    // A new event is number 3, and in order.
    assert_eq!(bed.outcome(&flat(&id, 3)), "stored");
    bed.wait_for_event(&id, 3, |event| event["state"] == "delivered");
}

#[test]
fn all_parked_events_are_redelivered_or_those_of_one_installation() {
    let mut bed = start();
    let (one, other, third) = (guid(), guid(), guid());
    bed.receiver.answer_always(Some(Reaction::Status(500)));
    bed.api("POST", "/v1/events/test").send().expect(202);
    let app = bed.wix.app.app_id.clone();
    // The test event of the app is parked with them.
    park(&mut bed, &[(&one, 3), (&other, 2), (&third, 1)], &[(&app, 1)]);
    let before = bed.receiver.deliveries().len();
    bed.api("POST", "/v1/parked-events/redeliver").json(&json!({ "instance_id": one })).send().expect(202);
    wait_for_parked(&bed, &[(other.clone(), 2), (third.clone(), 1), (app.clone(), 1)].into());
    assert_eq!(delivered(&bed, before), [(one.clone(), vec![1, 2, 3])].into());
    let before = bed.receiver.deliveries().len();
    bed.api("POST", "/v1/parked-events/redeliver").send().expect(202);
    wait_for_parked(&bed, &BTreeMap::new());
    let wanted = [(other, vec![1, 2]), (third, vec![1]), (String::new(), vec![1])];
    assert_eq!(delivered(&bed, before), wanted.into());
    // Nothing is left to redeliver.
    let before = bed.receiver.deliveries().len();
    bed.api("POST", "/v1/parked-events/redeliver").send().expect(202);
    std::thread::sleep(Duration::from_millis(500));
    assert!(delivered(&bed, before).is_empty());
}

#[test]
fn an_invocation_makes_forty_attempts_at_most() {
    let mut bed = start();
    let id = guid();
    park(&mut bed, &[(&id, 45)], &[]);
    let before = bed.receiver.deliveries().len();
    bed.measured("reset");
    bed.api("POST", "/v1/parked-events/redeliver").json(&json!({ "instance_id": id })).send().expect(202);
    bed.receiver.wait_for(before + 45);
    assert_eq!(delivered(&bed, before)[&id], (1..=45).collect::<Vec<_>>());
    let measured = bed.measured("");
    let attempts: Vec<u64> =
        measured["invocations"].as_array().expect("numbers").iter().filter_map(Value::as_u64).collect();
    assert_eq!(attempts.iter().sum::<u64>(), 45, "{measured}");
    assert!(attempts.iter().all(|count| *count <= 40), "{attempts:?} attempts of each invocation");
    wait_for_parked(&bed, &BTreeMap::new());
}

#[test]
fn the_list_has_pages() {
    let mut bed = start();
    let ids: Vec<String> = (0..3).map(|_| guid()).collect();
    let installations: Vec<(&str, u32)> = ids.iter().map(|id| (id.as_str(), 1)).collect();
    park(&mut bed, &installations, &[]);
    let (mut cursor, mut found) = (String::new(), Vec::new());
    loop {
        let page = bed.api("GET", &format!("/v1/parked-events?limit=2{cursor}")).send().expect(200).json();
        let entries = page["instances"].as_array().expect("instances");
        assert!(entries.len() <= 2, "{page}");
        found.extend(entries.iter().map(|entry| entry["instance_id"].as_str().expect("an id").to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let mut wanted = ids.clone();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    for body in [json!({ "instance": ids[0] }), json!({ "instance_id": "no-guid" }), json!([])] {
        bed.api("POST", "/v1/parked-events/redeliver").json(&body).send().expect(400);
    }
    // `null` counts as absent.
    bed.api("POST", "/v1/parked-events/redeliver").json(&json!({ "instance_id": null })).send().expect(202);
    wait_for_parked(&bed, &BTreeMap::new());
}
