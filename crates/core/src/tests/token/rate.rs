//! `WIX_RATE_LIMIT`: how many calls to Wix an installation may cause in a minute.

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::world::{API_KEY, DELIVERING, INSTANCE, TestResponse, VICTIM, World};

fn proxied(world: &World, instance: &str) -> TestResponse {
    world.get(&format!("/v1/instances/{instance}/wix/stores/v1/products")).key(API_KEY).send()
}

fn installed(world: World) -> World {
    for instance in [INSTANCE, VICTIM] {
        assert_eq!(world.webhook(jws::installed(instance, START)).status, 200);
        // The token is one of the calls.
        assert_eq!(world.token(instance).status, 200);
    }
    world
}

#[test]
fn the_call_after_the_last_one_is_refused_until_a_minute_has_passed() {
    for world in [World::new(), World::delivering()] {
        let world = installed(world);
        for _ in 1..200 {
            assert_eq!(proxied(&world, INSTANCE).status, 200);
        }
        let refused = proxied(&world, INSTANCE);
        assert_eq!(refused.problem(), (429, "wix_rate_limit".to_owned()));
        let wait: u64 = refused.header("retry-after").parse().expect("seconds");
        assert!((50..=70).contains(&wait), "{wait}");
        assert_eq!(proxied(&world, VICTIM).status, 200, "another installation has calls of its own");
        world.fake.clock().set(world.now() + wait);
        assert_eq!(proxied(&world, INSTANCE).status, 200);
    }
}

#[test]
fn isolates_share_the_calls_through_the_object() {
    let world = installed(World::delivering());
    let isolates: Vec<World> = (0..20).map(|_| world.isolate(&DELIVERING)).collect();
    world.fake.wix().take_paths();
    let refused = (0..600).filter(|call| proxied(&isolates[call % 20], INSTANCE).status == 429).count();
    let called = world.fake.wix().take_paths().len();
    assert_eq!(called + refused, 600);
    assert!((150..=199).contains(&called), "{called}");
}

#[test]
fn an_isolate_asks_the_object_more_rarely_the_more_it_calls() {
    let world = installed(World::delivering());
    let before = world.fake.object_calls().len();
    for _ in 0..63 {
        proxied(&world, INSTANCE);
    }
    let calls = world.fake.object_calls();
    let asked = calls.iter().skip(before).filter(|(_, path, _)| path == "/permits").count();
    assert_eq!(asked, 6, "1, 2, 4, 8, 16 and 32 permits");
}

#[test]
fn a_token_that_wix_would_have_to_issue_is_refused_too_and_one_that_is_kept_is_not() {
    let world = installed(World::delivering_with(&[("WIX_RATE_LIMIT", "1")]));
    assert_eq!(world.token(INSTANCE).status, 200);
    let forced = world.post(&format!("/v1/instances/{INSTANCE}/token")).key(API_KEY).body(r#"{"force":true}"#).send();
    assert_eq!(forced.problem(), (429, "wix_rate_limit".to_owned()));
    assert!(forced.has("retry-after"));
}

#[test]
fn with_0_there_is_no_limit() {
    let world = installed(World::with(&[("WIX_RATE_LIMIT", "0")]));
    assert!((0..300).all(|_| proxied(&world, INSTANCE).status == 200));
}

#[test]
fn while_the_object_fails_calls_are_made() {
    let world = installed(World::delivering());
    world.fake.object_answers(0, Ok((500, "")));
    assert_eq!(proxied(&world, INSTANCE).status, 200);
    assert_eq!(world.fake.last_log()["error"], "store_failed");
}
