//! Events are delivered to the app: signed, in order, durable, from the Durable Object of each installation in real workerd
//! with a database on disk.

mod bed;
mod costs;
mod erase;
mod listing;
mod lost_key;
mod metrics;
mod misconfigured;
mod own;
mod parked;
mod receive;
mod statistics;

use std::time::{Duration, Instant};

use serde_json::json;
use workerd::Worker;

pub use self::bed::{Bed, SECRETS, flat};
use self::bed::{ids, order};
use crate::harness::{Delivery, Message, Reaction, Receiver, guid, now};

#[test]
fn an_event_is_delivered_with_the_exact_body_and_headers() {
    let bed = Bed::start();
    let (instance, id, account, site) = (guid(), guid(), guid(), guid());
    let mut message = order(&instance, &id);
    let data = "{ \"id\":\"ID\", \"entityFqdn\":\"wix.ecom.v1.order\",\n \"big\":1e400, \"bad\":\"\\ud800\", \"twice\":1,\"twice\":2,\
                \"eventTime\":\"2026-01-01T00:00:05.123456Z\" }"
        .replace("ID", &id);
    message.envelope["data"] = data.clone().into();
    let identity = r#"{"identityType":"WIX_USER","wixUserId":"66666666-7777-4888-8999-000000000000"}"#;
    message.envelope["identity"] = identity.into();
    message.envelope["accountInfo"] = json!({ "accountId": account, "siteId": site });
    assert_eq!(bed.outcome(&message), "stored");
    let [delivery] = bed.receiver.wait_for(1).try_into().expect("one delivery");
    let body = format!(
        "{{\"type\":\"wix.ecom.v1.order_created\",\"timestamp\":\"2026-01-01T00:00:05.123456Z\",\"instance_id\":\"{instance}\",\
         \"sequence\":1,\"source\":\"wix\",\"data\":{data},\"identity\":{identity},\
         \"account\":{{\"account_id\":\"{account}\",\"site_id\":\"{site}\"}},\"anonymize\":false}}"
    );
    assert_eq!(delivery.body, body);
    assert_eq!(delivery.id, id);
    assert_eq!(delivery.headers["content-type"], "application/json");
    assert!(delivery.headers["user-agent"].to_str().is_ok_and(|agent| agent.starts_with("wix-edge/")));
    let line = bed.log.wait_for("the line of the delivery", |line| line["route"] == "deliver");
    assert_eq!(
        (&line["outcome"], &line["event_id"], &line["attempt"], &line["answer"]),
        (&json!("delivered"), &json!(id), &json!(1), &json!("204"))
    );
    assert!(!line.to_string().contains("1e400"), "{line}");
}

#[test]
fn every_copy_of_an_event_is_one_delivery_with_one_id() {
    let bed = Bed::start();
    let (instance, id, time) = (guid(), guid(), now() - 700);
    let copies = |make: &dyn Fn() -> Message| -> Vec<String> {
        [time, time + 600, time].into_iter().map(|iat| bed.outcome(&make().at(iat))).collect()
    };
    let message = order(&instance, &id);
    assert_eq!(copies(&|| message.clone()), ["stored", "known", "known"]);
    let mut message = flat(&instance, 1);
    message.envelope["webhookId"] = "wId_1_-2__x".into();
    assert_eq!(copies(&|| message.clone()), ["stored", "known", "known"]);
    // Without an id, equal contents are copies if their times are at most ten minutes apart.
    assert_eq!(copies(&|| flat(&instance, 2)), ["stored", "known", "known"]);
    assert_eq!(bed.outcome(&flat(&instance, 2).at(time + 601)), "stored");
    assert_eq!(bed.outcome(&flat(&instance, 3).at(time)), "stored");
    assert_eq!(bed.outcome(&flat(&guid(), 2).at(time)), "stored");

    let deliveries = bed.receiver.wait_for(6);
    let mut found = ids(&deliveries);
    assert_eq!(&found[..2], [id.as_str(), "wId_1_-2__x"]);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 6, "{found:?}");
}

