//! Many requests at once: one of them asks Wix, all of them get what it gets.

use std::collections::BTreeSet;

use futures::future::{Either, join, select};

use super::{EXCHANGE, TOKEN, connected, installed};
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::wix::{Canned, token_info};
use crate::testing::world::{API_KEY, INSTANCE, TestRequest, TestResponse, VICTIM, World};
use serde_json::json;

fn ask<'a>(world: &'a World, instance: &str) -> TestRequest<'a> {
    world.post(&format!("/v1/instances/{instance}/token")).key(API_KEY)
}

fn forced(world: &World) -> TestRequest<'_> {
    ask(world, INSTANCE).body(r#"{"force":true}"#)
}

fn many(world: &World, count: usize) -> Vec<TestResponse> {
    world.send_all((0..count).map(|_| ask(world, INSTANCE)))
}

fn slow_token(number: u32) -> Canned {
    Canned::ok(&json!({"access_token": format!("OauthNG.slow.{number}"), "expires_in": 14_400})).after(700)
}

#[test]
fn many_at_once_mint_once() {
    for count in [2, 10, 100] {
        let world = installed();
        world.fake.kv().delay_where(|_, _| 7);
        world.fake.wix().always(TOKEN, slow_token(1));
        let responses = many(&world, count);
        let tokens: BTreeSet<String> = responses.iter().map(TestResponse::access_token).collect();
        assert_eq!(tokens.len(), 1, "{count}");
        assert_eq!(world.fake.wix().take_paths(), [TOKEN], "{count}");
        let slowest = responses.iter().map(|response| response.took).max().unwrap();
        assert!(slowest < 800, "who waits looks again soon: {slowest} ms");
    }
}

#[test]
fn many_at_once_refresh_once() {
    let world = connected();
    let response = json!({"access_token": "OAUTH2.slow", "refresh_token": "OAUTH2.planted-refresh-token"});
    world.fake.wix().always(EXCHANGE, Canned::ok(&response).after(50));
    assert!(many(&world, 10).iter().all(|response| response.status == 200));
    assert_eq!(world.fake.wix().take_paths(), [EXCHANGE]);
}

#[test]
fn a_failure_is_shared() {
    for (failure, status, requests) in [
        (Canned::status(404).after(50), 409, 2),
        (Canned::status(500).after(50), 502, 4),
        (Canned::hang(), 504, 3),
        (Canned::text(200, "{}").after(50), 502, 4),
        (Canned::text(403, "<html>").after(50), 502, 1),
    ] {
        let world = installed();
        world.fake.wix().always(TOKEN, failure);
        let responses = many(&world, 10);
        assert!(responses.iter().all(|response| response.status == status), "{status}");
        assert_eq!(world.fake.wix().sent().len(), requests, "{status}");
    }
}

#[test]
fn who_comes_after_a_shared_failure_asks_again() {
    let world = installed();
    world.fake.wix().queue(TOKEN, (0..4).map(|_| Canned::status(500).after(50)));
    assert!(many(&world, 3).iter().all(|response| response.status == 502));
    assert_eq!(world.token(INSTANCE).status, 200);
}

#[test]
fn one_instance_does_not_wait_for_another() {
    let world = installed();
    world.webhook(jws::installed(VICTIM, world.now()));
    world.fake.wix().queue(TOKEN, [slow_token(1), slow_token(2).after(0)]);
    let responses = world.send_all([ask(&world, INSTANCE), ask(&world, VICTIM)]);
    assert_eq!(responses[0].access_token(), "OauthNG.slow.1");
    assert_eq!(responses[1].access_token(), "OauthNG.slow.2");
    assert!(responses[1].took < 100, "{} ms", responses[1].took);
}

