//! What the record says of a site in the course of its life, against what the simulated Wix states: `is_free`, `plan` and
//! `status`. The events of both families are sent, with entities as text.
//!
//! The cases are in `record/cases.txt`. A case has a line for each hour in which something happens, with these columns:
//! - the hour,
//! - what happens, the acts separated by commas,
//! - what the record says by the events alone: status, plan, and whether the site pays,
//! - what it says when Wix was asked. That must be what Wix states.
//!
//! Nothing happens in an hour without acts, but the clock goes on. `UPDATE_TABLES=1` rewrites the file; a person must review
//! it.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Isolate, Message, TIMEOUT, Testbed, get, next_second, now};

const HOUR: u32 = 3_600;
/// Each hour has an isolate in which things happen, and one ten minutes later for the Cron Trigger.
const HOURS: [[Isolate; 2]; 4] = [
    [("hour 0", 0), ("cron 0", 600)],
    [("hour 1", HOUR), ("cron 1", HOUR + 600)],
    [("hour 2", 2 * HOUR), ("cron 2", 2 * HOUR + 600)],
    [("hour 3", 3 * HOUR), ("cron 3", 3 * HOUR + 600)],
];
const FILE: &str = "tests/it/record/cases.txt";

/// A case: its name, and what happens in each hour.
struct Case {
    name: String,
    acts: [String; 4],
    id: String,
    /// What the record says by the events alone, and after Wix was asked.
    said: Vec<[String; 2]>,
}

/// The cases of the file.
fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("  ") {
            None => {
                let name = line.trim_end_matches(':').to_owned();
                cases.push(Case { name, acts: Default::default(), id: String::new(), said: Vec::new() });
            }
            Some(line) => {
                let mut columns = line.split('|').map(str::trim);
                let hour: usize = columns.next().and_then(|hour| hour.parse().ok()).expect("an hour");
                let acts = columns.next().expect("acts").to_owned();
                cases.last_mut().expect("a name").acts[hour] = acts;
            }
        }
    }
    cases
}

fn written(cases: &[Case]) -> String {
    let mut text = String::new();
    for case in cases {
        let _ = writeln!(text, "{}{}:", if text.is_empty() { "" } else { "\n" }, case.name);
        for (hour, [told, asked]) in case.said.iter().enumerate() {
            let _ = writeln!(text, "  {hour} | {:60} | {told:28} | {asked}", case.acts[hour]);
        }
    }
    text
}

/// What a record says of a site.
fn said(record: &Value) -> String {
    let pays = match record.get("is_free").map(|is_free| is_free == &json!(true)) {
        Some(true) => "free",
        Some(false) => "paid",
        None => "?",
    };
    let text = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
    format!("{} {} {pays}", text("status"), text("plan"))
}

/// What the simulated Wix states. A removed site has no plan in the record.
fn stated(instance: &Value) -> String {
    let plan = instance["plan"]["vendor_product_id"].as_str();
    match instance["status"].as_str() {
        Some("removed") => "removed - ?".to_owned(),
        status => {
            format!(
                "{} {} {}",
                status.unwrap_or("?"),
                plan.unwrap_or("-"),
                if plan.is_some() { "paid" } else { "free" }
            )
        }
    }
}

fn iso(seconds: i64) -> String {
    chrono::DateTime::from_timestamp(seconds, 0).expect("a time").to_rfc3339()
}

