//! The callback at `/redirect`: it stores nothing that Wix does not confirm, and shows an error page on each failure.

use crate::harness::{Flow, Jar, Wix, assert_refused, guid, parameter, request, shared};
use serde_json::{Value, json};
use url::Url;

/// A valid callback with its browser's cookies, for an instance that the Worker knows from its webhook.
fn good_callback() -> (Jar, Url, String) {
    let stage = shared();
    let id = stage.wix.new_instance();
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
    let victim = stage.wix.new_instance();
    let before = (stage.instance(&mine), stage.instance(&victim));

    let swapped = with(&url, "instanceId", Some(&victim));
    let response = jar.get(&swapped);
    assert_refused(&response, 403, &swapped);
    assert!(response.text().contains("please start again"), "{response:?}");
    assert_eq!((stage.instance(&mine), stage.instance(&victim)), before);

    // The victim's next token still comes by client credentials, with the victim's id.
    stage.token(&victim).expect(200);
    assert_eq!(stage.wix.called_endpoints(&victim), ["oauth2_token client_credentials"]);
}

#[test]
fn an_unknown_instance_id_is_refused_and_nothing_is_stored() {
    let stage = shared();
    let (mut jar, url, _) = good_callback();
    let unknown = guid();
    let url = with(&url, "instanceId", Some(&unknown));
    assert_refused(&jar.get(&url), 403, &url);
    stage.api("GET", &format!("/v1/instances/{unknown}")).expect(404);
}

#[test]
fn an_instance_id_in_capitals_is_the_same_instance() {
    let (mut jar, url, id) = good_callback();
    jar.get(with(&url, "instanceId", Some(&id.to_uppercase()))).expect(302);
    shared().wait_for_field(&id, "auth", "custom");
}

#[test]
fn a_used_code_is_refused_in_another_flow() {
    let stage = shared();
    let (mut jar, url, id) = good_callback();
    jar.get(&url).expect(302);
    let before = stage.instance(&id);

    let url = with(&url, "state", Some(&Flow::begin(stage, &mut jar, None).state));
    let response = jar.get(&url);
    assert_refused(&response, 400, &url);
    assert!(response.text().contains("has expired"), "{response:?}");
    assert_eq!(stage.instance(&id), before);
}

#[test]
fn a_repeated_redirect_shows_the_same_page_without_another_exchange() {
    let stage = shared();
    let (mut jar, url, id) = good_callback();
    let first = jar.get(&url).expect(302);
    let before = stage.instance(&id);
    for _ in 0..3 {
        assert_eq!(jar.get(&url).expect(302).location(), first.location());
    }
    assert_eq!(stage.wix.called_endpoints(&id), ["oauth_access authorization_code", "token_info"]);
    assert_eq!(stage.instance(&id), before);
}

#[test]
fn concurrent_redirects_share_one_exchange() {
    let stage = shared();
    let (jar, url, id) = good_callback();
    stage.wix.add_fault(&id, "oauth_access", 1, &json!({ "kind": "delay", "delay_ms": 500 }));
    let pages: Vec<Url> = std::thread::scope(|scope| {
        let open = || jar.clone().get(&url).expect(302).location();
        let opening: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        opening.into_iter().map(|thread| thread.join().expect("a response")).collect()
    });
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:?}");
    assert_eq!(stage.wix.called_endpoints(&id), ["oauth_access authorization_code", "token_info"]);
}

#[test]
fn a_repeated_redirect_with_another_instance_or_browser_is_refused() {
    let stage = shared();
    let (mut jar, url, _) = good_callback();
    let victim = stage.wix.new_instance();
    let before = stage.instance(&victim);
    jar.get(&url).expect(302);
    let swapped = with(&url, "instanceId", Some(&victim));
    assert_refused(&jar.get(&swapped), 403, &swapped);
    assert_refused(&Jar::default().get(&url), 403, &url);
    assert_eq!(stage.instance(&victim), before);
}

