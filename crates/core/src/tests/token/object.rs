//! Tokens where objects are bound: the object of the installation issues and keeps its token.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::json;

use super::{EXCHANGE, TOKEN};
use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::wix::Canned;
use crate::testing::world::{API_KEY, DELIVERING, INSTANCE, TestResponse, VICTIM, World};

/// How many rows of sealed tokens the object has.
fn kept(world: &World) -> u64 {
    world.fake.object(INSTANCE).count("SELECT COUNT(*) FROM about WHERE name IN ('access_token', 'refresh_token')")
}

fn installed() -> World {
    let world = World::delivering();
    assert_eq!(world.webhook(jws::installed(INSTANCE, START)).status, 200);
    world
}

/// An installation whose refresh token is in KV, and not yet in its object.
pub(super) fn connected() -> World {
    let world = World::delivering();
    assert_eq!(world.connect().status, 302);
    world.fake.clock().set(START + 360);
    world.fake.wix().take_paths();
    world
}

#[test]
fn a_hundred_isolates_that_ask_at_once_make_one_call_to_wix() {
    let world = installed();
    let slow = Canned::ok(&json!({"access_token": "OauthNG.slow", "expires_in": 14_400})).after(700);
    world.fake.wix().always(TOKEN, slow);
    let isolates: Vec<World> = (0..100).map(|_| world.isolate(&DELIVERING)).collect();
    let path = format!("/v1/instances/{INSTANCE}/token");
    let requests = isolates.iter().map(|isolate| isolate.post(&path).key(API_KEY).send_async());
    let responses = world.fake.clock().run(join_all(requests));
    let tokens: BTreeSet<String> = responses.iter().map(TestResponse::access_token).collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(world.fake.wix().take_paths(), [TOKEN]);
}

#[test]
fn a_token_costs_no_operation_of_kv_in_any_isolate() {
    let world = installed();
    world.token(INSTANCE);
    let other = world.isolate(&DELIVERING);
    world.fake.kv().take_counts();
    world.fake.clock().set(START + 13_000);
    let issued = other.token(INSTANCE).access_token();
    assert_eq!(issued, "OauthNG.JWS.planted-token.2");
    let line = world.fake.last_log();
    assert_eq!((&line["token_source"], &line["wix_calls"]), (&json!("client_credentials"), &json!(1)));
    assert!(line["wix_request_id"].is_string(), "{line}");
    assert_eq!(world.isolate(&DELIVERING).token(INSTANCE).access_token(), issued);
    assert_eq!(world.fake.kv().take_counts(), [0; 4]);
    assert!(world.fake.kv().keys("v1:access:").is_empty());
    assert_eq!(kept(&world), 1);
}

#[test]
fn the_refresh_token_is_read_from_kv_once_and_kept_sealed() {
    let world = connected();
    assert_eq!(world.token(INSTANCE).status, 200);
    world.fake.kv().take_counts();
    world.fake.clock().set(START + 720);
    assert_eq!(world.token(INSTANCE).status, 200);
    assert_eq!(world.fake.wix().take_paths(), [EXCHANGE, EXCHANGE]);
    assert_eq!(world.fake.kv().take_counts(), [0; 4]);
    let sealed = world.fake.object(INSTANCE).texts("SELECT value FROM about WHERE name LIKE '%token'");
    assert_eq!(sealed.len(), 2);
    assert!(sealed.iter().all(|value| !value.contains("planted")));
}

#[test]
fn a_refresh_token_is_not_copied_before_kv_shows_it_everywhere() {
    let world = World::delivering();
    assert_eq!(world.connect().status, 302);
    world.fake.clock().set(START + 60);
    assert_eq!(world.isolate(&DELIVERING).token(INSTANCE).status, 200);
    assert_eq!(kept(&world), 1, "the access token alone");
}

#[test]
fn a_new_flow_ends_the_copy_of_the_refresh_token() {
    let world = connected();
    world.token(INSTANCE);
    assert_eq!(kept(&world), 2);
    assert_eq!(world.connect().status, 302);
    assert_eq!(kept(&world), 0);
}

#[test]
fn a_removal_erases_the_tokens_of_the_object_and_no_isolate_gets_one() {
    let world = connected();
    world.token(INSTANCE);
    let other = world.isolate(&DELIVERING);
    assert_eq!(world.webhook(jws::removed(INSTANCE, START + 400)).status, 200);
    assert_eq!(kept(&world), 0);
    assert_eq!(other.token(INSTANCE).status, 410);
    assert_eq!(world.token(INSTANCE).status, 410);
}

#[test]
fn a_removal_that_the_object_was_not_told_yet_is_410() {
    let world = installed();
    let other = world.isolate(&DELIVERING);
    world.fake.wix().always(TOKEN, Canned::status(404));
    let removed = world.post("/webhook").body(jws::removed(INSTANCE, START + 10)).without_deferred_task().send();
    assert_eq!(removed.status, 200);
    assert_eq!(other.token(INSTANCE).status, 410);
}

