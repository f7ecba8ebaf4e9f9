//! Each change of an installation is an event of our own, which the app gets exactly once, after the webhook that caused it.

use serde_json::{Value, json};
use workerd::{Fault, Kind, Op};

use super::bed::Bed;
use crate::harness::{Flow, Jar, Message, Request, now};

const INSTALLED: &str = "installation.installed";
const REMOVED: &str = "installation.removed";
const NEEDS_RECONNECT: &str = "installation.needs_reconnect";
const RECONNECTED: &str = "installation.reconnected";
const PLAN_CHANGED: &str = "installation.plan_changed";

/// Installs the app at Wix without a webhook.
fn at_wix(bed: &Bed) -> String {
    // The messages of these tests say all that is known: the Worker may not ask Wix for more.
    bed.wix.switch(&json!({ "webhook_drop": true, "permission_manage_app_instance": false }));
    let made = bed.wix.post("/_sim/installs", &json!({}));
    made["instance"]["instance_id"].as_str().expect("an id").to_owned()
}

fn installed(bed: &Bed, id: &str) -> Message {
    let data = json!({ "appId": bed.wix.app.app_id, "originInstanceId": "" });
    Message::new("AppInstalled", id, &data).at(now() - 100)
}

fn removed(bed: &Bed, id: &str) -> Message {
    Message::new("AppRemoved", id, &json!({ "appId": bed.wix.app.app_id }))
}

fn plan(id: &str, product: &str) -> Message {
    Message::new("PaidPlanPurchased", id, &json!({ "vendorProductId": product }))
}

/// A valid callback of an install flow.
fn callback(bed: &Bed, id: &str) -> Request {
    let mut jar = Jar::default();
    let flow = Flow::begin_at(bed.url(), &mut jar, None);
    jar.request(Flow::callback(bed.url(), &bed.wix.code(id), id, &flow.state))
}

/// Waits until the deferred task of a request has ended.
fn settle(bed: &Bed, request_id: &str) {
    bed.log.wait_for("the deferred task", |line| {
        line["request_id"] == request_id && line["route"].as_str().is_some_and(|route| route.starts_with("task "))
    });
}

fn webhook(bed: &Bed, message: &Message) {
    let line = bed.line(message);
    // On a slow machine the webhook may be sent again. Then the Cron Trigger reports it, if its first deferred task did not.
    if line["outcome"] == "stored" {
        settle(bed, line["request_id"].as_str().expect("a request id"));
    }
}

fn redirect(bed: &Bed, id: &str) {
    let response = callback(bed, id).send().expect(302);
    settle(bed, response.request_id());
}