#[test]
fn a_repeated_redirect_does_not_undo_a_removal() {
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
fn a_prefetch_does_not_use_the_code() {
    let stage = shared();
    let (mut jar, url, id) = good_callback();
    let cookie = format!("{}={}", jar.0[0].0, jar.0[0].1);
    let response = request("GET", &url).header("cookie", cookie).header("sec-purpose", "prefetch;prerender").send();
    assert_refused(&response, 503, &url);
    assert_eq!(stage.wix.called_endpoints(&id), Vec::<String>::new());
    jar.get(&url).expect(302);
}

#[test]
fn an_unknown_code_and_a_code_of_another_app_are_refused() {
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
fn a_refused_code_is_negative_cached() {
    let stage = shared();
    let (mut jar, url, id) = good_callback();
    stage.wix.refuse_with(&id, "oauth_access", 50, 400);
    for _ in 0..20 {
        assert_refused(&jar.get(&url), 400, &url);
    }
    assert_eq!(stage.wix.called_endpoints(&id).len(), 1);
    stage.wix.remove_faults(&id);
    assert_refused(&jar.get(&url), 400, &url);
}

#[test]
fn a_transient_failure_of_wix_does_not_fail_the_install() {
    let stage = shared();
    for kind in [
        json!({ "kind": "status", "status": 500 }),
        json!({ "kind": "status", "status": 408 }),
        json!({ "kind": "rate_limited" }),
        json!({ "kind": "cut" }),
    ] {
        let (mut jar, url, id) = good_callback();
        stage.wix.add_fault(&id, "oauth_access", 1, &kind);
        stage.wix.add_fault(&id, "token_info", 2, &kind);
        let response = jar.get(&url);
        assert_eq!(response.status, 302, "{kind}: {response:?}");
        assert_eq!(stage.wix.called_endpoints(&id).len(), 5, "{kind}");
        stage.wait_for_field(&id, "auth", "custom");
    }
}

#[test]
fn a_permanent_failure_of_wix_shows_an_error_page_and_nothing_is_stored() {
    let stage = shared();
    for endpoint in ["oauth_access", "token_info"] {
        for kind in [json!({ "kind": "status", "status": 500 }), json!({ "kind": "cut" })] {
            let (mut jar, url, id) = good_callback();
            let before = stage.instance(&id);
            stage.wix.add_fault(&id, endpoint, 20, &kind);
            let response = jar.get(&url);
            assert_refused(&response, 502, &url);
            assert!(response.text().contains("try again"), "{response:?}");
            assert_eq!(stage.instance(&id), before, "{endpoint} {kind}");
        }
    }
}

#[test]
fn an_unusable_response_of_wix_is_an_error() {
    let stage = shared();
    for (endpoint, kind) in [
        ("oauth_access", json!({ "kind": "malformed_json" })),
        ("oauth_access", json!({ "kind": "wrong_types" })),
        ("oauth_access", json!({ "kind": "drop_field", "field": "access_token" })),
        ("oauth_access", json!({ "kind": "replace_field", "field": "access_token", "value": "two words\r\nx: y" })),
        // The Worker retries this call, since introspection has no effect.
        ("token_info", json!({ "kind": "malformed_json" })),
        ("token_info", json!({ "kind": "status", "status": 403, "body": "<html>", "content_type": "text/html" })),
    ] {
        let (mut jar, url, id) = good_callback();
        stage.wix.add_fault(&id, endpoint, if endpoint == "token_info" { 4 } else { 1 }, &kind);
        let response = jar.get(&url);
        assert_refused(&response, 502, &url);
        assert_eq!(stage.instance(&id)["auth"], "oauth", "{endpoint} {kind}");
    }
}

#[test]
fn only_a_live_token_of_this_app_and_instance_is_accepted() {
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
        stage.wix.add_fault(&id, "token_info", 1, &kind);
        let response = jar.get(&url);
        assert_eq!(response.status, 403, "{kind}: {response:?}");
        assert_refused(&response, 403, &url);
        assert_eq!(stage.instance(&id), before, "{kind}");
    }
}

#[test]
fn token_info_may_have_strings_as_in_the_documentation() {
    let (mut jar, url, id) = good_callback();
    let spelled = json!({ "kind": "replace_field", "field": "active", "value": "true" });
    shared().wix.add_fault(&id, "token_info", 1, &spelled);
    jar.get(&url).expect(302);
}

#[test]
fn a_missing_or_malformed_parameter_is_named_without_a_call_to_wix() {
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
        let response = jar.get(&url);
        assert_refused(&response, 400, &url);
        assert!(response.text().contains(name), "{response:?}");
        assert_eq!(stage.wix.called_endpoints(&id), Vec::<String>::new(), "{name} {value:?}");
    }
}

#[test]
fn a_repeated_parameter_is_refused_without_a_call_to_wix() {
    let stage = shared();
    for name in ["code", "instanceId"] {
        let (mut jar, mut url, id) = good_callback();
        let value = parameter(&url, name);
        url.query_pairs_mut().append_pair(name, &value);
        assert_refused(&jar.get(&url), 400, &url);
        assert_eq!(stage.wix.called_endpoints(&id), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn unknown_parameters_are_ignored() {
    let (mut jar, mut url, id) = good_callback();
    url.query_pairs_mut().append_pair("tenantId", &guid()).append_pair("lang", "en");
    jar.get(&url).expect(302);
    shared().wait_for_field(&id, "auth", "custom");
}
