//! The callback at `/redirect`: nobody gets in with what Wix does not confirm, and what fails is said in words.

use crate::harness::{Flow, Jar, Wix, ask, assert_refused, guid, parameter, shared};
use serde_json::{Value, json};
use url::Url;

/// A callback that would succeed, with the browser that may open it. The instance is known from its webhook.
fn good_callback() -> (Jar, Url, String) {
    let stage = shared();
    let id = stage.wix.installed();
    let mut jar = Jar::default();
    let flow = Flow::begin(stage, &mut jar, None);
    (jar, stage.callback(&stage.wix.code(&id), &id, &flow.state), id)
}

fn with(url: &Url, name: &str, value: Option<&str>) -> Url {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(known, _)| known != name).collect();
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    if let Some(value) = value {
        url.query_pairs_mut().append_pair(name, value);
    }
    url
}

#[test]
fn a_swapped_instance_id_is_refused_and_nothing_is_stored() {
    let stage = shared();
    let (mut jar, url, mine) = good_callback();
    let victim = stage.wix.installed();
    let before = (stage.instance(&mine), stage.instance(&victim));

    let swapped = with(&url, "instanceId", Some(&victim));
    let answer = jar.get(&swapped);
    assert_refused(&answer, 403, &swapped);
    assert!(answer.text().contains("Nothing was stored"), "{answer:?}");
    assert_eq!((stage.instance(&mine), stage.instance(&victim)), before);

    // The victim's next token is asked for as ever: by client credentials and its own id.
    stage.token(&victim).expect(200);
    assert_eq!(stage.wix.called(&victim), ["oauth2_token client_credentials"]);
}

#[test]
fn an_instance_id_that_nobody_has_is_refused_and_nothing_is_stored() {
    let stage = shared();
    let (mut jar, url, _) = good_callback();
    let nobody = guid();
    let url = with(&url, "instanceId", Some(&nobody));
    assert_refused(&jar.get(&url), 403, &url);
    stage.api("GET", &format!("/v1/instances/{nobody}")).expect(404);
}

#[test]
fn an_instance_id_in_capitals_is_the_same_instance() {
    let (mut jar, url, id) = good_callback();
    jar.get(with(&url, "instanceId", Some(&id.to_uppercase()))).expect(302);
    shared().becomes(&id, "auth", "custom");
}

#[test]
fn a_code_that_was_used_opens_no_other_flow() {
    let stage = shared();
    let (mut jar, url, id) = good_callback();
    jar.get(&url).expect(302);
    let before = stage.instance(&id);

    let url = with(&url, "state", Some(&Flow::begin(stage, &mut jar, None).state));
    let answer = jar.get(&url);
    assert_refused(&answer, 400, &url);
    assert!(answer.text().contains("did not accept this installation"), "{answer:?}");
    assert_eq!(stage.instance(&id), before);
}

#[test]
fn the_same_redirect_opened_again_leads_to_the_same_page_without_another_exchange() {
    let stage = shared();
    let (mut jar, url, id) = good_callback();
    let first = jar.get(&url).expect(302);
    let before = stage.instance(&id);
    for _ in 0..3 {
        assert_eq!(jar.get(&url).expect(302).location(), first.location());
    }
    assert_eq!(stage.wix.called(&id), ["oauth_access authorization_code", "token_info"]);
    assert_eq!(stage.instance(&id), before);
}