#[test]
fn a_target_that_fails_gets_the_events_in_order_later_and_a_restart_loses_none() {
    let mut bed = Bed::start();
    let instance = guid();
    bed.receiver.answer_always(Some(Reaction::Status(500)));
    for number in 1..=5 {
        assert_eq!(bed.outcome(&flat(&instance, number)), "stored");
    }
    let first = bed.receiver.wait_for(1);
    bed.restart();
    bed.receiver.answer_always(None);
    // The alarm comes about five seconds after the first attempt.
    let deliveries = bed.receiver.wait_for(first.len() + 5);
    let later = &deliveries[first.len()..];
    assert_eq!(later.iter().map(Delivery::sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(later[0].body, first[0].body);
    assert_eq!(later[0].id, first[0].id);
    let waited = later[0].at - first[0].at;
    assert!((3_700..12_000).contains(&waited.as_millis()), "the first retry came after {waited:?}");
    assert_eq!(bed.outcome(&flat(&instance, 1)), "known");
}

/// Each of these is a failed attempt, and the next one succeeds.
#[test]
fn an_answer_that_is_no_2xx_is_a_failed_attempt() {
    let bed = Bed::start();
    let elsewhere = Receiver::start(&SECRETS);
    let reactions = [
        Reaction::Status(404),
        Reaction::Status(503),
        Reaction::Redirect(elsewhere.url.clone()),
        Reaction::RetryAfter(429, 6),
    ];
    // One installation each, so that their pauses pass at the same time.
    for (number, reaction) in (1..).zip(&reactions) {
        bed.receiver.script([reaction.clone()]);
        bed.outcome(&flat(&guid(), number));
        bed.receiver.wait_for(usize::try_from(number).expect("a small number"));
    }
    let deliveries = bed.receiver.wait_for(2 * reactions.len());
    assert!(elsewhere.deliveries().is_empty(), "a redirect was followed");
    for (first, reaction) in deliveries.iter().zip(&reactions) {
        let again = deliveries[reactions.len()..].iter().find(|again| again.id == first.id).expect("a second attempt");
        let waited = (again.at - first.at).as_millis();
        let least = if matches!(reaction, Reaction::RetryAfter(..)) { 6_000 } else { 3_700 };
        assert!((least..9_000).contains(&waited), "{reaction:?}: again after {waited} ms");
    }
}

#[test]
fn a_target_that_cannot_be_reached_or_answers_too_much_does_no_harm() {
    let bed = Bed::with(|values| values.with("EVENTS_URL", "http://127.0.0.1:9/events"));
    bed.outcome(&flat(&guid(), 1));
    let line = bed.log.wait_for("the line of the attempt", |line| line["route"] == "deliver");
    assert_eq!((&line["outcome"], &line["answer"]), (&json!("failed"), &json!("unreachable")));

    let bed = Bed::start();
    bed.receiver.script([Reaction::Large]);
    let instance = guid();
    bed.outcome(&flat(&instance, 1));
    bed.outcome(&flat(&instance, 2));
    assert_eq!(bed.receiver.wait_for(2).iter().map(Delivery::sequence).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_slow_target_delays_neither_wix_nor_other_installations() {
    let bed = Bed::start();
    let (slow, other) = (guid(), guid());
    bed.receiver.script([Reaction::Slow(Duration::from_secs(3))]);
    bed.outcome(&flat(&slow, 1));
    bed.receiver.wait_for(1);
    let started = Instant::now();
    bed.outcome(&flat(&slow, 2));
    bed.outcome(&flat(&other, 1));
    let second = bed.receiver.wait_for(2).remove(1);
    assert_eq!(second.json()["instance_id"], json!(other), "one attempt at a time for each installation");
    assert!(started.elapsed() < Duration::from_secs(2));
    let third = bed.receiver.wait_for(3).remove(2);
    assert_eq!((third.json()["instance_id"].clone(), third.sequence()), (json!(slow), 2));
}

#[test]
fn an_object_that_fails_is_a_503_and_nothing_is_lost() {
    let bed = Bed::start();
    for (number, fault) in (1..).zip(["throw", "hang", "sql"]) {
        let message = flat(&guid(), number);
        bed.measured(&format!("fail={fault}"));
        let response = bed.send(&message).expect(503);
        let line = bed.log.of_request(response.request_id());
        assert_eq!(line["error"], "store_failed", "{fault}: {line}");
        assert!(line["duration_ms"].as_u64().is_some_and(|took| took < 1_250), "too slow for Wix: {line}");
        bed.measured("fail=");
        // An object that was slow may have stored it.
        assert!(["stored", "known"].contains(&bed.outcome(&message).as_str()));
        assert_eq!(bed.receiver.wait_for(number as usize)[number as usize - 1].json()["data"]["number"], json!(number));
    }
    // A lifecycle event too, although KV stores it.
    let mut message = flat(&guid(), 9);
    message.envelope["eventType"] = "AppInstalled".into();
    message.envelope["data"] = json!({ "appId": bed.wix.app.app_id }).to_string().into();
    bed.measured("fail=throw");
    bed.send(&message).expect(503);
    bed.measured("fail=");
    bed.send(&message).expect(200);
    assert_eq!(bed.receiver.wait_for(4)[3].json()["type"], "AppInstalled");
}

#[test]
fn events_of_another_app_samples_and_unwanted_types_are_not_delivered() {
    let bed = Bed::with(|values| values.with("EVENTS_TYPES", "wix.ecom.*, AppInstalled"));
    let mut other_app = flat(&guid(), 1);
    other_app.envelope["eventType"] = "AppInstalled".into();
    other_app.envelope["data"] = json!({ "appId": guid() }).to_string().into();
    assert_eq!(bed.line(&other_app)["outcome"], "other_app_ignored");
    let mut sample = order(&guid(), &guid());
    sample.envelope["data"] = "{\n  \"id\": \"1\"\n} ".into();
    assert_eq!(bed.line(&sample)["outcome"], "sample_ignored");
    assert_eq!(bed.outcome(&flat(&guid(), 2)), "none");
    let mut of_no_instance = order("", &guid());
    of_no_instance.envelope.as_object_mut().expect("an object").remove("instanceId");
    assert_eq!(bed.outcome(&of_no_instance), "stored");
    let [delivery] = bed.receiver.wait_for(1).try_into().expect("one delivery");
    let body = delivery.json();
    assert_eq!((body.get("instance_id"), &body["sequence"], &body["anonymize"]), (None, &json!(1), &json!(true)));
}

#[test]
fn a_service_binding_may_be_the_target() {
    const TARGET: &str = "export default { async fetch(request) {
      const [{ type }, { url, method }] = [await request.json(), request];
      console.log(JSON.stringify({ level: 'info', route: 'target', url, method, type, id: request.headers.get('webhook-id') }));
      return new Response(null, { status: 202 });
    } };";
    let mut bed = Bed::with(|values| values.with("EVENTS_URL", ""));
    bed.workerd = None;
    bed.run(Some(Worker::script("2026-10-20", TARGET)));
    assert_eq!(bed.ready()["status"], "ready");
    let id = guid();
    bed.outcome(&order(&guid(), &id));
    let line = bed.log.wait_for("the target's line", |line| line["route"] == "target");
    let wanted = json!({ "level": "info", "route": "target", "url": "https://wix-edge/events", "method": "POST",
        "type": "wix.ecom.v1.order_created", "id": id });
    assert_eq!(line, wanted);
    assert!(bed.receiver.deliveries().is_empty());
}

#[test]
fn without_a_target_or_objects_events_are_answered_as_before_and_readyz_says_so() {
    let bed = Bed::with(|values| values.with("EVENTS_URL", "").with("EVENTS_SECRETS", ""));
    let instance = guid();
    for (number, outcome) in [(1, "stored"), (2, "event_accepted")] {
        let line = bed.line(&flat(&instance, number));
        assert_eq!((&line["outcome"], line.get("delivery")), (&json!(outcome), None), "{line}");
    }
    let ready = bed.ready();
    assert_eq!((&ready["status"], &ready["notes"][0]["name"]), (&json!("ready"), &json!("EVENTS_URL")), "{ready}");
    assert_eq!(ready["notes"].as_array().map(Vec::len), Some(1), "{ready}");
    // The object is given the facts of a new installation, which it counts.
    bed.log.wait_for("the report", |line| line["route"] == "task settle");
    assert_eq!(bed.measured("")["calls"], json!(["/report"]));
}

/// A trap ends the wasm instance, with the memory of every object in it.
#[test]
fn a_trap_in_an_object_loses_no_event() {
    // The app wants none of our own events.
    let bed = Bed::with(|values| values.with("EVENTS_TYPES", "com.wix.*"));
    let instance = guid();
    // The Worker's half of a request may be in the same wasm instance, and then ends with it: Wix resends.
    let trap_in = |place: &str, message: &Message| {
        bed.measured(&format!("trap={place}"));
        let status = bed.send(message).status;
        assert!([200, 500, 503].contains(&status), "{status}");
        let until = Instant::now() + Duration::from_secs(10);
        while bed.measured("")["trap"] == place {
            assert!(Instant::now() < until, "{place} must trap");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    trap_in("object_fetch", &flat(&instance, 1));
    assert_eq!(bed.outcome(&flat(&instance, 1)), "stored");
    bed.receiver.wait_for(1);
    // The facts of the new installation are reported after its first event.
    bed.log.wait_for("the report", |line| line["route"] == "task settle");
    // Before the first attempt: the event is stored, and the next one, or the alarm, delivers both.
    trap_in("object_deliver", &flat(&instance, 2));
    assert_eq!(bed.receiver.deliveries().len(), 1);
    assert_eq!(bed.outcome(&flat(&instance, 3)), "stored");
    let deliveries = bed.receiver.wait_for(3);
    assert_eq!(deliveries.iter().map(Delivery::sequence).collect::<Vec<_>>(), [1, 2, 3]);
    // In the alarm: the runtime repeats it.
    bed.receiver.script([Reaction::Status(500)]);
    bed.outcome(&flat(&instance, 4));
    bed.receiver.wait_for(4);
    bed.measured("trap=object_alarm");
    assert_eq!(bed.receiver.wait_for(5)[4].sequence(), 4);
    assert_eq!(bed.measured("")["instances"], 4, "three traps, each with a new instance after it");
}

/// Wix's largest entities make a webhook of about half a mebibyte; a row of the object may have two megabytes.
#[test]
fn a_large_event_is_delivered_whole() {
    let bed = Bed::start();
    let mut message = flat(&guid(), 1);
    let data = json!({ "text": "\u{e4}\u{1f600}\"\\".repeat(25_000) }).to_string();
    message.envelope["data"] = data.clone().into();
    assert_eq!(bed.outcome(&message), "stored");
    let body = bed.receiver.wait_for(1).remove(0).body;
    assert!(body.contains(&format!("\"data\":{data},")), "a body of {} bytes", body.len());
}

/// The time from Wix's request to the request at the back end.
#[test]
fn a_delivery_follows_its_webhook_at_once() {
    let bed = Bed::start();
    let mut times = Vec::new();
    for number in 1..=20 {
        let instance = guid();
        let started = Instant::now();
        bed.outcome(&flat(&instance, number));
        let deliveries = bed.receiver.wait_for(number as usize);
        times.push(deliveries[number as usize - 1].at - started);
    }
    times.sort_unstable();
    println!("from webhook to back end: median {:?}, 95 % {:?}", times[10], times[18]);
    // The goal is 300 ms for 95 % on a quiet machine. This one may have other work.
    assert!(times[10] < Duration::from_millis(900), "{times:?}");
}
