//! A genuine proof at the wrong time: a value signed before the flow began, and callbacks that are opened again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use url::Url;
use workerd::Counts;

use crate::harness::{Direct, Jar, Message, NOW, ask, get, guid, next_second, now, parameter};

/// Opens `/connect` and agrees at Wix, for a new site: the browser, and the address that Wix sends it to.
fn agreed(stand: &Direct) -> (Jar, Url) {
    let mut jar = Jar::default();
    let installer = jar.get(format!("{}/connect", stand.url())).expect(302).location();
    get(installer.as_str()).expect(200);
    let mut form: Vec<(String, String)> = installer.query_pairs().into_owned().collect();
    for (name, value) in [("flow", "external"), ("site_id", &stand.wix.site()), ("decision", "agree")] {
        form.push((name.to_owned(), value.to_owned()));
    }
    let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let back = ask("POST", stand.wix.at("/installer/consent")).form(&fields).send().expect(302).location();
    (jar, back)
}

/// A flow of its own that comes back for this instance with a value signed as it is said; what the browser is answered.
fn come_back(stand: &Direct, id: &str, signed: &Value, tenant: &str) -> u16 {
    let mut jar = Jar::default();
    let installer = jar.get(format!("{}/connect", stand.url())).expect(302).location();
    let mut back = Url::parse(&parameter(&installer, "postInstallationUrl")).expect("an address of the Worker's");
    let mut asked = json!({ "instance_id": id });
    asked.as_object_mut().expect("an object").extend(signed.as_object().expect("an object").clone());
    let value = stand.wix.post("/_sim/signed-instance", &asked)["instance"].as_str().expect("a value").to_owned();
    back.query_pairs_mut()
        .append_pair("appId", &stand.wix.app.app_id)
        .append_pair("tenantId", tenant)
        .append_pair("instanceId", id)
        .append_pair("signedInstance", &value);
    jar.get(&back).status
}

fn record(stand: &Direct, id: &str) -> Value {
    stand.api(NOW, "GET", &format!("/v1/instances/{id}")).send().expect(200).json()
}

/// Waits until the work after the answers has come to its end: it waits for KV's one write a second.
fn quiet(stand: &Direct) -> Counts {
    let mut seen = stand.kv.counts();
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(1_600) {
        std::thread::sleep(Duration::from_millis(50));
        let now = stand.kv.counts();
        if now != seen || stand.kv.in_flight() > 0 {
            (seen, since) = (now, Instant::now());
        }
    }
    seen
}

fn post(stand: &Direct, message: &Message) {
    stand.ask(NOW, "POST", "/webhook").body(message.sign()).send().expect(200);
}

#[test]
fn the_external_flows_callback_opened_again_and_again_writes_once() {
    let stand = Direct::start(|values| values);
    let (mut jar, back) = agreed(&stand);
    let id = parameter(&back, "instanceId");
    stand.wix.delivered(&id);
    let first = jar.get(&back).expect(302);
    quiet(&stand);
    let before = record(&stand, &id);
    assert_eq!(before["status"], "installed", "{before}");
    assert_eq!(before["site_id"], parameter(&back, "tenantId"), "{before}");
    next_second();

    stand.kv.clear_operations();
    for _ in 0..5 {
        assert_eq!(jar.get(&back).expect(302).location(), first.location());
    }
    let Counts { writes, removals, lists, .. } = quiet(&stand);
    assert_eq!((writes, removals), (0, 0), "{:?}", stand.kv.operations());
    assert!(lists <= 5, "{:?}", stand.kv.operations());
    assert_eq!(record(&stand, &id), before);
}

/// The browser ends on a page whose address can be shown to anybody.
#[test]
fn the_external_flow_ends_at_an_address_without_the_signed_value() {
    let stand = Direct::start(|values| values);
    let (mut jar, back) = agreed(&stand);
    let done = jar.get(&back).expect(302).location();
    assert_eq!((done.path(), done.as_str().contains("signed")), ("/connected/done", false), "{done}");
    let value = parameter(&back, "signedInstance");
    assert!(!done.as_str().contains(&value), "{done}");
    // A page for everybody, opened as often as anybody likes.
    for answer in [jar.get(&done), get(&done), get(&done)] {
        assert!(answer.expect(200).text().contains("The app is installed"));
    }
}