#[test]
fn the_same_redirect_opened_many_times_at_once_makes_one_exchange() {
    let stage = shared();
    let (jar, url, id) = good_callback();
    stage.wix.fault(&id, "oauth_access", 1, &json!({ "kind": "delay", "delay_ms": 500 }));
    let pages: Vec<Url> = std::thread::scope(|scope| {
        let open = || jar.clone().get(&url).expect(302).location();
        let opening: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        opening.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:?}");
    assert_eq!(stage.wix.called(&id), ["oauth_access authorization_code", "token_info"]);
}

#[test]
fn the_same_redirect_with_another_instance_or_browser_is_refused_as_before() {
    let stage = shared();
    let (mut jar, url, _) = good_callback();
    let victim = stage.wix.installed();
    let before = stage.instance(&victim);
    jar.get(&url).expect(302);
    let swapped = with(&url, "instanceId", Some(&victim));
    assert_refused(&jar.get(&swapped), 403, &swapped);
    assert_refused(&Jar::default().get(&url), 403, &url);
    assert_eq!(stage.instance(&victim), before);
}

#[test]
fn a_redirect_opened_again_does_not_bring_a_removed_app_back() {
    let stage = shared();
    let (mut jar, url, id) = good_callback();
    jar.get(&url).expect(302);
    stage.wix.remove(&id);
    jar.get(&url);
    assert_eq!(stage.instance(&id)["status"], "removed");
    stage.token(&id).expect(410);
    stage.wix.reinstall(&id);
    assert_eq!(stage.instance(&id)["auth"], "oauth");
}

#[test]
fn a_browser_that_looks_ahead_does_not_use_up_the_code() {
    let stage = shared();
    let (mut jar, url, id) = good_callback();
    let cookie = format!("{}={}", jar.0[0].0, jar.0[0].1);
    let answer = ask("GET", &url).header("cookie", cookie).header("sec-purpose", "prefetch;prerender").send();
    assert_refused(&answer, 503, &url);
    assert_eq!(stage.wix.called(&id), Vec::<String>::new());
    jar.get(&url).expect(302);
}

#[test]
fn an_unknown_code_and_one_of_another_app_are_refused() {
    let stage = shared();
    let elsewhere = Wix::start();
    let theirs = elsewhere.post("/_sim/installs", &json!({}))["instance"]["instance_id"].clone();
    let theirs = elsewhere.code(theirs.as_str().expect("an instance"));
    for code in ["made-up", &theirs] {
        let (mut jar, url, id) = good_callback();
        let url = with(&url, "code", Some(code));
        assert_refused(&jar.get(&url), 400, &url);
        assert_eq!(stage.instance(&id)["auth"], "oauth");
    }
}

#[test]
fn a_code_that_wix_refuses_is_not_shown_to_it_again() {
    let stage = shared();
    let (mut jar, url, id) = good_callback();
    stage.wix.refuses(&id, "oauth_access", 50, 400);
    for _ in 0..20 {
        assert_refused(&jar.get(&url), 400, &url);
    }
    assert_eq!(stage.wix.called(&id).len(), 1);
    stage.wix.take_back_faults(&id);
    assert_refused(&jar.get(&url), 400, &url);
}

#[test]
fn wix_failing_for_the_moment_does_not_fail_the_install() {
    let stage = shared();
    for kind in [
        json!({ "kind": "status", "status": 500 }),
        json!({ "kind": "status", "status": 408 }),
        json!({ "kind": "rate_limited" }),
        json!({ "kind": "cut" }),
    ] {
        let (mut jar, url, id) = good_callback();
        stage.wix.fault(&id, "oauth_access", 1, &kind);
        stage.wix.fault(&id, "token_info", 2, &kind);
        let answer = jar.get(&url);
        assert_eq!(answer.status, 302, "{kind}: {answer:?}");
        assert_eq!(stage.wix.called(&id).len(), 5, "{kind}");
        stage.becomes(&id, "auth", "custom");
    }
}

#[test]
fn wix_being_down_is_said_and_nothing_is_stored() {
    let stage = shared();
    for endpoint in ["oauth_access", "token_info"] {
        for kind in [json!({ "kind": "status", "status": 500 }), json!({ "kind": "cut" })] {
            let (mut jar, url, id) = good_callback();
            let before = stage.instance(&id);
            stage.wix.fault(&id, endpoint, 20, &kind);
            let answer = jar.get(&url);
            assert_refused(&answer, 502, &url);
            assert!(answer.text().contains("Try again"), "{answer:?}");
            assert_eq!(stage.instance(&id), before, "{endpoint} {kind}");
        }
    }
}

#[test]
fn an_answer_of_wixs_that_cannot_be_used_is_not_believed() {
    let stage = shared();
    for (endpoint, kind) in [
        ("oauth_access", json!({ "kind": "malformed_json" })),
        ("oauth_access", json!({ "kind": "wrong_types" })),
        ("oauth_access", json!({ "kind": "drop_field", "field": "access_token" })),
        ("oauth_access", json!({ "kind": "replace_field", "field": "access_token", "value": "two words\r\nx: y" })),
        // This one is asked for again, since it takes no effect.
        ("token_info", json!({ "kind": "malformed_json" })),
        ("token_info", json!({ "kind": "status", "status": 403, "body": "<html>", "content_type": "text/html" })),
    ] {
        let (mut jar, url, id) = good_callback();
        stage.wix.fault(&id, endpoint, if endpoint == "token_info" { 4 } else { 1 }, &kind);
        let answer = jar.get(&url);
        assert_refused(&answer, 502, &url);
        assert_eq!(stage.instance(&id)["auth"], "oauth", "{endpoint} {kind}");
    }
}

#[test]
fn only_a_live_token_of_this_app_and_an_instance_proves_anything() {
    let stage = shared();
    let replaced = |field: &str, value: Value| json!({ "kind": "replace_field", "field": field, "value": value });
    for kind in [
        replaced("active", json!(false)),
        replaced("active", json!("false")),
        replaced("clientId", json!(guid())),
        replaced("instanceId", json!(guid())),
        replaced("instanceId", json!("")),
        json!({ "kind": "drop_field", "field": "instanceId" }),
        json!({ "kind": "drop_field", "field": "clientId" }),
        json!({ "kind": "drop_field", "field": "active" }),
        json!({ "kind": "refused", "status": 400, "error": "invalid_request" }),
    ] {
        let (mut jar, url, id) = good_callback();
        let before = stage.instance(&id);
        stage.wix.fault(&id, "token_info", 1, &kind);
        let answer = jar.get(&url);
        assert_eq!(answer.status, 403, "{kind}: {answer:?}");
        assert_refused(&answer, 403, &url);
        assert_eq!(stage.instance(&id), before, "{kind}");
    }
}

#[test]
fn token_info_counts_in_the_spelling_of_the_documentation_too() {
    let (mut jar, url, id) = good_callback();
    let spelled = json!({ "kind": "replace_field", "field": "active", "value": "true" });
    shared().wix.fault(&id, "token_info", 1, &spelled);
    jar.get(&url).expect(302);
}

#[test]
fn a_missing_or_malformed_parameter_is_named_and_wix_is_not_asked() {
    let stage = shared();
    let far_too_long = "x".repeat(9000);
    for (name, value) in [
        ("code", None),
        ("code", Some("")),
        ("code", Some(far_too_long.as_str())),
        ("instanceId", None),
        ("instanceId", Some("")),
        ("instanceId", Some("not-a-guid")),
    ] {
        let (mut jar, url, id) = good_callback();
        let url = with(&url, name, value);
        let answer = jar.get(&url);
        assert_refused(&answer, 400, &url);
        assert!(answer.text().contains(name), "{answer:?}");
        assert_eq!(stage.wix.called(&id), Vec::<String>::new(), "{name} {value:?}");
    }
}

#[test]
fn a_parameter_given_twice_is_refused_and_wix_is_not_asked() {
    let stage = shared();
    for name in ["code", "instanceId"] {
        let (mut jar, mut url, id) = good_callback();
        let value = parameter(&url, name);
        url.query_pairs_mut().append_pair(name, &value);
        assert_refused(&jar.get(&url), 400, &url);
        assert_eq!(stage.wix.called(&id), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn parameters_that_wix_may_add_one_day_are_passed_over() {
    let (mut jar, mut url, id) = good_callback();
    url.query_pairs_mut().append_pair("tenantId", &guid()).append_pair("lang", "en");
    jar.get(&url).expect(302);
    shared().becomes(&id, "auth", "custom");
}
