//! What an event costs in the object of its installation, as Cloudflare bills it: requests, alarms, rows written (index
//! entries and `setAlarm` count) and rows read. docs/performance.md calculates with these figures.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::events::{Bed, flat};
use crate::harness::{Delivery, Reaction, guid};

/// How many rows may be read for an event of an installation without other pending events.
const ROWS_READ: u64 = 28;
/// How many attempts one invocation makes.
const ATTEMPTS: u64 = 40;

/// A Worker that compares each installation with Wix once a day, as it does by default.
fn start() -> Bed {
    Bed::with(|values| values.with("RECHECK_HOURS", "24"))
}

fn number(measured: &Value, name: &str) -> u64 {
    measured[name].as_u64().unwrap_or_else(|| panic!("{name} is missing: {measured}"))
}

/// The rows written as they are billed.
fn written(measured: &Value) -> u64 {
    number(measured, "rows") + number(measured, "set_alarms")
}

/// Waits until so many deliveries are in the log, and so in the storage.
fn wait_for_lines(bed: &Bed, count: usize) {
    let until = Instant::now() + Duration::from_secs(20);
    while bed.log.entries().iter().filter(|line| line["outcome"] == "delivered").count() < count {
        assert!(Instant::now() < until, "{count} deliveries must be in the log");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends events 2 to 11 of an installation one after the other, and returns what they cost.
fn ten_events(bed: &Bed, instance: &str) -> Value {
    bed.outcome(&flat(instance, 1));
    wait_for_lines(bed, 1);
    // The deferred task reports to the object that the installation exists.
    bed.log.wait_for("the report", |line| line["route"] == "task settle");
    bed.measured("reset");
    for number in 2..=11 {
        bed.outcome(&flat(instance, number));
        wait_for_lines(bed, number as usize);
    }
    bed.measured("")
}

#[test]
fn an_event_costs_one_request_and_at_most_four_rows() {
    let bed = start();
    let instance = guid();
    // They come while the alarm of the first event is set, and share it.
    let measured = ten_events(&bed, &instance);
    println!("ten events: {measured}");
    assert_eq!((number(&measured, "requests"), number(&measured, "attempts")), (10, 10), "{measured}");
    // Its row, the entry of its key, and the change on delivery.
    assert_eq!(number(&measured, "rows"), 30, "{measured}");
    assert!(written(&measured) <= 40, "{measured}");
    assert!(number(&measured, "alarms") <= 10, "{measured}");
    assert!(number(&measured, "rows_read") <= 10 * ROWS_READ, "{measured}");

    bed.measured("reset");
    for number in 2..=11 {
        assert_eq!(bed.outcome(&flat(&instance, number)), "known");
    }
    let measured = bed.measured("");
    println!("ten copies: {measured}");
    assert_eq!((number(&measured, "requests"), number(&measured, "attempts")), (10, 0), "{measured}");
    assert_eq!(written(&measured), 0, "a copy writes nothing: {measured}");
}

/// Each of these sets an alarm of its own, as an event does that comes after the alarm of the one before it.
#[test]
fn an_event_that_comes_by_itself_costs_four_rows() {
    let bed = start();
    bed.measured("fail=no-alarm");
    let measured = ten_events(&bed, &guid());
    assert_eq!(number(&measured, "requests"), 10, "{measured}");
    assert_eq!((number(&measured, "set_alarms"), written(&measured)), (10, 40), "{measured}");
}

/// The alarm of an event that was delivered comes once, finds nothing to do, and sets the one of the next comparison with Wix.
#[test]
fn the_alarm_of_a_delivered_event_only_sets_the_next_one() {
    let bed = start();
    bed.outcome(&flat(&guid(), 1));
    wait_for_lines(&bed, 1);
    bed.log.wait_for("the report", |line| line["route"] == "task settle");
    println!("the first event, which creates the tables: {}", bed.measured(""));
    bed.measured("reset");
    let until = Instant::now() + Duration::from_secs(50);
    while number(&bed.measured(""), "alarms") == 0 {
        assert!(Instant::now() < until, "the alarm must come after 30 s");
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_millis(300));
    let measured = bed.measured("");
    println!("the alarm: {measured}");
    assert_eq!(
        (number(&measured, "alarms"), number(&measured, "attempts"), written(&measured)),
        (1, 0, 1),
        "{measured}"
    );
    assert!(number(&measured, "rows_read") <= ROWS_READ, "{measured}");
}

/// Cloudflare bills the duration of an object that is in memory and cannot hibernate. workerd ends an object ten seconds
/// after it last had anything to wait for.
#[test]
fn an_object_waits_for_nothing_after_a_delivery() {
    let bed = start();
    let instance = guid();
    bed.outcome(&flat(&instance, 1));
    wait_for_lines(&bed, 1);
    std::thread::sleep(Duration::from_millis(12_500));
    bed.outcome(&flat(&instance, 2));
    let measured = bed.measured("");
    assert_eq!(number(&measured, "objects"), 2, "the object of the first event must have ended: {measured}");
}

/// An event is forgotten five days after its delivery, by the next alarm.
#[test]
fn to_forget_an_event_costs_one_row() {
    let mut bed = Bed::start();
    let instance = guid();
    for number in 1..=10 {
        bed.outcome(&flat(&instance, number));
    }
    wait_for_lines(&bed, 10);
    bed.set("CLOCK_OFFSET_SECONDS", &(6 * 86_400).to_string());
    bed.outcome(&flat(&instance, 11));
    bed.measured("reset");
    let until = Instant::now() + Duration::from_secs(50);
    while number(&bed.measured(""), "rows") == 0 {
        assert!(Instant::now() < until, "the alarm must come after 30 s");
        std::thread::sleep(Duration::from_millis(100));
    }
    let measured = bed.measured("");
    println!("ten events are forgotten: {measured}");
    assert_eq!(written(&measured), 10, "{measured}");
}

/// The free plan allows fifty subrequests for each invocation.
#[test]
fn an_invocation_makes_forty_attempts_and_the_alarm_goes_on_at_once() {
    const EVENTS: u32 = 100;
    let bed = start();
    let instance = guid();
    bed.receiver.answer_always(Some(Reaction::Status(500)));
    bed.outcome(&flat(&instance, 1));
    bed.receiver.wait_for(1);
    // The others are accepted while the first one waits for its second attempt, five seconds later, or fails again.
    for number in 2..=EVENTS {
        bed.outcome(&flat(&instance, number));
    }
    bed.measured("reset");
    bed.receiver.answer_always(None);
    wait_for_lines(&bed, EVENTS as usize);
    let deliveries = bed.receiver.deliveries();
    let delivered: Vec<u64> = deliveries[deliveries.len() - EVENTS as usize..].iter().map(Delivery::sequence).collect();
    assert_eq!(delivered, (1..=u64::from(EVENTS)).collect::<Vec<_>>());
    std::thread::sleep(Duration::from_millis(300));

    let measured = bed.measured("");
    println!("{EVENTS} events that waited: {measured}");
    // On a slow machine one more attempt may have failed before.
    let runs = measured["alarm_runs"].as_array().expect("a list");
    let attempts: Vec<u64> = runs.iter().map(|run| number(run, "attempts")).collect();
    assert!(attempts.ends_with(&[ATTEMPTS, ATTEMPTS, 20]) && attempts.len() <= 4, "{measured}");
    for pair in runs[runs.len() - 3..].windows(2) {
        let pause = number(&pair[1], "started").saturating_sub(number(&pair[0], "ended"));
        assert!(pause < 2_000, "the next invocation came after {pause} ms: {measured}");
    }
    // One for each delivery, one for each run that left events or failed, and two alarms for each run.
    let count = attempts.len() as u64;
    assert!(number(&measured, "rows") < u64::from(EVENTS) + count, "{measured}");
    assert!(number(&measured, "set_alarms") <= 2 * count, "{measured}");
    assert_eq!(number(&measured, "requests"), 0, "{measured}");
}
