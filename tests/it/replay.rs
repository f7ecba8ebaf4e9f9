//! Replayed callbacks: signed values from before the flow, and callbacks that are opened again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use url::Url;
use workerd::Counts;

use crate::harness::{Jar, Message, NOW, Testbed, get, guid, next_second, now, parameter, request};

/// Opens `/connect` and gives consent at Wix for a new site. Returns the browser's cookies and the callback.
fn consent_at_wix(bed: &Testbed) -> (Jar, Url) {
    let mut jar = Jar::default();
    let installer = jar.get(format!("{}/connect", bed.url())).expect(302).location();
    get(installer.as_str()).expect(200);
    let mut form: Vec<(String, String)> = installer.query_pairs().into_owned().collect();
    for (name, value) in [("flow", "external"), ("site_id", &bed.wix.site()), ("decision", "agree")] {
        form.push((name.to_owned(), value.to_owned()));
    }
    let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let back = request("POST", bed.wix.at("/installer/consent")).form(&fields).send().expect(302).location();
    (jar, back)
}

/// Runs a flow whose callback names this instance and has a signed value with these fields. Returns the status.
fn open_callback(bed: &Testbed, id: &str, signed: &Value, tenant: &str) -> u16 {
    let mut jar = Jar::default();
    let installer = jar.get(format!("{}/connect", bed.url())).expect(302).location();
    let mut back = Url::parse(&parameter(&installer, "postInstallationUrl")).expect("a URL");
    let mut body = json!({ "instance_id": id });
    body.as_object_mut().expect("an object").extend(signed.as_object().expect("an object").clone());
    let value = bed.wix.post("/_sim/signed-instance", &body)["instance"].as_str().expect("a value").to_owned();
    back.query_pairs_mut()
        .append_pair("appId", &bed.wix.app.app_id)
        .append_pair("tenantId", tenant)
        .append_pair("instanceId", id)
        .append_pair("signedInstance", &value);
    jar.get(&back).status
}

fn record(bed: &Testbed, id: &str) -> Value {
    bed.api(NOW, "GET", &format!("/v1/instances/{id}")).send().expect(200).json()
}

/// Waits until the deferred tasks have ended. They pause up to a second between writes to one key.
fn wait_until_idle(bed: &Testbed) -> Counts {
    let mut seen = bed.kv.counts();
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(1_600) {
        std::thread::sleep(Duration::from_millis(50));
        let now = bed.kv.counts();
        if now != seen || bed.kv.in_flight() > 0 {
            (seen, since) = (now, Instant::now());
        }
    }
    seen
}

fn post(bed: &Testbed, message: &Message) {
    bed.request(NOW, "POST", "/webhook").body(message.sign()).send().expect(200);
}

#[test]
fn a_repeated_callback_of_the_external_flow_writes_nothing() {
    let bed = Testbed::start(|values| values);
    let (mut jar, back) = consent_at_wix(&bed);
    let id = parameter(&back, "instanceId");
    bed.wix.wait_for_deliveries(&id);
    let first = jar.get(&back).expect(302);
    wait_until_idle(&bed);
    let before = record(&bed, &id);
    assert_eq!(before["status"], "installed", "{before}");
    assert_eq!(before["site_id"], parameter(&back, "tenantId"), "{before}");
    next_second();

    bed.kv.clear_operations();
    let mut done = first.location();
    assert_eq!(done.query(), None);
    done.set_query(Some("again"));
    for _ in 0..5 {
        assert_eq!(jar.get(&back).expect(302).location(), done);
    }
    assert!(get(&done).expect(200).text().contains("already complete"));
    let Counts { writes, removals, lists, .. } = wait_until_idle(&bed);
    assert_eq!((writes, removals), (0, 0), "{:?}", bed.kv.operations());
    assert!(lists <= 5, "{:?}", bed.kv.operations());
    assert_eq!(record(&bed, &id), before);
}

#[test]
fn the_external_flow_ends_at_a_url_without_the_signed_value() {
    let bed = Testbed::start(|values| values);
    let (mut jar, back) = consent_at_wix(&bed);
    let done = jar.get(&back).expect(302).location();
    assert_eq!((done.path(), done.as_str().contains("signed")), ("/connected/done", false), "{done}");
    let value = parameter(&back, "signedInstance");
    assert!(!done.as_str().contains(&value), "{done}");
    // Any browser can open this page, any number of times.
    for response in [jar.get(&done), get(&done), get(&done)] {
        assert!(response.expect(200).text().contains("The app is now on your site"));
    }
}

