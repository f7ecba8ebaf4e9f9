//! `POST /v1/instances/{id}/token`: the requests to Wix, and how long a token is cached.

mod copy;
mod failure;
mod healing;
mod object;
mod rate;
mod single_flight;

use serde_json::json;

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::wix::{Canned, REFRESH_TOKEN};
use crate::testing::world::{API_KEY, APP_ID, APP_SECRET, INSTANCE, VICTIM, World};

pub const EXCHANGE: &str = "/oauth/access";
pub const TOKEN: &str = "/oauth2/token";

/// An isolate whose instance was installed by webhook only, and has no refresh token.
pub fn installed() -> World {
    installed_with(&[])
}

pub fn installed_with(changes: &[(&str, &str)]) -> World {
    let world = World::with(changes);
    assert_eq!(world.webhook(jws::installed(INSTANCE, START)).status, 200);
    world
}

/// An isolate whose instance was connected by redirect six minutes ago, and has a refresh token.
pub fn connected() -> World {
    let world = World::new();
    assert_eq!(world.connect().status, 302);
    world.fake.clock().set(START + 360);
    world.fake.wix().take_paths();
    world
}

fn token_with_body(world: &World, body: &str) -> crate::testing::world::TestResponse {
    world.post(&format!("/v1/instances/{INSTANCE}/token")).key(API_KEY).body(body).send()
}

#[test]
fn client_credentials_are_requested_with_exactly_the_documented_fields() {
    let world = installed();
    let response = world.token(INSTANCE);
    assert_eq!(
        response.json(),
        json!({
            "access_token": "OauthNG.JWS.planted-token.1",
            "token_type": "Bearer",
            "expires_at": START + 14_400,
        })
    );
    let sent = world.fake.wix().sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].url, "https://www.wixapis.com/oauth2/token");
    assert_eq!(sent[0].authorization, None);
    assert_eq!(
        sent[0].json,
        json!({
            "grant_type": "client_credentials",
            "client_id": APP_ID,
            "client_secret": APP_SECRET,
            "instance_id": INSTANCE,
        })
    );
}

#[test]
fn a_stored_refresh_token_is_used() {
    let world = connected();
    let response = world.token(INSTANCE);
    assert_eq!(response.access_token(), "OAUTH2.planted-token.2");
    assert_eq!(response.json()["expires_at"], START + 360 + 300);
    let sent = world.fake.wix().sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].url, "https://www.wixapis.com/oauth/access");
    assert_eq!(sent[0].authorization, None);
    assert_eq!(
        sent[0].json,
        json!({
            "grant_type": "refresh_token",
            "client_id": APP_ID,
            "client_secret": APP_SECRET,
            "refresh_token": REFRESH_TOKEN,
        })
    );
}

#[test]
fn a_four_hour_token_is_not_used_in_its_last_24_minutes() {
    let world = installed();
    let first = world.token(INSTANCE).access_token();
    world.fake.clock().set(START + 14_400 - 1_441);
    assert_eq!(world.token(INSTANCE).access_token(), first);
    world.fake.clock().set(START + 14_400 - 1_440);
    assert_ne!(world.token(INSTANCE).access_token(), first);
}

#[test]
fn a_five_minute_token_is_not_used_in_its_last_60_seconds() {
    let world = connected();
    let first = world.token(INSTANCE).access_token();
    world.fake.clock().advance(239);
    assert_eq!(world.token(INSTANCE).access_token(), first);
    world.fake.clock().advance(1);
    assert_ne!(world.token(INSTANCE).access_token(), first);
}

#[test]
fn the_margin_applies_to_a_token_from_kv_too() {
    let world = installed();
    let first = world.token(INSTANCE).access_token();
    world.fake.clock().set(START + 14_400 - 1_441);
    assert_eq!(world.isolate(&[]).token(INSTANCE).access_token(), first);
    world.fake.clock().set(START + 14_400 - 1_440);
    assert_ne!(world.isolate(&[]).token(INSTANCE).access_token(), first);
}

#[test]
fn another_isolate_reads_a_four_hour_token_from_kv() {
    let world = installed();
    let first = world.token(INSTANCE);
    let second = world.isolate(&[]).token(INSTANCE);
    assert_eq!(first.json(), second.json());
    assert_eq!(world.fake.wix().take_paths(), [TOKEN]);

    let stored = &world.fake.kv().entries()[&format!("v1:access:{INSTANCE}")];
    assert_eq!(stored.expires, Some((START + 14_400) * 1000));
    assert_eq!(stored.metadata, None);
    assert!(stored.value.starts_with("s1.k1.") && !stored.value.contains("planted"), "{}", stored.value);
}

#[test]
fn a_sealed_token_under_another_instances_key_is_not_used() {
    let world = installed();
    world.webhook(jws::installed(VICTIM, START));
    let token = world.token(VICTIM).access_token();
    let moved = world.fake.kv().entries()[&format!("v1:access:{VICTIM}")].value.clone();
    world.fake.kv().insert_directly(&format!("v1:access:{INSTANCE}"), &moved, None);
    assert_ne!(world.isolate(&[]).token(INSTANCE).access_token(), token);
}

