//! Rechecks: how they are stored, and how the Cron Trigger carries them out.

use std::cell::Cell;

use serde_json::Value;

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::wix::Canned;
use crate::testing::world::{INSTANCE, World};

const EVENT: &str = "/apps/v1/bi-event";
const ON_INSTALL: [(&str, &str); 1] = [("FINISH_CONFIGURATION", "on-install")];

fn rechecks(world: &World) -> Vec<String> {
    world.fake.rechecks()
}

fn events(world: &World) -> usize {
    world.fake.wix().sent().iter().filter(|sent| sent.path() == EVENT).count()
}

/// Runs the Cron Trigger every five minutes for so many hours.
fn run_for_hours(world: &World, hours: u64) {
    for _ in 0..hours * 12 {
        world.fake.clock().advance(300);
        world.cron();
    }
}

fn last_outcome(world: &World) -> Value {
    let log = world.fake.log_lines();
    let mut lines = log.iter().filter_map(|(_, line)| serde_json::from_str::<Value>(line).ok());
    lines.rfind(|line| line["route"] == "cron look-again").unwrap_or_default()
}

#[test]
fn a_change_is_rechecked_after_stale_reads_have_ended() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    assert_eq!(rechecks(&world).len(), 1);
    world.fake.clock().advance(60);
    world.cron();
    assert_eq!(rechecks(&world).len(), 1, "the recheck is not due yet");
    world.fake.clock().advance(60);
    world.cron();
    assert!(rechecks(&world).is_empty());
    assert_eq!(last_outcome(&world)["instance_id"], INSTANCE);
}

#[test]
fn a_repeated_message_stores_one_recheck() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.clock().advance(30);
    world.webhook(jws::installed(INSTANCE, START));
    assert_eq!(rechecks(&world).len(), 1);
}

#[test]
fn if_the_recheck_was_not_stored_the_resent_message_stores_it() {
    let world = World::new();
    world.fake.kv().fail_where(|op, key| op == Op::Put && !key.starts_with("v1:fact:"));
    assert_eq!(world.webhook(jws::installed(INSTANCE, START)).status, 503);
    assert!(rechecks(&world).is_empty());
    world.fake.kv().clear_faults();
    assert_eq!(world.webhook(jws::installed(INSTANCE, START)).status, 200);
    assert_eq!(rechecks(&world).len(), 1);
}

#[test]
fn a_failed_event_is_sent_once_by_a_later_recheck() {
    let world = World::with(&ON_INSTALL);
    world.fake.wix().always(EVENT, Canned::status(500));
    assert_eq!(world.webhook(jws::installed(INSTANCE, START)).status, 200);
    run_for_hours(&world, 1);
    assert!(world.instance(INSTANCE).get("configured_at").is_none());
    world.fake.wix().clear_script();
    let failed = events(&world);
    run_for_hours(&world, 2);
    assert_eq!(events(&world), failed + 1);
    assert!(world.instance(INSTANCE).get("configured_at").is_some());
    assert!(rechecks(&world).is_empty());
}

#[test]
fn a_recheck_sends_the_event_if_the_deferred_task_was_lost() {
    let world = World::with(&ON_INSTALL);
    let response = world.post("/webhook").body(jws::installed(INSTANCE, START)).without_deferred_task().send();
    assert_eq!((response.status, events(&world)), (200, 0));
    run_for_hours(&world, 1);
    assert_eq!(events(&world), 1);
}

#[test]
fn retries_of_a_recheck_back_off_and_end_after_48_hours() {
    let world = World::with(&ON_INSTALL);
    world.fake.wix().always(EVENT, Canned::status(403));
    world.webhook(jws::installed(INSTANCE, START));
    run_for_hours(&world, 6);
    let first = events(&world);
    assert!((5..60).contains(&first), "{first}");
    run_for_hours(&world, 60);
    assert!(events(&world) < 2 * first + 30, "{}", events(&world));
    assert!(rechecks(&world).is_empty());
    assert_eq!(last_outcome(&world)["outcome"], "given_up");
}

