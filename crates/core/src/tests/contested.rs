//! Contested removals. The instance was installed at `START`, an hour ago.

use serde_json::json;

use crate::facts::{Fact, Kind, is_contested};
use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::wix::Canned;
use crate::testing::world::{API_KEY, INSTANCE, World};
use crate::values::Timestamp;

const INSTANCE_PATH: &str = "/apps/v1/instance";
const TOKEN: &str = "/oauth2/token";
const REFRESH: &str = "/oauth/access";

/// An instance with a refresh token, an hour after its installation.
fn connected() -> World {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    world.connect();
    world.fake.clock().advance(3_600);
    world.fake.wix().take_paths();
    world
}

/// An instance whose setup Wix has confirmed long after `START + 900`, when a removal that comes late says that it was removed.
fn configured() -> World {
    let world = connected();
    let path = format!("/v1/instances/{INSTANCE}/finish-configuration");
    assert_eq!(world.post(&path).key(API_KEY).send().status, 200);
    world.fake.wix().take_paths();
    world
}

fn refresh_tokens(world: &World) -> usize {
    world.fake.kv().keys("v1:refresh:").len()
}

fn status(world: &World) -> String {
    world.isolate(&[]).instance(INSTANCE)["status"].as_str().expect("a status").to_owned()
}

fn recheck(world: &World) {
    world.fake.clock().advance(300);
    world.isolate(&[]).cron();
}

#[test]
fn an_uncontested_removal_erases_the_tokens_at_once_without_asking_wix() {
    let world = connected();
    assert_eq!(
        world.post("/webhook").body(jws::removed(INSTANCE, world.now())).without_deferred_task().send().status,
        200
    );
    assert_eq!((refresh_tokens(&world), status(&world)), (0, "removed".to_owned()));
    recheck(&world);
    assert!(world.fake.wix().sent().is_empty());
}

#[test]
fn a_removal_contested_by_a_later_answer_of_wix_is_undone_if_wix_knows_the_instance() {
    let world = configured();
    let before = world.instance(INSTANCE);
    world.webhook(jws::removed(INSTANCE, START + 900));
    assert_eq!(world.fake.wix().take_paths(), [REFRESH, INSTANCE_PATH]);
    assert_eq!((refresh_tokens(&world), status(&world)), (1, "installed".to_owned()));
    let after = world.instance(INSTANCE);
    for field in ["auth", "installed_at", "site_id", "configured_at"] {
        assert_eq!(after.get(field), before.get(field), "{field}");
    }
    recheck(&world);
    assert_eq!(world.fake.kv().keys(&format!("v1:fact:{INSTANCE}:present:")).len(), 1, "Wix is asked once");
    assert!(world.fake.kv().keys("v1:todo:").is_empty());
}

#[test]
fn a_contested_removal_erases_no_tokens_before_wix_is_asked() {
    let world = configured();
    let response = world.post("/webhook").body(jws::removed(INSTANCE, START + 900)).without_deferred_task().send();
    assert_eq!((response.status, response.has_deferred_task), (200, true));
    assert_eq!((refresh_tokens(&world), world.fake.wix().sent().len()), (1, 0));
    assert_eq!(
        world.isolate(&[]).token(INSTANCE).problem(),
        (410, "removed_instance".to_owned()),
        "until Wix is asked the removal counts"
    );
    // The deferred task was lost, so the recheck asks Wix.
    recheck(&world);
    assert_eq!((refresh_tokens(&world), status(&world)), (1, "installed".to_owned()));
}

#[test]
fn wix_is_asked_even_if_the_recheck_was_stored_only_by_the_resent_message() {
    let world = configured();
    recheck(&world);
    world.fake.kv().fail_where(|op, key| op == Op::Put && key.starts_with("v1:todo:"));
    let removed = jws::removed(INSTANCE, START + 900);
    assert_eq!(world.webhook(removed.clone()).status, 503);
    world.fake.kv().clear_faults();
    assert_eq!(world.post("/webhook").body(removed).without_deferred_task().send().status, 200);
    recheck(&world);
    assert_eq!((refresh_tokens(&world), status(&world)), (1, "installed".to_owned()));
}

