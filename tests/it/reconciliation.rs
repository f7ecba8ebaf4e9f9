//! The comparison of all installations with Wix, in real workerd: webhooks of installations, removals and plans are lost, and
//! one round puts every record right.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{IN_10_MINUTES, Isolate, NOW, TIMEOUT, Testbed, Values, next_second, now, request};

/// The objects. For them, the installations are older than an hour.
const OBJECTS: Isolate = ("objects", 2 * 3_600);
/// How often installations are compared, in hours. So rarely that hardly any object does it by its own alarm meanwhile.
const EVERY: u32 = 1_000;
/// A round later.
const NEXT: Isolate = ("next", (EVERY + 3) * 3_600);
const ISOLATES: [Isolate; 4] = [NOW, IN_10_MINUTES, OBJECTS, NEXT];
/// How many installations the check with objects has; `DRIFT` sets another number. A fifth each has lost a removal, a
/// reinstallation, a purchase and the end of a plan.
const INSTALLATIONS: usize = 200;
/// How many the check without objects has.
const WITHOUT_OBJECTS: usize = 60;
/// How many requests are sent at a time.
const AT_ONCE: usize = 4;

/// An installation, and what happens to it while webhooks are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drift {
    None,
    Removed,
    Reinstalled,
    Bought,
    Ended,
}

impl Drift {
    fn of(number: usize) -> Self {
        [Self::None, Self::Removed, Self::Reinstalled, Self::Bought, Self::Ended][number % 5]
    }
}

/// Does something with each number below `count`, some at a time.
fn each(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    work(number);
                }
            });
        }
    });
}

fn at(bed: &Testbed, id: &str, action: &str) -> String {
    bed.wix.at(&format!("/_sim/instances/{id}/{action}"))
}

/// Waits until the webhooks of an installation are delivered. On a loaded machine they may be sent again.
fn settle(bed: &Testbed, id: &str) {
    let deliveries = bed.wix.at(&format!("/_sim/deliveries?instance_id={id}&wait_ms=30000"));
    assert_eq!(request("GET", deliveries).send().expect(200).json()["settled"], true);
}

/// Installs the app on many sites, and lets the records agree with Wix.
fn install(bed: &Testbed, count: usize, per_run: usize) -> Vec<String> {
    bed.wix.switch(&json!({ "rate_limit_per_minute": 0, "webhook_retry_schedule_seconds": vec![1; 30] }));
    let ids: Vec<std::sync::OnceLock<String>> = (0..count).map(|_| std::sync::OnceLock::new()).collect();
    let plan = json!({ "vendor_product_id": "gold" });
    each(count, |number| {
        let instance = bed.wix.post("/_sim/installs", &json!({}))["instance"]["instance_id"].clone();
        let id = ids[number].get_or_init(|| instance.as_str().expect("an id").to_owned());
        if Drift::of(number) == Drift::Ended {
            request("POST", at(bed, id, "plan")).json(&plan).send().expect(200);
        }
        settle(bed, id);
    });
    let ids: Vec<String> = ids.into_iter().map(|id| id.into_inner().expect("an id")).collect();
    next_second();
    each(count, |number| {
        if Drift::of(number) == Drift::Reinstalled {
            request("POST", at(bed, &ids[number], "remove")).json(&json!({})).send().expect(200);
            settle(bed, &ids[number]);
        }
    });
    // A whole round, so that the next one begins with the first installation.
    for _ in 0..count.div_ceil(per_run) {
        bed.cron(IN_10_MINUTES).send().expect(200);
    }
    // Each recheck asks Wix what the site has.
    let until = Instant::now() + 4 * TIMEOUT;
    while bed.kv.entries("v1:todo:").iter().any(|entry| is_due(&entry.key)) {
        assert!(Instant::now() < until, "rechecks are left");
        bed.cron(IN_10_MINUTES).send().expect(200);
    }
    ids
}

/// Whether a recheck is due in the isolate whose Cron Trigger runs them.
fn is_due(key: &str) -> bool {
    let due: i64 = key.split(':').nth(2).and_then(|due| due.parse().ok()).expect("a time");
    due < now() + i64::from(IN_10_MINUTES.1)
}

/// Lets webhooks be lost.
fn drift(bed: &Testbed, ids: &[String]) {
    bed.wix.switch(&json!({ "webhook_drop": true }));
    each(ids.len(), |number| {
        let (action, body) = match Drift::of(number) {
            Drift::None => return,
            Drift::Removed => ("remove", json!({})),
            Drift::Reinstalled => ("reinstall", json!({})),
            Drift::Bought => ("plan", json!({ "vendor_product_id": "silver" })),
            Drift::Ended => ("plan", json!({})),
        };
        request("POST", at(bed, &ids[number], action)).json(&body).send().expect(200);
    });
}

