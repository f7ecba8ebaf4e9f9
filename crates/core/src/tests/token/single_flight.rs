//! Single flight: concurrent requests for one token make one request to Wix, and share its result.

use std::collections::BTreeSet;

use futures::future::{Either, join, select};

use super::{EXCHANGE, TOKEN, connected, installed};
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::wix::{Canned, token_info};
use crate::testing::world::{API_KEY, INSTANCE, TestRequest, TestResponse, VICTIM, World};
use serde_json::json;

fn request<'a>(world: &'a World, instance: &str) -> TestRequest<'a> {
    world.post(&format!("/v1/instances/{instance}/token")).key(API_KEY)
}

fn forced(world: &World) -> TestRequest<'_> {
    request(world, INSTANCE).body(r#"{"force":true}"#)
}

fn many(world: &World, count: usize) -> Vec<TestResponse> {
    world.send_all((0..count).map(|_| request(world, INSTANCE)))
}

fn slow_token(number: u32) -> Canned {
    Canned::ok(&json!({"access_token": format!("OauthNG.slow.{number}"), "expires_in": 14_400})).after(700)
}

#[test]
fn concurrent_requests_issue_one_token() {
    for count in [2, 10, 100] {
        let world = installed();
        world.fake.kv().delay_where(|_, _| 7);
        world.fake.wix().always(TOKEN, slow_token(1));
        let responses = many(&world, count);
        let tokens: BTreeSet<String> = responses.iter().map(TestResponse::access_token).collect();
        assert_eq!(tokens.len(), 1, "{count}");
        assert_eq!(world.fake.wix().take_paths(), [TOKEN], "{count}");
        let slowest = responses.iter().map(|response| response.took).max().unwrap();
        assert!(slowest < 800, "followers must see the result soon: {slowest} ms");
    }
}

#[test]
fn concurrent_requests_refresh_once() {
    let world = connected();
    let response = json!({"access_token": "OAUTH2.slow", "refresh_token": "OAUTH2.planted-refresh-token"});
    world.fake.wix().always(EXCHANGE, Canned::ok(&response).after(50));
    assert!(many(&world, 10).iter().all(|response| response.status == 200));
    assert_eq!(world.fake.wix().take_paths(), [EXCHANGE]);
}

#[test]
fn a_failure_is_shared_with_all_followers() {
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
fn a_request_after_a_shared_failure_tries_again() {
    let world = installed();
    world.fake.wix().queue(TOKEN, (0..4).map(|_| Canned::status(500).after(50)));
    assert!(many(&world, 3).iter().all(|response| response.status == 502));
    assert_eq!(world.token(INSTANCE).status, 200);
}

#[test]
fn requests_for_different_instances_do_not_wait_for_each_other() {
    let world = installed();
    world.webhook(jws::installed(VICTIM, world.now()));
    world.fake.wix().queue(TOKEN, [slow_token(1), slow_token(2).after(0)]);
    let responses = world.send_all([request(&world, INSTANCE), request(&world, VICTIM)]);
    assert_eq!(responses[0].access_token(), "OauthNG.slow.1");
    assert_eq!(responses[1].access_token(), "OauthNG.slow.2");
    assert!(responses[1].took < 100, "{} ms", responses[1].took);
}

#[test]
fn if_the_leader_is_cancelled_a_follower_takes_over() {
    let world = installed();
    world.fake.wix().queue(TOKEN, [Canned::hang()]);
    let clock = world.fake.clock();
    let response = clock.run(async {
        let cancelled = async {
            let leader = std::pin::pin!(request(&world, INSTANCE).send_async());
            let client_disconnects = std::pin::pin!(clock.sleep(100));
            assert!(matches!(select(leader, client_disconnects).await, Either::Right(_)));
        };
        let follower = async {
            clock.sleep(10).await;
            request(&world, INSTANCE).send_async().await
        };
        Box::pin(join(cancelled, follower)).await.1
    });
    assert_eq!(response.status, 200);
    assert!(response.took < 25_000, "{} ms", response.took);
}

#[test]
fn force_does_not_share_a_flight_that_reads_from_kv() {
    let world = installed();
    world.token(INSTANCE);
    let isolate = world.isolate(&[]);
    isolate.fake.kv().delay_where(|_, _| 20);
    isolate.fake.wix().take_paths();
    let responses = isolate.send_all([request(&isolate, INSTANCE), forced(&isolate)]);
    assert_eq!(responses[0].status, 200);
    assert_eq!(
        responses[1].access_token(),
        "OauthNG.JWS.planted-token.2",
        "the token must be issued after the request with force"
    );
}

#[test]
fn force_near_the_end_of_a_flight_gets_a_newer_token() {
    let world = installed();
    // Wix responds at once, the write to KV takes 200 ms, and the request with `force` comes in between.
    world.fake.kv().delay_where(|op, key| if op == Op::Put && key.starts_with("v1:access:") { 200 } else { 0 });
    let clock = world.fake.clock();
    let late = async {
        clock.sleep(100).await;
        forced(&world).send_async().await
    };
    let (first, second) = clock.run(join(request(&world, INSTANCE).send_async(), late));
    assert_ne!(first.access_token(), second.access_token());
}

#[test]
fn a_removal_during_a_token_request_leaves_no_token_stored() {
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
        let (_, removed) = clock.run(join(request(&world, INSTANCE).send_async(), removal));
        assert_eq!(removed.status, 200);
        assert_eq!(world.fake.kv().keys("v1:access:"), Vec::<String>::new());
        assert_eq!(world.token(INSTANCE).status, 410);
        assert_eq!(world.isolate(&[]).token(INSTANCE).status, 410);
    }
}

#[test]
fn a_removal_during_a_refresh_leaves_no_refresh_token_stored() {
    let world = connected();
    let body = json!({"access_token": "OAUTH2.late", "refresh_token": "OAUTH2.changed"});
    world.fake.wix().always(EXCHANGE, Canned::ok(&body).after(500));
    let clock = world.fake.clock();
    let removal = async {
        clock.sleep(100).await;
        world.post("/webhook").body(jws::removed(INSTANCE, world.now())).send_async().await
    };
    clock.run(join(request(&world, INSTANCE).send_async(), removal));
    assert_eq!(world.fake.kv().keys("v1:refresh:"), Vec::<String>::new());
}

#[test]
fn a_token_request_during_the_redirect_succeeds() {
    let world = installed();
    let (state, cookie) = world.begin_install();
    world.fake.wix().queue(TOKEN, [slow_token(1)]);
    world.fake.wix().queue("/oauth2/token-info", [Canned::ok(&token_info()).after(300)]);
    let both = world.send_all([world.callback(&state, &cookie, INSTANCE), request(&world, INSTANCE)]);
    assert_eq!(both[0].status, 302);
    assert_eq!(both[1].status, 200);
    assert_eq!(world.instance(INSTANCE)["auth"], "custom");
}
