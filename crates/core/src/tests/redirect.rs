//! `GET /redirect`, the end of the install flow that begins at `/install`: docs/wix.md, 3.3.

mod again;
mod failure;

use serde_json::json;
use url::Url;

use crate::testing::kv::Op;
use crate::testing::wix::{Canned, REFRESH_TOKEN, token_info};
use crate::testing::world::{APP_ID, APP_SECRET, INSTANCE, SITE, VICTIM, World};
use crate::testing::{clock::START, jws};

const EXCHANGE: &str = "/oauth/access";
const INFO: &str = "/oauth2/token-info";

/// The status of a page with a request id.
fn page_status(response: &crate::testing::world::TestResponse) -> u16 {
    assert!(response.body.contains("Request id: "), "{}", response.body);
    response.status
}

#[test]
fn a_finished_install_makes_two_requests_to_wix_and_redirects_the_browser() {
    let world = World::new();
    let response = world.connect();
    assert_eq!(response.status, 302);
    assert_eq!(
        response.header("location"),
        "https://www.wix.com/installer/close-window?access_token=OAUTH2.planted-token.1"
    );

    let sent = world.fake.wix().sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].url, "https://www.wixapis.com/oauth/access");
    assert_eq!(sent[0].method, http::Method::POST);
    assert_eq!(sent[0].authorization, None);
    assert_eq!(
        sent[0].json,
        json!({
            "grant_type": "authorization_code",
            "client_id": APP_ID,
            "client_secret": APP_SECRET,
            "code": "planted-code",
        })
    );
    assert_eq!(sent[1].url, "https://www.wixapis.com/oauth2/token-info");
    assert_eq!(sent[1].authorization, None);
    assert_eq!(sent[1].json, json!({"token": "OAUTH2.planted-token.1"}));
}

#[test]
fn a_finished_install_is_stored() {
    let world = World::new();
    world.connect();
    assert_eq!(
        world.instance(INSTANCE),
        json!({
            "instance_id": INSTANCE,
            "status": "installed",
            "auth": "custom",
            "installed_at": START,
            "site_id": SITE,
            "last_token": {"at": START, "outcome": "ok"},
        })
    );
    let entries = world.fake.kv().entries();
    let refresh = &entries[&format!("v1:refresh:{INSTANCE}")];
    assert!(refresh.value.starts_with("s1.k1."), "{}", refresh.value);
    assert_eq!(refresh.expires, None);
    assert!(entries.values().all(|entry| !entry.value.contains(REFRESH_TOKEN)));
}

#[test]
fn the_token_of_the_install_serves_the_first_token_request() {
    let world = World::new();
    world.connect();
    let requests = world.fake.wix().sent().len();
    assert_eq!(world.token(INSTANCE).access_token(), "OAUTH2.planted-token.1");
    assert_eq!(world.fake.wix().sent().len(), requests);
}

#[test]
fn token_info_may_put_its_values_in_quotes() {
    let world = World::new();
    let mut info = token_info();
    info["active"] = json!("true");
    info["exp"] = json!("1767240000");
    info["iat"] = json!("1767225600");
    world.fake.wix().queue(INFO, [Canned::ok(&info)]);
    assert_eq!(world.connect().status, 302);
}

#[test]
fn token_info_may_spell_ids_in_upper_case_and_leave_the_site_out() {
    let world = World::new();
    let mut info = token_info();
    info["clientId"] = json!(APP_ID.to_uppercase());
    info["instanceId"] = json!(INSTANCE.to_uppercase());
    info.as_object_mut().unwrap().remove("siteId");
    world.fake.wix().queue(INFO, [Canned::ok(&info)]);
    assert_eq!(world.connect().status, 302);
    assert_eq!(world.instance(INSTANCE).get("site_id"), None);
}

#[test]
fn the_redirect_to_after_install_url_has_no_token() {
    let world = World::with(&[("AFTER_INSTALL_URL", "https://app.example/done?from=wix")]);
    let response = world.connect();
    assert!(response.header("location").starts_with("https://app.example/done?from=wix&handoff="));
    assert!(!response.header("location").contains("token"));
}

