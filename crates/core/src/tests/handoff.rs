//! The hand-over of a new customer: `ref` from the start of a flow to its end, and what the app's back end gets for it.

mod failed;
mod record;
mod single_use;

use serde_json::json;
use url::Url;

use super::connect::{begin_with, call_back, date, signed_with};
use crate::testing::jws;
use crate::testing::world::{API_KEY, APP_ID, BOUND, INSTANCE, SITE, TestResponse, VICTIM, World};

const PAGE: &str = "https://shop.example/welcome?from=wix#top";
/// Every character that a URL, a header, JSON or HTML treats in its own way.
const ODD: &str = " a+b&c=d;e#f%41/?\"\\<>'é😀\u{2028}\u{202e}\u{fffd}\u{7fff}";

fn world() -> World {
    World::with(&[("AFTER_INSTALL_URL", PAGE)])
}

/// The query that begins a flow.
fn query(reference: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("ref", reference).finish();
    format!("?{query}")
}

/// Ends a `/connect` flow. Returns the page that the browser is sent to.
fn connect(world: &World, query: &str) -> Url {
    let (callback, cookie) = begin_with(world, query);
    let signed = json!({ "signedInstance": signed_with(&json!({ "signDate": date(world.now()) })) });
    page(&call_back(world, &callback, &cookie, &signed))
}

/// Begins an `/install` flow. Returns the path of its end, and the cookie.
fn begin_install(world: &World, query: &str) -> (String, String) {
    let response = world.get(&format!("/install{query}")).send();
    let consent = Url::parse(response.header("location")).unwrap();
    let state = parameter(&consent, "state").unwrap();
    let cookie = response.header("set-cookie").split(';').next().unwrap().to_owned();
    (format!("/redirect?code=planted-code&state={state}&instanceId={INSTANCE}"), cookie)
}

fn install(world: &World, query: &str) -> Url {
    let (path, cookie) = begin_install(world, query);
    page(&world.get(&path).header("cookie", &cookie).send())
}

