//! Stale reads: KV may show a write only after a minute, so the Worker must not rely on reading its own writes.

use serde_json::json;

use super::*;
use crate::testing::clock::START;

const STALE_MILLIS: u64 = 60_000;

/// An isolate whose reads are stale, and an older installation that is visible.
fn with_stale_reads() -> World {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START - 500));
    world.fake.kv().delay_visibility(STALE_MILLIS);
    world.fake.clock().advance(120);
    world
}

/// The instance when reads are no longer stale and the Cron Trigger has reconciled it.
fn after_reconciliation(world: &World) -> Value {
    world.fake.clock().advance(300);
    world.isolate(&[]).cron();
    world.fake.clock().advance(300);
    world.isolate(&[]).instance(INSTANCE)
}

#[test]
fn webhook_and_redirect_in_two_data_centres_lose_nothing() {
    for redirect_first in [true, false] {
        let world = World::new();
        world.fake.kv().delay_visibility(STALE_MILLIS);
        let (state, cookie) = world.begin_install();
        let other = world.isolate(&[]);
        let message = jws::event(
            "AppInstalled",
            INSTANCE,
            &json!({"appId": crate::testing::world::APP_ID, "originInstanceId": VICTIM}),
            START,
        );
        if redirect_first {
            assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
            assert_eq!(other.webhook(message).status, 200);
        } else {
            assert_eq!(other.webhook(message).status, 200);
            assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
        }
        let instance = after_reconciliation(&world);
        assert_eq!(instance["auth"], "custom", "{instance}");
        assert_eq!(instance["site_id"], SITE, "{instance}");
        assert_eq!(instance["origin_instance_id"], VICTIM, "{instance}");
        world.isolate(&[]).token(INSTANCE);
        assert_eq!(world.fake.wix().sent().last().unwrap().json["grant_type"], "refresh_token");
    }
}

#[test]
fn an_event_right_after_a_removal_does_not_restore_the_instance() {
    let world = with_stale_reads();
    let now = world.now();
    world.webhook(jws::removed(INSTANCE, now));
    world.fake.clock().advance(5);
    let bought = jws::event("PaidPlanChanged", INSTANCE, &json!({"vendorProductId": "pro"}), now - 3);
    world.isolate(&[]).webhook(bought);
    let instance = after_reconciliation(&world);
    assert_eq!(instance["status"], "removed", "{instance}");
    assert_eq!(world.isolate(&[]).token(INSTANCE).status, 410);
}

#[test]
fn a_new_installation_right_after_a_removal_counts() {
    let world = with_stale_reads();
    let now = world.now();
    world.webhook(jws::removed(INSTANCE, now - 4));
    world.fake.clock().advance(2);
    world.isolate(&[]).webhook(jws::installed(INSTANCE, now));
    let instance = after_reconciliation(&world);
    assert_eq!(instance["status"], "installed", "{instance}");
    assert_eq!(instance["installed_at"], now);
}

#[test]
fn read_repair_does_not_undo_a_recent_write() {
    for only_lists in [false, true] {
        let world = with_stale_reads();
        if only_lists {
            world.fake.kv().delay_visibility(0);
            world.fake.kv().delay_list_visibility(STALE_MILLIS);
        }
        assert_eq!(world.webhook(jws::removed(INSTANCE, world.now())).status, 200);
        let row = &world.fake.kv().entries()[&keys::row(&id())].value;
        assert!(row.contains("removed"), "the row must show the removal right after the deferred task: {row}");
        assert_eq!(after_reconciliation(&world)["status"], "removed");
    }
}