#[test]
fn a_removed_instance_gets_no_more_events() {
    let world = World::with(&ON_INSTALL);
    world.fake.wix().always(EVENT, Canned::status(500));
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.clock().advance(60);
    world.webhook(jws::removed(INSTANCE, START + 60));
    let before = events(&world);
    run_for_hours(&world, 1);
    assert_eq!(events(&world), before);
    assert!(rechecks(&world).is_empty());
}

#[test]
fn a_run_rechecks_200_instances_and_the_next_run_continues() {
    let world = World::new();
    for number in 0..250 {
        world.webhook(jws::installed(&format!("aaaaaaaa-bbbb-4ccc-8ddd-{number:012}"), START));
    }
    world.fake.clock().advance(300);
    world.fake.kv().take_counts();
    world.cron();
    assert_eq!(rechecks(&world).len(), 50);
    let operations: usize = world.fake.kv().take_counts().iter().sum();
    assert!(operations < 1_000, "{operations} operations, and Cloudflare allows 1000 in an invocation");
    world.cron();
    assert!(rechecks(&world).is_empty());
}

#[test]
fn a_run_with_a_slow_wix_ends_before_the_next_run() {
    let world = World::with(&ON_INSTALL);
    for number in 0..40 {
        let message = jws::installed(&format!("aaaaaaaa-bbbb-4ccc-8ddd-{number:012}"), START);
        world.post("/webhook").body(message).without_deferred_task().send();
    }
    world.fake.wix().always("/oauth2/token", Canned::hang());
    world.fake.clock().advance(300);
    let started = world.fake.clock().now();
    world.cron();
    let took = world.fake.clock().now() - started;
    assert!((200_000..300_000).contains(&took), "{took} ms");
}

#[test]
fn while_kv_fails_the_rechecks_stay_stored() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.kv().fail_where(|op, _| op == Op::List);
    run_for_hours(&world, 1);
    assert_eq!(rechecks(&world).len(), 1);
    world.fake.kv().clear_faults();
    run_for_hours(&world, 1);
    assert!(rechecks(&world).is_empty());
}

#[test]
fn if_only_the_recheck_was_not_stored_the_resent_message_stores_it() {
    let world = World::with(&ON_INSTALL);
    world.fake.kv().fail_where(|op, key| op == Op::Put && key.starts_with("v1:todo:"));
    assert_eq!(world.webhook(jws::installed(INSTANCE, START)).status, 503);
    world.fake.kv().clear_faults();
    let response = world.post("/webhook").body(jws::installed(INSTANCE, START)).without_deferred_task().send();
    assert_eq!((response.status, rechecks(&world).len(), events(&world)), (200, 1, 0));
    run_for_hours(&world, 1);
    assert_eq!(events(&world), 1);
}

#[test]
fn a_sent_event_whose_fact_was_not_stored_is_not_sent_again_by_the_same_isolate() {
    for may_list in [true, false] {
        let world = World::with(&ON_INSTALL);
        world.post("/webhook").body(jws::installed(INSTANCE, START)).without_deferred_task().send();
        world.fake.clock().advance(300);
        // Either no fact can be written, or after its first listing no fact can be listed.
        let listings = Cell::new(0_u32);
        world.fake.kv().fail_where(move |op, key| match op {
            Op::Put => may_list && !key.starts_with("v1:todo:"),
            Op::List => !may_list && key.starts_with("v1:fact:") && listings.replace(listings.get() + 1) > 0,
            Op::Get | Op::Delete => false,
        });
        world.cron();
        assert!(events(&world) == 1 && !rechecks(&world).is_empty());
        assert!(world.instance(INSTANCE).get("configured_at").is_none());
        world.fake.kv().clear_faults();
        run_for_hours(&world, 1);
        assert_eq!(world.instance(INSTANCE)["configured_at"], START + 300);
        assert_eq!((events(&world), rechecks(&world).len()), (1, 0));
    }
}

