//! Calls to Wix bypass caches: a cache goes by the URL, but only the token tells the installation.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{IN_10_MINUTES, NOW, Testbed, request};

#[test]
fn every_call_to_wix_bypasses_caches() {
    let bed = Testbed::start(|values| values.with("FINISH_CONFIGURATION", "on-install"));
    bed.wix.switch(&json!({ "echo_other_paths": true }));
    // The redirect flow with its event, a refresh, and client credentials.
    let (mut jar, callback, id) = bed.prepare_callback();
    let response = jar.get(&callback).expect(302);
    bed.wait_for_tasks(&response);
    bed.token(IN_10_MINUTES, &id).expect(200);
    let other = bed.wix.new_instance();
    let token = bed.token(NOW, &other).expect(200).json();
    bed.api(NOW, "POST", "/v1/identity").json(&json!({ "access_token": token["access_token"] })).send().expect(200);
    bed.wix.bi_events(&id, 1);
    // The proxy, with and without a `cache-control` of the caller.
    let at = |path: &str| format!("/v1/instances/{other}/wix/{path}");
    bed.api(NOW, "GET", &at("apps/v1/instance")).send().expect(200);
    bed.api(NOW, "GET", &at("stores/v1/products")).header("cache-control", "max-age=600").send().expect(200);
    bed.api(NOW, "POST", &at("stores/v1/products")).json(&json!({ "name": "x" })).send().expect(200);

    let calls = request("GET", bed.wix.at("/_sim/calls")).send().expect(200).json();
    let of_browsers = ["install", "app_installer", "close_window"].map(Value::from);
    let calls = calls["calls"].as_array().expect("calls").iter();
    let calls: Vec<&Value> = calls.filter(|call| !of_browsers.contains(&call["endpoint"])).collect();
    for call in &calls {
        assert_eq!((&call["cache_control"], &call["pragma"]), (&json!("no-cache"), &json!("no-cache")), "{call}");
    }
    let endpoints: BTreeSet<&str> = calls.iter().filter_map(|call| call["endpoint"].as_str()).collect();
    let all = ["app_instance", "bi_event", "oauth2_token", "oauth_access", "other", "token_info"];
    assert_eq!(endpoints, BTreeSet::from(all));
}
