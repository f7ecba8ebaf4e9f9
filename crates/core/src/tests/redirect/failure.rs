//! Wix failing, refusing, or vouching for something else; and the store failing.

use serde_json::json;

use super::{EXCHANGE, INFO, code};
use crate::testing::clock::START;
use crate::testing::kv::Op;
use crate::testing::wix::{Canned, token_info};
use crate::testing::world::{APP_SECRET, INSTANCE, VICTIM, World};

#[test]
fn a_victims_id_in_the_callback_writes_nothing() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let response = world.callback(&state, &cookie, VICTIM).send();
    assert_eq!(code(&response), 403);
    assert!(response.body.contains("does not belong to this installation"));
    assert_eq!(world.fake.kv().take_changes(), []);
    assert!(world.fake.kv().entries().is_empty());
    // Nor is the token remembered for either of the two.
    assert_eq!(world.token(VICTIM).status, 404);
    assert_eq!(world.token(INSTANCE).status, 404);
}

#[test]
fn a_token_that_wix_does_not_vouch_for_writes_nothing() {
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
        assert_eq!(code(&response), 403, "{name}");
        assert!(world.fake.kv().entries().is_empty(), "{name}");
    }
}

#[test]
fn wix_not_knowing_its_own_token_writes_nothing() {
    for status in [400, 401, 403, 404] {
        let world = World::new();
        world.fake.wix().queue(INFO, [Canned::status(status)]);
        assert_eq!(code(&world.connect()), 403, "{status}");
        assert!(world.fake.kv().entries().is_empty());
    }
}

#[test]
fn a_code_that_wix_refuses_is_told_in_plain_words() {
    for status in [400, 401, 403, 404] {
        let world = World::new();
        world.fake.wix().always(EXCHANGE, Canned::status(status));
        let response = world.connect();
        assert_eq!(code(&response), 400, "{status}");
        assert!(response.body.contains("did not accept this installation"), "{}", response.body);
        assert!(world.fake.kv().entries().is_empty());
        assert_eq!(world.fake.wix().take_paths(), [EXCHANGE], "a code is good for one exchange");
    }
}

#[test]
fn the_previous_app_secret_is_tried_where_wix_refuses_the_new_one() {
    let world = World::with(&[("WIX_APP_SECRET_PREVIOUS", "the-former-secret")]);
    world.fake.wix().queue(EXCHANGE, [Canned::status(401)]);
    assert_eq!(world.connect().status, 302);
    let sent = world.fake.wix().sent();
    assert_eq!(sent[0].json["client_secret"], APP_SECRET);
    assert_eq!(sent[1].json["client_secret"], "the-former-secret");
}

#[test]
fn a_failure_of_wix_in_passing_is_overcome() {
    for failure in [Canned::status(500), Canned::status(503), Canned::status(429), Canned::unreachable()] {
        let world = World::new();
        world.fake.wix().queue(EXCHANGE, [failure.clone()]);
        world.fake.wix().queue(INFO, [failure]);
        assert_eq!(world.connect().status, 302);
        assert_eq!(world.fake.wix().take_paths(), [EXCHANGE, EXCHANGE, INFO, INFO]);
    }
}

#[test]
fn a_wix_that_keeps_failing_is_a_502_and_nothing_is_written() {
    let world = World::new();
    world.fake.wix().always(EXCHANGE, Canned::text(500, ""));
    assert_eq!(code(&world.connect()), 502);
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn a_wix_that_does_not_answer_is_a_504_within_15_seconds() {
    for silent in [EXCHANGE, INFO] {
        let world = World::new();
        world.fake.wix().always(silent, Canned::hang());
        let response = world.connect();
        assert_eq!(code(&response), 504, "{silent}");
        assert!((10_000..=15_000).contains(&response.took), "{silent}: {} ms", response.took);
        assert!(world.fake.kv().entries().is_empty());
    }
}

#[test]
fn the_deadline_is_one_for_both_questions() {
    let world = World::new();
    world.fake.wix().queue(EXCHANGE, [Canned::hang(), Canned::hang()]);
    world.fake.wix().always(INFO, Canned::hang());
    let response = world.connect();
    assert_eq!(response.status, 504);
    assert!(response.took <= 15_000, "{} ms", response.took);
}

#[test]
fn an_answer_without_a_usable_token_is_a_502() {
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
        assert_eq!(code(&world.connect()), 502, "{}", body.to_string().len());
        assert!(world.fake.kv().entries().is_empty());
    }
    let world = World::new();
    world.fake.wix().always(EXCHANGE, Canned::text(200, "<html>"));
    assert_eq!(code(&world.connect()), 502);
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
        // Client credentials take over when the token of the install is spent.
        world.fake.clock().advance(300);
        assert_eq!(world.token(INSTANCE).access_token(), "OauthNG.JWS.planted-token.1");
        assert_eq!(world.instance(INSTANCE)["auth"], "custom_healed");
    }
}

#[test]
fn a_store_that_fails_is_a_503_and_no_redirect() {
    for failing in [Op::Get, Op::Put, Op::List] {
        let world = World::new();
        world.fake.kv().fail_where(move |op, _| op == failing);
        let response = world.connect();
        assert_eq!(code(&response), 503, "{failing:?}");
        assert!(!response.has("location"));
    }
}

#[test]
fn a_code_that_was_used_while_wix_could_not_say_whose_it_is_is_not_lost() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let open = || world.callback(&state, &cookie, INSTANCE).send();
    for (status, told) in [(500, 502), (400, 403)] {
        world.fake.wix().always(INFO, Canned::status(status));
        assert_eq!(code(&open()), told);
        assert!(world.fake.kv().entries().is_empty());
    }
    world.fake.wix().clear_script();
    world.fake.clock().advance(60);
    assert_eq!(open().status, 302);
    let exchanges = world.fake.wix().take_paths().iter().filter(|path| *path == EXCHANGE).count();
    assert_eq!(exchanges, 1);
    assert_eq!(world.fake.kv().keys("v1:refresh:").len(), 1);
    // The token is as old as the exchange.
    let token = world.token(INSTANCE).json();
    assert_eq!(token["expires_at"], START + 300);
}

#[test]
fn a_used_code_of_another_flow_or_instance_proves_nothing() {
    let world = World::new();
    world.fake.wix().queue(INFO, [(); 4].map(|()| Canned::status(500)));
    let (state, cookie) = world.begin_install();
    assert_eq!(code(&world.callback(&state, &cookie, INSTANCE).send()), 502);
    assert_eq!(code(&world.callback(&state, &cookie, VICTIM).send()), 403);
    assert!(world.fake.kv().entries().is_empty());
}
