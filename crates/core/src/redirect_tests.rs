//! `/redirect`, and `/install` before it, against the scripted Wix.

use serde_json::json;
use url::Url;

use crate::fake::kv::Op;
use crate::fake::wix::{Canned, REFRESH_TOKEN, token_info};
use crate::fake::world::{APP_ID, APP_SECRET, INSTANCE, SITE, VICTIM, World};
use crate::fake::{clock::START, jws};

const EXCHANGE: &str = "/oauth/access";
const INFO: &str = "/oauth2/token-info";

fn code(answer: &crate::fake::world::Answer) -> u16 {
    assert!(answer.body.contains("Request id: "), "{}", answer.body);
    answer.status
}

#[test]
fn a_finished_install_asks_wix_exactly_twice_and_sends_the_browser_on() {
    let world = World::new();
    let answer = world.connect();
    assert_eq!(answer.status, 302);
    assert_eq!(
        answer.header("location"),
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
fn a_finished_install_is_kept() {
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
    let asked = world.fake.wix().sent().len();
    assert_eq!(world.token(INSTANCE).access_token(), "OAUTH2.planted-token.1");
    assert_eq!(world.fake.wix().sent().len(), asked);
}

#[test]
fn a_victims_id_in_the_callback_writes_nothing() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let answer = world.callback(&state, &cookie, VICTIM).answer();
    assert_eq!(code(&answer), 403);
    assert!(answer.body.contains("does not belong to this installation"));
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
        world.fake.wix().next(INFO, [Canned::ok(&info)]);
        let answer = world.connect();
        assert_eq!(code(&answer), 403, "{name}");
        assert!(world.fake.kv().entries().is_empty(), "{name}");
    }
}

#[test]
fn token_info_may_put_its_values_in_quotes() {
    let world = World::new();
    let mut info = token_info();
    info["active"] = json!("true");
    info["exp"] = json!("1767240000");
    info["iat"] = json!("1767225600");
    world.fake.wix().next(INFO, [Canned::ok(&info)]);
    assert_eq!(world.connect().status, 302);
}

#[test]
fn token_info_may_spell_ids_in_upper_case_and_leave_the_site_out() {
    let world = World::new();
    let mut info = token_info();
    info["clientId"] = json!(APP_ID.to_uppercase());
    info["instanceId"] = json!(INSTANCE.to_uppercase());
    info.as_object_mut().unwrap().remove("siteId");
    world.fake.wix().next(INFO, [Canned::ok(&info)]);
    assert_eq!(world.connect().status, 302);
    assert_eq!(world.instance(INSTANCE).get("site_id"), None);
}

#[test]
fn wix_not_knowing_its_own_token_writes_nothing() {
    for status in [400, 401, 403, 404] {
        let world = World::new();
        world.fake.wix().next(INFO, [Canned::status(status)]);
        assert_eq!(code(&world.connect()), 403, "{status}");
        assert!(world.fake.kv().entries().is_empty());
    }
}

#[test]
fn a_code_that_wix_refuses_is_told_in_plain_words() {
    for status in [400, 401, 403, 404] {
        let world = World::new();
        world.fake.wix().always(EXCHANGE, Canned::status(status));
        let answer = world.connect();
        assert_eq!(code(&answer), 400, "{status}");
        assert!(answer.body.contains("did not accept this installation"), "{}", answer.body);
        assert!(world.fake.kv().entries().is_empty());
        assert_eq!(world.fake.wix().take_paths(), [EXCHANGE, EXCHANGE], "asked once more, and then believed");
    }
}

#[test]
fn the_previous_app_secret_is_tried_where_wix_refuses_the_new_one() {
    let world = World::with(&[("WIX_APP_SECRET_PREVIOUS", "the-former-secret")]);
    world.fake.wix().next(EXCHANGE, [Canned::status(401)]);
    assert_eq!(world.connect().status, 302);
    let sent = world.fake.wix().sent();
    assert_eq!(sent[0].json["client_secret"], APP_SECRET);
    assert_eq!(sent[1].json["client_secret"], "the-former-secret");
}