fn act(bed: &Testbed, case: &mut Case, start: i64, hour: usize, text: &str) {
    let (wix, ahead) = (&bed.wix, i64::from(HOURS[hour][0].1));
    let words: Vec<&str> = text.split_whitespace().collect();
    let path = |end: &str| format!("/_sim/instances/{}/{end}", case.id);
    let fire = |event: &str, data: Value, omit: &[&str]| {
        wix.post(&path("events"), &json!({ "event_type": event, "data": data, "omit": omit }));
    };
    let data = |product: &str, cycle: &str, minutes: Option<&str>| {
        let mut data = json!({ "operationTimeStamp": iso(now() + ahead), "vendorProductId": product, "cycle": cycle });
        if let Some(minutes) = minutes {
            data["expiresOn"] = iso(now() + ahead + 60 * minutes.parse::<i64>().expect("minutes")).into();
        }
        data
    };
    let deliver = |message: Message| {
        bed.request(HOURS[hour][0], "POST", "/webhook").body(message.sign()).send().expect(200);
    };
    let at_hour = |hour: &str| start + i64::from(HOUR) * hour.parse::<i64>().expect("an hour");
    match words.as_slice() {
        ["install"] => {
            let installed = wix.post("/_sim/installs", &json!({}));
            installed["instance"]["instance_id"].as_str().expect("an id").clone_into(&mut case.id);
        }
        [verb @ ("remove" | "reinstall")] => drop(wix.post(&path(verb), &json!({}))),
        ["delete", "site"] => {
            let shown = get(wix.at(&format!("/_sim/instances/{}", case.id))).expect(200).json();
            let site = shown["site_id"].as_str().expect("a site").to_owned();
            wix.post(&format!("/_sim/sites/{site}/delete"), &json!({}));
        }
        ["buy", product, cycle, minutes @ ..] => {
            fire("PaidPlanPurchased", data(product, cycle, minutes.first().copied()), &[]);
        }
        ["upgrade", product, cycle] => fire("PaidPlanChanged", data(product, cycle, None), &[]),
        ["transfer", product, cycle] => fire("PlanTransferred", data(product, cycle, None), &[]),
        ["convert", product, cycle] => fire("PlanConvertedToPaid", data(product, cycle, None), &[]),
        ["reactivate", product, cycle, minutes] => fire("PlanReactivated", data(product, cycle, Some(minutes)), &[]),
        ["cancel", product] => {
            let data = json!({ "operationTimeStamp": iso(now() + ahead), "vendorProductId": product });
            fire("PaidPlanAutoRenewalCancelled", data, &[]);
        }
        ["invoice", status] => fire("InvoiceStatusUpdated", json!({ "status": status, "recurring": true }), &[]),
        ["bare", event, product] => {
            let omit = ["vendorProductId", "cycle", "operationTimeStamp", "expiresOn"];
            fire(event, data(product, "MONTHLY", None), &omit);
        }
        // The site's plan changes, and no event tells it.
        ["silently", "trial", product, minutes] => {
            let seconds = 60 * minutes.parse::<i64>().expect("minutes");
            let plan = json!({ "vendor_product_id": product, "cycle": "YEARLY", "trial_ends_in_seconds": seconds });
            wix.post(&path("plan"), &plan);
        }
        ["silently", "unpaid", product] => {
            let plan = json!({ "vendor_product_id": product, "cycle": "YEARLY", "expires_in_seconds": -60,
                "payment_failed": true });
            wix.post(&path("plan"), &plan);
        }
        ["silently", "uncancel", product] => {
            wix.post(&path("plan"), &json!({ "vendor_product_id": product, "cycle": "MONTHLY" }));
        }
        ["silently", "free"] => drop(wix.post(&path("plan"), &json!({}))),
        // A message about an earlier hour: signed then, or signed anew.
        ["late", "removal", "of", hour] => {
            let data = json!({ "appId": wix.app.app_id });
            deliver(Message::new("AppRemoved", &case.id, &data).at(at_hour(hour) - 2));
        }
        ["anew", "purchase", "of", product, "in", hour] => {
            let data = json!({ "operationTimeStamp": iso(at_hour(hour)), "vendorProductId": product });
            deliver(Message::new("PaidPlanPurchased", &case.id, &data).at(now() + ahead));
        }
        ["anew", "update", "of", hour] => {
            let entity = json!({ "appId": wix.app.app_id, "instanceId": case.id, "status": "INSTALLED" });
            let data = json!({ "eventTime": iso(at_hour(hour)), "updatedEvent": { "currentEntity": entity } });
            let kind = "wix.app.installations.v1.app_installation_updated";
            deliver(Message::new(kind, &case.id, &data).at(now() + ahead));
        }
        words => panic!("{}: {words:?} must be an act", case.name),
    }
}

/// Waits until the webhooks are delivered. On a loaded machine one may need a second attempt.
fn wait_for_deliveries(bed: &Testbed, id: &str) {
    let response = get(bed.wix.at(&format!("/_sim/deliveries?instance_id={id}&wait_ms=30000"))).expect(200).json();
    let deliveries = response["deliveries"].as_array().cloned().unwrap_or_default();
    assert!(deliveries.iter().all(|delivery| delivery["outcome"] == "delivered"), "{response}");
}

/// Waits until the deferred task of each stored event has ended. It repairs the row that another event of the same moment wrote.
fn wait_for_tasks(bed: &Testbed) {
    let until = Instant::now() + TIMEOUT;
    let is_task = |entry: &Value| entry["route"].as_str().is_some_and(|route| route.starts_with("task "));
    loop {
        let (tasks, others): (Vec<Value>, Vec<Value>) = bed.log.entries().into_iter().partition(is_task);
        let stored = others.iter().filter(|entry| entry["route"] == "/webhook" && entry["outcome"] == "stored");
        let ended: HashSet<&str> = tasks.iter().filter_map(|task| task["request_id"].as_str()).collect();
        if stored.into_iter().all(|entry| entry["request_id"].as_str().is_some_and(|id| ended.contains(id))) {
            return;
        }
        assert!(Instant::now() < until, "a deferred task has not ended");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_record_is_what_wix_states() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let wanted = std::fs::read_to_string(&file).expect("the file of the cases");
    let mut cases = cases(&wanted);
    let bed = Testbed::with_isolates(HOURS.as_flattened(), |values| values);
    let switches = json!({ "webhook_iat_clock": "simulated", "app_installation_events": true,
        "app_installation_text": true, "webhook_retry_schedule_seconds": [1, 1, 1, 1, 1, 1] });
    bed.wix.switch(&switches);
    let start = now();
    let record = |isolate, id: &str| bed.api(isolate, "GET", &format!("/v1/instances/{id}")).send().expect(200).json();
    for (hour, [isolate, cron]) in HOURS.into_iter().enumerate() {
        if hour > 0 {
            bed.wix.post("/_sim/clock", &json!({ "advance_seconds": HOUR }));
        }
        bed.register(isolate);
        // An event is later only in a later second.
        next_second();
        for case in &mut cases {
            for text in case.acts[hour].clone().split(',').map(str::trim).filter(|text| !text.is_empty()) {
                act(&bed, case, start, hour, text);
            }
        }
        for case in &cases {
            wait_for_deliveries(&bed, &case.id);
        }
        wait_for_tasks(&bed);
        let told: Vec<String> = cases.iter().map(|case| said(&record(isolate, &case.id))).collect();
        bed.cron(cron).send().expect(200);
        for (case, told) in cases.iter_mut().zip(told) {
            let asked = said(&record(cron, &case.id));
            let instance = get(bed.wix.at(&format!("/_sim/instances/{}", case.id))).expect(200).json();
            assert_eq!(asked, stated(&instance), "{}, hour {hour}: the record, and Wix", case.name);
            case.said.push([told, asked]);
        }
    }
    let is = written(&cases);
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&file, &is).expect("a writable file");
    } else {
        assert_eq!(is, wanted, "the cases differ from {FILE}");
    }
}
