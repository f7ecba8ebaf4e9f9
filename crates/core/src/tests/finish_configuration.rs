//! `APP_FINISHED_CONFIGURATION`: requested by the back end, or sent after each installation.

use std::collections::BTreeSet;

use serde_json::json;

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::wix::{Canned, token_info};
use crate::testing::world::{API_KEY, INSTANCE, TestRequest, TestResponse, World};

const EVENT: &str = "/apps/v1/bi-event";
const TOKEN: &str = "/oauth2/token";
const ON_INSTALL: [(&str, &str); 1] = [("FINISH_CONFIGURATION", "on-install")];

fn request(world: &World) -> TestRequest<'_> {
    world.post(&format!("/v1/instances/{INSTANCE}/finish-configuration")).key(API_KEY)
}

fn finish(world: &World) -> TestResponse {
    request(world).send()
}

fn installed() -> World {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START - 10));
    world
}

fn events(world: &World) -> usize {
    world.fake.wix().sent().iter().filter(|sent| sent.path() == EVENT).count()
}

#[test]
fn the_event_has_the_raw_token_and_only_its_name() {
    let world = installed();
    let response = finish(&world);
    assert_eq!(response.status, 200);
    assert_eq!(response.json(), json!({"instance_id": INSTANCE, "configured_at": START}));
    let sent = world.fake.wix().sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1].url, "https://www.wixapis.com/apps/v1/bi-event");
    assert_eq!(sent[1].method, http::Method::POST);
    assert_eq!(sent[1].authorization.as_deref(), Some("OauthNG.JWS.planted-token.1"));
    assert_eq!(sent[1].json, json!({"eventName": "APP_FINISHED_CONFIGURATION"}));
    assert_eq!(world.instance(INSTANCE)["configured_at"], START);
}

#[test]
fn a_repeated_request_has_the_same_response_and_sends_nothing() {
    let world = installed();
    let first = finish(&world).json();
    world.fake.wix().take_paths();
    world.fake.clock().advance(1000);
    assert_eq!(finish(&world).json(), first);
    assert_eq!(
        world.isolate(&[]).post(&format!("/v1/instances/{INSTANCE}/finish-configuration")).key(API_KEY).send().json(),
        first
    );
    assert_eq!(world.fake.wix().take_paths(), Vec::<String>::new());
}

#[test]
fn a_stale_read_does_not_send_the_event_twice() {
    let world = installed();
    let before = world.fake.kv().entries();
    let first = finish(&world).json();
    for (key, entry) in before {
        world.fake.kv().insert_directly(&key, &entry.value, entry.metadata.as_deref());
    }
    world.fake.clock().advance(5);
    assert_eq!(finish(&world).json(), first);
    assert_eq!(events(&world), 1);
}

#[test]
fn each_installation_has_its_own_event() {
    let world = installed();
    finish(&world);
    world.fake.clock().advance(100);
    world.webhook(jws::removed(INSTANCE, world.now() - 20));
    assert_eq!(finish(&world).problem(), (410, "removed_instance".to_owned()));
    world.webhook(jws::installed(INSTANCE, world.now() - 10));
    assert_eq!(world.instance(INSTANCE).get("configured_at"), None);
    assert_eq!(finish(&world).json()["configured_at"], START + 100);
    assert_eq!(events(&world), 2);
}

#[test]
fn concurrent_requests_send_the_event_once() {
    let world = installed();
    world.fake.wix().queue(EVENT, [Canned::ok(&json!({})).after(300)]);
    let responses = world.send_all((0..20).map(|_| request(&world)));
    let bodies: BTreeSet<&str> = responses.iter().map(|response| response.body.as_str()).collect();
    assert!(responses.iter().all(|response| response.status == 200));
    assert_eq!(bodies.len(), 1);
    assert_eq!(events(&world), 1);
}

#[test]
fn a_follower_reads_kv_rarely_while_it_waits() {
    let world = installed();
    world.token(INSTANCE);
    let reads = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = std::rc::Rc::clone(&reads);
    world.fake.kv().delay_where(move |_, _| {
        count.set(count.get() + 1);
        1
    });
    world.fake.wix().queue(EVENT, [Canned::ok(&json!({})).after(5_900)]);
    world.send_all([request(&world), request(&world)]);
    assert!(reads.get() < 100, "{} operations, and Cloudflare allows 1000 in a request", reads.get());
}

#[test]
fn a_401_of_wix_replaces_the_token_once() {
    let world = installed();
    world.token(INSTANCE);
    world.fake.wix().take_paths();
    world.fake.wix().queue(EVENT, [Canned::status(401)]);
    assert_eq!(finish(&world).status, 200);
    let sent = world.fake.wix().sent();
    assert_eq!(sent.iter().map(crate::testing::wix::Sent::path).collect::<Vec<_>>(), [EVENT, TOKEN, EVENT]);
    assert_ne!(sent[0].authorization, sent[2].authorization);

    let world = installed();
    world.fake.wix().always(EVENT, Canned::status(401));
    assert_eq!(finish(&world).problem(), (502, "wix_failed".to_owned()));
    assert_eq!(events(&world), 2);
    assert_eq!(world.instance(INSTANCE).get("configured_at"), None);
}