#[test]
fn a_failure_of_wix_in_passing_is_overcome() {
    for failure in [Canned::status(500), Canned::status(503), Canned::status(429), Canned::unreachable()] {
        let world = World::new();
        world.fake.wix().next(EXCHANGE, [failure.clone()]);
        world.fake.wix().next(INFO, [failure]);
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
        let answer = world.connect();
        assert_eq!(code(&answer), 504, "{silent}");
        assert!((10_000..=15_000).contains(&answer.took), "{silent}: {} ms", answer.took);
        assert!(world.fake.kv().entries().is_empty());
    }
}

#[test]
fn the_deadline_is_one_for_both_questions() {
    let world = World::new();
    world.fake.wix().next(EXCHANGE, [Canned::hang(), Canned::hang()]);
    world.fake.wix().always(INFO, Canned::hang());
    let answer = world.connect();
    assert_eq!(answer.status, 504);
    assert!(answer.took <= 15_000, "{} ms", answer.took);
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
    for answer in [
        json!({"access_token": "OAUTH2.a.b.c"}),
        json!({"access_token": "OAUTH2.a.b.c", "refresh_token": null}),
        json!({"access_token": "OAUTH2.a.b.c", "refresh_token": ""}),
    ] {
        let world = World::new();
        world.fake.wix().next(EXCHANGE, [Canned::ok(&answer)]);
        assert_eq!(world.connect().status, 302, "{answer}");
        assert!(world.fake.kv().keys("v1:refresh:").is_empty());
        // Client credentials take over when the token of the install is spent.
        world.fake.clock().pass(300);
        assert_eq!(world.token(INSTANCE).access_token(), "OauthNG.JWS.planted-token.1");
        assert_eq!(world.instance(INSTANCE)["auth"], "custom_healed");
    }
}

#[test]
fn the_browser_goes_to_after_install_url_without_a_token_where_one_is_set() {
    let world = World::with(&[("AFTER_INSTALL_URL", "https://app.example/done?from=wix")]);
    assert_eq!(world.connect().header("location"), "https://app.example/done?from=wix");
}

#[test]
fn a_store_that_fails_is_a_503_and_no_redirect() {
    for failing in [Op::Get, Op::Put, Op::List] {
        let world = World::new();
        world.fake.kv().break_where(move |op, _| op == failing);
        let answer = world.connect();
        assert_eq!(code(&answer), 503, "{failing:?}");
        assert!(!answer.has("location"));
    }
}

#[test]
fn a_callback_that_is_not_complete_asks_wix_nothing() {
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
        let answer = world.get(&format!("/redirect?{query}")).header("cookie", &cookie).answer();
        assert_eq!(code(&answer), 400, "{query}");
    }
    assert!(world.fake.wix().sent().is_empty());
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn the_state_is_judged_before_anything_else() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let (_, other_cookie) = world.begin_install();
    let altered = state.replacen("AQE", "AQI", 1);
    let long = "s".repeat(513);
    for (query, cookie, title) in [
        (String::new(), cookie.as_str(), "not started here"),
        ("state=".to_owned(), &cookie, "not started here"),
        (format!("state={long}"), &cookie, "not started here"),
        (format!("state={altered}"), &cookie, "not started here"),
        (format!("state={state}"), "", "in another browser"),
        (format!("state={state}"), &other_cookie, "in another browser"),
    ] {
        let answer = world.get(&format!("/redirect?{query}")).header("cookie", cookie).answer();
        assert_eq!(code(&answer), 403, "{query}");
        assert!(answer.body.contains(title), "{query}: {}", answer.body);
    }
    let bare = world.get(&format!("/redirect?state={state}&code=a&instanceId={INSTANCE}")).answer();
    assert_eq!(bare.status, 403);
    assert!(world.fake.wix().sent().is_empty());
}