#[test]
fn a_token_that_the_object_gave_before_it_was_told_of_the_removal_is_forgotten() {
    let world = installed();
    world.token(INSTANCE);
    let removed = world.post("/webhook").body(jws::removed(INSTANCE, START + 10)).without_deferred_task().send();
    assert_eq!(removed.status, 200);
    assert_eq!(world.token(INSTANCE).status, 200, "the object was not told");
    world.fake.clock().set(START + 180);
    world.cron();
    assert_eq!(world.token(INSTANCE).status, 410);
}

#[test]
fn an_isolate_that_remembers_a_token_learns_of_the_removal_after_five_minutes() {
    let world = installed();
    let other = world.isolate(&DELIVERING);
    let token = other.token(INSTANCE).access_token();
    world.webhook(jws::removed(INSTANCE, START + 10));
    world.fake.clock().set(START + 200);
    assert_eq!(other.token(INSTANCE).access_token(), token);
    world.fake.clock().set(START + 400);
    assert_eq!(other.token(INSTANCE).status, 410);
}

#[test]
fn a_token_that_the_object_was_issued_after_the_removal_contests_it() {
    let world = installed();
    world.fake.clock().set(START + 600);
    world.token(INSTANCE);
    let other = world.isolate(&DELIVERING);
    // The removal is older than the token, and Wix says that the app is installed.
    assert_eq!(other.webhook(jws::removed(INSTANCE, START + 300)).status, 200);
    assert_eq!(world.fake.last_log()["outcome"], "removal_taken_back");
    assert_eq!(other.token(INSTANCE).status, 200);
}

#[test]
fn an_object_that_was_told_nothing_takes_the_facts_of_the_row() {
    let world = installed();
    world.fake.clock().run(async {
        let _ = crate::delivery::command(&world.fake, INSTANCE, crate::delivery::requests::ERASE, "", u64::MAX).await;
    });
    let other = world.isolate(&DELIVERING);
    assert_eq!(other.token(INSTANCE).status, 200);
    // Everything was told before.
    assert_eq!(world.fake.object(INSTANCE).count("SELECT COUNT(*) FROM about WHERE name = 'told'"), 1);
}

#[test]
fn an_unknown_installation_leaves_no_object() {
    let world = installed();
    assert_eq!(world.token(VICTIM).problem(), (404, "unknown_instance".to_owned()));
    assert_eq!(world.fake.object(VICTIM).count("SELECT COUNT(*) FROM sqlite_master"), 0);
}

#[test]
fn while_the_object_fails_a_token_in_memory_is_used_and_no_other_way_is_taken() {
    let world = installed();
    let token = world.token(INSTANCE).access_token();
    let other = world.isolate(&DELIVERING);
    world.fake.object(INSTANCE).break_storage(true);
    world.fake.wix().take_paths();
    world.fake.clock().set(START + 400);
    assert_eq!(world.token(INSTANCE).access_token(), token);
    assert_eq!(other.token(INSTANCE).problem(), (503, "store_failed".to_owned()));
    assert!(world.fake.wix().take_paths().is_empty());
    world.fake.object(INSTANCE).break_storage(false);
    assert_eq!(other.token(INSTANCE).access_token(), token);
}

#[test]
fn force_lets_the_object_issue_another_token() {
    let world = installed();
    let first = world.token(INSTANCE).access_token();
    let forced = world.post(&format!("/v1/instances/{INSTANCE}/token")).key(API_KEY).body(r#"{"force":true}"#).send();
    assert_ne!(forced.access_token(), first);
    let other = world.isolate(&DELIVERING);
    assert_eq!(other.token(INSTANCE).access_token(), forced.access_token());
}

#[test]
fn a_refusal_of_wix_reaches_the_caller_as_without_the_object() {
    for (answer, problem) in [
        (Canned::status(404), (409, "needs_reconnect")),
        (Canned::status(500), (502, "wix_failed")),
        (Canned::hang(), (504, "wix_timeout")),
        (Canned::ok(&json!({"error": "invalid_client"})), (502, "wix_failed")),
    ] {
        let world = installed();
        world.fake.wix().always(TOKEN, answer);
        assert_eq!(world.token(INSTANCE).problem(), (problem.0, problem.1.to_owned()));
    }
}

#[test]
fn a_hundred_requests_of_an_isolate_ask_the_object_once() {
    let world = installed();
    let before = world.fake.object_calls().len();
    let path = format!("/v1/instances/{INSTANCE}/token");
    let responses = world.send_all((0..100).map(|_| world.post(&path).key(API_KEY)));
    assert!(responses.iter().all(|response| response.status == 200));
    let calls = world.fake.object_calls();
    assert_eq!(calls.iter().skip(before).filter(|(_, path, _)| path == "/token").count(), 1);
}