#[test]
fn an_instance_hidden_by_a_stale_read_is_rechecked_later() {
    let world = World::with(&ON_INSTALL);
    world.post("/webhook").body(jws::installed(INSTANCE, START)).without_deferred_task().send();
    let rows = world.fake.kv().entries();
    world.fake.clock().advance(300);
    // KV shows the recheck only: reads of the fact and the row are stale.
    for key in rows.keys().filter(|key| !key.starts_with("v1:todo:")) {
        world.fake.kv().remove_directly(key);
    }
    world.cron();
    assert_eq!((events(&world), rechecks(&world).len()), (0, 1));
    for (key, entry) in rows.iter().filter(|(key, _)| !key.starts_with("v1:todo:")) {
        world.fake.kv().insert_directly(key, &entry.value, entry.metadata.as_deref());
    }
    run_for_hours(&world, 1);
    assert_eq!((events(&world), rechecks(&world).len()), (1, 0));
}

#[test]
fn without_a_configuration_the_fault_is_logged() {
    let world = World::with(&[("WIX_APP_SECRET", "")]);
    world.cron();
    let line = world.fake.last_log();
    assert_eq!((&line["route"], &line["error"]), (&"cron".into(), &"not_configured".into()));
}

#[test]
fn several_rechecks_of_one_instance_reconcile_it_once() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    for seconds in 1..=5 {
        world.fake.clock().advance(1);
        world.webhook(jws::event(
            "PaidPlanChanged",
            INSTANCE,
            &serde_json::json!({"vendorProductId": "p"}),
            START + seconds,
        ));
    }
    assert_eq!(rechecks(&world).len(), 6);
    world.fake.clock().advance(300);
    world.fake.kv().take_counts();
    world.cron();
    assert!(rechecks(&world).is_empty());
    // One listing of the rechecks that are due, and one listing of facts and one read of the row for all of them. Each
    // recheck and each outdated plan is deleted. The run itself is noted.
    let [reads, writes, _, lists] = world.fake.kv().take_counts();
    assert_eq!([reads, writes, lists], [2, 1, 2]);
}

#[test]
fn the_latest_recheck_of_an_instance_decides_when_retries_end() {
    let world = World::with(&ON_INSTALL);
    world.fake.wix().always(EVENT, Canned::status(500));
    world.webhook(jws::installed(INSTANCE, START));
    run_for_hours(&world, 47);
    let message = jws::event("PaidPlanChanged", INSTANCE, &serde_json::json!({"vendorProductId": "p"}), world.now());
    world.webhook(message);
    run_for_hours(&world, 12);
    assert!(!rechecks(&world).is_empty(), "the later recheck must not end with the first");
}

#[test]
fn each_fact_of_a_run_has_the_time_of_its_own_recheck() {
    let world = World::with(&ON_INSTALL);
    world.fake.wix().always(EVENT, Canned::status(500));
    let other = "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee";
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.clock().advance(1);
    world.webhook(jws::installed(other, START));
    world.fake.clock().advance(300);
    world.fake.wix().clear_script();
    world.fake.wix().queue(EVENT, [Canned::ok(&serde_json::json!({})).after(5_000)]);
    let began = world.now();
    world.cron();
    let configured = |id: &str| world.instance(id)["configured_at"].as_u64().unwrap();
    let (first, second) = (configured(INSTANCE), configured(other));
    assert!(first == began && second >= began + 5, "{first} {second} {began}");
}

#[test]
fn without_random_bytes_the_run_is_logged_as_failed() {
    let world = World::new();
    world.fake.fail_random();
    world.cron();
    let line = world.fake.last_log();
    assert_eq!((&line["route"], &line["error"]), (&"cron".into(), &"internal".into()));
}