/// The app's page, to which a response redirects the browser.
fn page(response: &TestResponse) -> Url {
    assert_eq!(response.status, 302, "{}", response.body);
    let url = Url::parse(response.header("location")).unwrap();
    assert!(url.as_str().starts_with("https://shop.example/welcome?from=wix&"), "{url}");
    assert_eq!(url.fragment(), Some("top"));
    url
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

fn handoff(url: &Url) -> String {
    parameter(url, "handoff").expect("a handoff")
}

fn take(world: &World, handoff: &str) -> TestResponse {
    world.post("/v1/handoffs").key(API_KEY).body(json!({ "handoff": handoff }).to_string()).send()
}

fn assert_refused(response: &TestResponse) {
    assert_eq!(response.problem(), (422, "not_genuine".to_owned()), "{}", response.body);
}

#[test]
fn the_back_end_learns_which_installation_its_customer_connected() {
    for (flow, end) in [("connect", connect as fn(&World, &str) -> Url), ("install", install)] {
        for reference in ["7", ODD, &"😀".repeat(512), &"\"".repeat(512)] {
            let world = world();
            let url = end(&world, &query(reference));
            let answer = take(&world, &handoff(&url));
            assert_eq!(answer.status, 200, "{}", answer.body);
            let expected = json!({ "instance_id": INSTANCE, "site_id": SITE, "ref": reference, "flow": flow });
            assert_eq!(answer.json(), expected);
            assert_eq!(world.instance(INSTANCE)["ref"], reference);
        }
    }
}

#[test]
fn a_flow_without_a_ref_is_handed_over_too() {
    let world = world();
    for query in ["", "?ref="] {
        for url in [connect(&world, query), install(&world, query)] {
            let answer = take(&world, &handoff(&url)).json();
            assert_eq!((&answer["instance_id"], answer.get("ref")), (&json!(INSTANCE), None), "{answer}");
        }
    }
    assert_eq!(world.instance(INSTANCE).get("ref"), None);
    assert!(world.fake.kv().keys(&format!("v1:fact:{INSTANCE}:referred")).is_empty());
    // Without a page of the app's, the browser goes where it went before.
    let world = World::new();
    let (path, cookie) = begin_install(&world, &query("7"));
    let response = world.get(&path).header("cookie", &cookie).send();
    assert!(response.header("location").starts_with("https://www.wix.com/installer/close-window?access_token="));
    assert_eq!(world.instance(INSTANCE)["ref"], "7");
}

#[test]
fn a_ref_is_1_to_512_code_points_without_a_control_character() {
    let world = world();
    for path in ["/connect", "/install"] {
        for bad in
            ["a%0Ab", "%00", "%7F", "%C2%85", "%FF", "%ED%A0%80", "a&ref=b", &"a".repeat(513), &"%E2%82%AC".repeat(513)]
        {
            let response = world.get(&format!("{path}?ref={bad}")).send();
            assert_eq!(response.status, 400, "{bad}");
            assert!(response.body.contains("ref: it must be ") && !response.has("set-cookie"), "{}", response.body);
        }
        for good in ["%20", "%C2%A0", "%EF%BF%BD", "%F3%A0%80%81", &"a".repeat(512)] {
            assert_eq!(world.get(&format!("{path}?ref={good}")).send().status, 302, "{good}");
        }
    }
    assert!(world.fake.kv().entries().is_empty());
}

/// Cloudflare accepts 16 kB, many servers 8 kB, in a request line.
#[test]
fn the_urls_of_the_longest_ref_stay_short() {
    let world = world();
    let longest = query(&"😀".repeat(512));
    assert_eq!(longest.len(), 6149);
    let token = format!("{longest}&token={}", "t".repeat(416));
    for (path, length) in [(format!("/connect{longest}"), 3_000), (format!("/install{token}"), 3_500)] {
        let response = world.get(&path).send();
        assert!(response.header("location").len() < length, "{}", response.header("location").len());
    }
    let url = connect(&world, &longest);
    assert!(url.as_str().len() < 3_300, "{}", url.as_str().len());
    let (callback, _) = begin_with(&world, &longest);
    let failed = page(&call_back(&world, &callback, "", &json!({})));
    assert!(failed.as_str().len() < 6_300, "{}", failed.as_str().len());
}

#[test]
fn the_ref_survives_a_flow_that_begins_again_at_the_public_origin() {
    let world = World::with(&[("AFTER_INSTALL_URL", PAGE), ("PUBLIC_URL", "https://app.example")]);
    for path in ["/connect", "/install"] {
        let begun = world.get_at("https://app.workers.dev", &format!("{path}{}", query(ODD))).send();
        let wix = Url::parse(begun.header("location")).unwrap();
        let state = parameter(&wix, "state").unwrap_or_else(|| {
            let callback = Url::parse(&parameter(&wix, "postInstallationUrl").unwrap()).unwrap();
            parameter(&callback, "state").unwrap()
        });
        let end = if path == "/connect" { "/connected" } else { "/redirect" };
        let again = world.get(&format!("{end}?state={state}")).send();
        let start = Url::parse(again.header("location")).unwrap();
        assert_eq!((start.path(), parameter(&start, "ref").as_deref()), (path, Some(ODD)));
        assert_eq!(world.fake.last_log()["outcome"], "begun_again");
    }
}

#[test]
fn the_request_must_have_the_described_form() {
    let world = world();
    let value = handoff(&connect(&world, ""));
    for body in [
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"handoff":null}"#.to_owned(),
        r#"{"handoff":7}"#.to_owned(),
        json!({ "handoff": value, "more": 1 }).to_string(),
    ] {
        let response = world.post("/v1/handoffs").key(API_KEY).body(body).send();
        assert_eq!(response.problem(), (400, "bad_request".to_owned()));
    }
    let long = json!({ "handoff": "x".repeat(20_000) }).to_string();
    assert_eq!(world.post("/v1/handoffs").key(API_KEY).body(long).send().status, 413);
    assert_eq!(world.post("/v1/handoffs").body(json!({ "handoff": value }).to_string()).send().status, 401);
    assert_eq!(take(&world, &value).status, 200, "none of these has used it");
}

#[test]
fn neither_the_log_nor_a_page_shows_ref_or_handoff() {
    let world = world();
    let value = handoff(&connect(&world, &query("planted-ref")));
    take(&world, &value);
    let used = take(&world, &value);
    let (path, _) = begin_install(&world, &query("planted-ref"));
    world.get(&path).send();
    let log: String = world.fake.log_lines().into_iter().map(|(_, line)| line).collect();
    for text in [log.as_str(), &used.body] {
        assert!(!text.contains("planted-ref") && !text.contains(&value), "{text}");
    }
    assert_eq!(world.fake.last_log()["error"], "state_other_browser");
}

#[test]
fn a_ref_of_another_app_or_site_is_not_taken_over() {
    let world = world();
    let value = handoff(&connect(&world, &query("7")));
    let (_, envelope) = value.split_once('.').unwrap();
    assert_refused(&take(&world, &format!("{VICTIM}.{envelope}")));
    let other_app = world.isolate(&[("WIX_APP_ID", VICTIM)]);
    assert_refused(&take(&other_app, &value));
    assert_ne!(APP_ID, VICTIM);
    assert_eq!(take(&world, &value.replacen(INSTANCE, &INSTANCE.to_uppercase(), 1)).status, 200);
    assert_refused(&take(&world, &value));
}

/// With objects or without, the same values are refused.
fn worlds() -> [World; 2] {
    let with_objects = World::delivering_with(&[("AFTER_INSTALL_URL", PAGE), ("INSTALLATIONS", BOUND)]);
    with_objects.webhook(jws::installed(VICTIM, with_objects.now()));
    [world(), with_objects]
}
