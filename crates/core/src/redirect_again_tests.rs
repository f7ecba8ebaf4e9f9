//! The same redirect opened more than once, or by a browser that only looks ahead.

use super::{EXCHANGE, INFO, code};
use crate::fake::jws;
use crate::fake::kv::Op;
use crate::fake::wix::Canned;
use crate::fake::world::{INSTANCE, VICTIM, World};

fn exchanges(world: &World) -> usize {
    world.fake.wix().sent().iter().filter(|sent| sent.path() == EXCHANGE).count()
}

#[test]
fn a_redirect_that_is_opened_again_gives_the_same_page_with_one_exchange() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let first = world.callback(&state, &cookie, INSTANCE).answer();
    world.fake.clock().pass(60);
    let again = world.callback(&state, &cookie, INSTANCE).answer();
    let elsewhere = world.isolate(&[]);
    let other = elsewhere.callback(&state, &cookie, INSTANCE).answer();
    assert_eq!(first.status, 302);
    for answer in [again, other] {
        assert_eq!((answer.status, answer.header("location")), (302, first.header("location")));
    }
    assert_eq!(exchanges(&world), 1);
}

#[test]
fn a_redirect_that_is_opened_twice_at_once_has_one_exchange() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.fake.wix().next(INFO, [Canned::ok(&crate::fake::wix::token_info()).after(400)]);
    let answers = world.all([world.callback(&state, &cookie, INSTANCE), world.callback(&state, &cookie, INSTANCE)]);
    assert_eq!(answers[0].header("location"), answers[1].header("location"));
    assert_eq!(exchanges(&world), 1);
}

#[test]
fn opening_it_again_with_a_victims_id_gives_nothing() {
    let world = World::new();
    world.webhook(jws::installed(VICTIM, world.now()));
    let (state, cookie) = world.begin_install();
    world.callback(&state, &cookie, INSTANCE).answer();
    world.fake.wix().always(EXCHANGE, Canned::status(400));
    world.fake.kv().take_changes();
    assert_eq!(code(&world.callback(&state, &cookie, VICTIM).answer()), 403);
    assert_eq!(code(&world.isolate(&[]).callback(&state, &cookie, VICTIM).answer()), 400);
    assert_eq!(world.fake.kv().take_changes(), []);
}

#[test]
fn a_removal_in_between_is_not_undone_by_opening_it_again() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.callback(&state, &cookie, INSTANCE).answer();
    world.fake.clock().pass(60);
    world.webhook(jws::removed(INSTANCE, world.now()));
    world.fake.clock().pass(60);
    for world in [&world, &world.isolate(&[])] {
        world.callback(&state, &cookie, INSTANCE).answer();
        assert_eq!(world.instance(INSTANCE)["status"], "removed");
        assert_eq!(world.token(INSTANCE).status, 410);
        assert!(world.fake.kv().keys("v1:refresh:").is_empty());
    }
}

#[test]
fn what_could_not_be_stored_is_stored_by_a_reload_without_another_exchange() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.fake.kv().break_where(|op, _| op == Op::Put);
    let failed = world.callback(&state, &cookie, INSTANCE).answer();
    assert_eq!(code(&failed), 503);
    assert!(failed.body.contains("Reload this page"), "{}", failed.body);
    assert!(world.fake.kv().entries().is_empty());
    world.fake.kv().mend();
    assert_eq!(world.callback(&state, &cookie, INSTANCE).answer().status, 302);
    assert_eq!(world.instance(INSTANCE)["auth"], "custom");
    assert_eq!(world.fake.kv().keys("v1:refresh:").len(), 1);
    assert_eq!(exchanges(&world), 1);
}

#[test]
fn a_write_that_fails_for_a_moment_is_tried_again() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let until = world.fake.clock().now() + 200;
    let clock = world.fake.clone();
    world
        .fake
        .kv()
        .break_where(move |op, key| op == Op::Put && key.starts_with("v1:refresh:") && clock.clock().now() < until);
    assert_eq!(world.callback(&state, &cookie, INSTANCE).answer().status, 302);
    assert_eq!(world.fake.kv().keys("v1:refresh:").len(), 1);
    assert_eq!(exchanges(&world), 1);
}

#[test]
fn where_it_was_never_stored_client_credentials_still_work() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.fake.kv().break_where(|op, _| op == Op::Put);
    world.callback(&state, &cookie, INSTANCE).answer();
    world.fake.kv().mend();
    let later = world.isolate(&[]);
    later.webhook(jws::installed(INSTANCE, world.now()));
    assert_eq!(later.token(INSTANCE).status, 200);
    assert_eq!(later.instance(INSTANCE)["auth"], "oauth");
}

#[test]
fn looking_ahead_is_no_exchange() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    for purpose in ["prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip"] {
        let answer = world.callback(&state, &cookie, INSTANCE).header("sec-purpose", purpose).answer();
        assert_eq!(code(&answer), 503, "{purpose}");
    }
    assert_eq!(exchanges(&world), 0);
    assert_eq!(world.callback(&state, &cookie, INSTANCE).answer().status, 302);
}
