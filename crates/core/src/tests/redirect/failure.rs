//! Callbacks where Wix fails, refuses, or identifies another instance, and where KV fails.

use serde_json::json;

use super::{EXCHANGE, INFO, page_status};
use crate::testing::clock::START;
use crate::testing::kv::Op;
use crate::testing::wix::{Canned, token_info};
use crate::testing::world::{APP_SECRET, INSTANCE, VICTIM, World};

#[test]
fn a_callback_with_another_instance_id_writes_nothing() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let response = world.callback(&state, &cookie, VICTIM).send();
    assert_eq!(page_status(&response), 403);
    assert!(response.body.contains("instance_not_proven"));
    assert_eq!(world.fake.kv().take_changes(), []);
    assert!(world.fake.kv().entries().is_empty());
    // The token is not cached for either instance.
    assert_eq!(world.token(VICTIM).status, 404);
    assert_eq!(world.token(INSTANCE).status, 404);
}

#[test]
fn a_token_that_fails_introspection_writes_nothing() {
    let other_app = "33333333-2222-4333-8444-555555555555";
    let mut cases = Vec::new();
    for (field, value) in [
        ("active", json!(false)),
        ("active", json!("false")),
        ("active", json!("yes")),
        ("clientId", json!(other_app)),
        ("clientId", json!("")),
        ("clientId", json!(null)),
        ("instanceId", json!("")),
        ("instanceId", json!(null)),
        ("instanceId", json!("00000000-0000-0000-0000-000000000000")),
        ("instanceId", json!(VICTIM)),
    ] {
        let mut info = token_info();
        info[field] = value.clone();
        cases.push((format!("{field} {value}"), info));
    }
    for field in ["active", "clientId", "instanceId"] {
        let mut info = token_info();
        info.as_object_mut().unwrap().remove(field);
        cases.push((format!("no {field}"), info));
    }
    for (name, info) in cases {
        let world = World::new();
        world.fake.wix().queue(INFO, [Canned::ok(&info)]);
        let response = world.connect();
        assert_eq!(page_status(&response), 403, "{name}");
        assert!(world.fake.kv().entries().is_empty(), "{name}");
    }
}

#[test]
fn a_refused_introspection_writes_nothing() {
    for status in [400, 401, 403, 404] {
        let world = World::new();
        world.fake.wix().queue(INFO, [Canned::status(status)]);
        assert_eq!(page_status(&world.connect()), 403, "{status}");
        assert!(world.fake.kv().entries().is_empty());
    }
}

#[test]
fn a_refused_code_is_explained_on_the_page() {
    for status in [400, 401, 403, 404] {
        let world = World::new();
        world.fake.wix().always(EXCHANGE, Canned::status(status));
        let response = world.connect();
        assert_eq!(page_status(&response), 400, "{status}");
        assert!(response.body.contains("has expired"), "{}", response.body);
        assert!(world.fake.kv().entries().is_empty());
        assert_eq!(world.fake.wix().take_paths(), [EXCHANGE], "a code is exchanged once");
    }
}

#[test]
fn the_previous_app_secret_is_tried_if_wix_refuses_the_current_one() {
    let world = World::with(&[("WIX_APP_SECRET_PREVIOUS", "the-former-secret")]);
    world.fake.wix().queue(EXCHANGE, [Canned::status(401)]);
    assert_eq!(world.connect().status, 302);
    let sent = world.fake.wix().sent();
    assert_eq!(sent[0].json["client_secret"], APP_SECRET);
    assert_eq!(sent[1].json["client_secret"], "the-former-secret");
}

#[test]
fn a_transient_failure_of_wix_is_retried() {
    for failure in [Canned::status(500), Canned::status(503), Canned::status(429), Canned::unreachable()] {
        let world = World::new();
        world.fake.wix().queue(EXCHANGE, [failure.clone()]);
        world.fake.wix().queue(INFO, [failure]);
        assert_eq!(world.connect().status, 302);
        assert_eq!(world.fake.wix().take_paths(), [EXCHANGE, EXCHANGE, INFO, INFO]);
    }
}