#[test]
fn a_contested_removal_is_final_if_wix_refuses_the_instance() {
    for (token, instance) in [(400, 200), (401, 200), (404, 200), (200, 401), (200, 404)] {
        let world = configured();
        let wix = world.fake.wix();
        if token == 200 {
            wix.always(INSTANCE_PATH, Canned::status(instance));
        } else {
            wix.always(TOKEN, Canned::status(token));
            wix.always(REFRESH, Canned::status(token));
        }
        world.webhook(jws::removed(INSTANCE, START + 900));
        assert_eq!((refresh_tokens(&world), status(&world)), (0, "removed".to_owned()), "{token} {instance}");
        wix.take_paths();
        recheck(&world);
        assert!(wix.sent().is_empty(), "{token} {instance}: Wix is asked once");
    }
}

#[test]
fn without_permission_to_read_the_instance_the_question_stays_open() {
    let world = configured();
    world.fake.wix().always(INSTANCE_PATH, Canned::status(403));
    world.webhook(jws::removed(INSTANCE, START + 900));
    for _ in 0..2 {
        assert_eq!((refresh_tokens(&world), status(&world)), (1, "removed".to_owned()));
        recheck(&world);
    }
    assert!(world.fake.rechecks().is_empty(), "the permission does not come by itself");
    // It came, and another event lets Wix be asked again.
    world.fake.wix().clear_script();
    world.fake.clock().advance(600);
    world.isolate(&[]).webhook(jws::event("AnyEvent", INSTANCE, &json!({}), world.now()));
    assert_eq!((refresh_tokens(&world), status(&world)), (1, "installed".to_owned()));
}

#[test]
fn events_about_billing_contest_no_removal() {
    for kind in ["PaidPlanPurchased", "PaidPlanAutoRenewalCancelled", "PlanTransferred", "InvoiceStatusUpdated"] {
        let world = connected();
        world.webhook(jws::removed(INSTANCE, START + 900));
        let data = json!({"vendorProductId": "pro", "status": "REFUNDED", "instanceId": INSTANCE});
        world.webhook(jws::event(kind, INSTANCE, &data, START + 2_000));
        recheck(&world);
        assert_eq!((refresh_tokens(&world), status(&world)), (0, "removed".to_owned()), "{kind}");
        assert!(world.fake.wix().sent().is_empty(), "{kind}: Wix is not asked");
        // A plan before the message of the removal does not keep the tokens either.
        let world = connected();
        world.webhook(jws::event(kind, INSTANCE, &data, START + 2_000));
        world.webhook(jws::removed(INSTANCE, START + 900));
        assert_eq!((refresh_tokens(&world), status(&world)), (0, "removed".to_owned()), "{kind}");
    }
}

#[test]
fn while_wix_fails_no_tokens_are_erased_and_wix_is_asked_again() {
    let other = Canned::ok(&json!({"instance": {"instanceId": crate::testing::world::VICTIM}}));
    for (path, response) in [
        (REFRESH, Canned::status(500)),
        (REFRESH, Canned::unreachable()),
        (INSTANCE_PATH, Canned::status(503)),
        (INSTANCE_PATH, Canned::text(200, "{}")),
        (INSTANCE_PATH, other),
    ] {
        let world = configured();
        world.fake.wix().always(path, response.clone());
        world.webhook(jws::removed(INSTANCE, START + 900));
        recheck(&world);
        assert_eq!((refresh_tokens(&world), status(&world)), (1, "removed".to_owned()), "{path} {response:?}");
        world.fake.wix().clear_script();
        recheck(&world);
        recheck(&world);
        assert_eq!((refresh_tokens(&world), status(&world)), (1, "installed".to_owned()), "{path} {response:?}");
    }
}

