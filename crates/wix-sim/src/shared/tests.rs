use super::*;

#[test]
fn only_loopback_urls_are_accepted() {
    for good in ["http://127.0.0.1:8787/webhook", "http://localhost/", "http://[::1]:1/", "https://127.9.9.9/"] {
        assert!(loopback_url(good).is_ok(), "{good}");
    }
    for bad in [
        "http://example.com/",
        "http://localhost.example.com/",
        "http://127.0.0.1@example.com/",
        "http://10.0.0.1/",
        "http://0.0.0.0/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "webhook",
        "",
    ] {
        assert!(loopback_url(bad).is_err(), "{bad}");
    }
}
