//! Statistics by day, in real workerd.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bed::{Bed, flat};
use crate::harness::{Message, TIMEOUT, guid, now};

/// The sums of the latest two days: a test may run at midnight.
fn sums(bed: &Bed) -> [u64; 4] {
    let answer = bed.api("GET", "/v1/statistics?days=2").send().expect(200).json();
    let days = answer["days"].as_array().expect("days").clone();
    assert_eq!(days.len(), 2, "{answer}");
    ["installs", "removals", "delivered", "parked"].map(|name| days.iter().filter_map(|day| day[name].as_u64()).sum())
}

#[track_caller]
fn wait_for(bed: &Bed, wanted: [u64; 4]) {
    let until = Instant::now() + TIMEOUT;
    while sums(bed) != wanted {
        assert!(Instant::now() < until, "{:?} must become {wanted:?}", sums(bed));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn installs_and_removals_count_at_once_and_deliveries_an_hour_later() {
    let mut bed = Bed::start();
    let days = bed.api("GET", "/v1/statistics?days=90").send().expect(200).json()["days"].clone();
    let dates: Vec<&Value> = days.as_array().expect("days").iter().map(|day| &day["date"]).collect();
    assert_eq!(dates.len(), 90);
    assert!(dates.is_sorted_by_key(|date| date.as_str().expect("a date")));
    bed.api("GET", "/v1/statistics?days=91").send().expect(400);

    let app = json!({ "appId": bed.wix.app.app_id, "originInstanceId": "" });
    let ids = [guid(), guid()];
    for id in &ids {
        bed.outcome(&Message::new("AppInstalled", id, &app).at(now() - 100));
        bed.outcome(&Message::new("AppInstalled", id, &app).at(now() - 100));
    }
    wait_for(&bed, [2, 0, 0, 0]);
    bed.outcome(&Message::new("AppRemoved", &ids[0], &app));
    wait_for(&bed, [2, 1, 0, 0]);

    // Three events of Wix's, and three of our own.
    bed.wait_for_attempts(6);
    bed.restart_ahead(3_700);
    for id in &ids {
        bed.outcome(&flat(id, 1));
    }
    // A report follows a delivery, which it has too unless both are of one millisecond: then the next report has it.
    let until = Instant::now() + TIMEOUT;
    while !(6..=8).contains(&sums(&bed)[2]) {
        assert!(Instant::now() < until, "{:?} must become 6 to 8 deliveries", sums(&bed));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(sums(&bed)[..2], [2, 1]);
}

#[test]
fn without_a_target_installs_count_too() {
    let bed = Bed::with(|values| values.with("EVENTS_URL", ""));
    let app = json!({ "appId": bed.wix.app.app_id, "originInstanceId": "" });
    bed.outcome(&Message::new("AppInstalled", &guid(), &app).at(now() - 100));
    wait_for(&bed, [1, 0, 0, 0]);
}
