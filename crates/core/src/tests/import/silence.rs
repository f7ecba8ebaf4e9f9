//! An import tells the app nothing.

use std::rc::Rc;

use serde_json::json;

use super::{REFRESH, answer, import, line};
use crate::Shared;
use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::object::FakeObjects;
use crate::testing::world::{BOUND, DELIVERING, INSTANCE, World, config};
use crate::tests::own_events::own;

#[test]
fn an_import_is_silent_and_what_follows_is_told() {
    let removed = "installation.removed";
    for seen_before in [false, true] {
        let world = World::delivering();
        world.fake.clock().advance(1_000);
        if seen_before {
            world.webhook(jws::event("AnyEvent", INSTANCE, &json!({}), START));
        }
        let body = line(&json!({ "installed_at": START, "plan": "pro", "refresh_token": REFRESH }));
        assert_eq!(import(&world, body.clone()), [answer(1, "imported")]);
        assert_eq!(import(&world, body.replace(REFRESH, "OAUTH2.other")), [answer(1, "imported")]);
        world.fake.clock().advance(300);
        world.cron();
        // Wix's own message about the same installation is not news either.
        world.webhook(jws::installed(INSTANCE, START));
        assert_eq!(own(&world), [""; 0]);
        world.webhook(jws::removed(INSTANCE, world.now()));
        assert_eq!(own(&world), [removed]);
    }
}

/// The app takes an installation back that it was told to be removed.
#[test]
fn an_import_after_a_removal_is_silent_too() {
    let world = World::delivering();
    world.webhook(jws::installed(INSTANCE, START));
    world.fake.clock().advance(100);
    world.webhook(jws::removed(INSTANCE, START + 50));
    assert_eq!(import(&world, line(&json!({}))), [answer(1, "imported")]);
    world.fake.clock().advance(300);
    world.cron();
    assert_eq!(own(&world), ["installation.installed", "installation.removed"]);
}

#[test]
fn an_import_before_the_target_is_set_is_silent() {
    let world = World::with(&[("INSTALLATIONS", BOUND)]);
    let objects = |changes: &[(&str, &str)]| FakeObjects::new(Rc::new(Shared::new(config(changes))));
    world.fake.use_objects(Some(objects(&[("INSTALLATIONS", BOUND)])));
    assert_eq!(import(&world, line(&json!({ "plan": "pro" }))), [answer(1, "imported")]);
    world.fake.use_objects(Some(objects(&DELIVERING)));
    let world = world.isolate(&DELIVERING);
    world.fake.clock().advance(300);
    world.cron();
    world.webhook(jws::installed(INSTANCE, world.now()));
    assert_eq!(own(&world), [""; 0]);
}
