//! `DELETE /v1/instances/{id}`: afterwards nothing is stored of the installation.

use futures::future::join;
use http::Method;
use serde_json::json;

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::object::status;
use crate::testing::world::{API_KEY, DELIVERING, INSTANCE, TestResponse, VICTIM, World};
use crate::tests::connect::{begin_with, call_back, date, signed_with};

/// An installation with everything that can be stored of one: tokens, facts, events, a parked event, and a recheck.
fn full() -> World {
    let world = World::delivering();
    for id in [INSTANCE, VICTIM] {
        world.webhook(jws::installed(id, START));
        world.webhook(jws::event("order", id, &json!({ "note": "content" }), START));
    }
    world.connect();
    assert_eq!(world.token(VICTIM).status, 200);
    world.fake.clock().advance(4 * 86_400);
    world.fake.object(INSTANCE).script(|_| (0, status(500)));
    world.fake.deliver(INSTANCE);
    world.webhook(jws::installed(INSTANCE, world.now()));
    for prefix in ["v1:fact:", "v1:instance:", "v1:refresh:", "v1:parked:", "v1:todo:"] {
        assert!(world.fake.kv().keys(prefix).iter().any(|key| key.contains(INSTANCE)), "{prefix}");
    }
    world
}

fn erase(world: &World, id: &str) -> TestResponse {
    world.call(Method::DELETE, &format!("/v1/instances/{id}")).key(API_KEY).send()
}

/// The keys and values in KV that name the instance.
fn traces(world: &World, id: &str) -> Vec<String> {
    let named = |text: &str| text.contains(id) || text.contains(&id.replace('-', ""));
    let entries = world.fake.kv().entries().into_iter();
    entries
        .filter(|(_, entry)| entry.expires.is_none_or(|at| at > world.fake.clock().now()))
        .filter(|(key, entry)| named(key) || named(&entry.value) || entry.metadata.as_deref().is_some_and(named))
        .map(|(key, _)| key)
        .collect()
}

fn tables(world: &World, id: &str) -> u64 {
    world.fake.object(id).count("SELECT count(*) FROM sqlite_master")
}

#[test]
fn nothing_is_left_of_an_erased_installation() {
    let world = full();
    let others = traces(&world, VICTIM);
    let answer = erase(&world, INSTANCE);
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(traces(&world, INSTANCE), [""; 0]);
    assert_eq!((tables(&world, INSTANCE), world.fake.object(INSTANCE).alarm_at()), (0, None));
    assert_eq!(traces(&world, VICTIM), others);
    assert_eq!(world.get(&format!("/v1/instances/{INSTANCE}")).key(API_KEY).send().status, 404);
    assert_eq!(world.token(INSTANCE).status, 404);
    assert_eq!(world.instance(VICTIM)["status"], "installed");

    // The order to erase is sealed, and gone after ten minutes.
    assert!(world.fake.kv().keys("v1:todo:").iter().any(|key| key.contains(":erase:")));
    world.fake.clock().advance(300);
    world.cron();
    assert!(!world.fake.kv().keys("v1:todo:").iter().any(|key| key.contains(":erase:")));
    assert_eq!(traces(&world, INSTANCE), [""; 0]);
    assert_eq!(tables(&world, INSTANCE), 0);
}

/// The delivery ends after the erasure.
#[test]
fn an_object_that_is_erased_while_it_delivers_stays_empty() {
    let world = full();
    let fake = &world.fake;
    fake.object(INSTANCE).script(|_| (5_000, status(200)));
    let erase = async {
        fake.clock().sleep(1_000).await;
        world.call(Method::DELETE, &format!("/v1/instances/{INSTANCE}")).key(API_KEY).send_async().await
    };
    let ((), answer) = fake.clock().run(join(fake.delivering(INSTANCE), erase));
    assert_eq!((answer.status, tables(&world, INSTANCE)), (204, 0));
    assert_eq!(traces(&world, INSTANCE), [""; 0]);
}

/// The write to the list of parked events ends after the erasure of the object.
#[test]
fn an_object_that_is_erased_while_it_lists_its_parked_events_stays_empty() {
    let world = World::delivering();
    let fake = &world.fake;
    world.webhook(jws::event("order", INSTANCE, &json!({}), START));
    fake.clock().advance(4 * 86_400);
    fake.object(INSTANCE).script(|_| (0, status(500)));
    let is_listed = |op, key: &str| op == Op::Put && key.starts_with("v1:parked:");
    fake.kv().delay_where(move |op, key| if is_listed(op, key) { 900 } else { 0 });
    let erase = async {
        fake.clock().sleep(300).await;
        world.call(Method::DELETE, &format!("/v1/instances/{INSTANCE}")).key(API_KEY).send_async().await
    };
    fake.kv().take_changes();
    let ((), answer) = fake.clock().run(join(fake.delivering(INSTANCE), erase));
    assert_eq!((answer.status, tables(&world, INSTANCE)), (204, 0));
    assert!(fake.kv().take_changes().iter().any(|(op, key)| is_listed(*op, key)), "no parked event was listed");
}

