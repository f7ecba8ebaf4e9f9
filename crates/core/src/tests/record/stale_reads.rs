//! A store that shows a change only after a minute, as KV may: nothing rests on reading back what was written.

use serde_json::json;

use super::*;
use crate::testing::clock::START;

const LAG: u64 = 60_000;

/// A world in which the store lags and an old installation is visible to all.
fn lagging() -> World {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START - 500));
    world.fake.kv().delay_visibility(LAG);
    world.fake.clock().advance(120);
    world
}

/// Everybody has seen everything, and the Cron Trigger has been there.
fn caught_up(world: &World) -> Value {
    world.fake.clock().advance(300);
    world.isolate(&[]).cron();
    world.fake.clock().advance(300);
    world.isolate(&[]).instance(INSTANCE)
}

#[test]
fn webhook_and_redirect_in_two_data_centres_lose_nothing() {
    for redirect_first in [true, false] {
        let world = World::new();
        world.fake.kv().delay_visibility(LAG);
        let (state, cookie) = world.begin_install();
        let elsewhere = world.isolate(&[]);
        let message = jws::event(
            "AppInstalled",
            INSTANCE,
            &json!({"appId": crate::testing::world::APP_ID, "originInstanceId": VICTIM}),
            START,
        );
        if redirect_first {
            assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
            assert_eq!(elsewhere.webhook(message).status, 200);
        } else {
            assert_eq!(elsewhere.webhook(message).status, 200);
            assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
        }
        let instance = caught_up(&world);
        assert_eq!(instance["auth"], "custom", "{instance}");
        assert_eq!(instance["site_id"], SITE, "{instance}");
        assert_eq!(instance["origin_instance_id"], VICTIM, "{instance}");
        world.isolate(&[]).token(INSTANCE);
        assert_eq!(world.fake.wix().sent().last().unwrap().json["grant_type"], "refresh_token");
    }
}

#[test]
fn an_event_right_after_a_removal_does_not_bring_the_instance_back() {
    let world = lagging();
    let now = world.now();
    world.webhook(jws::removed(INSTANCE, now));
    world.fake.clock().advance(5);
    let bought = jws::event("PaidPlanChanged", INSTANCE, &json!({"vendorProductId": "pro"}), now - 3);
    world.isolate(&[]).webhook(bought);
    let instance = caught_up(&world);
    assert_eq!(instance["status"], "removed", "{instance}");
    assert_eq!(world.isolate(&[]).token(INSTANCE).status, 410);
}

#[test]
fn a_new_installation_right_after_a_removal_counts() {
    let world = lagging();
    let now = world.now();
    world.webhook(jws::removed(INSTANCE, now - 4));
    world.fake.clock().advance(2);
    world.isolate(&[]).webhook(jws::installed(INSTANCE, now));
    let instance = caught_up(&world);
    assert_eq!(instance["status"], "installed", "{instance}");
    assert_eq!(instance["installed_at"], now);
}

#[test]
fn what_was_just_written_is_not_mended_away() {
    for only_lists in [false, true] {
        let world = lagging();
        if only_lists {
            world.fake.kv().delay_visibility(0);
            world.fake.kv().delay_list_visibility(LAG);
        }
        assert_eq!(world.webhook(jws::removed(INSTANCE, world.now())).status, 200);
        let kept = &world.fake.kv().entries()[&keys::row(&id())].value;
        assert!(kept.contains("removed"), "right after the answer and the work behind it: {kept}");
        assert_eq!(caught_up(&world)["status"], "removed");
    }
}
