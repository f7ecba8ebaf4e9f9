//! The Worker in plain workerd, with the in-memory KV of the crate `workerd`.

use serde_json::json;
use workerd::Counts;

use crate::harness::{IN_10_MINUTES, NOW, Testbed};

#[test]
fn an_installation_and_its_tokens_work_in_plain_workerd() {
    let bed = Testbed::start(|values| values);
    // Otherwise the Cron Trigger learns more of the site, which is another fact.
    bed.wix.switch(&json!({ "permission_manage_app_instance": false }));
    let (mut jar, callback, id) = bed.prepare_callback();
    bed.kv.clear_operations();
    jar.get(&callback).expect(302);
    assert!(matches!(bed.kv.counts(), Counts { reads: 2.., writes: 4.., lists: 1.., .. }), "{:?}", bed.kv.counts());

    let first = bed.token(NOW, &id).expect(200).json();
    // Another isolate, ten minutes later, uses the refresh token in KV.
    let second = bed.token(IN_10_MINUTES, &id).expect(200).json();
    assert_ne!(first, second);
    let [exchange, _, refresh] = bed.wix.called_endpoints(&id).try_into().expect("three calls");
    assert_eq!(
        (exchange.as_str(), refresh.as_str()),
        ("oauth_access authorization_code", "oauth_access refresh_token")
    );

    assert!(!bed.kv.entries("v1:todo:").is_empty());
    bed.cron(IN_10_MINUTES).send().expect(200);
    assert_eq!(bed.kv.entries("v1:todo:"), []);
    let facts: Vec<String> = bed.kv.entries("v1:fact:").into_iter().map(|entry| entry.key).collect();
    assert_eq!(facts.len(), 2, "{facts:?}");
    let routes: Vec<String> = bed.log.entries().iter().map(|entry| entry["route"].to_string()).collect();
    assert!(routes.iter().any(|route| route.contains("/redirect")), "{routes:?}");
}
