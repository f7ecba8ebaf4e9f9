//! The install flow of custom authentication, from Wix's first redirect to its last (contract 3, Wix's rules 3.3).

use crate::harness::{Flow, Jar, Stage, ask, assert_browser_headers, get, guid, parameter, shared};

fn names(url: &url::Url) -> Vec<String> {
    let mut names: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    names.sort();
    names
}

#[test]
fn install_sends_the_browser_to_wix_with_exactly_its_parameters() {
    let stage = shared();
    let token = "0f".repeat(208);
    let answer = get(stage.worker.at(&format!("/install?token={token}"))).expect(302);
    let to = answer.location();

    assert_eq!(to.as_str().split('?').next(), Some(stage.wix.at("/installer/install").as_str()));
    assert_eq!(names(&to), ["appId", "redirectUrl", "state", "token"], "{to}");
    assert_eq!(parameter(&to, "appId"), stage.wix.app.app_id);
    assert_eq!(parameter(&to, "redirectUrl"), stage.worker.at("/redirect"));
    assert_eq!(parameter(&to, "token"), token);
    assert_browser_headers(&answer);
}

#[test]
fn install_without_a_token_sends_none() {
    let to = get(shared().worker.at("/install")).expect(302).location();
    assert_eq!(names(&to), ["appId", "redirectUrl", "state"], "{to}");
}

#[test]
fn a_token_of_any_characters_is_passed_on_unchanged() {
    let token = "a+b/c= &d%é?#";
    let mut url = url::Url::parse(&shared().worker.at("/install")).expect("an address");
    url.query_pairs_mut().append_pair("token", token);
    assert_eq!(parameter(&get(&url).expect(302).location(), "token"), token);
}

#[test]
fn a_token_given_twice_or_far_too_long_is_refused() {
    let stage = shared();
    get(stage.worker.at("/install?token=a&token=b")).expect(400);
    get(stage.worker.at(&format!("/install?token={}", "a".repeat(5000)))).expect(400);
}

#[test]
fn the_state_cookie_is_kept_from_scripts_and_other_hosts() {
    let answer = get(shared().worker.at("/install")).expect(302);
    let cookies: Vec<&str> =
        answer.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str()).collect();
    let [cookie] = cookies.as_slice() else { panic!("not one cookie: {answer:?}") };
    let mut parts = cookie.split("; ");
    let pair = parts.next().unwrap_or_default();
    assert!(pair.starts_with("__Host-"), "{cookie}");
    let mut attributes: Vec<&str> = parts.collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=600", "Partitioned", "Path=/", "SameSite=None", "Secure"], "{cookie}");
    // The state alone must not be enough to make the cookie.
    let value = pair.split_once('=').map(|(_, value)| value).unwrap_or_default();
    let state = parameter(&answer.location(), "state");
    assert!(value.len() >= 43 && !state.contains(value), "{cookie} {state}");
}

#[test]
fn each_flow_has_a_state_and_a_cookie_of_its_own() {
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
    let to = installed.answer.location();
    assert_eq!(to.as_str().split('?').next(), Some(stage.wix.at("/installer/close-window").as_str()));
    assert_eq!(names(&to), ["access_token"], "{to}");
    assert_browser_headers(&installed.answer);

    get(&to).expect(200);
    let visits = stage.wix.of_instance("close_window_visits", &installed.instance);
    assert_eq!(visits.len(), 1, "{visits:?}");
    assert_eq!(visits[0]["token_live"], true, "{visits:?}");
}

#[test]
fn a_finished_install_asks_wix_twice_and_no_more_before_the_answer() {
    let stage = shared();
    let installed = stage.install();
    assert_eq!(stage.wix.called(&installed.instance), ["oauth_access authorization_code", "token_info"]);
}

#[test]
fn a_finished_install_is_listed() {
    let stage = shared();
    let site = stage.wix.site();
    let mut jar = Jar::default();
    let callback = Flow::begin(stage, &mut jar, None).agree(&site);
    jar.get(&callback).expect(302);
    let id = parameter(&callback, "instanceId");
    stage.wix.delivered(&id);

    let record = stage.becomes(&id, "auth", "custom");
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
fn an_instance_known_from_its_webhook_becomes_custom_by_the_redirect_flow() {
    let stage = shared();
    let id = stage.wix.installed();
    assert_eq!(stage.instance(&id)["auth"], "oauth");
    let site = get(stage.wix.at(&format!("/_sim/instances/{id}"))).expect(200).json()["site_id"].clone();
    let site = site.as_str().expect("a site");
    let mut jar = Jar::default();
    let callback = Flow::begin(stage, &mut jar, Some(&stage.wix.install_token(site))).agree(site);
    jar.get(&callback).expect(302);

    let record = stage.becomes(&id, "auth", "custom");
    assert_eq!(record["status"], "installed", "{record}");
}

#[test]
fn the_installation_url_takes_get_alone() {
    let stage = shared();
    for (method, path) in [("POST", "/install"), ("PUT", "/redirect"), ("DELETE", "/install"), ("PATCH", "/redirect")] {
        let answer = stage.worker.ask(method, path).send().expect(405);
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{answer:?}");
    }
    let head = stage.worker.ask("HEAD", "/install").send().expect(302);
    assert!(head.header("location").is_some() && head.text().is_empty(), "{head:?}");
}

#[test]
fn after_install_url_takes_the_place_of_wixs_page_and_public_url_that_of_the_own_origin() {
    let stage = Stage::with(|values| {
        values
            .with("AFTER_INSTALL_URL", "https://app.example/welcome?from=wix")
            .with("PUBLIC_URL", "http://localhost:1")
    });
    let to = get(stage.worker.at("/install")).expect(302).location();
    assert_eq!(parameter(&to, "redirectUrl"), "http://localhost:1/redirect");

    let mut jar = Jar::default();
    let flow = Flow::begin(&stage, &mut jar, None);
    let id = stage.wix.installed();
    let answer = jar.get(stage.callback(&stage.wix.code(&id), &id, &flow.state)).expect(302);
    assert_eq!(answer.header("location"), Some("https://app.example/welcome?from=wix"), "{answer:?}");
    assert_browser_headers(&answer);

    // A code lives ten minutes at Wix.
    let code = stage.wix.code(&id);
    stage.wix.post("/_sim/clock", &serde_json::json!({ "advance_seconds": 601 }));
    let flow = Flow::begin(&stage, &mut jar, None);
    let late = jar.get(stage.callback(&code, &id, &flow.state));
    assert_eq!(late.status, 400, "{late:?}");
}

#[test]
fn what_is_not_there_is_not_found() {
    let stage = shared();
    for path in ["/nothing", "/install/x", "/redirect/x", "//install", "/v1", "/v1/instances/"] {
        let answer = ask("GET", stage.worker.at(path)).send();
        assert_eq!(answer.status, if path.ends_with("instances/") { 401 } else { 404 }, "{answer:?}");
    }
    stage.api("GET", &format!("/v1/instances/{}/nothing", guid())).expect(404);
}
