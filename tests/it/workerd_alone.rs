//! workerd by itself, with the KV of the crate `workerd`: the Worker runs there as it does under wrangler.

use workerd::Counts;

use crate::harness::{Direct, LATER, NOW};

#[test]
fn an_installation_goes_through_and_its_token_is_had() {
    let stand = Direct::start(|values| values);
    let (mut jar, callback, id) = stand.agreed();
    stand.kv.clear_operations();
    jar.get(&callback).expect(302);
    assert!(matches!(stand.kv.counts(), Counts { reads: 2.., writes: 4.., lists: 1.., .. }), "{:?}", stand.kv.counts());

    let first = stand.token(NOW, &id).expect(200).json();
    // Another isolate, ten minutes later: by the refresh token, which is in KV.
    let second = stand.token(LATER, &id).expect(200).json();
    assert_ne!(first, second);
    let [exchange, _, refresh] = stand.wix.called(&id).try_into().expect("three calls");
    assert_eq!(
        (exchange.as_str(), refresh.as_str()),
        ("oauth_access authorization_code", "oauth_access refresh_token")
    );

    assert!(!stand.kv.entries("v1:todo:").is_empty());
    stand.cron(LATER).send().expect(200);
    assert_eq!(stand.kv.entries("v1:todo:"), []);
    let facts: Vec<String> = stand.kv.entries("v1:fact:").into_iter().map(|entry| entry.key).collect();
    assert_eq!(facts.len(), 2, "{facts:?}");
    let routes: Vec<String> = stand.log.entries().iter().map(|entry| entry["route"].to_string()).collect();
    assert!(routes.iter().any(|route| route.contains("/redirect")), "{routes:?}");
}
