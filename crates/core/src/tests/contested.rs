//! Removals that other facts contradict. The instance was installed at `START`, and now it is an hour later.

use serde_json::json;

use crate::facts::{Fact, Kind, is_contested};
use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::wix::Canned;
use crate::testing::world::{INSTANCE, World};
use crate::values::Timestamp;

const INSTANCE_PATH: &str = "/apps/v1/instance";
const TOKEN: &str = "/oauth2/token";
const REFRESH: &str = "/oauth/access";

/// A site with a refresh token, an hour later.
fn connected() -> World {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    world.connect();
    world.fake.clock().advance(3_600);
    world.fake.wix().take_paths();
    world
}

fn plan(at: u64) -> String {
    jws::event("PaidPlanPurchased", INSTANCE, &json!({"vendorProductId": "pro"}), at)
}

fn refresh_tokens(world: &World) -> usize {
    world.fake.kv().keys("v1:refresh:").len()
}

fn status(world: &World) -> String {
    world.isolate(&[]).instance(INSTANCE)["status"].as_str().expect("a status").to_owned()
}

fn cron_soon(world: &World) {
    world.fake.clock().advance(300);
    world.isolate(&[]).cron();
}

#[test]
fn a_plain_removal_erases_at_once_and_asks_nobody() {
    let world = connected();
    assert_eq!(
        world.post("/webhook").body(jws::removed(INSTANCE, world.now())).without_deferred_task().send().status,
        200
    );
    assert_eq!((refresh_tokens(&world), status(&world)), (0, "removed".to_owned()));
    cron_soon(&world);
    assert!(world.fake.wix().sent().is_empty());
}

#[test]
fn a_removal_with_a_plan_bought_after_it_is_taken_back_if_wix_knows_the_instance() {
    let world = connected();
    let before = world.instance(INSTANCE);
    world.webhook(plan(START + 1_000));
    world.webhook(jws::removed(INSTANCE, START + 900));
    assert_eq!(world.fake.wix().take_paths(), [REFRESH, INSTANCE_PATH]);
    assert_eq!((refresh_tokens(&world), status(&world)), (1, "installed".to_owned()));
    let after = world.instance(INSTANCE);
    for field in ["auth", "installed_at", "site_id", "configured_at"] {
        assert_eq!(after.get(field), before.get(field), "{field}");
    }
    cron_soon(&world);
    assert!(world.fake.wix().sent().is_empty(), "it is asked once");
    assert!(world.fake.kv().keys("v1:todo:").is_empty());
}

#[test]
fn nothing_is_erased_before_wix_was_asked() {
    let world = connected();
    world.webhook(plan(START + 1_000));
    let response = world.post("/webhook").body(jws::removed(INSTANCE, START + 900)).without_deferred_task().send();
    assert_eq!((response.status, response.has_deferred_task), (200, true));
    assert_eq!((refresh_tokens(&world), world.fake.wix().sent().len()), (1, 0));
    assert_eq!(
        world.isolate(&[]).token(INSTANCE).problem(),
        (410, "removed_instance".to_owned()),
        "until then it counts"
    );
    // The work after the answer was lost: the Cron Trigger does it.
    cron_soon(&world);
    assert_eq!((refresh_tokens(&world), status(&world)), (1, "installed".to_owned()));
}

#[test]
fn wix_is_asked_also_where_putting_it_down_failed_at_first() {
    let world = connected();
    world.webhook(plan(START + 1_000));
    cron_soon(&world);
    world.fake.kv().fail_where(|op, key| op == Op::Put && key.starts_with("v1:todo:"));
    let removed = jws::removed(INSTANCE, START + 900);
    assert_eq!(world.webhook(removed.clone()).status, 503);
    world.fake.kv().clear_faults();
    assert_eq!(world.post("/webhook").body(removed).without_deferred_task().send().status, 200);
    cron_soon(&world);
    assert_eq!((refresh_tokens(&world), status(&world)), (1, "installed".to_owned()));
}

#[test]
fn a_removal_is_final_where_wix_refuses() {
    for (mint, instance) in [(400, 200), (401, 200), (404, 200), (200, 401), (200, 404)] {
        let world = connected();
        let wix = world.fake.wix();
        if mint == 200 {
            wix.always(INSTANCE_PATH, Canned::status(instance));
        } else {
            wix.always(TOKEN, Canned::status(mint));
            wix.always(REFRESH, Canned::status(mint));
        }
        world.webhook(plan(START + 1_000));
        world.webhook(jws::removed(INSTANCE, START + 900));
        assert_eq!((refresh_tokens(&world), status(&world)), (0, "removed".to_owned()), "{mint} {instance}");
        wix.take_paths();
        cron_soon(&world);
        assert!(wix.sent().is_empty(), "{mint} {instance}: it is asked once");
    }
}

#[test]
fn without_the_permission_to_read_the_instance_the_token_is_wixs_word() {
    let world = connected();
    world.fake.wix().always(INSTANCE_PATH, Canned::status(403));
    world.webhook(plan(START + 1_000));
    world.webhook(jws::removed(INSTANCE, START + 900));
    assert_eq!((refresh_tokens(&world), status(&world)), (1, "installed".to_owned()));
}