#[test]
fn a_value_signed_before_the_flow_began_is_refused() {
    let stand = Direct::start(|values| values);
    let life = 4 * 3_600;
    let of_expiration =
        |seconds: i64| json!({ "omit": ["signDate"], "expiration_date_offset_seconds": life + seconds });
    for (signed, is_taken) in [
        (json!({}), true),
        // Clocks may differ.
        (json!({ "sign_date_offset_seconds": -40 }), true),
        (json!({ "sign_date_offset_seconds": -80 }), false),
        (json!({ "sign_date_offset_seconds": -2_000 }), false),
        // Without the date it is told by the end.
        (of_expiration(0), true),
        (of_expiration(-40), true),
        (of_expiration(-80), false),
        (json!({ "omit": ["signDate", "expirationDate"] }), false),
        (json!({ "demo_mode": true }), false),
    ] {
        let id = guid();
        let status = come_back(&stand, &id, &signed, &guid());
        assert_eq!(status, if is_taken { 302 } else { 403 }, "{signed}");
        let known = stand.api(NOW, "GET", &format!("/v1/instances/{id}")).send().status;
        assert_eq!(known, if is_taken { 200 } else { 404 }, "{signed}");
    }
}

/// It may be the account, and proves nothing.
#[test]
fn the_tenant_is_looked_at_for_its_form_alone() {
    let stand = Direct::start(|values| values);
    assert_eq!(come_back(&stand, &guid(), &json!({}), &guid()), 302);
    assert_eq!(come_back(&stand, &guid(), &json!({}), "garbage"), 400);
    stand.wix.switch(&json!({ "external_flow_tenant": "account" }));
    let (mut jar, back) = agreed(&stand);
    jar.get(&back).expect(302);
    let id = parameter(&back, "instanceId");
    let site = &stand.wix.of_instance("instances", &id)[0]["site_id"];
    stand.wix.delivered(&id);
    quiet(&stand);
    assert_eq!(record(&stand, &id)["site_id"], *site, "the site that was signed, not the tenant");
}

#[test]
fn a_value_from_before_a_removal_does_not_bring_the_instance_back() {
    let stand = Direct::start(|values| values);
    let (id, at) = (guid(), now());
    let data = json!({ "appId": stand.wix.app.app_id });
    post(&stand, &Message::new("AppInstalled", &id, &data).at(at - 3_000));
    post(&stand, &Message::new("AppRemoved", &id, &data).at(at - 600));
    assert_eq!(come_back(&stand, &id, &json!({ "sign_date_offset_seconds": -2_000 }), &guid()), 403);
    quiet(&stand);
    assert_eq!(record(&stand, &id)["status"], "removed");
    // One signed since does.
    assert_eq!(come_back(&stand, &id, &json!({}), &guid()), 302);
    quiet(&stand);
    assert_eq!(record(&stand, &id)["status"], "installed");
}

#[test]
fn after_a_removal_the_callback_opened_again_does_not_bring_the_instance_back() {
    let stand = Direct::start(|values| values);
    let (mut jar, back) = agreed(&stand);
    let id = parameter(&back, "instanceId");
    stand.wix.delivered(&id);
    jar.get(&back).expect(302);
    quiet(&stand);
    assert_eq!(record(&stand, &id)["status"], "installed");
    next_second();
    stand.wix.remove(&id);
    next_second();
    for _ in 0..3 {
        jar.get(&back);
    }
    quiet(&stand);
    let record = record(&stand, &id);
    assert_eq!(record["status"], "removed", "{record}");
    stand.token(NOW, &id).expect(410);
}

/// What the redirect flow's exchange brought belongs to the installation that it was made for.
#[test]
fn after_a_reinstallation_the_redirect_opened_again_does_not_bring_the_former_token_back() {
    let stand = Direct::start(|values| values);
    let (mut jar, callback, id) = stand.agreed();
    jar.get(&callback).expect(302);
    quiet(&stand);
    stand.wix.remove(&id);
    stand.wix.reinstall(&id);
    next_second();
    jar.get(&callback);
    quiet(&stand);
    let token = stand.token(NOW, &id).expect(200).json();
    let token = token["access_token"].as_str().expect("a token");
    let described = ask("GET", stand.wix.at("/apps/v1/instance")).header("authorization", token).send();
    assert_eq!(described.expect(200).json()["instance"]["instanceId"], json!(id));
}
