//! The external install flow, from the app's site to Wix and back (docs/wix.md 3.2).

use url::Url;

use crate::harness::{Jar, Stage, assert_browser_headers, get, parameter, request, shared};

/// Opens `/connect` and gives consent at Wix for a new site. Returns the callback.
fn consent_at_wix(stage: &Stage, jar: &mut Jar) -> Url {
    let to_wix = jar.get(stage.worker.at("/connect")).expect(302);
    assert_browser_headers(&to_wix);
    let installer = to_wix.location();
    assert_eq!(installer.as_str().split('?').next(), Some(stage.wix.at("/app-installer").as_str()));
    get(installer.as_str()).expect(200);
    let mut form: Vec<(String, String)> = installer.query_pairs().into_owned().collect();
    for (name, value) in [("flow", "external"), ("site_id", &stage.wix.site()), ("decision", "agree")] {
        form.push((name.to_owned(), value.to_owned()));
    }
    let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    request("POST", stage.wix.at("/installer/consent")).form(&fields).send().expect(302).location()
}

/// A copy of the URL with a parameter replaced or removed.
fn changed(url: &Url, name: &str, value: Option<&str>) -> Url {
    let kept: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(known, _)| known != name).collect();
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(value.map(|value| (name, value)));
    url
}

#[test]
fn an_external_install_stores_the_instance() {
    let stage = shared();
    let mut jar = Jar::default();
    let back = consent_at_wix(stage, &mut jar);
    let done = jar.get(&back).expect(302);
    assert_browser_headers(&done);
    let page = jar.get(done.location()).expect(200);
    assert!(page.text().contains("The app is installed"), "{page:?}");
    assert_browser_headers(&page);
    let id = parameter(&back, "instanceId");
    stage.wix.wait_for_deliveries(&id);
    let instance = stage.wait_for_field(&id, "site_id", &parameter(&back, "tenantId"));
    assert_eq!(instance["status"], "installed", "{instance}");
}

#[test]
fn an_external_install_without_a_valid_signed_instance_is_refused() {
    let stage = shared();
    let victim = stage.wix.new_instance();
    let before = stage.instance(&victim);
    let mut jar = Jar::default();
    let back = consent_at_wix(stage, &mut jar);
    for (name, value) in [
        ("instanceId", Some(victim.as_str())),
        ("signedInstance", None),
        ("signedInstance", Some("c2lnbmF0dXJl.e30")),
        ("appId", Some(victim.as_str())),
        ("state", None),
    ] {
        let page = jar.get(changed(&back, name, value)).expect(403);
        assert!(page.text().contains("Request id"), "{page:?}");
    }
    get(&back).expect(403);
    assert_eq!(stage.instance(&victim), before);
}
