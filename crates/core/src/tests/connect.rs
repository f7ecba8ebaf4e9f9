//! The external install flow: docs/wix.md, 3.2.

use http::Method;
use serde_json::{Value, json};
use url::Url;

use crate::testing::clock::START;
use crate::testing::jws;
use crate::testing::kv::Op;
use crate::testing::wix::Canned;
use crate::testing::world::{APP_ID, APP_SECRET, INSTANCE, SITE, TestResponse, VICTIM, World};
use crate::wix::signed_instance::tests::sign;

/// Begins a flow. Returns the callback URL that Wix receives, and the cookie.
fn begin(world: &World) -> (Url, String) {
    begin_with(world, "")
}

/// The same with a query.
pub(super) fn begin_with(world: &World, query: &str) -> (Url, String) {
    let response = world.get(&format!("/connect{query}")).send();
    assert_eq!(response.status, 302, "{}", response.body);
    let wix = Url::parse(response.header("location")).unwrap();
    assert_eq!((wix.host_str(), wix.path()), (Some("www.wix.com"), "/app-installer"));
    let query: Vec<(String, String)> = wix.query_pairs().into_owned().collect();
    assert_eq!(query[0], ("appId".to_owned(), APP_ID.to_owned()));
    assert_eq!((query.len(), query[1].0.as_str()), (2, "postInstallationUrl"));
    let cookie = response.header("set-cookie").split(';').next().unwrap().to_owned();
    (Url::parse(&query[1].1).unwrap(), cookie)
}

fn signed(instance: &str) -> String {
    signed_with(&json!({"instanceId": instance}))
}

/// A signed value in which `changes` replace fields. Null removes one.
pub(super) fn signed_with(changes: &Value) -> String {
    let mut fields = json!({"instanceId": INSTANCE, "appDefId": APP_ID, "metaSiteId": SITE,
        "signDate": "2026-01-01T00:00:00.000Z", "expirationDate": "2099-01-01T00:00:00.000Z"});
    let all = fields.as_object_mut().unwrap();
    all.extend(changes.as_object().unwrap().clone());
    all.retain(|_, value| !value.is_null());
    sign(APP_SECRET, &fields)
}

/// A date in the form of Wix.
pub(super) fn date(seconds: u64) -> String {
    chrono::DateTime::from_timestamp(i64::try_from(seconds).unwrap(), 0).unwrap().to_rfc3339()
}

