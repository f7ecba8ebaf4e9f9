//! Callbacks that a browser opens again, concurrently, or as a prefetch, and flows that begin again.

use super::{EXCHANGE, INFO, page_status};
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::wix::Canned;
use crate::testing::world::{INSTANCE, VICTIM, World};

fn exchanges(world: &World) -> usize {
    world.fake.wix().sent().iter().filter(|sent| sent.path() == EXCHANGE).count()
}

#[test]
fn a_callback_opened_again_has_the_same_response_with_one_exchange() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let first = world.callback(&state, &cookie, INSTANCE).send();
    world.fake.clock().advance(60);
    let again = world.callback(&state, &cookie, INSTANCE).send();
    let isolate = world.isolate(&[]);
    let other = isolate.callback(&state, &cookie, INSTANCE).send();
    assert_eq!(first.status, 302);
    for response in [again, other] {
        assert_eq!((response.status, response.header("location")), (302, first.header("location")));
    }
    assert_eq!(exchanges(&world), 1);
}

#[test]
fn concurrent_callbacks_have_one_exchange() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.fake.wix().queue(INFO, [Canned::ok(&crate::testing::wix::token_info()).after(400)]);
    let responses =
        world.send_all([world.callback(&state, &cookie, INSTANCE), world.callback(&state, &cookie, INSTANCE)]);
    assert_eq!(responses[0].header("location"), responses[1].header("location"));
    assert_eq!(exchanges(&world), 1);
}

#[test]
fn a_callback_opened_again_with_another_instance_id_is_refused() {
    let world = World::new();
    world.webhook(jws::installed(VICTIM, world.now()));
    let (state, cookie) = world.begin_install();
    world.callback(&state, &cookie, INSTANCE).send();
    world.fake.wix().always(EXCHANGE, Canned::status(400));
    world.fake.kv().take_changes();
    assert_eq!(page_status(&world.callback(&state, &cookie, VICTIM).send()), 403);
    assert_eq!(page_status(&world.isolate(&[]).callback(&state, &cookie, VICTIM).send()), 400);
    assert_eq!(world.fake.kv().take_changes(), []);
}

#[test]
fn a_callback_opened_again_does_not_undo_a_removal() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.callback(&state, &cookie, INSTANCE).send();
    world.fake.clock().advance(60);
    world.webhook(jws::removed(INSTANCE, world.now()));
    world.fake.clock().advance(60);
    for world in [&world, &world.isolate(&[])] {
        world.callback(&state, &cookie, INSTANCE).send();
        assert_eq!(world.instance(INSTANCE)["status"], "removed");
        assert_eq!(world.token(INSTANCE).status, 410);
        assert!(world.fake.kv().keys("v1:refresh:").is_empty());
    }
}

#[test]
fn a_reload_stores_a_failed_installation_without_another_exchange() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.fake.kv().fail_where(|op, _| op == Op::Put);
    let failed = world.callback(&state, &cookie, INSTANCE).send();
    assert_eq!(page_status(&failed), 503);
    assert!(failed.body.contains("Nothing is lost"), "{}", failed.body);
    assert!(world.fake.kv().entries().is_empty());
    world.fake.kv().clear_faults();
    assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
    assert_eq!(world.instance(INSTANCE)["auth"], "custom");
    assert_eq!(world.fake.kv().keys("v1:refresh:").len(), 1);
    assert_eq!(exchanges(&world), 1);
}

#[test]
fn a_failed_write_is_retried() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let until = world.fake.clock().now() + 200;
    let clock = world.fake.clone();
    world
        .fake
        .kv()
        .fail_where(move |op, key| op == Op::Put && key.starts_with("v1:refresh:") && clock.clock().now() < until);
    assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
    assert_eq!(world.fake.kv().keys("v1:refresh:").len(), 1);
    assert_eq!(exchanges(&world), 1);
}

#[test]
fn without_a_stored_refresh_token_client_credentials_work() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.fake.kv().fail_where(|op, _| op == Op::Put);
    world.callback(&state, &cookie, INSTANCE).send();
    world.fake.kv().clear_faults();
    let later = world.isolate(&[]);
    later.webhook(jws::installed(INSTANCE, world.now()));
    assert_eq!(later.token(INSTANCE).status, 200);
    assert_eq!(later.instance(INSTANCE)["auth"], "oauth");
}

#[test]
fn a_prefetch_exchanges_no_code() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    for purpose in ["prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip"] {
        let response = world.callback(&state, &cookie, INSTANCE).header("sec-purpose", purpose).send();
        assert_eq!(page_status(&response), 503, "{purpose}");
    }
    assert_eq!(exchanges(&world), 0);
    assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
}

#[test]
fn after_a_reinstallation_the_token_of_the_former_installation_is_not_used() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.callback(&state, &cookie, INSTANCE).send();
    let former = world.token(INSTANCE).access_token();
    world.fake.clock().advance(30);
    world.webhook(jws::removed(INSTANCE, world.now()));
    world.fake.clock().advance(30);
    world.webhook(jws::installed(INSTANCE, world.now()));
    // KV does not have the token any more. The code is used up, so that Wix is not asked again.
    for (isolate, status) in [(&world, 302), (&world.isolate(&[]), 400)] {
        world.fake.kv().take_changes();
        assert_eq!(isolate.callback(&state, &cookie, INSTANCE).send().status, status);
        assert_eq!(exchanges(&world), 1);
        assert_eq!(world.fake.kv().take_changes(), []);
        assert_ne!(isolate.token(INSTANCE).access_token(), former);
        assert!(world.fake.kv().keys("v1:refresh:").is_empty(), "its refresh token must not be stored");
    }
}