/// Status and plan of a record: what Wix states, and what the Worker has.
fn stated(bed: &Testbed, id: &str) -> [(Value, Value); 2] {
    let wix = request("GET", bed.wix.at(&format!("/_sim/instances/{id}"))).send().expect(200).json();
    let record = bed.api(NEXT, "GET", &format!("/v1/instances/{id}")).send().expect(200).json();
    let is_removed = record["status"] == "removed";
    let lines = || bed.log.since(0).into_iter().filter(|line| line.contains(id)).collect::<Vec<_>>();
    assert!(is_removed || record["is_free"] == record["plan"].is_null(), "{record}: {:#?}", lines());
    [
        (wix["status"].clone(), if is_removed { Value::Null } else { wix["plan"]["vendor_product_id"].clone() }),
        (record["status"].clone(), record["plan"].clone()),
    ]
}

/// How many records differ from Wix.
fn wrong(bed: &Testbed, ids: &[String]) -> usize {
    let wrong = AtomicUsize::new(0);
    each(ids.len(), |number| {
        let [wix, record] = stated(bed, &ids[number]);
        if wix != record {
            wrong.fetch_add(1, Ordering::Relaxed);
        }
    });
    wrong.into_inner()
}

fn figures(bed: &Testbed) -> Value {
    bed.api(NEXT, "GET", "/v1/reconciliation").send().expect(200).json()
}

fn rarely(values: Values) -> Values {
    values.with("RECHECK_HOURS", EVERY.to_string()).with("EVENTS_TYPES", "installation.*")
}

/// Seeds the drift, and checks what one round makes of it. Returns how long the round took.
fn check(bed: &Testbed, count: usize, per_run: usize) -> Duration {
    let ids = install(bed, count, per_run);
    let before: Vec<[(Value, Value); 2]> = ids.iter().take(5).map(|id| stated(bed, id)).collect();
    assert!(before.iter().all(|[wix, record]| wix == record), "{before:?}");
    drift(bed, &ids);
    let fifth = count / 5;
    assert_eq!(wrong(bed, &ids), 4 * fifth);
    if let Some(receiver) = &bed.receiver {
        receiver.clear();
    }
    let started = Instant::now();
    for _ in 0..count.div_ceil(per_run) {
        bed.cron(NEXT).send().expect(200);
    }
    let took = started.elapsed();
    assert_eq!(wrong(bed, &ids), 0);
    let is = figures(bed);
    assert!(is["compared"].as_u64() >= Some(count as u64), "{is}");
    assert_eq!(is["repaired"], json!(4 * fifth), "{is}");
    assert_eq!(is["repairs"], json!({ "installed": fifth, "removed": fifth, "plan": 2 * fifth }));
    if let Some(receiver) = &bed.receiver {
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for delivery in receiver.wait_for(4 * fifth) {
            *told.entry(delivery.json()["type"].as_str().expect("a type").to_owned()).or_default() += 1;
        }
        let wanted = [("installed", fifth), ("plan_changed", 2 * fifth), ("removed", fifth)];
        let wanted = wanted.map(|(name, count)| (format!("installation.{name}"), count));
        assert_eq!(told.into_iter().collect::<Vec<_>>(), wanted);
    }
    // The round is complete: the next run compares nothing, and changes no record.
    let records = || ["v1:fact:", "v1:instance:", "v1:reconciliation"].map(|prefix| keys_and_values(bed, prefix));
    let calls = || bed.wix.state()["calls"].as_array().map(Vec::len);
    let before = (records(), calls());
    bed.cron(NEXT).send().expect(200);
    assert!(before == (records(), calls()), "a run after the round has changed something");
    took
}

fn keys_and_values(bed: &Testbed, prefix: &str) -> Vec<(String, Vec<u8>)> {
    bed.kv.entries(prefix).into_iter().map(|entry| (entry.key, entry.value)).collect()
}

#[test]
fn one_round_of_the_objects_puts_every_record_right() {
    let count = std::env::var("DRIFT").ok().and_then(|count| count.parse().ok()).unwrap_or(INSTALLATIONS);
    let bed = Testbed::delivering_in(&ISOLATES, OBJECTS, rarely);
    bed.receiver.as_ref().expect("a receiver").expect_ahead(i64::from(OBJECTS.1));
    println!("{count} installations are compared in {:?}", check(&bed, count, 40));
}

#[test]
fn one_round_of_the_cron_trigger_puts_every_record_right() {
    let bed = Testbed::with_isolates(&ISOLATES, rarely);
    println!("{WITHOUT_OBJECTS} installations are compared in {:?}", check(&bed, WITHOUT_OBJECTS, 12));
}
