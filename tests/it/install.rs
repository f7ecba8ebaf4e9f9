//! The install flow of custom authentication (docs/wix.md 3.3).

use crate::harness::{Flow, Jar, Stage, assert_browser_headers, get, guid, parameter, request, shared};

fn names(url: &url::Url) -> Vec<String> {
    let mut names: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    names.sort();
    names
}

#[test]
fn install_redirects_to_wix_with_exactly_four_parameters() {
    let stage = shared();
    let token = "0f".repeat(208);
    let response = get(stage.worker.at(&format!("/install?token={token}"))).expect(302);
    let to = response.location();

    assert_eq!(to.as_str().split('?').next(), Some(stage.wix.at("/installer/install").as_str()));
    assert_eq!(names(&to), ["appId", "redirectUrl", "state", "token"], "{to}");
    assert_eq!(parameter(&to, "appId"), stage.wix.app.app_id);
    assert_eq!(parameter(&to, "redirectUrl"), stage.worker.at("/redirect"));
    assert_eq!(parameter(&to, "token"), token);
    assert_browser_headers(&response);
}

#[test]
fn install_without_a_token_redirects_without_one() {
    let to = get(shared().worker.at("/install")).expect(302).location();
    assert_eq!(names(&to), ["appId", "redirectUrl", "state"], "{to}");
}

#[test]
fn a_token_with_special_characters_is_forwarded_unchanged() {
    let token = "a+b/c= &d%é?#";
    let mut url = url::Url::parse(&shared().worker.at("/install")).expect("a URL");
    url.query_pairs_mut().append_pair("token", token);
    assert_eq!(parameter(&get(&url).expect(302).location(), "token"), token);
}

#[test]
fn a_repeated_or_overlong_token_is_refused() {
    let stage = shared();
    get(stage.worker.at("/install?token=a&token=b")).expect(400);
    get(stage.worker.at(&format!("/install?token={}", "a".repeat(5000)))).expect(400);
}

#[test]
fn the_state_cookie_is_invisible_to_scripts_and_other_hosts() {
    let response = get(shared().worker.at("/install")).expect(302);
    let cookies: Vec<&str> =
        response.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str()).collect();
    let [cookie] = cookies.as_slice() else { panic!("must be one cookie: {response:?}") };
    let mut parts = cookie.split("; ");
    let pair = parts.next().unwrap_or_default();
    assert!(pair.starts_with("__Host-"), "{cookie}");
    let mut attributes: Vec<&str> = parts.collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=600", "Partitioned", "Path=/", "SameSite=None", "Secure"], "{cookie}");
    // Nobody may be able to derive the cookie from the state.
    let value = pair.split_once('=').map(|(_, value)| value).unwrap_or_default();
    let state = parameter(&response.location(), "state");
    assert!(value.len() >= 43 && !state.contains(value), "{cookie} {state}");
}

#[test]
fn each_flow_has_its_own_state_and_cookie() {
    let (mut one, mut other) = (Jar::default(), Jar::default());
    let first = Flow::begin(shared(), &mut one, None);
    let second = Flow::begin(shared(), &mut other, None);
    assert_ne!(first.state, second.state);
    assert_ne!(one.0[0].0, other.0[0].0);
    assert_ne!(one.0[0].1, other.0[0].1);
}

#[test]
fn a_flow_ends_at_wixs_close_window_page_with_a_live_token() {
    let stage = shared();
    let installed = stage.install();
    let to = installed.response.location();
    assert_eq!(to.as_str().split('?').next(), Some(stage.wix.at("/installer/close-window").as_str()));
    assert_eq!(names(&to), ["access_token"], "{to}");
    assert_browser_headers(&installed.response);

    get(&to).expect(200);
    let visits = stage.wix.of_instance("close_window_visits", &installed.instance);
    assert_eq!(visits.len(), 1, "{visits:?}");
    assert_eq!(visits[0]["token_live"], true, "{visits:?}");
}

#[test]
fn a_finished_install_calls_wix_twice() {
    let stage = shared();
    let installed = stage.install();
    assert_eq!(stage.wix.called_endpoints(&installed.instance), ["oauth_access authorization_code", "token_info"]);
}

