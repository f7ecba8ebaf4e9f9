//! The rate limit of install flows by client address.

use serde_json::json;

use crate::testing::world::World;
use crate::web::network;

#[test]
fn a_client_is_its_address_or_its_ipv6_network() {
    for (address, name) in [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
        ("odd", "odd"),
    ] {
        assert_eq!(network(address), name);
    }
}

#[test]
fn flows_are_limited_by_client_address() {
    for path in ["/install", "/connect"] {
        let world = World::new();
        world.fake.limit_rate(3);
        let begin = |address: &str| world.get(path).header("cf-connecting-ip", address).send();
        for end in 1..=3 {
            assert_eq!(begin(&format!("2001:db8::{end}")).status, 302);
        }
        let refused = begin("2001:db8::ffff");
        assert_eq!((refused.status, refused.header("retry-after")), (429, "60"));
        assert!(refused.body.contains("Please wait a moment"), "{}", refused.body);
        assert_eq!(begin("2001:db9::1").status, 302, "another network has its own limit");
        assert_eq!(world.get(path).send().status, 302, "a request without an address is not limited");
        // If the limiter fails, the flow goes on, and the log has the error.
        world.fake.limit_rate(0);
        assert_eq!(begin("203.0.113.9").status, 302);
        assert_eq!(world.fake.last_log()["error"], json!("internal"));
    }
}
