//! No cache stands between the Worker and Wix: the installation is in the token alone, and a cache would go by the address.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Direct, LATER, NOW, ask};

#[test]
fn every_call_to_wix_says_that_it_wants_nothing_from_a_cache() {
    let stand = Direct::start(|values| values.with("FINISH_CONFIGURATION", "on-install"));
    stand.wix.switch(&json!({ "echo_other_paths": true }));
    // The redirect flow and its event, a refreshed token, and an instance without a refresh token.
    let (mut jar, callback, id) = stand.agreed();
    let answer = jar.get(&callback).expect(302);
    stand.settled(&answer);
    stand.token(LATER, &id).expect(200);
    let other = stand.wix.installed();
    let token = stand.token(NOW, &other).expect(200).json();
    stand.api(NOW, "POST", "/v1/identity").json(&json!({ "access_token": token["access_token"] })).send().expect(200);
    stand.wix.bi_events(&id, 1);
    // The proxy, with the caller's own wish and without.
    let at = |path: &str| format!("/v1/instances/{other}/wix/{path}");
    stand.api(NOW, "GET", &at("apps/v1/instance")).send().expect(200);
    stand.api(NOW, "GET", &at("stores/v1/products")).header("cache-control", "max-age=600").send().expect(200);
    stand.api(NOW, "POST", &at("stores/v1/products")).json(&json!({ "name": "x" })).send().expect(200);

    let calls = ask("GET", stand.wix.at("/_sim/calls")).send().expect(200).json();
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
