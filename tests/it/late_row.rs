//! Webhook and browser write the row of a new instance at the same moment, and the webhook's comes last, without what the
//! browser brought: the row is late, never wrong. Whoever wrote it mends it a second later; where that writer is gone, the
//! Cron Trigger does.

use std::time::{Duration, Instant};

use serde_json::json;
use workerd::{Fault, Kind, Op};

use crate::harness::{Direct, Flow, Jar, LATER, NOW, ask, parameter};

/// Less than KV may take before a webhook's answer.
const ROW_LATE_BY: Duration = Duration::from_millis(800);

/// Installs the app. The webhook's row is written later than the webhook would have it, so that the browser's comes before
/// it; meanwhile `and` is done. Gives the instance. The browser has not much time: where it took longer, it is begun anew.
fn install(stand: &Direct, and: impl Fn(&str)) -> String {
    let installed = (0..20).find_map(|_| try_install(stand, &and));
    installed.expect("the browser comes between the webhook and its row")
}

fn try_install(stand: &Direct, and: impl Fn(&str)) -> Option<String> {
    stand.kv.clear_faults();
    stand.wix.switch(&json!({ "webhook_hold": true }));
    let mut jar = Jar::default();
    let callback = Flow::begin_at(stand.url(), &mut jar, None).agree(&stand.wix.site());
    let id = parameter(&callback, "instanceId");
    let row = Fault::new(Kind::Delay(ROW_LATE_BY)).on(Op::Write).prefix(format!("v1:instance:{id}")).times(1);
    stand.kv.add_fault(row);
    std::thread::scope(|scope| {
        scope.spawn(|| ask("POST", stand.wix.at("/_sim/deliveries/release")).send().expect(200));
        // The webhook has read KV, which shows nothing of the instance, and stands at the row.
        let facts = format!("v1:fact:{id}:");
        until("the webhook stands at the row", || stand.kv.in_flight() == 1 && !stand.kv.entries(&facts).is_empty());
        let answer = jar.get(&callback).expect(302);
        stand.settled(&answer);
        and(&id);
        // It still stands there.
        (stand.kv.in_flight() == 1).then(|| id.clone())
    })
}

fn auth(stand: &Direct, id: &str) -> String {
    let record = stand.api(NOW, "GET", &format!("/v1/instances/{id}")).send().expect(200).json();
    record["auth"].as_str().expect("a word").to_owned()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "it does not come to it: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn its_writer_mends_it() {
    let stand = Direct::start(|values| values);
    let id = install(&stand, |_| {});
    until("the row lacks what the browser brought", || auth(&stand, &id) == "oauth");
    until("the row has it again", || auth(&stand, &id) == "custom");
}

#[test]
fn the_cron_trigger_mends_it_where_its_writer_is_gone() {
    let stand = Direct::start(|values| values);
    // Its look after the answer fails, as if the isolate had ended.
    let gone = |id: &str| Fault::new(Kind::Status(500)).on(Op::List).prefix(format!("v1:fact:{id}:"));
    let id = install(&stand, |id| stand.kv.add_fault(gone(id)));
    let is_its_look = |entry: &serde_json::Value| entry["route"] == "task settle" && entry["error"].is_string();
    stand.log.wait_for("the look of the webhook that fails", is_its_look);
    stand.kv.clear_faults();
    assert_eq!(auth(&stand, &id), "oauth", "the row lacks what the browser brought, and nobody is left to look");
    stand.cron(LATER).send().expect(200);
    assert_eq!(auth(&stand, &id), "custom");
}