#[test]
fn a_token_issued_long_after_a_removal_contests_it() {
    // The second removal happened within a minute of the token, so the token does not contest it.
    for (removed_at, expected, requests) in [(START + 900, "installed", 1), (START + 3_590, "removed", 0)] {
        for in_another_isolate in [false, true] {
            let world = World::new();
            world.webhook(jws::installed(INSTANCE, START));
            world.fake.clock().advance(3_600);
            assert_eq!(world.token(INSTANCE).status, 200);
            let isolate = world.isolate(&[]);
            let receiver = if in_another_isolate { &isolate } else { &world };
            assert_eq!(receiver.webhook(jws::removed(INSTANCE, removed_at)).status, 200);
            assert_eq!(status(&world), expected, "{removed_at}, another isolate: {in_another_isolate}");
            let sent = world.fake.wix().sent().iter().filter(|sent| sent.path() == INSTANCE_PATH).count();
            assert_eq!(sent, requests, "{removed_at}, another isolate: {in_another_isolate}");
        }
    }
}

#[test]
fn an_event_long_after_a_removal_restores_the_instance_if_wix_knows_it() {
    for (at, expected) in [(1_100, "installed"), (950, "removed")] {
        let world = connected();
        world.webhook(jws::removed(INSTANCE, START + 900));
        assert_eq!(status(&world), "removed");
        world.webhook(jws::event("AnyEvent", INSTANCE, &json!({}), START + at));
        assert_eq!(status(&world), expected, "{at}");
    }
    // Its refresh token is erased, so client credentials issue a token.
    let world = connected();
    world.webhook(jws::removed(INSTANCE, START + 900));
    world.webhook(jws::event("AnyEvent", INSTANCE, &json!({}), START + 1_100));
    assert_eq!(world.isolate(&[]).token(INSTANCE).status, 200);
    assert_eq!(world.instance(INSTANCE)["auth"], "custom_healed");
}

#[test]
fn after_an_undone_removal_the_next_removal_counts() {
    let world = configured();
    world.webhook(jws::removed(INSTANCE, START + 900));
    assert_eq!(status(&world), "installed");
    world.webhook(jws::removed(INSTANCE, START + 900));
    assert_eq!(status(&world), "installed", "a repetition of the same message");
    world.fake.clock().advance(600);
    world.webhook(jws::removed(INSTANCE, world.now()));
    assert_eq!((refresh_tokens(&world), status(&world)), (0, "removed".to_owned()));
}

#[test]
fn a_removal_is_contested_by_its_facts_alone() {
    let fact = |at, kind| Fact::new(Timestamp(at), kind);
    let plan = |at| fact(at, Kind::Plan { plan: "pro".to_owned(), cycle: None, expires_at: None, auto_renewing: None });
    let removed = fact(100, Kind::Removed);
    let contesting =
        [fact(161, Kind::Seen), fact(161, Kind::Configured), fact(161, Kind::Healed), fact(161, Kind::Accepted)];
    for contesting in contesting {
        let with = |others: &[Fact]| is_contested(&[&[removed.clone(), contesting.clone()], others].concat());
        assert!(with(&[]), "{contesting:?}");
        assert!(with(&[fact(50, Kind::Installed { origin: None }), fact(160, Kind::Refused)]), "{contesting:?}");
        for resolving in [
            fact(100, Kind::Installed { origin: None }),
            fact(170, Kind::Connected { site: None }),
            fact(170, Kind::Joined { site: None }),
            fact(100, Kind::Created),
            fact(101, Kind::Listed),
            fact(100, Kind::Deleted),
            fact(161, Kind::Refused),
            fact(161, Kind::Present),
        ] {
            assert!(!with(std::slice::from_ref(&resolving)), "{contesting:?} {resolving:?}");
        }
        assert!(!is_contested(&[fact(101, Kind::Removed), contesting.clone()]), "clocks may differ by a minute");
        assert!(!is_contested(std::slice::from_ref(&contesting)));
    }
    assert!(!is_contested(&[removed, plan(161)]), "a plan contests nothing");
}