#[test]
fn a_five_minute_token_is_not_stored_in_kv() {
    let world = connected();
    world.token(INSTANCE);
    assert!(world.fake.kv().keys("v1:access:").is_empty());
    assert_ne!(world.isolate(&[]).token(INSTANCE).access_token(), "OAUTH2.planted-token.2");
}

#[test]
fn force_issues_a_new_token_and_replaces_the_cached_one() {
    let world = installed();
    let first = world.token(INSTANCE).access_token();
    for not_forced in ["", " \n", "{}", r#"{"force":false}"#, r#"{"force":null}"#] {
        let response = token_with_body(&world, not_forced);
        assert_eq!(response.access_token(), first, "{not_forced:?}");
    }
    let forced = token_with_body(&world, r#"{"force":true}"#).access_token();
    assert_ne!(forced, first);
    assert_eq!(world.token(INSTANCE).access_token(), forced);
    assert_eq!(world.isolate(&[]).token(INSTANCE).access_token(), forced);
}

#[test]
fn an_invalid_body_is_refused() {
    let world = installed();
    for body in ["force", "true", "null", "{", "{}{}", r#"{"force":"yes"}"#, r#"{"force":1}"#, r#"{"Force":true}"#] {
        assert_eq!(token_with_body(&world, body).problem(), (400, "bad_request".to_owned()), "{body}");
    }
    let long = " ".repeat(16 * 1024);
    assert_eq!(token_with_body(&world, &long).status, 200);
    assert_eq!(token_with_body(&world, &format!("{long} ")).problem(), (413, "too_large".to_owned()));
    let broken = world.post(&format!("/v1/instances/{INSTANCE}/token")).key(API_KEY).broken().send();
    assert_eq!(broken.problem(), (400, "bad_request".to_owned()));
}

#[test]
fn a_body_that_is_an_array_is_refused() {
    let world = installed();
    for body in ["[]", "[true]"] {
        assert_eq!(token_with_body(&world, body).problem(), (400, "bad_request".to_owned()), "{body}");
    }
}

#[test]
fn an_unknown_instance_is_a_404_without_a_request_to_wix() {
    let world = World::new();
    assert_eq!(world.token(INSTANCE).problem(), (404, "unknown_instance".to_owned()));
    assert!(world.fake.wix().sent().is_empty());
}

#[test]
fn an_id_that_is_not_a_guid_is_a_400() {
    let world = World::new();
    for id in ["1234", "", "00000000-0000-0000-0000-000000000000", "..%2f..", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeeg"] {
        assert_eq!(world.token(id).problem(), (400, "bad_request".to_owned()), "{id}");
    }
}

#[test]
fn an_id_in_upper_case_is_the_same_instance() {
    let world = installed();
    assert_eq!(world.token(&INSTANCE.to_uppercase()).access_token(), world.token(INSTANCE).access_token());
}

#[test]
fn without_a_stated_lifetime_a_token_lives_four_hours() {
    for (response, life) in [
        (json!({"access_token": "OauthNG.t", "token_type": "Bearer"}), 14_400),
        (json!({"access_token": "OauthNG.t", "expires_in": null}), 14_400),
        (json!({"access_token": "OauthNG.t", "expires_in": 7200}), 7200),
        (json!({"access_token": "OauthNG.t", "expires_in": "7200"}), 7200),
    ] {
        let world = installed();
        world.fake.wix().queue(TOKEN, [Canned::ok(&response)]);
        assert_eq!(world.token(INSTANCE).json()["expires_at"], START + life, "{response}");
    }
}

#[test]
fn a_failure_of_kv_does_not_lose_a_token() {
    let world = installed();
    world.fake.kv().fail_where(|op, _| op == Op::Put);
    assert_eq!(world.token(INSTANCE).status, 200);
    assert_eq!(world.fake.last_log()["error"], "store_failed");
    world.fake.kv().fail_where(|_, _| true);
    assert_eq!(world.token(INSTANCE).status, 200, "a cached token needs no KV");
    assert_eq!(world.isolate(&[]).token(INSTANCE).problem(), (503, "store_failed".to_owned()));
}

#[test]
fn the_cache_holds_1000_instances_and_evicts_the_least_recently_used() {
    let world = installed();
    let first = world.token(INSTANCE).access_token();
    let row = world.fake.kv().entries()[&format!("v1:instance:{INSTANCE}")].value.clone();
    for number in 1..=1000 {
        let id = format!("cccccccc-bbbb-4ccc-8ddd-{number:012}");
        world.fake.kv().insert_directly(&format!("v1:instance:{id}"), &row.replace(INSTANCE, &id), None);
        assert_eq!(world.token(&id).status, 200);
    }
    world.fake.kv().fail_where(|_, _| true);
    assert_eq!(world.token("cccccccc-bbbb-4ccc-8ddd-000000001000").status, 200);
    assert_eq!(world.token(INSTANCE).status, 503, "{first} must be evicted");
}
