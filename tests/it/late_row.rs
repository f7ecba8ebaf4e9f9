//! Read repair: webhook and redirect write the row of a new instance at the same moment, and the webhook's row is written
//! last, without the fact of the redirect. The row is stale, but the facts are complete. The webhook's deferred task
//! repairs the row a second later; if that task is lost, the Cron Trigger repairs it.

use std::time::{Duration, Instant};

use serde_json::json;
use workerd::{Fault, Kind, Op};

use crate::harness::{Flow, IN_10_MINUTES, Jar, NOW, Testbed, parameter, request};

/// Less than the time that a webhook allows for KV.
const ROW_DELAY: Duration = Duration::from_millis(800);

/// Installs the app, and returns the instance id. A fault delays the webhook's write of the row, so that the redirect
/// writes its row first. Runs `and` before the delayed write. Retries if the redirect took longer than the delay.
fn install(bed: &Testbed, and: impl Fn(&str)) -> String {
    let installed = (0..20).find_map(|_| try_install(bed, &and));
    installed.expect("a redirect that ends before the webhook's write of the row")
}

fn try_install(bed: &Testbed, and: impl Fn(&str)) -> Option<String> {
    bed.kv.clear_faults();
    bed.wix.switch(&json!({ "webhook_hold": true }));
    let mut jar = Jar::default();
    let callback = Flow::begin_at(bed.url(), &mut jar, None).consent(&bed.wix.site());
    let id = parameter(&callback, "instanceId");
    let row = Fault::new(Kind::Delay(ROW_DELAY)).on(Op::Write).prefix(format!("v1:instance:{id}")).times(1);
    bed.kv.add_fault(row);
    std::thread::scope(|scope| {
        scope.spawn(|| request("POST", bed.wix.at("/_sim/deliveries/release")).send().expect(200));
        // The webhook has read KV, which had no row yet, and its write of the row is in flight.
        let facts = format!("v1:fact:{id}:");
        until("the webhook's write of the row", || bed.kv.in_flight() == 1 && !bed.kv.entries(&facts).is_empty());
        let response = jar.get(&callback).expect(302);
        bed.wait_for_tasks(&response);
        and(&id);
        // The write must still be in flight.
        (bed.kv.in_flight() == 1).then(|| id.clone())
    })
}

fn auth(bed: &Testbed, id: &str) -> String {
    let record = bed.api(NOW, "GET", &format!("/v1/instances/{id}")).send().expect(200).json();
    record["auth"].as_str().expect("a string").to_owned()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "timeout: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_deferred_task_of_the_writer_repairs_the_row() {
    let bed = Testbed::start(|values| values);
    let id = install(&bed, |_| {});
    until("the row lacks the redirect's fact", || auth(&bed, &id) == "oauth");
    until("the row has the redirect's fact", || auth(&bed, &id) == "custom");
}

#[test]
fn the_cron_trigger_repairs_the_row_if_the_deferred_task_is_lost() {
    let bed = Testbed::start(|values| values);
    // The fault makes the deferred task fail, as if the isolate had ended.
    let gone = |id: &str| Fault::new(Kind::Status(500)).on(Op::List).prefix(format!("v1:fact:{id}:"));
    let id = install(&bed, |id| bed.kv.add_fault(gone(id)));
    let is_its_task = |entry: &serde_json::Value| entry["route"] == "task settle" && entry["error"].is_string();
    bed.log.wait_for("the failed task of the webhook", is_its_task);
    bed.kv.clear_faults();
    assert_eq!(auth(&bed, &id), "oauth", "the row must lack the redirect's fact");
    bed.cron(IN_10_MINUTES).send().expect(200);
    assert_eq!(auth(&bed, &id), "custom");
}
