//! A failed flow returns to the app's page only if it provably began here, with a `ref`.

use super::*;
use crate::testing::kv::Op;
use crate::testing::wix::{Canned, token_info};

/// What the app's page is told.
fn told(response: &TestResponse) -> (String, String) {
    let url = page(response);
    assert_eq!(url.query_pairs().count(), 3, "{url}");
    assert!(!response.has("set-cookie"));
    (parameter(&url, "error").expect("an error"), parameter(&url, "ref").expect("a ref"))
}

fn error(code: &str) -> (String, String) {
    (code.to_owned(), ODD.to_owned())
}

#[test]
fn a_failed_connect_flow_returns_to_the_app_with_its_ref() {
    let world = world();
    let other_app = json!({ "signedInstance": signed_with(&json!({ "appDefId": VICTIM })) });
    let early = json!({ "signedInstance": signed_with(&json!({ "signDate": date(world.now() - 61) })) });
    for (changes, code) in [
        (json!({ "instanceId": null, "signedInstance": null }), "denied"),
        (json!({ "signedInstance": null }), "not_proven"),
        (json!({ "instanceId": VICTIM }), "not_proven"),
        (json!({ "appId": VICTIM }), "not_proven"),
        (json!({ "tenantId": "x" }), "not_proven"),
        (other_app, "not_proven"),
        (early, "not_proven"),
    ] {
        let (callback, cookie) = begin_with(&world, &query(ODD));
        assert_eq!(told(&call_back(&world, &callback, &cookie, &changes)), error(code), "{changes}");
        assert_eq!(world.fake.last_log()["status"], 302);
        assert!(world.fake.last_log()["error"].is_string(), "{}", world.fake.last_log());
        // Without a ref, or without a page of the app's, there is a page.
        let (callback, cookie) = begin_with(&world, "");
        assert!(call_back(&world, &callback, &cookie, &changes).status >= 400, "{changes}");
        let elsewhere = world.isolate(&[]);
        let (callback, cookie) = begin_with(&elsewhere, &query(ODD));
        assert!(call_back(&elsewhere, &callback, &cookie, &changes).status >= 400, "{changes}");
    }
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn a_failed_install_flow_returns_to_the_app_with_its_ref() {
    let mut other = token_info();
    other["instanceId"] = json!(VICTIM);
    let info = "/oauth2/token-info";
    for (script, code) in [
        (("/oauth/access", Canned::status(400)), "not_proven"),
        (("/oauth/access", Canned::status(500)), "wix_failed"),
        (("/oauth/access", Canned::text(200, "not JSON")), "wix_failed"),
        ((info, Canned::status(503)), "wix_failed"),
        ((info, Canned::ok(&other)), "not_proven"),
    ] {
        let world = world();
        let (path, cookie) = begin_install(&world, &query(ODD));
        world.fake.wix().always(script.0, script.1);
        assert_eq!(told(&world.get(&path).header("cookie", &cookie).send()), error(code));
        assert!(world.fake.kv().entries().is_empty());
    }
    let world = world();
    for (from, to) in [("code=planted-code&", ""), ("planted-code", ""), (&format!("&instanceId={INSTANCE}"), "")] {
        let (path, cookie) = begin_install(&world, &query(ODD));
        let path = path.replace(from, to) + "&error=access_denied";
        assert_eq!(told(&world.get(&path).header("cookie", &cookie).send()), error("denied"), "{path}");
    }
}

#[test]
fn a_state_that_is_late_or_in_another_browser_tells_the_app() {
    let world = world();
    for (late, cookies, code) in [(601, true, "expired"), (601, false, "expired"), (0, false, "other_browser")] {
        let (callback, cookie) = begin_with(&world, &query(ODD));
        let (path, install_cookie) = begin_install(&world, &query(ODD));
        world.fake.clock().advance(late);
        let or_none = |cookie: &str| if cookies { cookie.to_owned() } else { String::new() };
        let connected = call_back(&world, &callback, &or_none(&cookie), &json!({}));
        let redirected = world.get(&path).header("cookie", &or_none(&install_cookie)).send();
        for response in [connected, redirected] {
            assert_eq!(told(&response), error(code));
        }
    }
    assert!(world.fake.kv().entries().is_empty());
    assert_eq!(world.fake.wix().sent().len(), 0);
}

#[test]
fn a_state_that_is_not_authentic_shows_a_page() {
    let world = world();
    let (callback, cookie) = begin_with(&world, &query(ODD));
    let state = parameter(&callback, "state").unwrap();
    let (_, install_cookie) = begin_install(&world, &query(ODD));
    let foreign = World::with(&[("SEALING_KEYS", "k1:CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=")]);
    let (of_another_key, _) = begin_with(&foreign, &query(ODD));
    let of_another_key = parameter(&of_another_key, "state").unwrap();
    for path in [
        format!("/connected?state={}", &state[1..]),
        format!("/connected?state={state}A"),
        format!("/connected?state={state}&state={state}"),
        format!("/connected?state={}", "A".repeat(2_809)),
        format!("/connected?state={of_another_key}"),
        format!("/redirect?state={state}"),
        "/connected?ref=7".to_owned(),
        "/connected".to_owned(),
    ] {
        let response = world.get(&path).header("cookie", &format!("{cookie}; {install_cookie}")).send();
        assert!((400..404).contains(&response.status) && !response.has("location"), "{path}");
    }
}

/// The same request may succeed a moment later, so the person is told to reload.
#[test]
fn a_failure_of_this_server_shows_a_page_that_says_to_reload() {
    let world = world();
    let (callback, cookie) = begin_with(&world, &query(ODD));
    let (path, install_cookie) = begin_install(&world, &query(ODD));
    world.fake.kv().fail_where(|op, _| op == Op::Put);
    assert_eq!(call_back(&world, &callback, &cookie, &json!({})).status, 503);
    assert_eq!(world.get(&path).header("cookie", &install_cookie).send().status, 503);
    world.fake.kv().clear_faults();
    for response in
        [call_back(&world, &callback, &cookie, &json!({})), world.get(&path).header("cookie", &install_cookie).send()]
    {
        assert_eq!(take(&world, &handoff(&page(&response))).json()["ref"], ODD);
    }
    let (callback, cookie) = begin_with(&world, &query(ODD));
    let path = format!("{}?{}&instanceId={INSTANCE}", callback.path(), callback.query().unwrap());
    let head = world.call(http::Method::HEAD, &path).header("cookie", &cookie).send();
    assert_eq!((head.status, head.has("location")), (503, false), "a prefetch is no failed flow");
}

#[test]
fn without_a_page_of_the_apps_the_flow_begins_again_with_its_ref() {
    let world = World::new();
    let links = |response: &TestResponse| {
        assert!(response.status >= 400, "{}", response.body);
        let link = response.body.split_once(r#"class="next" href=""#).expect("a link").1;
        link.split_once('"').expect("the end of the link").0.to_owned()
    };
    for reference in ["", ODD] {
        let query = if reference.is_empty() { String::new() } else { query(reference) };
        let (callback, _) = begin_with(&world, &query);
        let (path, _) = begin_install(&world, &query);
        let connected = call_back(&world, &callback, "", &json!({}));
        let redirected = world.get(&path).send();
        assert_eq!(links(&connected), format!("/connect{query}"));
        assert_eq!(links(&redirected), format!("/install{query}"));
        assert_eq!(world.fake.last_log()["error"], "state_other_browser");
        // The flow that the link begins.
        let (path, cookie) = begin_install(&world, &query);
        world.fake.wix().always("/oauth/access", Canned::status(400));
        let link = links(&world.get(&path).header("cookie", &cookie).send());
        let (path, cookie) = begin_install(&world, link.strip_prefix("/install").expect("the start of the flow"));
        world.fake.wix().clear_script();
        assert_eq!(world.get(&path).header("cookie", &cookie).send().status, 302);
        assert_eq!(world.instance(INSTANCE)["ref"].as_str().unwrap_or_default(), reference);
    }
}