#[test]
fn an_unknown_installation_is_erased_too_and_twice_is_once() {
    let world = World::delivering();
    assert_eq!(erase(&world, INSTANCE).status, 204);
    assert_eq!(erase(&world, INSTANCE).status, 204);
    assert_eq!(tables(&world, INSTANCE), 0);
    let world = World::new();
    assert_eq!(erase(&world, INSTANCE).status, 204);
    assert!(world.fake.object_calls().is_empty(), "no object is bound");
    assert_eq!(erase(&world, "planted").problem(), (400, "bad_request".to_owned()));
}

#[test]
fn what_kv_did_not_show_is_erased_by_the_second_look() {
    let world = full();
    let before = world.fake.kv().entries();
    erase(&world, INSTANCE);
    // Another data centre wrote these a moment ago: no listing showed them.
    for (key, entry) in before.iter().filter(|(key, _)| key.contains(INSTANCE)) {
        world.fake.kv().insert_directly(key, &entry.value, entry.metadata.as_deref());
    }
    assert!(!traces(&world, INSTANCE).is_empty());
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(traces(&world, INSTANCE), [""; 0]);
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(traces(&world, INSTANCE), [""; 0]);
}

#[test]
fn a_later_installation_begins_anew_and_the_second_look_leaves_it() {
    let world = full();
    let before = world.fake.kv().entries();
    erase(&world, INSTANCE);
    world.fake.clock().advance(30);
    world.webhook(jws::installed(INSTANCE, world.now()));
    let wanted = world.instance(INSTANCE);
    assert_eq!((&wanted["status"], wanted.get("site_id")), (&json!("installed"), None));
    let bodies = world.fake.object(INSTANCE).texts("SELECT type FROM events ORDER BY sequence");
    assert_eq!(bodies, ["AppInstalled", "installation.installed"]);
    // A fact from before, with a row that has it.
    for (key, entry) in before.iter().filter(|(key, _)| key.contains(INSTANCE) && !key.contains("v1:todo:")) {
        world.fake.kv().insert_directly(key, &entry.value, entry.metadata.as_deref());
    }
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(world.isolate(&[]).instance(INSTANCE), wanted);
    assert_eq!(world.fake.kv().keys(&format!("v1:fact:{INSTANCE}:")).len(), 1);
}

/// Wix may send an event again, or with a delay. All that counts is that it was answered 200 after the erasure.
#[test]
fn what_is_received_after_the_erasure_stays_however_old_it_is() {
    type Receive = (&'static str, fn(&World) -> TestResponse);
    let cases: [Receive; 5] = [
        ("an event of the same second", |world| world.webhook(jws::installed(INSTANCE, world.now()))),
        ("an event that is resent", |world| world.webhook(jws::installed(INSTANCE, START))),
        ("another event", |world| world.webhook(jws::event("order", INSTANCE, &json!({}), START + 5))),
        ("an external flow", |world| {
            let (callback, cookie) = begin_with(world, "");
            let signed = signed_with(&json!({"signDate": date(world.now() - 50)}));
            call_back(world, &callback, &cookie, &json!({ "signedInstance": signed }))
        }),
        ("an import", |world| {
            let line = json!({"instance_id": INSTANCE, "installed_at": START - 9_000}).to_string();
            world.post("/v1/import").key(API_KEY).body(line).send()
        }),
    ];
    for (name, receive) in cases {
        for changes in [&[][..], &DELIVERING] {
            let world = if changes.is_empty() { World::new() } else { World::delivering() };
            world.webhook(jws::installed(INSTANCE, START));
            world.fake.clock().advance(600);
            world.cron();
            let before = world.fake.kv().entries();
            erase(&world, INSTANCE);
            world.fake.clock().set_millis(world.fake.clock().now() + 1);
            let answer = receive(&world);
            assert!(answer.status < 400, "{name}: {}", answer.body);
            let wanted = world.instance(INSTANCE);
            // The fact from before appears after all, if nothing newer has its key.
            for (key, entry) in before.iter().filter(|(key, _)| key.contains("v1:fact:")) {
                if !world.fake.kv().entries().contains_key(key) {
                    world.fake.kv().insert_directly(key, &entry.value, entry.metadata.as_deref());
                }
            }
            world.fake.clock().advance(300);
            world.cron();
            let found = world.isolate(changes).instance(INSTANCE);
            for field in ["status", "installed_at", "last_event_at"] {
                assert_eq!(found[field], wanted[field], "{name}: {field} in {found}");
            }
            assert!(found["status"].is_string(), "{name}: {found}");
        }
    }
}

#[test]
fn the_result_of_a_flow_is_erased_with_the_installation() {
    type End = fn(&World) -> TestResponse;
    let ends: [End; 2] = [|world| erase(world, INSTANCE), |world| world.webhook(jws::removed(INSTANCE, world.now()))];
    for end in ends {
        let world = World::new();
        world.webhook(jws::installed(INSTANCE, START));
        world.connect();
        world.fake.kv().insert_directly("v1:flow:of-another", "", Some(&json!(VICTIM).to_string()));
        assert_eq!(world.fake.kv().keys("v1:flow:").len(), 2);
        world.fake.clock().advance(300);
        assert!(end(&world).status < 300);
        let left = world.fake.kv().entries().into_iter().filter(|(key, _)| key.starts_with("v1:flow:"));
        // A removal leaves the note that the code is used up.
        assert!(left.into_iter().all(|(key, entry)| key.ends_with("of-another") || entry.value == "over"));
        assert_eq!(traces(&world, VICTIM), ["v1:flow:of-another"]);
        assert!(traces(&world, INSTANCE).iter().all(|key| !key.starts_with("v1:flow:")));
    }
}

/// Ten minutes after a flow, KV has forgotten its result.
#[test]
fn an_ordinary_removal_does_not_look_for_results_of_flows() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    world.connect();
    world.fake.clock().advance(3_600);
    world.fake.kv().fail_where(|_, key| key.starts_with("v1:flow:"));
    assert_eq!(world.webhook(jws::removed(INSTANCE, world.now())).status, 200);
    world.fake.clock().advance(300);
    world.cron();
    assert!(world.fake.log_lines().iter().all(|(_, line)| !line.contains("store_failed")));
    assert_eq!(world.instance(INSTANCE)["status"], "removed");
}

