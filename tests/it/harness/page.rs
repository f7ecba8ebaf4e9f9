//! Assertions about responses to browsers.

use url::Url;

use super::http::Response;

/// Asserts the headers of responses to browsers: Wix can close its window, caches and referrers get nothing, and the
/// page loads nothing from other origins.
#[track_caller]
pub fn assert_browser_headers(response: &Response) {
    assert_eq!(response.header("cross-origin-opener-policy"), Some("unsafe-none"), "{response:?}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{response:?}");
    assert_eq!(response.header("referrer-policy"), Some("no-referrer"), "{response:?}");
    assert_eq!(response.header("x-frame-options"), None, "{response:?}");
    let policy = response.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none';"), "{response:?}");
    assert!(!policy.contains("unsafe") && !policy.contains("frame-ancestors"), "{response:?}");
}

/// Asserts that a URL is refused with an error page that has the request id and no part of the URL's parameters.
#[track_caller]
pub fn assert_refused(response: &Response, status: u16, url: &Url) {
    assert_eq!(response.status, status, "{response:?}");
    assert_browser_headers(response);
    assert!(response.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{response:?}");
    assert!(response.header("set-cookie").is_none() && response.header("location").is_none(), "{response:?}");
    let page = response.text();
    assert!(page.contains("<h1>"), "{response:?}");
    assert!(page.contains(response.request_id()), "no request id on the page: {response:?}");
    for (name, value) in url.query_pairs().filter(|(_, value)| value.len() > 3) {
        let shown = page.contains(&*value) || response.headers.iter().any(|(_, text)| text.contains(&*value));
        assert!(!shown, "the parameter {name} is shown: {response:?}");
    }
    for word in ["OAUTH2.", "OauthNG.", "panicked", "RuntimeError", "    at ", "?code="] {
        assert!(!page.contains(word), "{word:?} is on the page: {response:?}");
    }
}