#[test]
fn a_transient_failure_of_wix_is_retried_and_a_permanent_one_is_a_502() {
    let world = installed();
    world.fake.wix().queue(EVENT, [Canned::status(500), Canned::status(429)]);
    assert_eq!(finish(&world).status, 200);

    for status in [400, 403, 404, 500] {
        let world = installed();
        world.fake.wix().always(EVENT, Canned::status(status));
        assert_eq!(finish(&world).problem(), (502, "wix_failed".to_owned()), "{status}");
        assert_eq!(world.instance(INSTANCE).get("configured_at"), None);
        world.fake.wix().clear_script();
        assert_eq!(finish(&world).status, 200, "the request may be repeated");
    }
}

#[test]
fn token_and_event_together_take_15_seconds_at_most() {
    let world = installed();
    world.fake.wix().always(TOKEN, Canned::ok(&json!({"access_token": "t"})).after(5_900));
    world.fake.wix().always(EVENT, Canned::hang());
    let response = finish(&world);
    assert_eq!(response.problem(), (504, "wix_timeout".to_owned()));
    assert!(response.took <= 15_000, "{} ms", response.took);
}

#[test]
fn with_never_the_event_is_never_sent() {
    let world = World::with(&[("FINISH_CONFIGURATION", "never")]);
    assert!(!world.webhook(jws::installed(INSTANCE, START)).body.is_empty());
    world.connect();
    assert_eq!(finish(&world).problem(), (409, "finish_configuration_disabled".to_owned()));
    assert_eq!(events(&world), 0);
}

#[test]
fn with_on_request_an_installation_sends_no_event() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START));
    world.connect();
    assert_eq!(events(&world), 0);
}

#[test]
fn an_unknown_instance_is_a_404() {
    let world = World::new();
    assert_eq!(finish(&world).problem(), (404, "unknown_instance".to_owned()));
    assert!(world.fake.wix().sent().is_empty());
}

#[test]
fn with_on_install_the_event_follows_the_webhook() {
    let world = World::with(&ON_INSTALL);
    let message = jws::installed(INSTANCE, START);
    assert_eq!(world.webhook(message.clone()).status, 200);
    assert_eq!(world.fake.wix().take_paths(), [TOKEN, EVENT]);
    assert_eq!(world.instance(INSTANCE)["configured_at"], START);
    world.webhook(message);
    world.webhook(jws::installed(INSTANCE, START + 1));
    assert_eq!(world.fake.wix().take_paths(), Vec::<String>::new(), "the event is sent once");
}

#[test]
fn with_on_install_the_event_follows_the_redirect() {
    let world = World::with(&ON_INSTALL);
    assert_eq!(world.connect().status, 302);
    let sent = world.fake.wix().sent();
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[2].path(), EVENT);
    assert_eq!(
        sent[2].authorization.as_deref(),
        Some("OAUTH2.planted-token.1"),
        "the event must have the token of the install"
    );
}

#[test]
fn concurrent_webhook_and_redirect_send_one_event() {
    for (kv, wix) in [(0, 0), (0, 50), (10, 0), (10, 50), (60, 10)] {
        let world = World::with(&ON_INSTALL);
        let (state, cookie) = world.begin_install();
        world.fake.kv().delay_where(move |_, _| kv);
        world.fake.wix().always("/oauth2/token-info", Canned::ok(&token_info()).after(wix));
        world.fake.wix().always(EVENT, Canned::ok(&json!({})).after(wix));
        let message = jws::installed(INSTANCE, START);
        let responses =
            world.send_all([world.post("/webhook").body(message), world.callback(&state, &cookie, INSTANCE)]);
        assert_eq!((responses[0].status, responses[1].status), (200, 302));
        assert_eq!(events(&world), 1, "KV {kv} ms, Wix {wix} ms");
        assert!(world.instance(INSTANCE).get("configured_at").is_some());
    }
}

#[test]
fn a_removed_instance_sends_no_event() {
    let world = World::with(&ON_INSTALL);
    world.webhook(jws::removed(INSTANCE, START));
    world.webhook(jws::installed(INSTANCE, START - 10));
    assert!(world.fake.wix().sent().is_empty());
}

#[test]
fn a_failed_event_does_not_undo_the_installation() {
    let world = World::with(&ON_INSTALL);
    world.fake.wix().always(EVENT, Canned::status(500));
    assert_eq!(world.webhook(jws::installed(INSTANCE, START)).status, 200);
    assert_eq!(world.fake.last_log()["error"], "wix_failed");
    assert_eq!(world.instance(INSTANCE)["status"], "installed");

    let world = World::with(&ON_INSTALL);
    world.fake.wix().always(EVENT, Canned::status(403));
    assert_eq!(world.connect().status, 302);
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}

#[test]
fn a_sent_event_is_not_repeated_if_kv_failed() {
    let world = installed();
    world.token(INSTANCE);
    world.fake.kv().fail_where(|op, _| op == Op::Put);
    let response = finish(&world);
    world.fake.kv().clear_faults();
    assert!(matches!(response.status, 200 | 503), "{}", response.body);
    assert_eq!(finish(&world).status, 200);
    assert_eq!(events(&world), 1);
}