#[test]
fn an_incomplete_callback_is_a_400_without_a_request_to_wix() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let long = "c".repeat(8193);
    for query in [
        format!("state={state}&instanceId={INSTANCE}"),
        format!("state={state}&instanceId={INSTANCE}&code="),
        format!("state={state}&instanceId={INSTANCE}&code={long}"),
        format!("state={state}&instanceId={INSTANCE}&code=a&code=b"),
        format!("state={state}&code=a"),
        format!("state={state}&code=a&instanceId="),
        format!("state={state}&code=a&instanceId=1234"),
        format!("state={state}&code=a&instanceId={INSTANCE}&instanceId={VICTIM}"),
        format!("state={state}&code=a&instanceId=00000000-0000-0000-0000-000000000000"),
        format!("state={state}&state={state}&code=a&instanceId={INSTANCE}"),
    ] {
        let response = world.get(&format!("/redirect?{query}")).header("cookie", &cookie).send();
        assert_eq!(page_status(&response), 400, "{query}");
    }
    assert!(world.fake.wix().sent().is_empty());
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn the_state_is_checked_first() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let (_, other_cookie) = world.begin_install();
    let altered = state.replacen("AQE", "AQI", 1);
    let long = "s".repeat(513);
    for (query, cookie, title) in [
        (String::new(), cookie.as_str(), "state_invalid"),
        ("state=".to_owned(), &cookie, "state_invalid"),
        (format!("state={long}"), &cookie, "state_invalid"),
        (format!("state={altered}"), &cookie, "state_invalid"),
        (format!("state={state}"), "", "another browser"),
        (format!("state={state}"), &other_cookie, "another browser"),
    ] {
        let response = world.get(&format!("/redirect?{query}")).header("cookie", cookie).send();
        assert_eq!(page_status(&response), 403, "{query}");
        assert!(response.body.contains(title), "{query}: {}", response.body);
    }
    let bare = world.get(&format!("/redirect?state={state}&code=a&instanceId={INSTANCE}")).send();
    assert_eq!(bare.status, 403);
    assert!(world.fake.wix().sent().is_empty());
}

#[test]
fn a_state_is_valid_for_ten_minutes() {
    for (seconds, status) in [(600, 302), (601, 403)] {
        let world = World::new();
        let (state, cookie) = world.begin_install();
        world.fake.clock().advance(seconds);
        let response = world.callback(&state, &cookie, INSTANCE).send();
        assert_eq!(response.status, status, "{seconds}");
        assert_eq!(response.body.contains("has expired"), status == 403);
    }
}

#[test]
fn two_installs_in_two_tabs_both_succeed() {
    let world = World::new();
    let (first, one) = world.begin_install();
    let (second, two) = world.begin_install();
    let cookies = format!("theme=dark; {one}; {two}");
    assert_eq!(world.callback(&second, &cookies, INSTANCE).send().status, 302);
    assert_eq!(world.callback(&first, &cookies, INSTANCE).send().status, 302);
}

#[test]
fn the_callback_may_end_in_another_isolate() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let other = world.isolate(&[]);
    assert_eq!(other.callback(&state, &cookie, INSTANCE).send().status, 302);
}

#[test]
fn unknown_parameters_and_any_characters_in_a_code_are_accepted() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("instanceId", INSTANCE)
        .append_pair("new", "parameter")
        .append_pair("code", "a+b/c=d&e ü")
        .append_pair("state", &state)
        .finish();
    let response = world.get(&format!("/redirect?{query}")).header("cookie", &cookie).send();
    assert_eq!(response.status, 302);
    assert_eq!(world.fake.wix().sent()[0].json["code"], "a+b/c=d&e ü");
}

#[test]
fn the_access_token_is_encoded_in_the_url() {
    let world = World::new();
    let token = "OAUTH2.a+b/c=d&e%20#f";
    world.fake.wix().queue(EXCHANGE, [Canned::ok(&json!({"access_token": token}))]);
    let location = Url::parse(world.connect().header("location")).unwrap();
    let pairs: Vec<_> = location.query_pairs().into_owned().collect();
    assert_eq!(pairs, [("access_token".to_owned(), token.to_owned())]);
}

#[test]
fn consenting_again_replaces_the_refresh_token() {
    let world = World::new();
    world.connect();
    world.fake.clock().advance(1000);
    let fresh = json!({"access_token": "OAUTH2.second", "refresh_token": "OAUTH2.second-refresh"});
    world.fake.wix().queue(EXCHANGE, [Canned::ok(&fresh)]);
    assert_eq!(world.connect().status, 302);
    world.fake.clock().advance(1000);
    world.token(INSTANCE);
    assert_eq!(world.fake.wix().sent().last().unwrap().json["refresh_token"], "OAUTH2.second-refresh");
}

#[test]
fn concurrent_webhook_and_redirect_lose_no_fact() {
    for (webhook, redirect) in [(0, 0), (0, 5), (5, 0)] {
        let world = World::new();
        let (state, cookie) = world.begin_install();
        // Each of them reads before the other has written.
        world.fake.kv().delay_where(|op, _| if op == Op::Put { 30 } else { 20 });
        world.fake.wix().always(INFO, Canned::ok(&token_info()).after(redirect));
        let cloned = jws::event("AppInstalled", INSTANCE, &json!({"appId": APP_ID, "originInstanceId": VICTIM}), START);
        let install = world.callback(&state, &cookie, INSTANCE);
        let webhook = async {
            world.fake.clock().sleep(webhook).await;
            world.post("/webhook").body(cloned).send_async().await
        };
        let (webhook, install) = world.fake.clock().run(futures::future::join(webhook, install.send_async()));
        assert_eq!((webhook.status, install.status), (200, 302));

        world.fake.kv().clear_faults();
        let instance = world.instance(INSTANCE);
        assert_eq!(instance["status"], "installed");
        assert_eq!(instance["auth"], "custom", "the fact of the redirect is lost: {instance}");
        assert_eq!(instance["site_id"], SITE, "the fact of the redirect is lost: {instance}");
        assert_eq!(instance["origin_instance_id"], VICTIM, "the fact of the webhook is lost: {instance}");
    }
}