#[test]
fn a_lasting_failure_of_wix_is_a_502_and_writes_nothing() {
    let world = World::new();
    world.fake.wix().always(EXCHANGE, Canned::text(500, ""));
    assert_eq!(page_status(&world.connect()), 502);
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn without_a_response_of_wix_the_callback_is_a_504_within_15_seconds() {
    for path in [EXCHANGE, INFO] {
        let world = World::new();
        world.fake.wix().always(path, Canned::hang());
        let response = world.connect();
        assert_eq!(page_status(&response), 504, "{path}");
        assert!((10_000..=15_000).contains(&response.took), "{path}: {} ms", response.took);
        assert!(world.fake.kv().entries().is_empty());
    }
}

#[test]
fn both_requests_to_wix_share_one_deadline() {
    let world = World::new();
    world.fake.wix().queue(EXCHANGE, [Canned::hang(), Canned::hang()]);
    world.fake.wix().always(INFO, Canned::hang());
    let response = world.connect();
    assert_eq!(response.status, 504);
    assert!(response.took <= 15_000, "{} ms", response.took);
}

#[test]
fn a_response_without_a_usable_token_is_a_502() {
    for body in [
        json!({}),
        json!({"access_token": "", "refresh_token": "r"}),
        json!({"access_token": null}),
        json!({"access_token": "with blank"}),
        json!({"access_token": "with\r\nline"}),
        json!({"access_token": "x".repeat(32 * 1024 + 1)}),
        json!(["access_token"]),
    ] {
        let world = World::new();
        world.fake.wix().always(EXCHANGE, Canned::ok(&body));
        assert_eq!(page_status(&world.connect()), 502, "{}", body.to_string().len());
        assert!(world.fake.kv().entries().is_empty());
    }
    let world = World::new();
    world.fake.wix().always(EXCHANGE, Canned::text(200, "<html>"));
    assert_eq!(page_status(&world.connect()), 502);
}

#[test]
fn a_missing_refresh_token_does_not_break_the_install() {
    for response in [
        json!({"access_token": "OAUTH2.a.b.c"}),
        json!({"access_token": "OAUTH2.a.b.c", "refresh_token": null}),
        json!({"access_token": "OAUTH2.a.b.c", "refresh_token": ""}),
    ] {
        let world = World::new();
        world.fake.wix().queue(EXCHANGE, [Canned::ok(&response)]);
        assert_eq!(world.connect().status, 302, "{response}");
        assert!(world.fake.kv().keys("v1:refresh:").is_empty());
        // Client credentials take over when the token of the install has expired.
        world.fake.clock().advance(300);
        assert_eq!(world.token(INSTANCE).access_token(), "OauthNG.JWS.planted-token.1");
        assert_eq!(world.instance(INSTANCE)["auth"], "custom_healed");
    }
}

#[test]
fn a_failure_of_kv_is_a_503_without_a_redirect() {
    for failing in [Op::Get, Op::Put, Op::List] {
        let world = World::new();
        world.fake.kv().fail_where(move |op, _| op == failing);
        let response = world.connect();
        assert_eq!(page_status(&response), 503, "{failing:?}");
        assert!(!response.has("location"));
    }
}

#[test]
fn a_reload_after_a_failed_introspection_needs_no_second_exchange() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let open = || world.callback(&state, &cookie, INSTANCE).send();
    for (status, expected) in [(500, 502), (400, 403)] {
        world.fake.wix().always(INFO, Canned::status(status));
        assert_eq!(page_status(&open()), expected);
        assert!(world.fake.kv().entries().is_empty());
    }
    world.fake.wix().clear_script();
    world.fake.clock().advance(60);
    assert_eq!(open().status, 302);
    let exchanges = world.fake.wix().take_paths().iter().filter(|path| *path == EXCHANGE).count();
    assert_eq!(exchanges, 1);
    assert_eq!(world.fake.kv().keys("v1:refresh:").len(), 1);
    // The age of the token counts from the exchange.
    let token = world.token(INSTANCE).json();
    assert_eq!(token["expires_at"], START + 300);
}

#[test]
fn a_used_code_does_not_prove_another_instance() {
    let world = World::new();
    world.fake.wix().queue(INFO, [(); 4].map(|()| Canned::status(500)));
    let (state, cookie) = world.begin_install();
    assert_eq!(page_status(&world.callback(&state, &cookie, INSTANCE).send()), 502);
    assert_eq!(page_status(&world.callback(&state, &cookie, VICTIM).send()), 403);
    assert!(world.fake.kv().entries().is_empty());
}