#[test]
fn while_wix_fails_nothing_is_erased_and_it_is_asked_again() {
    let other = Canned::ok(&json!({"instance": {"instanceId": crate::testing::world::VICTIM}}));
    for (path, response) in [
        (REFRESH, Canned::status(500)),
        (REFRESH, Canned::unreachable()),
        (INSTANCE_PATH, Canned::status(503)),
        (INSTANCE_PATH, Canned::text(200, "{}")),
        (INSTANCE_PATH, other),
    ] {
        let world = connected();
        world.fake.wix().always(path, response.clone());
        world.webhook(plan(START + 1_000));
        world.webhook(jws::removed(INSTANCE, START + 900));
        cron_soon(&world);
        assert_eq!((refresh_tokens(&world), status(&world)), (1, "removed".to_owned()), "{path} {response:?}");
        world.fake.wix().clear_script();
        cron_soon(&world);
        cron_soon(&world);
        assert_eq!((refresh_tokens(&world), status(&world)), (1, "installed".to_owned()), "{path} {response:?}");
    }
}

#[test]
fn a_token_given_long_after_a_removal_contradicts_it() {
    // The second one was on its way when the token was given.
    for (removed_at, expected, asked) in [(START + 900, "installed", 1), (START + 3_590, "removed", 0)] {
        for elsewhere in [false, true] {
            let world = World::new();
            world.webhook(jws::installed(INSTANCE, START));
            world.fake.clock().advance(3_600);
            assert_eq!(world.token(INSTANCE).status, 200);
            let isolate = world.isolate(&[]);
            let receiver = if elsewhere { &isolate } else { &world };
            assert_eq!(receiver.webhook(jws::removed(INSTANCE, removed_at)).status, 200);
            assert_eq!(status(&world), expected, "{removed_at}, elsewhere: {elsewhere}");
            let descriptions = world.fake.wix().sent().iter().filter(|sent| sent.path() == INSTANCE_PATH).count();
            assert_eq!(descriptions, asked, "{removed_at}, elsewhere: {elsewhere}");
        }
    }
}

#[test]
fn an_event_long_after_a_removal_brings_the_instance_back_if_wix_knows_it() {
    for (event, at, expected) in [("Whatever", 1_100, "installed"), ("Whatever", 950, "removed")] {
        let world = connected();
        world.webhook(jws::removed(INSTANCE, START + 900));
        assert_eq!(status(&world), "removed");
        world.webhook(jws::event(event, INSTANCE, &json!({}), START + at));
        assert_eq!(status(&world), expected, "{at}");
    }
    // The tokens are gone, so it heals by client credentials.
    let world = connected();
    world.webhook(jws::removed(INSTANCE, START + 900));
    world.webhook(jws::event("Whatever", INSTANCE, &json!({}), START + 1_100));
    assert_eq!(world.isolate(&[]).token(INSTANCE).status, 200);
    assert_eq!(world.instance(INSTANCE)["auth"], "custom_healed");
}

#[test]
fn after_a_removal_was_taken_back_the_next_one_counts() {
    let world = connected();
    world.webhook(plan(START + 1_000));
    world.webhook(jws::removed(INSTANCE, START + 900));
    assert_eq!(status(&world), "installed");
    world.webhook(jws::removed(INSTANCE, START + 900));
    assert_eq!(status(&world), "installed", "the same message once more");
    world.fake.clock().advance(600);
    world.webhook(jws::removed(INSTANCE, world.now()));
    assert_eq!((refresh_tokens(&world), status(&world)), (0, "removed".to_owned()));
}

#[test]
fn doubt_is_a_matter_of_the_facts_alone() {
    let fact = |at, kind| Fact::new(Timestamp(at), kind);
    let plan = |at| fact(at, Kind::Plan { plan: "pro".to_owned() });
    let removed = fact(100, Kind::Removed);
    let heard = [
        fact(161, Kind::Seen),
        plan(161),
        fact(161, Kind::Configured),
        fact(161, Kind::Healed),
        fact(161, Kind::Accepted),
    ];
    for heard in heard {
        let with = |others: &[Fact]| is_contested(&[&[removed.clone(), heard.clone()], others].concat());
        assert!(with(&[]), "{heard:?}");
        assert!(with(&[fact(50, Kind::Installed { origin: None }), fact(160, Kind::Refused)]), "{heard:?}");
        for settled in [
            fact(100, Kind::Installed { origin: None }),
            fact(170, Kind::Connected { site: None }),
            fact(170, Kind::Joined { site: None }),
            fact(161, Kind::Refused),
            fact(161, Kind::Present),
        ] {
            assert!(!with(std::slice::from_ref(&settled)), "{heard:?} {settled:?}");
        }
        assert!(!is_contested(&[fact(101, Kind::Removed), heard.clone()]), "a minute is within what clocks differ by");
        assert!(!is_contested(std::slice::from_ref(&heard)));
    }
}