#[test]
fn a_finished_install_is_listed() {
    let stage = shared();
    let site = stage.wix.site();
    let mut jar = Jar::default();
    let callback = Flow::begin(stage, &mut jar, None).consent(&site);
    jar.get(&callback).expect(302);
    let id = parameter(&callback, "instanceId");
    stage.wix.wait_for_deliveries(&id);

    let record = stage.wait_for_field(&id, "auth", "custom");
    assert_eq!(record["instance_id"], id.as_str());
    assert_eq!(record["status"], "installed", "{record}");
    assert_eq!(record["site_id"], site.as_str(), "{record}");
    assert_eq!(record["last_token"]["outcome"], "ok", "{record}");
    let list = stage.api("GET", "/v1/instances?limit=1000").expect(200).json();
    let listed: Vec<_> = list["instances"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["instance_id"] == id.as_str())
        .collect();
    assert_eq!(listed, [&record]);
}

#[test]
fn the_redirect_flow_changes_an_instance_from_oauth_to_custom() {
    let stage = shared();
    let id = stage.wix.new_instance();
    assert_eq!(stage.instance(&id)["auth"], "oauth");
    let site = get(stage.wix.at(&format!("/_sim/instances/{id}"))).expect(200).json()["site_id"].clone();
    let site = site.as_str().expect("a site");
    let mut jar = Jar::default();
    let callback = Flow::begin(stage, &mut jar, Some(&stage.wix.install_token(site))).consent(site);
    jar.get(&callback).expect(302);

    let record = stage.wait_for_field(&id, "auth", "custom");
    assert_eq!(record["status"], "installed", "{record}");
}

#[test]
fn install_and_redirect_accept_get_and_head_only() {
    let stage = shared();
    for (method, path) in [("POST", "/install"), ("PUT", "/redirect"), ("DELETE", "/install"), ("PATCH", "/redirect")] {
        let response = stage.worker.request(method, path).send().expect(405);
        assert_eq!(response.header("allow"), Some("GET, HEAD"), "{response:?}");
    }
    let head = stage.worker.request("HEAD", "/install").send().expect(302);
    assert!(head.header("location").is_some() && head.text().is_empty(), "{head:?}");
}

#[test]
fn after_install_url_replaces_wixs_page_and_public_url_the_workers_origin() {
    let stage = Stage::with(|values| {
        values
            .with("AFTER_INSTALL_URL", "https://app.example/welcome?from=wix")
            .with("PUBLIC_URL", "http://localhost:1")
    });
    let to = get(stage.worker.at("/install")).expect(302).location();
    assert_eq!(parameter(&to, "redirectUrl"), "http://localhost:1/redirect");

    let mut jar = Jar::default();
    let flow = Flow::begin(&stage, &mut jar, None);
    let id = stage.wix.new_instance();
    let response = jar.get(stage.callback(&stage.wix.code(&id), &id, &flow.state)).expect(302);
    let page = response.location();
    assert!(page.as_str().starts_with("https://app.example/welcome?from=wix&handoff="), "{response:?}");
    assert_eq!(page.query_pairs().count(), 2, "{response:?}");
    assert_browser_headers(&response);

    // A code expires after ten minutes at Wix.
    let code = stage.wix.code(&id);
    stage.wix.post("/_sim/clock", &serde_json::json!({ "advance_seconds": 601 }));
    let flow = Flow::begin(&stage, &mut jar, None);
    let late = jar.get(stage.callback(&code, &id, &flow.state));
    assert_eq!(late.status, 400, "{late:?}");
}

#[test]
fn an_unknown_path_is_404() {
    let stage = shared();
    for path in ["/nothing", "/install/x", "/redirect/x", "//install", "/v1", "/v1/instances/"] {
        let response = request("GET", stage.worker.at(path)).send();
        assert_eq!(response.status, if path.ends_with("instances/") { 401 } else { 404 }, "{response:?}");
    }
    stage.api("GET", &format!("/v1/instances/{}/nothing", guid())).expect(404);
}
