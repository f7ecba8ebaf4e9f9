//! The external install flow, from the app's site to Wix and back (docs/wix.md 3.2).

use url::Url;

use crate::harness::{Jar, Stage, assert_browser_headers, external, get, parameter, shared};

/// Opens `/connect` and gives consent at Wix for a new site. Returns the callback.
fn consent_at_wix(stage: &Stage, jar: &mut Jar) -> Url {
    external(&stage.worker.url, jar, "", &stage.wix.site(), "agree")
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
    let to_wix = get(stage.worker.at("/connect")).expect(302);
    assert_browser_headers(&to_wix);
    assert_eq!(to_wix.location().as_str().split('?').next(), Some(stage.wix.at("/app-installer").as_str()));
    let back = consent_at_wix(stage, &mut jar);
    let done = jar.get(&back).expect(302);
    assert_browser_headers(&done);
    let page = jar.get(done.location()).expect(200);
    assert!(page.text().contains("The app is now on your site"), "{page:?}");
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
