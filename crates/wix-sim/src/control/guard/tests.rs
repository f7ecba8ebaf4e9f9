use super::*;

#[test]
fn only_loopback_hosts_are_accepted() {
    for good in ["127.0.0.1:4000", "localhost", "LOCALHOST:1", "[::1]:80", "127.0.0.1"] {
        assert!(is_loopback(good), "{good}");
    }
    for bad in ["example.com", "127.0.0.1.example.com:80", "", "localhost:80@example.com", "10.0.0.1", "0.0.0.0:1"] {
        assert!(!is_loopback(bad), "{bad}");
    }
}