#[test]
fn a_state_is_good_for_ten_minutes() {
    for (seconds, status) in [(600, 302), (601, 403)] {
        let world = World::new();
        let (state, cookie) = world.begin_install();
        world.fake.clock().pass(seconds);
        let answer = world.callback(&state, &cookie, INSTANCE).answer();
        assert_eq!(answer.status, status, "{seconds}");
        assert_eq!(answer.body.contains("longer than ten minutes"), status == 403);
    }
}

#[test]
fn two_installs_in_two_tabs_do_not_disturb_each_other() {
    let world = World::new();
    let (first, one) = world.begin_install();
    let (second, two) = world.begin_install();
    let cookies = format!("theme=dark; {one}; {two}");
    assert_eq!(world.callback(&second, &cookies, INSTANCE).answer().status, 302);
    assert_eq!(world.callback(&first, &cookies, INSTANCE).answer().status, 302);
}

#[test]
fn the_callback_may_end_in_another_isolate() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let elsewhere = world.isolate(&[]);
    assert_eq!(elsewhere.callback(&state, &cookie, INSTANCE).answer().status, 302);
}

#[test]
fn unknown_parameters_and_a_code_of_any_characters_are_taken() {
    let world = World::new();
    let (state, cookie) = world.begin_install();
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("instanceId", INSTANCE)
        .append_pair("new", "parameter")
        .append_pair("code", "a+b/c=d&e ü")
        .append_pair("state", &state)
        .finish();
    let answer = world.get(&format!("/redirect?{query}")).header("cookie", &cookie).answer();
    assert_eq!(answer.status, 302);
    assert_eq!(world.fake.wix().sent()[0].json["code"], "a+b/c=d&e ü");
}

#[test]
fn the_access_token_survives_the_way_into_the_url() {
    let world = World::new();
    let token = "OAUTH2.a+b/c=d&e%20#f";
    world.fake.wix().next(EXCHANGE, [Canned::ok(&json!({"access_token": token}))]);
    let location = Url::parse(world.connect().header("location")).unwrap();
    let pairs: Vec<_> = location.query_pairs().into_owned().collect();
    assert_eq!(pairs, [("access_token".to_owned(), token.to_owned())]);
}

#[test]
fn consenting_again_replaces_the_refresh_token() {
    let world = World::new();
    world.connect();
    world.fake.clock().pass(1000);
    let fresh = json!({"access_token": "OAUTH2.second", "refresh_token": "OAUTH2.second-refresh"});
    world.fake.wix().next(EXCHANGE, [Canned::ok(&fresh)]);
    assert_eq!(world.connect().status, 302);
    world.fake.clock().pass(1000);
    world.token(INSTANCE);
    assert_eq!(world.fake.wix().sent().last().unwrap().json["refresh_token"], "OAUTH2.second-refresh");
}

#[test]
fn webhook_and_redirect_at_the_same_moment_lose_nothing() {
    for (webhook, redirect) in [(0, 0), (0, 5), (5, 0)] {
        let world = World::new();
        let (state, cookie) = world.begin_install();
        // Both read before either has written.
        world.fake.kv().delay_where(|op, _| if op == Op::Put { 30 } else { 20 });
        world.fake.wix().always(INFO, Canned::ok(&token_info()).after(redirect));
        let cloned = jws::event("AppInstalled", INSTANCE, &json!({"appId": APP_ID, "originInstanceId": VICTIM}), START);
        let install = world.callback(&state, &cookie, INSTANCE);
        let webhook = async {
            world.fake.clock().sleep(webhook).await;
            world.post("/webhook").body(cloned).send().await
        };
        let (webhook, install) = world.fake.clock().run(futures::future::join(webhook, install.send()));
        assert_eq!((webhook.status, install.status), (200, 302));

        world.fake.kv().mend();
        let instance = world.instance(INSTANCE);
        assert_eq!(instance["status"], "installed");
        assert_eq!(instance["auth"], "custom", "the redirect is kept: {instance}");
        assert_eq!(instance["site_id"], SITE, "the redirect is kept: {instance}");
        assert_eq!(instance["origin_instance_id"], VICTIM, "the webhook is kept: {instance}");
    }
}