#[test]
fn when_the_one_who_asks_is_cut_off_another_takes_over() {
    let world = installed();
    world.fake.wix().queue(TOKEN, [Canned::hang()]);
    let clock = world.fake.clock();
    let response = clock.run(async {
        let cut_off = async {
            let leader = std::pin::pin!(ask(&world, INSTANCE).send_async());
            let client_gone = std::pin::pin!(clock.sleep(100));
            assert!(matches!(select(leader, client_gone).await, Either::Right(_)));
        };
        let waiting = async {
            clock.sleep(10).await;
            ask(&world, INSTANCE).send_async().await
        };
        Box::pin(join(cut_off, waiting)).await.1
    });
    assert_eq!(response.status, 200);
    assert!(response.took < 25_000, "{} ms", response.took);
}

#[test]
fn force_is_not_served_from_kv_by_another_requests_flight() {
    let world = installed();
    world.token(INSTANCE);
    let isolate = world.isolate(&[]);
    isolate.fake.kv().delay_where(|_, _| 20);
    isolate.fake.wix().take_paths();
    let responses = isolate.send_all([ask(&isolate, INSTANCE), forced(&isolate)]);
    assert_eq!(responses[0].status, 200);
    assert_eq!(responses[1].access_token(), "OauthNG.JWS.planted-token.2", "one that Wix made after the request came");
}

#[test]
fn force_at_the_end_of_a_flight_gets_a_token_made_after_it_came() {
    let world = installed();
    // Wix answers at once; writing the cache takes a while, and `force` comes in between.
    world.fake.kv().delay_where(|op, key| if op == Op::Put && key.starts_with("v1:access:") { 200 } else { 0 });
    let clock = world.fake.clock();
    let late = async {
        clock.sleep(100).await;
        forced(&world).send_async().await
    };
    let (first, second) = clock.run(join(ask(&world, INSTANCE).send_async(), late));
    assert_ne!(first.access_token(), second.access_token());
}

#[test]
fn a_removal_while_a_token_is_fetched_leaves_no_token_behind() {
    for world in [installed(), connected()] {
        world.fake.clock().advance(10);
        let body = json!({"access_token": "OauthNG.late", "expires_in": 14_400});
        world.fake.wix().always(TOKEN, Canned::ok(&body).after(500));
        world.fake.wix().always(EXCHANGE, Canned::ok(&body).after(500));
        let clock = world.fake.clock();
        let removal = async {
            clock.sleep(100).await;
            world.post("/webhook").body(jws::removed(INSTANCE, world.now())).send_async().await
        };
        let (_, removed) = clock.run(join(ask(&world, INSTANCE).send_async(), removal));
        assert_eq!(removed.status, 200);
        assert_eq!(world.fake.kv().keys("v1:access:"), Vec::<String>::new());
        assert_eq!(world.token(INSTANCE).status, 410);
        assert_eq!(world.isolate(&[]).token(INSTANCE).status, 410);
    }
}

#[test]
fn a_removal_while_the_refresh_token_changes_leaves_none_behind() {
    let world = connected();
    let body = json!({"access_token": "OAUTH2.late", "refresh_token": "OAUTH2.changed"});
    world.fake.wix().always(EXCHANGE, Canned::ok(&body).after(500));
    let clock = world.fake.clock();
    let removal = async {
        clock.sleep(100).await;
        world.post("/webhook").body(jws::removed(INSTANCE, world.now())).send_async().await
    };
    clock.run(join(ask(&world, INSTANCE).send_async(), removal));
    assert_eq!(world.fake.kv().keys("v1:refresh:"), Vec::<String>::new());
}

#[test]
fn a_token_request_during_the_redirect_takes_one_of_the_two_tokens() {
    let world = installed();
    let (state, cookie) = world.begin_install();
    world.fake.wix().queue(TOKEN, [slow_token(1)]);
    world.fake.wix().queue("/oauth2/token-info", [Canned::ok(&token_info()).after(300)]);
    let both = world.send_all([world.callback(&state, &cookie, INSTANCE), ask(&world, INSTANCE)]);
    assert_eq!(both[0].status, 302);
    assert_eq!(both[1].status, 200);
    assert_eq!(world.instance(INSTANCE)["auth"], "custom");
}