#[test]
fn a_value_signed_before_the_flow_began_is_refused() {
    let bed = Testbed::start(|values| values);
    let life = 4 * 3_600;
    let of_expiration =
        |seconds: i64| json!({ "omit": ["signDate"], "expiration_date_offset_seconds": life + seconds });
    for (signed, is_taken) in [
        (json!({}), true),
        // Clock skew of up to 60 s is allowed.
        (json!({ "sign_date_offset_seconds": -40 }), true),
        (json!({ "sign_date_offset_seconds": -80 }), false),
        (json!({ "sign_date_offset_seconds": -2_000 }), false),
        // Without `signDate`, the Worker derives it from `expirationDate`.
        (of_expiration(0), true),
        (of_expiration(-40), true),
        (of_expiration(-80), false),
        (json!({ "omit": ["signDate", "expirationDate"] }), false),
        (json!({ "demo_mode": true }), false),
    ] {
        let id = guid();
        let status = open_callback(&bed, &id, &signed, &guid());
        assert_eq!(status, if is_taken { 302 } else { 403 }, "{signed}");
        let known = bed.api(NOW, "GET", &format!("/v1/instances/{id}")).send().status;
        assert_eq!(known, if is_taken { 200 } else { 404 }, "{signed}");
    }
}

/// The tenant may be the account, so it does not prove the site.
#[test]
fn the_tenant_must_be_a_guid_and_is_not_stored() {
    let bed = Testbed::start(|values| values);
    assert_eq!(open_callback(&bed, &guid(), &json!({}), &guid()), 302);
    assert_eq!(open_callback(&bed, &guid(), &json!({}), "garbage"), 400);
    bed.wix.switch(&json!({ "external_flow_tenant": "account" }));
    let (mut jar, back) = consent_at_wix(&bed);
    jar.get(&back).expect(302);
    let id = parameter(&back, "instanceId");
    let site = &bed.wix.of_instance("instances", &id)[0]["site_id"];
    bed.wix.wait_for_deliveries(&id);
    wait_until_idle(&bed);
    assert_eq!(record(&bed, &id)["site_id"], *site, "the site id must come from the signed value");
}

#[test]
fn a_value_signed_before_a_removal_does_not_undo_it() {
    let bed = Testbed::start(|values| values);
    let (id, at) = (guid(), now());
    let data = json!({ "appId": bed.wix.app.app_id });
    post(&bed, &Message::new("AppInstalled", &id, &data).at(at - 3_000));
    post(&bed, &Message::new("AppRemoved", &id, &data).at(at - 600));
    assert_eq!(open_callback(&bed, &id, &json!({ "sign_date_offset_seconds": -2_000 }), &guid()), 403);
    wait_until_idle(&bed);
    assert_eq!(record(&bed, &id)["status"], "removed");
    // A value signed after the removal does.
    assert_eq!(open_callback(&bed, &id, &json!({}), &guid()), 302);
    wait_until_idle(&bed);
    assert_eq!(record(&bed, &id)["status"], "installed");
}

#[test]
fn a_repeated_callback_does_not_undo_a_removal() {
    let bed = Testbed::start(|values| values);
    let (mut jar, back) = consent_at_wix(&bed);
    let id = parameter(&back, "instanceId");
    bed.wix.wait_for_deliveries(&id);
    jar.get(&back).expect(302);
    wait_until_idle(&bed);
    assert_eq!(record(&bed, &id)["status"], "installed");
    next_second();
    bed.wix.remove(&id);
    next_second();
    for _ in 0..3 {
        jar.get(&back);
    }
    wait_until_idle(&bed);
    let record = record(&bed, &id);
    assert_eq!(record["status"], "removed", "{record}");
    bed.token(NOW, &id).expect(410);
}

/// The tokens of an exchange belong to the installation for which the exchange was made.
#[test]
fn a_repeated_redirect_does_not_restore_the_token_of_a_former_installation() {
    let bed = Testbed::start(|values| values);
    let (mut jar, callback, id) = bed.prepare_callback();
    jar.get(&callback).expect(302);
    wait_until_idle(&bed);
    bed.wix.remove(&id);
    bed.wix.reinstall(&id);
    next_second();
    jar.get(&callback);
    wait_until_idle(&bed);
    let token = bed.token(NOW, &id).expect(200).json();
    let token = token["access_token"].as_str().expect("a token");
    let described = request("GET", bed.wix.at("/apps/v1/instance")).header("authorization", token).send();
    assert_eq!(described.expect(200).json()["instance"]["instanceId"], json!(id));
}