/// The clock of Wix may be ahead of ours.
#[test]
fn a_fact_from_before_the_erasure_goes_even_if_its_time_is_later() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START + 30));
    let before = world.fake.kv().entries();
    erase(&world, INSTANCE);
    for (key, entry) in before.iter().filter(|(key, _)| key.contains(INSTANCE)) {
        world.fake.kv().insert_directly(key, &entry.value, entry.metadata.as_deref());
    }
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(traces(&world, INSTANCE), [""; 0]);
}

#[test]
fn a_failure_is_a_503_and_the_request_can_be_repeated() {
    let world = full();
    let failed = || crate::ObjectError { is_retryable: false, text: "the object broke".to_owned() };
    world.fake.object_answers(0, Err(failed()));
    assert_eq!(erase(&world, INSTANCE).problem(), (503, "store_failed".to_owned()));
    for op in [Op::List, Op::Put, Op::Delete] {
        world.fake.kv().fail_where(move |failing, _| failing == op);
        assert_eq!(erase(&world, INSTANCE).problem(), (503, "store_failed".to_owned()), "{op:?}");
        world.fake.kv().clear_faults();
    }
    assert_eq!(erase(&world, INSTANCE).status, 204);
    assert_eq!(traces(&world, INSTANCE), [""; 0]);
}

#[test]
fn only_an_administrator_may_erase() {
    let keys = format!("usual:{}", crate::testing::world::sha256_hex("a-usual-key"));
    let world = World::with(&[("API_KEYS", keys.as_str())]);
    let answer = world.call(Method::DELETE, &format!("/v1/instances/{INSTANCE}")).key("a-usual-key").send();
    assert_eq!(answer.problem(), (403, "forbidden".to_owned()));
    assert_eq!(world.call(Method::DELETE, &format!("/v1/instances/{INSTANCE}")).send().status, 401);
}

#[test]
fn the_record_of_a_removed_installation_is_erased_after_its_days() {
    let days = |world: &World, days: u64| {
        world.fake.clock().advance(days * 86_400);
        world.cron();
        world.cron();
    };
    for (changes, kept, over) in [(vec![], 364, 2), (vec![("RETENTION_DAYS", "30")], 29, 2)] {
        let world = World::delivering_with(&changes);
        world.webhook(jws::installed(INSTANCE, START));
        world.webhook(jws::removed(INSTANCE, START + 10));
        days(&world, 1);
        days(&world, kept - 1);
        assert_eq!(world.instance(INSTANCE)["status"], "removed");
        days(&world, over);
        days(&world, 1);
        assert_eq!(world.get(&format!("/v1/instances/{INSTANCE}")).key(API_KEY).send().status, 404);
        assert_eq!((traces(&world, INSTANCE), tables(&world, INSTANCE)), (Vec::new(), 0));
    }
}

#[test]
fn a_record_is_kept_for_good_with_0_and_after_a_new_installation() {
    for (changes, reinstalls) in [(vec![("RETENTION_DAYS", "0")], false), (vec![("RETENTION_DAYS", "1")], true)] {
        let world = World::delivering_with(&changes);
        world.webhook(jws::installed(INSTANCE, START));
        world.webhook(jws::removed(INSTANCE, START + 10));
        world.fake.clock().advance(600);
        world.cron();
        if reinstalls {
            world.webhook(jws::installed(INSTANCE, world.now()));
        }
        for _ in 0..3 {
            world.fake.clock().advance(400 * 86_400);
            world.cron();
        }
        assert_eq!(world.instance(INSTANCE)["status"], if reinstalls { "installed" } else { "removed" });
        assert!(world.fake.kv().keys("v1:todo:").is_empty());
    }
}