/// Asserts that the app got exactly these events of an installation, in this order, numbered without gaps. Returns them.
#[track_caller]
fn assert_told(bed: &Bed, id: &str, types: &[&str]) -> Vec<Value> {
    for sequence in 1..=types.len() {
        bed.wait_for_event(id, sequence, |event| event["state"] == "delivered");
    }
    let stored: Vec<String> =
        bed.events(id).iter().map(|event| event["type"].as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!(stored, types, "the events of the object");
    let deliveries = bed.receiver.deliveries().into_iter().map(|delivery| delivery.json());
    let deliveries: Vec<Value> = deliveries.filter(|body| body["instance_id"] == *id).collect();
    for (sequence, (body, name)) in (1..).zip(deliveries.iter().zip(types)) {
        let source = if name.starts_with("installation.") { "wix-edge" } else { "wix" };
        let wanted = (json!(name), json!(sequence), json!(source));
        assert_eq!((body["type"].clone(), body["sequence"].clone(), body["source"].clone()), wanted, "{deliveries:?}");
    }
    assert_eq!(deliveries.len(), types.len(), "each once: {deliveries:?}");
    deliveries
}

/// Asserts that neither the Cron Trigger nor a restart tells anything again.
fn assert_nothing_is_left(bed: &mut Bed, id: &str, types: &[&str]) {
    bed.cron();
    bed.restart();
    bed.cron();
    assert_told(bed, id, types);
    // The record of a removed installation is erased in a year.
    let tomorrow = u64::try_from(now()).expect("a time") + 86_400;
    let is_due =
        |key: &str| key.split(':').nth(2).and_then(|due| due.parse::<u64>().ok()).is_some_and(|due| due < tomorrow);
    let left: Vec<String> = bed.kv.entries("v1:todo:").into_iter().map(|entry| entry.key).collect();
    assert!(!left.iter().any(|key| is_due(key)), "no recheck is left: {left:?}");
}

fn instance(bed: &Bed, id: &str) -> Value {
    bed.api("GET", &format!("/v1/instances/{id}")).send().expect(200).json()
}

#[test]
fn an_installation_by_webhook_is_told_with_the_whole_instance() {
    let mut bed = Bed::start();
    let id = at_wix(&bed);
    let message = installed(&bed, &id);
    webhook(&bed, &message);
    let types = ["AppInstalled", INSTALLED];
    let told = assert_told(&bed, &id, &types).remove(1);
    let iat = message.claims["iat"].as_i64().expect("a time");
    let wanted = json!({
        "type": INSTALLED, "timestamp": rfc3339(iat), "instance_id": id, "sequence": 2, "source": "wix-edge",
        "data": instance(&bed, &id), "anonymize": false,
    });
    assert_eq!(told, wanted);
    assert_eq!((&told["data"]["status"], &told["data"]["installed_at"]), (&json!("installed"), &json!(iat)));
    // A copy of the webhook.
    bed.line(&message);
    assert_nothing_is_left(&mut bed, &id, &types);
}

fn rfc3339(seconds: i64) -> String {
    chrono::DateTime::from_timestamp(seconds, 0).expect("a time").to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

#[test]
fn an_installation_by_redirect_is_told_and_the_webhook_after_it_tells_nothing_new() {
    let mut bed = Bed::start();
    let id = at_wix(&bed);
    redirect(&bed, &id);
    let told = assert_told(&bed, &id, &[INSTALLED]).remove(0);
    assert_eq!(told["data"], instance(&bed, &id));
    assert_eq!(told["data"]["auth"], "custom");
    webhook(&bed, &installed(&bed, &id));
    assert_nothing_is_left(&mut bed, &id, &[INSTALLED, "AppInstalled"]);
}

#[test]
fn webhook_and_redirect_at_the_same_time_tell_one_installation() {
    let mut bed = Bed::start();
    let ids: Vec<String> = (0..5).map(|_| at_wix(&bed)).collect();
    std::thread::scope(|scope| {
        for id in &ids {
            let bed = &bed;
            scope.spawn(move || webhook(bed, &installed(bed, id)));
            scope.spawn(move || redirect(bed, id));
        }
    });
    bed.cron();
    bed.restart();
    bed.cron();
    for id in &ids {
        let types: Vec<String> =
            bed.events(id).iter().map(|event| event["type"].as_str().unwrap_or_default().to_owned()).collect();
        // The redirect may be the first.
        let wanted = [["AppInstalled", INSTALLED], [INSTALLED, "AppInstalled"]];
        let wanted = wanted.into_iter().find(|wanted| types == *wanted).unwrap_or_else(|| panic!("{types:?}"));
        assert_told(&bed, id, &wanted);
    }
}

#[test]
fn a_removal_a_plan_and_a_reinstallation_are_told_after_their_webhooks() {
    let mut bed = Bed::start();
    let id = at_wix(&bed);
    let mut types = Vec::new();
    let changes: [(Message, &str); 5] = [
        (installed(&bed, &id).at(now() - 2_000), INSTALLED),
        (plan(&id, "gold").at(now() - 1_900), PLAN_CHANGED),
        (plan(&id, "silver").at(now() - 1_800), PLAN_CHANGED),
        (removed(&bed, &id).at(now() - 1_700), REMOVED),
        // Later than the time in which an equal message is a copy.
        (installed(&bed, &id).at(now() - 1_300), INSTALLED),
    ];
    for (message, own) in &changes {
        webhook(&bed, message);
        types.extend([message.envelope["eventType"].as_str().expect("a type"), own]);
        if types.len() == 10 {
            // The plan of the earlier installation does not count.
            types.push(PLAN_CHANGED);
        }
        let told = assert_told(&bed, &id, &types).pop().expect("an event");
        assert_eq!(told["data"], instance(&bed, &id), "{own}");
        assert_eq!(told["timestamp"], rfc3339(message.claims["iat"].as_i64().expect("a time")));
    }
    let told = assert_told(&bed, &id, &types);
    let seen = |at: usize, name: &str| told[at]["data"][name].clone();
    assert_eq!(
        (seen(5, "plan"), seen(7, "status"), seen(9, "status")),
        ("silver".into(), "removed".into(), "installed".into())
    );
    // A late copy of the removal is an event of Wix's that is known, and no change.
    assert_eq!(bed.outcome(&changes[3].0), "known");
    assert_nothing_is_left(&mut bed, &id, &types);
}

#[test]
fn refused_tokens_and_the_first_new_token_are_told_once_each() {
    let mut bed = Bed::start();
    let id = at_wix(&bed);
    webhook(&bed, &installed(&bed, &id));
    let token = format!("/v1/instances/{id}/token");
    bed.wix.refuse_with(&id, "oauth2_token", 40, 400);
    for _ in 0..2 {
        assert_eq!(bed.api("POST", &token).send().expect(409).code(), "needs_reconnect");
    }
    let mut types = vec!["AppInstalled", INSTALLED, NEEDS_RECONNECT];
    let told = assert_told(&bed, &id, &types).remove(2);
    assert_eq!(told["data"], instance(&bed, &id));
    assert_eq!(told["data"]["status"], "needs_reconnect");
    bed.wix.remove_faults(&id);
    // The cool-down of the object has ended.
    bed.restart_ahead(600);
    for _ in 0..2 {
        bed.api("POST", &token).send().expect(200);
    }
    types.push(RECONNECTED);
    let told = assert_told(&bed, &id, &types).remove(3);
    assert_eq!(told["data"], instance(&bed, &id));
    assert_eq!(told["data"]["status"], "installed");
    assert_nothing_is_left(&mut bed, &id, &types);
}

#[test]
fn an_installation_from_before_the_target_is_silent() {
    let mut bed = Bed::with(|values| values.with("EVENTS_URL", ""));
    let (id, other) = (at_wix(&bed), at_wix(&bed));
    for id in [&id, &other] {
        webhook(&bed, &installed(&bed, id));
        webhook(&bed, &plan(id, "gold").at(now() - 50));
    }
    let url = bed.receiver.url.clone();
    bed.values = bed.values.clone().with("EVENTS_URL", url);
    bed.restart();
    bed.cron();
    assert_told(&bed, &id, &[]);
    // The plan is the same.
    webhook(&bed, &plan(&id, "gold"));
    let bought = "PaidPlanPurchased";
    assert_told(&bed, &id, &[bought]);
    webhook(&bed, &plan(&id, "silver").at(now() + 1));
    let types = [bought, bought, PLAN_CHANGED];
    let told = assert_told(&bed, &id, &types).remove(2);
    assert_eq!(told["data"], instance(&bed, &id));
    assert_nothing_is_left(&mut bed, &id, &types);
    assert_told(&bed, &other, &[]);
}

#[test]
fn a_change_whose_report_was_lost_with_the_process_is_told_by_the_cron_trigger() {
    let mut bed = Bed::start();
    let id = at_wix(&bed);
    // The first listing belongs to the request, the second to its deferred task, which then reports.
    let slow = Kind::Delay(std::time::Duration::from_secs(20));
    bed.kv.add_fault(Fault::new(slow).on(Op::List).prefix("v1:fact:").after(1));
    assert_eq!(bed.outcome(&installed(&bed, &id)), "stored");
    // A delivery that is not noted would be repeated.
    bed.wait_for_attempts(1);
    bed.workerd = None;
    bed.kv.clear_faults();
    bed.run(None);
    assert_told(&bed, &id, &["AppInstalled"]);
    bed.cron();
    let types = ["AppInstalled", INSTALLED];
    let told = assert_told(&bed, &id, &types).remove(1);
    assert_eq!(told["data"], instance(&bed, &id));
    assert_nothing_is_left(&mut bed, &id, &types);
}

/// The object stores the change and fails to answer, so that it is reported again.
#[test]
fn a_report_whose_answer_was_lost_tells_nothing_twice() {
    let mut bed = Bed::start();
    let id = at_wix(&bed);
    bed.measured("fail=lost&on=/report");
    webhook(&bed, &installed(&bed, &id));
    let line = bed.log.wait_for("the failed report", |line| line["route"] == "task settle");
    assert_eq!(line["error"], "store_failed", "{line}");
    bed.measured("fail=");
    let types = ["AppInstalled", INSTALLED];
    assert_told(&bed, &id, &types);
    assert_nothing_is_left(&mut bed, &id, &types);
}