#[test]
fn tokens_of_an_exchange_before_a_reinstallation_are_not_used() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.fake.kv().fail_where(|op, _| op == Op::Put);
    assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 503);
    world.fake.kv().clear_faults();
    for (seconds, message) in [(30, jws::removed as fn(&str, u64) -> String), (30, jws::installed)] {
        world.fake.clock().advance(seconds);
        world.webhook(message(INSTANCE, world.now()));
    }
    assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
    world.fake.wix().take_paths();
    world.token(INSTANCE);
    assert_eq!(world.fake.wix().take_paths(), ["/oauth2/token"], "a new token must come from client credentials");
    assert!(world.fake.kv().keys("v1:refresh:").is_empty());
}

#[test]
fn an_exchange_stored_late_does_not_replace_a_newer_refresh_token() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.fake.kv().fail_where(|op, _| op == Op::Put);
    assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 503);
    world.fake.kv().clear_faults();
    world.fake.clock().advance(30);
    let newer = Canned::ok(&serde_json::json!({"access_token": "OAUTH2.n", "refresh_token": "OAUTH2.newer"}));
    world.fake.wix().queue(EXCHANGE, [newer]);
    assert_eq!(world.isolate(&[]).connect().status, 302);
    let key = format!("v1:refresh:{INSTANCE}");
    let stored = world.fake.kv().entries()[&key].clone();
    assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
    assert_eq!(world.fake.kv().entries()[&key].value, stored.value);
}

#[test]
fn one_flow_allows_one_exchange_for_all_codes() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.fake.wix().always(EXCHANGE, Canned::status(400));
    for number in 0..20 {
        let path = format!("/redirect?code=made-up-{number}&state={state}&instanceId={INSTANCE}");
        assert_eq!(page_status(&world.get(&path).header("cookie", &cookie).send()), 400);
    }
    assert_eq!(exchanges(&world), 1);
    assert!(world.fake.kv().entries().is_empty());
    world.fake.wix().clear_script();
    assert_eq!(world.connect().status, 302, "another flow has an exchange of its own");
}

#[test]
fn a_callback_can_be_reloaded_unless_wix_refused_its_code() {
    for failure in
        [Canned::text(403, "<html>"), Canned::text(401, r#"{"error":"invalid_client"}"#), Canned::status(500)]
    {
        let world = World::new();
        let (state, cookie) = world.begin_install();
        world.fake.wix().always(EXCHANGE, failure);
        assert!(page_status(&world.callback(&state, &cookie, INSTANCE).send()) >= 500);
        world.fake.wix().clear_script();
        assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
    }
}

#[test]
fn refused_app_credentials_are_the_operators_error() {
    let world = World::new();
    world.fake.wix().always(EXCHANGE, Canned::text(401, r#"{"error":"invalid_client"}"#));
    let response = world.connect();
    assert_eq!(page_status(&response), 503);
    assert!(response.body.contains("is not available right now"), "{}", response.body);
    assert_eq!(world.fake.last_log()["error"], "app_credentials_refused");
}

#[test]
fn a_flow_begun_at_another_origin_restarts_at_public_url() {
    let world = World::with(&[("PUBLIC_URL", "https://wix.example.com")]);
    for (start, end) in [("/install", "/redirect"), ("/connect", "/connected")] {
        let begun = world.get_at("https://wix-edge.acc.workers.dev", start).send();
        let location = url::Url::parse(begun.header("location")).unwrap();
        let parameter = |url: &url::Url, name: &str| {
            url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
        };
        let state = parameter(&location, "state").unwrap_or_else(|| {
            let callback = url::Url::parse(&parameter(&location, "postInstallationUrl").unwrap()).unwrap();
            parameter(&callback, "state").unwrap()
        });
        let path = format!("{end}?code=c&state={state}&instanceId={INSTANCE}");
        let back = |origin: &str, cookie: &str| world.get_at(origin, &path).header("cookie", cookie).send();
        // The browser has the cookie of workers.dev, and does not send it to the public address.
        let response = back("https://wix.example.com", "other=1");
        assert_eq!((response.status, response.header("location")), (302, &*format!("https://wix.example.com{start}")));
        assert_eq!(world.fake.last_log()["outcome"], "begun_again");
        // At the origin where the flow began, a missing cookie means another browser.
        let response = back("https://wix-edge.acc.workers.dev", "other=1");
        assert_eq!((page_status(&response), response.body.contains("another browser")), (403, true));
    }
    assert!(world.fake.wix().sent().is_empty() && world.fake.kv().entries().is_empty());
}

#[test]
fn over_plain_http_the_urls_for_wix_are_https() {
    let world = World::new();
    let begun = world.get_at("http://app.example", "/install").send();
    assert!(begun.header("location").contains("redirectUrl=https%3A%2F%2Fapp.example%2Fredirect"), "{begun:?}");
    let begun = world.get_at("http://app.example", "/connect").send();
    assert!(
        begun.header("location").contains("postInstallationUrl=https%3A%2F%2Fapp.example%2Fconnected"),
        "{begun:?}"
    );
    let begun = world.get_at("http://localhost:8787", "/install").send();
    assert!(begun.header("location").contains("redirectUrl=http%3A%2F%2Flocalhost%3A8787%2Fredirect"), "{begun:?}");
}

#[test]
fn a_head_request_uses_up_no_code() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let path = format!("/redirect?code=planted-code&state={state}&instanceId={INSTANCE}");
    let response = world.call(http::Method::HEAD, &path).header("cookie", &cookie).send();
    assert_eq!((response.status, response.body.as_str()), (503, ""));
    assert_eq!(exchanges(&world), 0);
    assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
}