/// Requests the callback with the parameters that Wix appends. `changes` replace parameters, and null removes one.
pub(super) fn call_back(world: &World, callback: &Url, cookie: &str, changes: &Value) -> TestResponse {
    let mut url = callback.clone();
    let usual = json!({"appId": APP_ID, "tenantId": SITE, "instanceId": INSTANCE, "signedInstance": signed(INSTANCE)});
    for (name, value) in usual.as_object().unwrap() {
        if let Some(value) = changes.get(name).unwrap_or(value).as_str() {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    let path = format!("{}?{}", url.path(), url.query().unwrap());
    world.get(&path).header("cookie", cookie).send()
}

#[test]
fn an_external_install_is_stored_and_ends_at_the_done_page() {
    let world = World::new();
    world.fake.clock().set(START);
    let (callback, cookie) = begin(&world);
    assert_eq!(callback.path(), "/connected");
    let response = call_back(&world, &callback, &cookie, &json!({}));
    assert_eq!((response.status, response.header("location")), (302, "https://app.example/connected/done"));
    let done = world.get("/connected/done").send();
    assert_eq!((done.status, done.body.contains("The app is now on your site")), (200, true));
    let instance = world.instance(INSTANCE);
    assert_eq!((&instance["status"], &instance["auth"]), (&json!("installed"), &json!("oauth")));
    assert_eq!(instance["site_id"], SITE);
    assert_eq!(world.token(INSTANCE).status, 200);
}

#[test]
fn the_browser_goes_to_after_install_url() {
    let world = World::with(&[("AFTER_INSTALL_URL", "https://app.example/welcome")]);
    let (callback, cookie) = begin(&world);
    let response = call_back(&world, &callback, &cookie, &json!({}));
    assert_eq!(response.status, 302);
    assert!(response.header("location").starts_with("https://app.example/welcome?handoff="));
}

#[test]
fn with_on_install_the_external_install_sends_the_event() {
    let world = World::with(&[("FINISH_CONFIGURATION", "on-install")]);
    let (callback, cookie) = begin(&world);
    call_back(&world, &callback, &cookie, &json!({}));
    assert!(world.instance(INSTANCE).get("configured_at").is_some());
}

#[test]
fn a_callback_without_a_valid_proof_is_refused_and_stores_nothing() {
    let world = World::new();
    for (changes, status) in [
        (json!({"signedInstance": null}), 403),
        (json!({"signedInstance": "a.b"}), 403),
        (json!({"signedInstance": signed(VICTIM)}), 403),
        (json!({"instanceId": VICTIM}), 403),
        (json!({"instanceId": null}), 400),
        (json!({"instanceId": "x"}), 400),
        (json!({"appId": VICTIM}), 403),
        (json!({"tenantId": "garbage"}), 400),
        (json!({"tenantId": ""}), 400),
        (json!({"signedInstance": signed_with(&json!({"demoMode": true}))}), 403),
        (json!({"signedInstance": signed_with(&json!({"demoMode": "true"}))}), 403),
    ] {
        let (callback, cookie) = begin(&world);
        assert_eq!(call_back(&world, &callback, &cookie, &changes).status, status, "{changes}");
    }
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn a_state_is_valid_for_one_flow_in_one_browser() {
    let world = World::new();
    let (callback, cookie) = begin(&world);
    let (other, _) = begin(&world);
    assert_eq!(call_back(&world, &callback, "", &json!({})).status, 403);
    assert_eq!(call_back(&world, &other, &cookie, &json!({})).status, 403);
    let (install, install_cookie) = world.begin_install();
    let of_the_other_flow = Url::parse(&format!("https://app.example/connected?state={install}")).unwrap();
    assert_eq!(call_back(&world, &of_the_other_flow, &install_cookie, &json!({})).status, 403);
    let (_, state) = callback.query_pairs().next().unwrap();
    assert_eq!(world.callback(&state, &cookie, INSTANCE).send().status, 403);
    world.fake.clock().advance(601);
    assert_eq!(call_back(&world, &callback, &cookie, &json!({})).status, 403);
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn the_share_url_id_of_an_unlisted_app_is_forwarded_to_wix() {
    let world = World::new();
    let response = world.get(&format!("/connect?shareUrlId={SITE}")).send();
    assert!(response.header("location").ends_with(&format!("&shareUrlId={SITE}")));
    assert_eq!(world.get("/connect?shareUrlId=https://evil.example").send().status, 400);
    let world = World::with(&[("WIX_SHARE_URL_ID", SITE)]);
    for (path, id) in [("/connect", SITE), (&format!("/connect?shareUrlId={VICTIM}"), VICTIM)] {
        assert!(world.get(path).send().header("location").ends_with(&format!("&shareUrlId={id}")), "{path}");
    }
}

/// A value signed so many seconds ago.
fn aged(world: &World, seconds: u64) -> Value {
    let at = world.now() - seconds;
    json!({"signedInstance": signed_with(&json!({"signDate": date(at), "expirationDate": date(at + 14_400)}))})
}

#[test]
fn a_value_that_was_signed_before_the_flow_began_is_refused() {
    let world = World::new();
    for (age, status) in [(0, 302), (60, 302), (61, 403), (2_000, 403)] {
        let value = aged(&world, age);
        let (callback, cookie) = begin(&world);
        assert_eq!(call_back(&world, &callback, &cookie, &value).status, status, "{age} s");
    }
    // The time that the person spends at Wix does not count.
    let (callback, cookie) = begin(&world);
    world.fake.clock().advance(500);
    assert_eq!(call_back(&world, &callback, &cookie, &aged(&world, 0)).status, 302);
    assert_eq!(call_back(&world, &callback, &cookie, &aged(&world, 570)).status, 403);
}

#[test]
fn an_old_value_does_not_restore_a_removed_instance() {
    let world = World::new();
    world.webhook(jws::installed(INSTANCE, START - 3_000));
    let value = aged(&world, 2_000);
    world.webhook(jws::removed(INSTANCE, START - 600));
    let (callback, cookie) = begin(&world);
    assert_eq!(call_back(&world, &callback, &cookie, &value).status, 403);
    assert_eq!(world.instance(INSTANCE)["status"], "removed");
}

#[test]
fn the_fact_has_the_date_of_the_signed_value() {
    for (value, dated) in [
        (json!({"signDate": date(START + 20)}), START + 20),
        (json!({"signDate": null, "expirationDate": date(START + 14_430)}), START + 30),
    ] {
        let world = World::new();
        let (callback, cookie) = begin(&world);
        world.fake.clock().advance(90);
        let response = call_back(&world, &callback, &cookie, &json!({"signedInstance": signed_with(&value)}));
        assert_eq!(response.status, 302, "{}", response.body);
        assert_eq!(world.instance(INSTANCE)["installed_at"], dated);
    }
    let world = World::new();
    for dateless in [
        json!({"signDate": null, "expirationDate": null}),
        json!({"signDate": null, "expirationDate": date(START + 80_000)}),
        json!({"signDate": date(START + 3_600)}),
        json!({"signDate": "yesterday"}),
    ] {
        let (callback, cookie) = begin(&world);
        let changes = json!({"signedInstance": signed_with(&dateless)});
        assert_eq!(call_back(&world, &callback, &cookie, &changes).status, 403, "{dateless}");
    }
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn a_callback_opened_again_writes_nothing() {
    for mode in ["on-request", "on-install"] {
        let world = World::with(&[("FINISH_CONFIGURATION", mode)]);
        let (callback, cookie) = begin(&world);
        // Wix fails on the BI event, so the recheck of the installation stays.
        world.fake.wix().always("/apps/v1/bi-event", Canned::status(500));
        call_back(&world, &callback, &cookie, &json!({}));
        let record = world.instance(INSTANCE);
        world.fake.clock().advance(30);
        world.fake.kv().take_counts();
        for _ in 0..20 {
            let again = call_back(&world, &callback, &cookie, &json!({}));
            assert_eq!((again.status, again.has_deferred_task), (302, false));
            assert_eq!(again.header("location"), "https://app.example/connected/done?again");
        }
        assert_eq!(
            world.fake.kv().take_counts(),
            [0; 4],
            "{mode}: in the same isolate a repeated callback costs no operation"
        );
        for _ in 0..20 {
            call_back(&world.isolate(&[("FINISH_CONFIGURATION", mode)]), &callback, &cookie, &json!({}));
        }
        assert_eq!(world.fake.kv().take_counts(), [40, 0, 0, 0], "{mode}: in another isolate it costs two reads");
        assert_eq!(world.instance(INSTANCE), record);
        assert_eq!(world.fake.kv().keys("v1:todo:").len(), 1, "{mode}: there is one recheck");
    }
}

#[test]
fn a_callback_opened_again_after_a_removal_leaves_the_instance_removed() {
    let world = World::new();
    let (callback, cookie) = begin(&world);
    call_back(&world, &callback, &cookie, &json!({}));
    world.fake.clock().advance(30);
    world.webhook(jws::removed(INSTANCE, world.now()));
    for isolate in [world.isolate(&[]), world] {
        assert_eq!(call_back(&isolate, &callback, &cookie, &json!({})).status, 302);
        assert_eq!(isolate.instance(INSTANCE)["status"], "removed");
    }
}

#[test]
fn the_tenant_id_is_not_compared_with_the_site() {
    let world = World::new();
    let (callback, cookie) = begin(&world);
    assert_eq!(call_back(&world, &callback, &cookie, &json!({"tenantId": VICTIM})).status, 302);
    assert_eq!(world.instance(INSTANCE)["site_id"], SITE, "the site must be that of the signed value");
}

#[test]
fn a_head_request_stores_nothing() {
    let world = World::new();
    let (callback, cookie) = begin(&world);
    let path = format!(
        "{}?{}&instanceId={INSTANCE}&signedInstance={}",
        callback.path(),
        callback.query().unwrap(),
        signed(INSTANCE)
    );
    let response = world.call(Method::HEAD, &path).header("cookie", &cookie).send();
    assert_eq!((response.status, response.body.as_str()), (503, ""));
    assert!(world.fake.kv().entries().is_empty());
}

#[test]
fn a_callback_stores_nothing_without_its_recheck_and_can_be_repeated() {
    let world = World::new();
    let (callback, cookie) = begin(&world);
    world.fake.kv().fail_where(|op, key| op == Op::Put && key.starts_with("v1:todo:"));
    assert_eq!(call_back(&world, &callback, &cookie, &json!({})).status, 503);
    assert!(world.fake.kv().entries().is_empty());
    world.fake.kv().clear_faults();
    assert_eq!(call_back(&world, &callback, &cookie, &json!({})).status, 302);
    assert_eq!(world.instance(INSTANCE)["status"], "installed");
}
