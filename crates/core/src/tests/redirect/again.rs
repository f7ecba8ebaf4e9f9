//! The same redirect opened more than once, or by a browser that only looks ahead.

use super::{EXCHANGE, INFO, code};
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::wix::Canned;
use crate::testing::world::{INSTANCE, VICTIM, World};

fn exchanges(world: &World) -> usize {
    world.fake.wix().sent().iter().filter(|sent| sent.path() == EXCHANGE).count()
}

#[test]
fn a_redirect_that_is_opened_again_gives_the_same_page_with_one_exchange() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let first = world.callback(&state, &cookie, INSTANCE).send();
    world.fake.clock().advance(60);
    let again = world.callback(&state, &cookie, INSTANCE).send();
    let elsewhere = world.isolate(&[]);
    let other = elsewhere.callback(&state, &cookie, INSTANCE).send();
    assert_eq!(first.status, 302);
    for response in [again, other] {
        assert_eq!((response.status, response.header("location")), (302, first.header("location")));
    }
    assert_eq!(exchanges(&world), 1);
}

#[test]
fn a_redirect_that_is_opened_twice_at_once_has_one_exchange() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.fake.wix().queue(INFO, [Canned::ok(&crate::testing::wix::token_info()).after(400)]);
    let responses =
        world.send_all([world.callback(&state, &cookie, INSTANCE), world.callback(&state, &cookie, INSTANCE)]);
    assert_eq!(responses[0].header("location"), responses[1].header("location"));
    assert_eq!(exchanges(&world), 1);
}

#[test]
fn opening_it_again_with_a_victims_id_gives_nothing() {
    let world = World::new();
    world.webhook(jws::installed(VICTIM, world.now()));
    let (state, cookie) = world.begin_install();
    world.callback(&state, &cookie, INSTANCE).send();
    world.fake.wix().always(EXCHANGE, Canned::status(400));
    world.fake.kv().take_changes();
    assert_eq!(code(&world.callback(&state, &cookie, VICTIM).send()), 403);
    assert_eq!(code(&world.isolate(&[]).callback(&state, &cookie, VICTIM).send()), 400);
    assert_eq!(world.fake.kv().take_changes(), []);
}

#[test]
fn a_removal_in_between_is_not_undone_by_opening_it_again() {
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
fn what_could_not_be_stored_is_stored_by_a_reload_without_another_exchange() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.fake.kv().fail_where(|op, _| op == Op::Put);
    let failed = world.callback(&state, &cookie, INSTANCE).send();
    assert_eq!(code(&failed), 503);
    assert!(failed.body.contains("Reload this page"), "{}", failed.body);
    assert!(world.fake.kv().entries().is_empty());
    world.fake.kv().clear_faults();
    assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
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
        .fail_where(move |op, key| op == Op::Put && key.starts_with("v1:refresh:") && clock.clock().now() < until);
    assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
    assert_eq!(world.fake.kv().keys("v1:refresh:").len(), 1);
    assert_eq!(exchanges(&world), 1);
}

#[test]
fn where_it_was_never_stored_client_credentials_still_work() {
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
fn looking_ahead_is_no_exchange() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    for purpose in ["prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip"] {
        let response = world.callback(&state, &cookie, INSTANCE).header("sec-purpose", purpose).send();
        assert_eq!(code(&response), 503, "{purpose}");
    }
    assert_eq!(exchanges(&world), 0);
    assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
}

#[test]
fn after_a_removal_and_a_reinstallation_the_former_token_is_nobodys() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.callback(&state, &cookie, INSTANCE).send();
    let former = world.token(INSTANCE).access_token();
    world.fake.clock().advance(30);
    world.webhook(jws::removed(INSTANCE, world.now()));
    world.fake.clock().advance(30);
    world.webhook(jws::installed(INSTANCE, world.now()));
    for isolate in [&world, &world.isolate(&[])] {
        world.fake.kv().take_changes();
        assert_eq!(isolate.callback(&state, &cookie, INSTANCE).send().status, 302);
        assert_eq!(world.fake.kv().take_changes(), []);
        assert_ne!(isolate.token(INSTANCE).access_token(), former);
        assert!(world.fake.kv().keys("v1:refresh:").is_empty(), "nor is its refresh token kept");
    }
}

#[test]
fn an_exchange_that_is_stored_after_a_reinstallation_gives_its_token_to_nobody() {
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
    assert_eq!(world.fake.wix().take_paths(), ["/oauth2/token"], "a new one, and by client credentials");
    assert!(world.fake.kv().keys("v1:refresh:").is_empty());
}

#[test]
fn an_exchange_that_is_stored_late_does_not_replace_what_is_newer() {
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
    let kept = world.fake.kv().entries()[&key].clone();
    assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
    assert_eq!(world.fake.kv().entries()[&key].value, kept.value);
}

#[test]
fn one_flow_costs_one_exchange_whatever_codes_come_with_it() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    world.fake.wix().always(EXCHANGE, Canned::status(400));
    for number in 0..20 {
        let path = format!("/redirect?code=made-up-{number}&state={state}&instanceId={INSTANCE}");
        assert_eq!(code(&world.get(&path).header("cookie", &cookie).send()), 400);
    }
    assert_eq!(exchanges(&world), 1);
    assert!(world.fake.kv().entries().is_empty());
    world.fake.wix().clear_script();
    assert_eq!(world.connect().status, 302, "another flow is another matter");
}

#[test]
fn a_failure_that_is_not_wixs_refusal_can_be_reloaded() {
    for failure in
        [Canned::text(403, "<html>"), Canned::text(401, r#"{"error":"invalid_client"}"#), Canned::status(500)]
    {
        let world = World::new();
        let (state, cookie) = world.begin_install();
        world.fake.wix().always(EXCHANGE, failure);
        assert!(code(&world.callback(&state, &cookie, INSTANCE).send()) >= 500);
        world.fake.wix().clear_script();
        assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 302);
    }
}

#[test]
fn a_refused_app_is_told_to_the_operator_and_not_blamed_on_the_owner() {
    let world = World::new();
    world.fake.wix().always(EXCHANGE, Canned::text(401, r#"{"error":"invalid_client"}"#));
    let response = world.connect();
    assert_eq!(code(&response), 503);
    assert!(response.body.contains("No site is at fault"), "{}", response.body);
    assert_eq!(world.fake.last_log()["error"], "app_credentials_refused");
}

#[test]
fn a_flow_that_began_at_another_origin_begins_again_at_the_right_one() {
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
        // The browser keeps the cookie for workers.dev, and comes to the public address without it.
        let response = back("https://wix.example.com", "other=1");
        assert_eq!((response.status, response.header("location")), (302, &*format!("https://wix.example.com{start}")));
        assert_eq!(world.fake.last_log()["outcome"], "begun_again");
        // At the origin where it began, a cookie that is missing is another browser's.
        let response = back("https://wix-edge.acc.workers.dev", "other=1");
        assert_eq!((code(&response), response.body.contains("another browser")), (403, true));
    }
    assert!(world.fake.wix().sent().is_empty() && world.fake.kv().entries().is_empty());
}

#[test]
fn over_plain_http_the_addresses_that_wix_is_told_are_https() {
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
