//! The external install flow.

use serde_json::{Value, json};
use url::Url;

use crate::fake::clock::START;
use crate::fake::world::{APP_ID, APP_SECRET, Answer, INSTANCE, SITE, VICTIM, World};
use crate::signed_instance::tests::sign;

/// Begins: the callback that Wix is given, and the cookie.
fn begin(world: &World) -> (Url, String) {
    let answer = world.get("/connect").answer();
    assert_eq!(answer.status, 302, "{}", answer.body);
    let wix = Url::parse(answer.header("location")).unwrap();
    assert_eq!((wix.host_str(), wix.path()), (Some("www.wix.com"), "/app-installer"));
    let query: Vec<(String, String)> = wix.query_pairs().into_owned().collect();
    assert_eq!(query[0], ("appId".to_owned(), APP_ID.to_owned()));
    assert_eq!((query.len(), query[1].0.as_str()), (2, "postInstallationUrl"));
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    (Url::parse(&query[1].1).unwrap(), cookie)
}

fn signed(instance: &str) -> String {
    let dates = json!({"signDate": "2026-01-01T00:00:00.000Z", "expirationDate": "2099-01-01T00:00:00.000Z"});
    let mut fields = json!({"instanceId": instance, "appDefId": APP_ID, "metaSiteId": SITE});
    for (name, date) in dates.as_object().unwrap() {
        fields[name] = date.clone();
    }
    sign(APP_SECRET, &fields)
}

/// Comes back with what Wix appends; `changes` replace parameters, null takes one away.
fn come_back(world: &World, callback: &Url, cookie: &str, changes: &Value) -> Answer {
    let mut url = callback.clone();
    let usual = json!({"appId": APP_ID, "tenantId": SITE, "instanceId": INSTANCE, "signedInstance": signed(INSTANCE)});
    for (name, value) in usual.as_object().unwrap() {
        if let Some(value) = changes.get(name).unwrap_or(value).as_str() {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    let path = format!("{}?{}", url.path(), url.query().unwrap());
    world.get(&path).header("cookie", cookie).answer()
}

#[test]
fn an_external_install_is_stored_and_says_that_it_is_done() {
    let world = World::new();
    world.fake.clock().set(START);
    let (callback, cookie) = begin(&world);
    assert_eq!(callback.path(), "/connected");
    let answer = come_back(&world, &callback, &cookie, &json!({}));
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("The app is installed"));
    let instance = world.instance(INSTANCE);
    assert_eq!((&instance["status"], &instance["auth"]), (&json!("installed"), &json!("oauth")));
    assert_eq!(instance["site_id"], SITE);
    assert_eq!(world.token(INSTANCE).status, 200);
}

#[test]
fn afterwards_the_browser_goes_where_the_operator_wants() {
    let world = World::with(&[("AFTER_INSTALL_URL", "https://app.example/welcome")]);
    let (callback, cookie) = begin(&world);
    let answer = come_back(&world, &callback, &cookie, &json!({}));
    assert_eq!((answer.status, answer.header("location")), (302, "https://app.example/welcome"));
}

#[test]
fn the_event_is_sent_with_the_installation_where_so_configured() {
    let world = World::with(&[("FINISH_CONFIGURATION", "on-install")]);
    let (callback, cookie) = begin(&world);
    come_back(&world, &callback, &cookie, &json!({}));
    assert!(world.instance(INSTANCE).get("configured_at").is_some());
}

#[test]
fn what_is_not_proven_is_not_stored() {
    let world = World::new();
    for (changes, status) in [
        (json!({"signedInstance": null}), 403),
        (json!({"signedInstance": "a.b"}), 403),
        (json!({"signedInstance": signed(VICTIM)}), 403),
        (json!({"instanceId": VICTIM}), 403),
        (json!({"instanceId": null}), 400),
        (json!({"instanceId": "x"}), 400),
        (json!({"appId": VICTIM}), 403),
        (json!({"tenantId": VICTIM}), 403),
    ] {
        let (callback, cookie) = begin(&world);
        assert_eq!(come_back(&world, &callback, &cookie, &changes).status, status, "{changes}");
    }
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn the_state_is_of_this_flow_and_this_browser() {
    let world = World::new();
    let (callback, cookie) = begin(&world);
    let (other, _) = begin(&world);
    assert_eq!(come_back(&world, &callback, "", &json!({})).status, 403);
    assert_eq!(come_back(&world, &other, &cookie, &json!({})).status, 403);
    let (install, install_cookie) = world.begin_install();
    let of_the_other_route = Url::parse(&format!("https://app.example/connected?state={install}")).unwrap();
    assert_eq!(come_back(&world, &of_the_other_route, &install_cookie, &json!({})).status, 403);
    let (_, state) = callback.query_pairs().next().unwrap();
    assert_eq!(world.callback(&state, &cookie, INSTANCE).answer().status, 403);
    world.fake.clock().pass(601);
    assert_eq!(come_back(&world, &callback, &cookie, &json!({})).status, 403);
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn an_unlisted_apps_share_is_passed_on() {
    let world = World::new();
    let answer = world.get(&format!("/connect?shareUrlId={SITE}")).answer();
    assert!(answer.header("location").ends_with(&format!("&shareUrlId={SITE}")));
    assert_eq!(world.get("/connect?shareUrlId=https://evil.example").answer().status, 400);
}
